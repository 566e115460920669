//! `/v1/visitors/{id}`: exporting and erasing the events of a visitor.
//!
//! Erasing rewrites the segments of the log that hold the visitor's events, and answers when they are gone. The tables are
//! then rebuilt in the background; published snapshots contain no visitors.

use crate::serve::http::{problem::Result, query::PathId};
use crate::serve::state::service::Shared;
use axum::{Json, extract::State};
use origin_data::Standing;
use origin_log::{Reader, Record};
use serde::Serialize;
use serde_json::{Value, json};

/// The stored events of a visitor.
#[derive(Debug, Serialize)]
pub(crate) struct Export {
    visitor: String,
    events: Vec<Value>,
}

/// The result of an erasure.
#[derive(Debug, Serialize)]
pub(crate) struct Erasure {
    /// The number of erased events.
    erased: u64,
}

/// `GET /v1/visitors/{id}`: reads the whole log, which takes seconds for every ten million events.
///
/// # Errors
/// The id is invalid, or the log cannot be read.
pub(crate) async fn export(State(service): State<Shared>, PathId(id): PathId) -> Result<Json<Export>> {
    let visitor = hash(&service, &id).await?;
    let log = origin_log::dir(&service.config.data_dir);
    let events = service
        .blocking(move || {
            let mut events = Vec::new();
            Reader::new(&log, 0).read(|record, _| {
                if record.visitor == visitor {
                    events.push(event_json(record));
                }
            })?;
            anyhow::Ok(events)
        })
        .await?;
    Ok(Json(Export { visitor: id, events }))
}

/// `DELETE /v1/visitors/{id}`.
///
/// # Errors
/// The id is invalid, or the log cannot be rewritten. Some of the events may be left then: send the request again.
pub(crate) async fn erase(State(service): State<Shared>, PathId(id): PathId) -> Result<Json<Erasure>> {
    let visitor = hash(&service, &id).await?;
    let erased = service.remove_events(move |record| record.visitor == visitor).await?;
    tracing::info!(events = erased, "erased a visitor's events");
    Ok(Json(Erasure { erased }))
}

/// The hash that stands for a visitor's id in the log.
async fn hash(service: &Shared, id: &str) -> Result<u64> {
    let id = id.to_owned();
    Ok(service.with_store(move |store| anyhow::Ok(store.visitor_hash(&id))).await?)
}

fn event_json(record: &Record<'_>) -> Value {
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut event = json!({
        "id": record.id, "kind": record.kind, "item": record.item, "at": record.at, "quantity": record.quantity,
        "price": record.price, "currency": known(record.currency), "region": known(record.area),
        "placement": known(record.placement), "request": known(record.request), "bucket": record.bucket,
        "unconfirmed": (record.standing == Standing::Unconfirmed).then_some(true),
    });
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    event
}
