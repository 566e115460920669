//! `/v1/visitors/{id}`: what is stored of a visitor, and its erasure; and forgetting what is too old.
//!
//! Erasing rewrites the segments of the log that hold the visitor's events, and returns when they are gone. The tables
//! are then counted anew without them, in the background; published snapshots hold no visitors.

use crate::serve::{
    problem::Result,
    query::PathId,
    state::{Service, Shared},
};
use crate::stream::checkpoint;
use axum::{Json, extract::State};
use origin_log as log;
use origin_log::{Reader, Record};
use serde::Serialize;
use serde_json::{Value, json};
use snapshots::{
    event::Kind,
    time::{DAY_MS, Timestamp},
};
use std::sync::{PoisonError, atomic::Ordering};
use std::time::Duration;

/// How often it is looked for events that are too old.
const FORGET_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// The first time, so that a start is not slowed down.
const FORGET_FIRST: Duration = Duration::from_secs(2);

/// What is stored of a visitor.
#[derive(Debug, Serialize)]
pub struct Export {
    visitor: String,
    events: Vec<Value>,
}

/// What erasing did.
#[derive(Debug, Serialize)]
pub struct Erased {
    /// Events that are gone.
    erased: u64,
}

/// `GET /v1/visitors/{id}`: reads the whole log, which takes seconds for every ten million events.
///
/// # Errors
/// The id makes no sense, or the log cannot be read.
pub async fn export(State(service): State<Shared>, PathId(id): PathId) -> Result<Json<Export>> {
    let visitor = hash(&service, &id).await?;
    let log = log::dir(&service.config.data_dir);
    let events = service
        .blocking(move || -> anyhow::Result<_> {
            let mut events = Vec::new();
            Reader::new(&log, 0).read(|record, _| {
                if record.visitor == visitor {
                    events.push(event(record));
                }
            })?;
            Ok(events)
        })
        .await?;
    Ok(Json(Export { visitor: id, events }))
}

/// `DELETE /v1/visitors/{id}`.
///
/// # Errors
/// The id makes no sense, or the log cannot be rewritten; then some of the events may be left, and it has to be tried
/// again.
pub async fn erase(State(service): State<Shared>, PathId(id): PathId) -> Result<Json<Erased>> {
    let visitor = hash(&service, &id).await?;
    let erased = leave_out(&service, move |record| record.visitor == visitor).await?;
    tracing::info!(events = erased, "a visitor was erased");
    Ok(Json(Erased { erased }))
}

/// Forgets events that are older than the configuration wants, once a day.
pub async fn forget(service: Shared) {
    let Some(days) = service.config.log.retention_days else { return };
    let mut wait = FORGET_FIRST;
    loop {
        tokio::time::sleep(wait).await;
        wait = FORGET_EVERY;
        let cutoff = Timestamp(jiff::Timestamp::now().as_millisecond() - i64::from(days) * DAY_MS);
        match leave_out(&service, move |record| record.at < cutoff).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, days, "events that were too old are forgotten"),
            Err(_) => tracing::error!(days, "events that are too old cannot be forgotten"),
        }
    }
}

async fn hash(service: &Shared, id: &str) -> Result<u64> {
    let id = id.to_owned();
    service.with_store(move |store| Ok::<_, anyhow::Error>(store.visitor(&id))).await
}

/// Leaves events out of the log, all that are stored by now; how many.
async fn leave_out(service: &Shared, gone: impl Fn(&Record<'_>) -> bool + Send + 'static) -> Result<u64> {
    let closed = service.events.rotate().await?;
    let at_work = Shared::clone(service);
    service
        .blocking(move || -> anyhow::Result<_> {
            // Two at a time would write over each other.
            let alone = at_work.rewriting.lock().unwrap_or_else(PoisonError::into_inner);
            let mut left_out = 0;
            for segment in closed.iter().filter(|segment| segment.path.exists()) {
                left_out += log::rewrite(segment, |record| !gone(record))?;
            }
            drop(alone);
            if left_out > 0 {
                forget_tables(&at_work)?;
            }
            Ok(left_out)
        })
        .await
}

/// Has the tables counted anew; the checkpoint, which knows what is gone, is removed at once.
fn forget_tables(service: &Service) -> anyhow::Result<()> {
    match std::fs::remove_file(service.config.data_dir.join(checkpoint::FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    service.tables.changed.store(true, Ordering::Release);
    Ok(())
}

fn event(record: &Record<'_>) -> Value {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let kind: Kind = record.kind;
    let mut event = json!({
        "id": record.id, "kind": kind, "item": record.item, "at": record.at, "quantity": record.quantity,
        "price": record.price, "currency": given(record.currency), "region": given(record.area),
        "placement": given(record.placement), "request": given(record.request),
    });
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    event
}
