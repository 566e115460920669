//! Handing events on to the origin, behind the answer.

use crate::config::Origin;
use futures_util::future::{Either, select};
use snapshots::event::Event;
use std::pin::pin;
use std::time::Duration;
use worker::{AbortController, Delay, Fetch, Headers, Method, Request, RequestInit, console_error};

/// How long the origin may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before the second attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// Hands events to the origin, with one more attempt when it cannot take them now.
pub async fn forward(origin: Origin, events: Vec<Event>) {
    let Ok(body) = serde_json::to_string(&events) else { return };
    let mut why = String::new();
    for attempt in 0..2 {
        if attempt > 0 {
            Delay::from(PAUSE).await;
        }
        match send(&origin, &body).await {
            Ok(200..=299) => return,
            Ok(status) => why = format!("it answered {status}"),
            Err(error) => why = error,
        }
        let refused = why.starts_with("it answered 4") && why != "it answered 429";
        if refused {
            break;
        }
    }
    console_error!("{} events did not reach the origin {}: {why}", events.len(), origin.url);
}

async fn send(origin: &Origin, body: &str) -> Result<u16, String> {
    let text = |error: worker::Error| error.to_string();
    let headers = Headers::new();
    headers.set("content-type", "application/json").map_err(text)?;
    if let Some(key) = &origin.key {
        headers
            .set("authorization", &format!("Bearer {key}"))
            .map_err(|_| "ORIGIN_KEY is no header value")?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_headers(headers).with_body(Some(body.into()));
    let request = Request::new_with_init(&format!("{}/v1/events", origin.url), &init).map_err(text)?;
    let abort = AbortController::default();
    let signal = abort.signal();
    let fetch = Fetch::Request(request);
    match select(pin!(fetch.send_with_signal(&signal)), pin!(Delay::from(PATIENCE))).await {
        Either::Left((response, _)) => response.map(|response| response.status_code()).map_err(text),
        Either::Right(_) => {
            abort.abort();
            Err(format!("it did not answer within {} s", PATIENCE.as_secs()))
        }
    }
}
