//! `POST /v1/metrics/edge`: the counters of a Worker.

use crate::serve::http::{
    body,
    problem::{Problem, Result},
};
use crate::serve::state::service::Shared;
use axum::{extract::Request, extract::State, http::StatusCode};
use snapshots::report::Report;

/// The most bytes of a report.
const MAX_BODY: usize = 64 << 10;

/// Adds the counters of a report, which count since the Worker's last report.
///
/// # Errors
/// 400 that names the field.
pub(crate) async fn report(State(service): State<Shared>, request: Request) -> Result<StatusCode> {
    let report: Report = body::read_json(&service, request, MAX_BODY).await?;
    if let Some(field) = report.wrong_field() {
        let detail = "The count is too large; send the counts since the last report.";
        return Err(Problem::bad_request(field, detail));
    }
    service.metrics.edge.add(&report);
    Ok(StatusCode::NO_CONTENT)
}
