//! Handing events on to the origin, behind the answer.

use crate::config::Origin;
use crate::platform::post;
use snapshots::event::Event;
use snapshots::report::Report;
use std::time::Duration;
use worker::{Delay, console_error};

/// How long the origin may take, in ms.
const PATIENCE_MS: u32 = 5_000;
/// How long to wait before the second attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// Hands events to the origin, with one more attempt when it cannot take them now.
pub async fn forward(origin: Origin, events: Vec<Event>) {
    let Ok(body) = serde_json::to_string(&events) else { return };
    let url = format!("{}/v1/events", origin.url);
    let token = origin.key.as_deref().unwrap_or_default();
    let mut why = String::new();
    for attempt in 0..2 {
        if attempt > 0 {
            Delay::from(PAUSE).await;
        }
        match post(&url, token, &body, PATIENCE_MS).await {
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

/// Tells the origin what was counted, once: a report that gets lost costs figures, and one that comes twice is wrong.
pub async fn tell(origin: Origin, report: Report) {
    let Ok(body) = serde_json::to_string(&report) else { return };
    let url = format!("{}/v1/metrics/edge", origin.url);
    let why = match post(&url, origin.key.as_deref().unwrap_or_default(), &body, PATIENCE_MS).await {
        Ok(200..=299) => return,
        Ok(status) => format!("it answered {status}"),
        Err(error) => error,
    };
    console_error!("a report of metrics did not reach the origin {}: {why}", origin.url);
}
