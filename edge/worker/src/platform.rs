//! Bindings to JavaScript: the clock, the request, the response, queues, limits, and futures without a promise.

use crate::reply::{Body, Reply};
use futures_util::task::AtomicWaker;
use serde::Serialize;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use worker::js_sys::{Array, Date, Error, Uint8Array, futures::future_to_promise};
use worker::wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::worker_sys::web_sys::Request;
use worker::{Env, console_error};

#[wasm_bindgen(
    module = "/js/glue.js",
    wasm_bindgen = worker::wasm_bindgen,
    wasm_bindgen_futures = worker::wasm_bindgen_futures,
    js_sys = worker::js_sys
)]
extern "C" {
    /// The request's lines, as [`crate::head::Head::read`] takes them.
    pub(crate) fn head(request: &Request) -> String;
    /// The request's lines, as [`crate::sender::Sender::read`] takes them.
    pub(crate) fn sender(request: &Request) -> String;
    /// The request's lines, as [`crate::details::Details::read`] takes them.
    pub(crate) fn details(request: &Request) -> String;
    #[wasm_bindgen(js_name = verify, catch)]
    async fn verify_with(secret: &str, text: &str, signature: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = body, catch)]
    async fn body_within(request: &Request, limit: u32) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = post, catch)]
    async fn post_within(
        url: &str,
        token: &str,
        mime: &str,
        body: &str,
        timeout_ms: u32,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = enqueue, catch)]
    async fn enqueue_within(env: &JsValue, message: &str, timeout_ms: u32) -> Result<(), JsValue>;
    #[wasm_bindgen(js_name = messages)]
    fn messages_of(batch: &JsValue) -> Array;
    /// Acknowledges (`done`) or retries a range of messages of a queue's batch.
    pub(crate) fn settle(batch: &JsValue, first: usize, end: usize, done: bool);
    #[wasm_bindgen(js_name = within, catch)]
    async fn within_limit(
        env: &JsValue,
        limit: &str,
        request: &Request,
        times: u32,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = measure, catch)]
    fn write_point(env: &JsValue, point: JsValue) -> Result<(), JsValue>;
    #[wasm_bindgen(js_name = respond)]
    fn respond_with(status: u16, lines: &str, tag: &str, body: Option<&str>) -> JsValue;
    #[wasm_bindgen(js_name = respond)]
    fn respond_with_stream(status: u16, lines: &str, tag: &str, body: JsValue) -> JsValue;
}

#[wasm_bindgen(module = "/../visitor.js", wasm_bindgen = worker::wasm_bindgen)]
extern "C" {
    #[wasm_bindgen(js_name = minuteOfWeek)]
    fn minute_of_week_in(zone: &str) -> i32;
}

/// The time in ms since 1970. In production, it does not advance while a request computes.
pub(crate) fn now() -> i64 {
    Date::now() as i64
}

/// The size of the instance's memory, which never shrinks. An isolate has 128 MB.
pub(crate) fn memory_bytes() -> u64 {
    const PAGE: u64 = 65_536;
    core::arch::wasm32::memory_size::<0>() as u64 * PAGE
}

/// The minute of the week in a time zone, 0 at Monday 00:00; `None` if the zone is unknown.
pub(crate) fn minute_of_week(zone: &str) -> Option<u16> {
    u16::try_from(minute_of_week_in(zone)).ok()
}

/// Whether a signature is the HMAC-SHA-256 of `text` by `secret`.
pub(crate) async fn verify(secret: &str, text: &str, signature: &str) -> bool {
    verify_with(secret, text, signature).await.is_ok_and(|valid| valid.as_bool() == Some(true))
}

/// The request's body; `None` if it is longer than `limit` bytes.
///
/// # Errors
/// A message if the body ends early.
pub(crate) async fn body(request: &Request, limit: u32) -> Result<Option<Vec<u8>>, String> {
    let bytes = body_within(request, limit).await.map_err(|error| text(&error))?;
    Ok(bytes.dyn_into::<Uint8Array>().ok().map(|bytes| bytes.to_vec()))
}

/// Posts a body, with a bearer token unless `token` is empty, and returns the status.
///
/// # Errors
/// A message if there is no response within `timeout_ms` ms.
pub(crate) async fn post(
    url: &str,
    token: &str,
    mime: &str,
    body: &str,
    timeout_ms: u32,
) -> Result<u16, String> {
    let status = post_within(url, token, mime, body, timeout_ms).await.map_err(|error| text(&error))?;
    Ok(status.as_f64().unwrap_or_default() as u16)
}

/// Writes a message to the queue of events.
///
/// # Errors
/// A message if the queue does not confirm within `timeout_ms`. It may have stored the message all the same.
pub(crate) async fn enqueue(env: &Env, message: &str, timeout_ms: u32) -> Result<(), String> {
    enqueue_within(env.as_ref(), message, timeout_ms).await.map_err(|error| text(&error))
}

/// The messages of a queue's batch; empty for one that is not text.
pub(crate) fn messages(batch: &JsValue) -> Vec<String> {
    messages_of(batch).iter().map(|body| body.as_string().unwrap_or_default()).collect()
}

/// Whether the request's client is within a rate limit, if the request counts so many times. If the limit fails, so that an outage does not block the shop, the
/// client passes.
pub(crate) async fn is_within(env: &Env, limit: &str, request: &Request, times: u32) -> bool {
    match within_limit(env.as_ref(), limit, request, times).await {
        Ok(within) => within.as_bool().unwrap_or(true),
        Err(error) => {
            console_error!("the rate limit {limit} failed: {}", text(&error));
            true
        }
    }
}

/// Writes a data point of at most 20 numbers to Analytics Engine.
pub(crate) fn measure(env: &Env, doubles: &[f64]) {
    #[derive(Serialize)]
    struct Point<'a> {
        indexes: [&'static str; 1],
        doubles: &'a [f64],
    }
    let point = serde_wasm_bindgen::to_value(&Point { indexes: ["verge"], doubles });
    let written = point.map_err(JsValue::from).and_then(|point| write_point(env.as_ref(), point));
    if let Err(error) = written {
        console_error!("cannot write to METRICS: {}", text(&error));
    }
}

fn text(error: &JsValue) -> String {
    error.dyn_ref::<Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}

/// The platform's `Response` to a reply.
pub(crate) fn respond(reply: Reply) -> JsValue {
    let (status, lines) = (reply.status, reply.lines());
    match &reply.body {
        Body::Stream(stream) => respond_with_stream(status, &lines, reply.tag(), stream.clone()),
        Body::Text(text) => respond_with(status, &lines, reply.tag(), Some(text)),
        Body::Empty => respond_with(status, &lines, reply.tag(), None),
    }
}

/// Wakes the task that waits at that time.
struct Relay(AtomicWaker);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

/// Polls a future once. Returns its value if it is ready, and a promise otherwise. Most answers are in memory, and a promise
/// costs more than computing them.
pub(crate) fn value_or_promise(future: impl Future<Output = JsValue> + 'static) -> JsValue {
    let mut future = Box::pin(future);
    // Some futures keep the waker of their first poll, before the promise exists.
    let relay = Arc::new(Relay(AtomicWaker::new()));
    let waker = Waker::from(Arc::clone(&relay));
    if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
        return value;
    }
    let rest = poll_fn(move |context| {
        relay.0.register(context.waker());
        future.as_mut().poll(&mut Context::from_waker(&waker))
    });
    future_to_promise(async { Ok(rest.await) }).into()
}
