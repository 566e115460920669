//! `GET /metrics`.

use crate::serve::state::service::Shared;
use axum::{extract::State, http::header, response::IntoResponse};

/// The metrics in the OpenMetrics text format.
pub(crate) async fn show(State(service): State<Shared>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    service.metrics.queue_depth.set(service.events.queued() as i64);
    let (stored, counted) = (*service.events.position().borrow(), *service.tables.position.borrow());
    service.metrics.log_lag.set(stored.saturating_sub(counted) as i64);
    ([(header::CONTENT_TYPE, content_type)], service.metrics.text())
}
