//! Handing events on to the origin: by a queue before the answer, or from the outbox behind it.

use crate::config::{Config, Origin};
use crate::outbox::{Batch, Delivery, Lease, Outbox, SendStep, pack};
use crate::platform::{enqueue, messages, now, post, settle};
use snapshots::event::Event;
use snapshots::report::Report;
use std::cell::RefCell;
use std::time::Duration;
use worker::wasm_bindgen::JsValue;
use worker::{Context, Delay, Env, console_error};

/// How long the origin may take, in ms.
const TIMEOUT_MS: u32 = 5_000;
/// How long it may take for what a queue gives, which nobody waits for.
const QUEUE_DELIVERY_TIMEOUT_MS: u32 = 30_000;
/// How long the queue may take to confirm a message, in ms; a visitor waits for it.
const ENQUEUE_TIMEOUT_MS: u32 = 2_000;

thread_local! {
    static OUTBOX: RefCell<Outbox> = RefCell::default();
}

/// Hands events on. With a queue they are safe when this returns; without, the outbox holds them.
pub(crate) async fn forward(env: &Env, context: &Context, config: &Config, events: &[Event]) {
    let mut batches = pack(events).into_iter();
    if config.bindings.queue {
        while let Some(batch) = batches.as_slice().first() {
            if let Err(why) = enqueue(env, &batch.lines, ENQUEUE_TIMEOUT_MS).await {
                console_error!("the queue EVENTS takes no message: {why}");
                break;
            }
            batches.next();
        }
    }
    if config.origin.is_none() {
        return;
    }
    let first = OUTBOX.with_borrow_mut(|outbox| {
        let before = outbox.dropped();
        batches.for_each(|batch| outbox.add(batch));
        before == 0 && outbox.dropped() > 0
    });
    if first {
        console_error!(
            "events are lost from now on, as too many wait for the origin; the metrics count them"
        );
    }
    send_in_background(context, config, now());
}

/// Sends what waits in the outbox behind this request, unless another does or the origin is to be left alone.
pub(crate) fn send_in_background(context: &Context, config: &Config, now: i64) {
    let Some(lease) = OUTBOX.with_borrow_mut(|outbox| outbox.lease(now)) else { return };
    if let Some(origin) = config.origin.clone() {
        context.wait_until(send(origin, lease));
    }
}

/// Whether the origin is left alone, as it has failed.
pub(crate) fn is_paused(now: i64) -> bool {
    OUTBOX.with_borrow(|outbox| outbox.is_paused(now))
}

/// How many events were dropped since this was last asked.
pub(crate) fn take_dropped() -> u64 {
    OUTBOX.with_borrow_mut(Outbox::take_dropped)
}

async fn send(origin: Origin, lease: Lease) {
    loop {
        match OUTBOX.with_borrow_mut(|outbox| outbox.next(lease, now())) {
            SendStep::Send(body) => {
                let outcome = deliver(&origin, &body, TIMEOUT_MS).await;
                OUTBOX.with_borrow_mut(|outbox| outbox.sent(lease, outcome, now()));
            }
            SendStep::Wait(ms) => Delay::from(Duration::from_millis(ms.into())).await,
            SendStep::Done => return,
        }
    }
}

/// Hands a body to the origin, once.
async fn deliver(origin: &Origin, body: &Batch, timeout_ms: u32) -> Delivery {
    let (url, token) = (format!("{}/v1/events", origin.url), origin.key.as_deref().unwrap_or_default());
    let answer = post(&url, token, "application/x-ndjson", &body.lines, timeout_ms).await;
    let outcome = answer.as_ref().map_or(Delivery::Failed, |status| Delivery::from_status(*status));
    let why = answer.map_or_else(|error| error, |status| format!("it answers {status}"));
    match outcome {
        Delivery::Accepted => {}
        Delivery::Rejected => {
            console_error!("the origin {} refuses {} events for good: {why}", origin.url, body.events)
        }
        Delivery::Failed => {
            console_error!("the origin {} cannot take {} events now: {why}", origin.url, body.events)
        }
    }
    outcome
}

/// Hands the messages of a queue to the origin, and tells the queue which of them are done with.
pub(crate) async fn consume(batch: &JsValue, config: &Config) {
    let batches: Vec<Batch> = messages(batch).into_iter().map(Batch::message).collect();
    let Some(origin) = &config.origin else {
        console_error!("events wait in the queue, as ORIGIN_URL does not say where they go");
        return settle(batch, 0, batches.len(), false);
    };
    let mut first = 0;
    while let Some(rest) = batches.get(first..).filter(|rest| !rest.is_empty()) {
        let (body, count) = Batch::body(rest);
        let outcome = deliver(origin, &body, QUEUE_DELIVERY_TIMEOUT_MS).await;
        if outcome == Delivery::Rejected && count > 1 {
            // One that is wrong must not cost the others.
            for (place, one) in rest.iter().enumerate().take(count) {
                let outcome = deliver(origin, one, QUEUE_DELIVERY_TIMEOUT_MS).await;
                settle(batch, first + place, first + place + 1, outcome != Delivery::Failed);
            }
        } else {
            settle(batch, first, first + count, outcome != Delivery::Failed);
        }
        first += count;
    }
}

/// Tells the origin what was counted, once: a report that gets lost costs figures, and one that comes twice is wrong.
pub(crate) async fn send_report(origin: Origin, report: Report) {
    let Ok(body) = serde_json::to_string(&report) else { return };
    let url = format!("{}/v1/metrics/edge", origin.url);
    let token = origin.key.as_deref().unwrap_or_default();
    let why = match post(&url, token, "application/json", &body, TIMEOUT_MS).await {
        Ok(200..=299) => return,
        Ok(status) => format!("it answered {status}"),
        Err(error) => error,
    };
    console_error!("a report of metrics did not reach the origin {}: {why}", origin.url);
}
