//! Middleware that counts, times, logs and traces every request.

use crate::serve::state::{
    service::Shared,
    traces::{Operation, Parent, Span},
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use std::time::Instant;

/// Counts and times a request, logs it, and sends its span.
pub(crate) async fn observe(State(service): State<Shared>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    // A caller may invent methods; an unknown one must not become a label.
    let method = request.method().as_str();
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let method = known.into_iter().find(|name| *name == method).unwrap_or("other");
    let parent = request.headers().get("traceparent").and_then(|header| Parent::parse(header.to_str().ok()?));
    let response = next.run(request).await;
    let (status, duration) = (response.status(), start.elapsed());
    let (code, seconds) = (status.as_u16(), duration.as_secs_f64());
    // An overloaded service answers 503 thousands of times a second; counters and alerts report that.
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(route, method, status = code, seconds, "request failed");
    } else {
        tracing::debug!(route, method, status = code, seconds, "request");
    }
    service.metrics.record_request(&route, method, code, duration);
    if service.traces.is_enabled() {
        let operation = Operation::Request { method: method.to_owned(), route, status: code };
        service.traces.send(Span { parent, operation, duration });
    }
    response
}
