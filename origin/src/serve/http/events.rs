//! `POST /v1/events`.

use crate::serve::{
    body,
    problem::{Problem, Result},
    state::Shared,
};
use axum::{Json, extract::Request, extract::State, http::StatusCode};
use origin_log::Refused;
use serde::Serialize;
use snapshots::{
    event::{BodyError, Kind, Rejected, parse_batch},
    time::Timestamp,
};

/// The most events of one body.
pub const MAX_EVENTS: usize = 10_000;
/// The most bytes of one body.
pub const MAX_BODY: usize = 8 << 20;

/// What became of a body's events.
#[derive(Debug, Serialize)]
pub struct Taken {
    /// Events that are durable, by this request or an earlier one.
    accepted: usize,
    /// Those that are not taken, and why.
    rejected: Vec<Rejected>,
}

/// Takes events; answers when they are durable.
///
/// # Errors
/// The body cannot be read, or holds no valid event.
pub async fn take(State(service): State<Shared>, request: Request) -> Result<(StatusCode, Json<Taken>)> {
    let body = body::read(&service, request, MAX_BODY).await?;
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    let batch = parse_batch(&body.bytes, MAX_EVENTS, now, random_id).map_err(|error| match error {
        BodyError::NotJson(_) => Problem::bad_request("body", error.to_string()),
        BodyError::TooMany(_) => Problem::too_large(error.to_string()),
    })?;
    service.metrics.event_processing_errors.inc_by(batch.rejected.len() as u64);
    if batch.events.is_empty() {
        let detail = "No event of the body is valid; `rejected` tells why.";
        return Err(Problem::bad_request("body", detail).with_rejected(batch.rejected));
    }
    let (accepted, rejected) = (batch.events.len(), batch.rejected);
    let stored = service.events.append(batch.events).await.map_err(|refused| match refused {
        Refused::Busy => {
            Problem::unavailable(1, "More events wait to be stored than the service holds. Send them again.")
        }
        Refused::Failed(why) => {
            service.metrics.event_processing_errors.inc_by(accepted as u64);
            tracing::error!(error = &*why, "events could not be stored");
            Problem::unavailable(
                5,
                "The events could not be stored; none of them counts as sent. Send them again.",
            )
        }
    })?;
    for (kind, new) in Kind::ALL.into_iter().zip(stored.new) {
        service.metrics.events_ingested.get_or_create(&kind.into()).inc_by(new as u64);
    }
    Ok((StatusCode::ACCEPTED, Json(Taken { accepted, rejected })))
}

/// An id for an event that came without one: 128 random bits.
fn random_id() -> String {
    let mut random = [0u8; 16];
    // Without randomness the time would have to do; the system never lacks it once it runs.
    let _ = getrandom::fill(&mut random);
    format!("{:032x}", u128::from_le_bytes(random))
}
