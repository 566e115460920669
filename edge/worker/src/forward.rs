//! Forwards events to the origin: through a queue before the reply, or from the outbox in the background.

use crate::config::{Config, Origin};
use crate::outbox::{Batch, Delivery, Lease, Outbox, SendStep, pack};
use crate::platform::{enqueue, messages, now, post, settle};
use snapshots::event::Event;
use snapshots::report::Report;
use std::cell::RefCell;
use std::time::Duration;
use worker::wasm_bindgen::JsValue;
use worker::{Context, Delay, Env, console_error};

/// Timeout of a request to the origin, in ms.
const TIMEOUT_MS: u32 = 5_000;
/// Timeout of a request with events from the queue, in ms. No visitor waits for it.
const QUEUE_DELIVERY_TIMEOUT_MS: u32 = 30_000;
/// Timeout of the queue's confirmation, in ms. A visitor waits for it.
const ENQUEUE_TIMEOUT_MS: u32 = 2_000;

thread_local! {
    static OUTBOX: RefCell<Outbox> = RefCell::default();
}

/// Forwards events. They are in the queue when this returns, or else in the outbox.
pub(crate) async fn forward(env: &Env, context: &Context, config: &Config, events: &[Event]) {
    let mut batches = pack(events).into_iter();
    if config.bindings.queue {
        while let Some(batch) = batches.as_slice().first() {
            if let Err(why) = enqueue(env, &batch.lines, ENQUEUE_TIMEOUT_MS).await {
                console_error!("cannot write to the queue EVENTS: {why}");
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
        console_error!("the outbox is full, so events are being dropped; the metrics count them");
    }
    send_in_background(context, config, now());
}

/// Sends the outbox in the background, unless another request does or the origin is paused.
pub(crate) fn send_in_background(context: &Context, config: &Config, now: i64) {
    let Some(lease) = OUTBOX.with_borrow_mut(|outbox| outbox.lease(now)) else { return };
    if let Some(origin) = config.origin.clone() {
        context.wait_until(send(origin, lease));
    }
}

/// Whether the origin is paused after a failure.
pub(crate) fn is_paused(now: i64) -> bool {
    OUTBOX.with_borrow(|outbox| outbox.is_paused(now))
}

/// The number of events dropped since the last call.
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

/// Sends a body to the origin once.
async fn deliver(origin: &Origin, body: &Batch, timeout_ms: u32) -> Delivery {
    let (url, token) = (format!("{}/v1/events", origin.url), origin.key.as_deref().unwrap_or_default());
    let answer = post(&url, token, "application/x-ndjson", &body.lines, timeout_ms).await;
    let outcome = answer.as_ref().map_or(Delivery::Failed, |status| Delivery::from_status(*status));
    let why = answer.map_or_else(|error| error, |status| format!("status {status}"));
    match outcome {
        Delivery::Accepted => {}
        Delivery::Rejected => {
            console_error!("the origin {} rejected {} events: {why}", origin.url, body.events)
        }
        Delivery::Failed => {
            console_error!(
                "the origin {} did not accept {} events, which will be retried: {why}",
                origin.url,
                body.events
            )
        }
    }
    outcome
}

/// Sends the messages of a queue's batch to the origin, and acknowledges or retries them.
pub(crate) async fn consume(batch: &JsValue, config: &Config) {
    let batches: Vec<Batch> = messages(batch).into_iter().map(Batch::message).collect();
    let Some(origin) = &config.origin else {
        console_error!("events stay in the queue, because ORIGIN_URL is not set");
        return settle(batch, 0, batches.len(), false);
    };
    let mut first = 0;
    while let Some(rest) = batches.get(first..).filter(|rest| !rest.is_empty()) {
        let (body, count) = Batch::body(rest);
        let outcome = deliver(origin, &body, QUEUE_DELIVERY_TIMEOUT_MS).await;
        if outcome == Delivery::Rejected && count > 1 {
            // Send them one by one, so that an invalid message does not cost the others.
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

/// Sends a report to the origin once. A lost report is better than one counted twice.
pub(crate) async fn send_report(origin: Origin, report: Report) {
    let Ok(body) = serde_json::to_string(&report) else { return };
    let url = format!("{}/v1/metrics/edge", origin.url);
    let token = origin.key.as_deref().unwrap_or_default();
    let why = match post(&url, token, "application/json", &body, TIMEOUT_MS).await {
        Ok(200..=299) => return,
        Ok(status) => format!("status {status}"),
        Err(error) => error,
    };
    console_error!("cannot send metrics to the origin {}: {why}", origin.url);
}
