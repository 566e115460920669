//! `/healthz`: the process answers. `/readyz`: all its parts work.

use crate::serve::state::service::Shared;
use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

/// `GET /healthz`.
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /readyz`: 503 with the names of the parts that do not work. The reasons are for operators only.
pub(crate) async fn readyz(State(service): State<Shared>) -> (StatusCode, Json<Value>) {
    let unready: Vec<_> = service.unready().into_keys().collect();
    let status = if unready.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": unready.is_empty(), "unready": unready })))
}
