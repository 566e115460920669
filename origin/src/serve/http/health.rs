//! `/healthz`: the process answers. `/readyz`: it can do its work.

use crate::serve::state::Shared;
use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

/// `GET /healthz`.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /readyz`: 503 while parts cannot do their work, with their names; why is for operators only.
pub async fn readyz(State(service): State<Shared>) -> (StatusCode, Json<Value>) {
    let unready: Vec<_> = service.unready().into_keys().collect();
    let status = if unready.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": unready.is_empty(), "unready": unready })))
}
