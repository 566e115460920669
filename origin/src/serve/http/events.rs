//! `POST /v1/events`.

use crate::serve::http::{
    auth::SenderKey,
    body,
    problem::{Problem, Result},
};
use crate::serve::state::{
    metrics::TokenLabel,
    service::{Service, Shared},
};
use axum::{Json, extract::Request, extract::State, http::StatusCode};
use origin_data::clock;
use origin_log::{AppendError, Sender};
use serde::Serialize;
use snapshots::event::{BodyError, Event, Kind, Rejected, Trust, Warning, parse_batch};

/// The most events of one body.
const MAX_EVENTS: usize = 10_000;
/// The most bytes of one body.
const MAX_BODY: usize = 8 << 20;

/// The outcome of a batch of events.
#[derive(Debug, Serialize)]
pub(crate) struct BatchOutcome {
    /// Events that are durable, by this request or an earlier one with the same id.
    accepted: usize,
    /// Invalid events, and why.
    rejected: Vec<Rejected>,
    /// What was changed in the others, or left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

/// Stores events, and answers when they are durable.
///
/// # Errors
/// The body cannot be read or contains no valid event, or the events cannot be stored.
pub(crate) async fn ingest(
    State(service): State<Shared>,
    request: Request,
) -> Result<(StatusCode, Json<BatchOutcome>)> {
    let (sender, trust) = sender(&request);
    let body = body::read(&service, request, MAX_BODY).await?;
    let mut batch = parse_batch(
        &body.bytes,
        MAX_EVENTS,
        clock::now(),
        &|area| service.config.knows_area(area),
        random_id,
    )
    .map_err(|error| match error {
        BodyError::NotJson(_) => Problem::bad_request("body", error.to_string()),
        BodyError::TooMany(_) => Problem::too_large(error.to_string()),
    })?;
    service.metrics.event_processing_errors.inc_by(batch.rejected.len() as u64);
    if batch.events.is_empty() {
        let detail = "The body contains no valid event; `rejected` says why.";
        return Err(Problem::bad_request("body", detail).with_rejected(batch.rejected));
    }
    for event in &mut batch.events {
        settle_trust(&service, event, trust);
    }
    let (accepted, rejected, warnings) = (batch.events.len(), batch.rejected, batch.warnings);
    let stored = service.events.append(sender, batch.events).await.map_err(|refused| match refused {
        AppendError::Busy => Problem::unavailable(1, "The queue of events is full. Send them again."),
        AppendError::Failed(why) => {
            service.metrics.event_processing_errors.inc_by(accepted as u64);
            tracing::error!(error = &*why, "cannot store events");
            Problem::unavailable(5, "None of the events could be stored. Send them again.")
        }
    })?;
    for (kind, (new, unconfirmed)) in
        Kind::ALL.into_iter().zip(stored.new.into_iter().zip(stored.unconfirmed))
    {
        service.metrics.events_ingested.get_or_create(&kind.into()).inc_by(new as u64);
        if kind >= Kind::Cart {
            service.metrics.events_unconfirmed.get_or_create(&kind.into()).inc_by(unconfirmed as u64);
        }
    }
    Ok((StatusCode::ACCEPTED, Json(BatchOutcome { accepted, rejected, warnings })))
}

/// Who sent a request, and who vouches for those of its events that do not say so: the holder of the key, or nobody if he
/// passes on what anyone may send to the edge.
fn sender(request: &Request) -> (Sender, Trust) {
    let key = request.extensions().get::<SenderKey>().map_or("", |key| key.0.as_str());
    let is_public = request.headers().get("verge-door").is_some_and(|door| door == "public");
    (Sender::of_key(key), if is_public { Trust::Public } else { Trust::Keyed })
}

/// Settles who vouches for an event that came through the door `door`. The token of an order is verified here and not at the
/// edge: that takes nothing there, and the key stays in one place.
fn settle_trust(service: &Service, event: &mut Event, door: Trust) {
    let trust = *event.trust.get_or_insert(door);
    let (Trust::Public, Some(order), Some(token)) = (trust, &event.order, &event.order_token) else { return };
    let is_valid = service.order_keys.is_valid(token, order, &event.item, event.quantity.unwrap_or(1));
    service.metrics.order_tokens.get_or_create(&TokenLabel::new(is_valid)).inc();
    if is_valid {
        event.trust = Some(Trust::Order);
    }
}

/// The id of an event that has none: 128 random bits.
fn random_id() -> String {
    let mut random = [0u8; 16];
    // This cannot fail once the system has booted.
    let _ = getrandom::fill(&mut random);
    format!("{:032x}", u128::from_le_bytes(random))
}
