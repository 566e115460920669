//! Errors as RFC 9457 wants them: what is wrong and what to do, never an internal message.

use crate::catalogue::feed::Report;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use snapshots::event::Rejected;

/// An `application/problem+json` answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    r#type: &'static str,
    /// What kind of problem this is, the same text each time.
    title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: String,
    /// The parameter, header or part of the body at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The events of a batch that were refused, where that is the problem.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<Rejected>,
    /// What became of a feed all the same, where its failure is the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Box<Report>>,
    /// Seconds after which trying again makes sense.
    #[serde(skip)]
    pub retry_after: Option<u32>,
}

/// A handler's outcome.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            rejected: Vec::new(),
            report: None,
            retry_after: None,
        }
    }

    /// A part of the request that makes no sense.
    pub fn bad_request(field: &str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(StatusCode::BAD_REQUEST, "Bad request", detail) }
    }

    /// No key, or one that is not known.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let field = Some("authorization".to_owned());
        Self { field, ..Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", detail) }
    }

    /// A key that may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        let field = Some("authorization".to_owned());
        Self { field, ..Self::new(StatusCode::FORBIDDEN, "Forbidden", detail) }
    }

    /// Something that `field` names and that is not there.
    pub fn not_found(field: &str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(StatusCode::NOT_FOUND, "Not found", detail) }
    }

    /// A method that the address does not have.
    pub fn method_not_allowed() -> Self {
        let detail = "This address does not take this method; `Allow` tells which it takes.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", detail)
    }

    /// A feed that failed, and what became of it all the same.
    pub fn feed_failed(detail: impl Into<String>, report: Report) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Feed failed", detail);
        Self { report: Some(Box::new(report)), ..problem }
    }

    /// What cannot be done as things stand, and why.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", detail)
    }

    /// A body beyond the bounds.
    pub fn too_large(detail: impl Into<String>) -> Self {
        let field = Some("body".to_owned());
        Self { field, ..Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Content too large", detail) }
    }

    /// A body that did not arrive in time.
    pub fn timeout(detail: impl Into<String>) -> Self {
        let field = Some("body".to_owned());
        Self { field, ..Self::new(StatusCode::REQUEST_TIMEOUT, "Request timeout", detail) }
    }

    /// More than a key may ask for.
    pub fn too_many(retry_after: u32, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// More than the machine can take now.
    pub fn unavailable(retry_after: u32, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// The problem with the events that it is about.
    #[must_use]
    pub fn with_rejected(mut self, rejected: Vec<Rejected>) -> Self {
        self.rejected = rejected;
        self
    }

    /// Something that should not happen: the log is told what, the client that it was so.
    pub fn internal(error: &anyhow::Error) -> Self {
        tracing::error!(error = format!("{error:#}"), "internal error");
        let detail = "The request could not be carried out; the service's log tells why. Try again.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", detail)
    }
}

/// The field that an error of serde is about: what it names itself, else where it was, else `whole`.
pub fn field_of(path: &str, message: &str, whole: &str) -> String {
    let named = ["unknown field `", "missing field `", "duplicate field `"].iter().find_map(|start| {
        let (name, _) = message.strip_prefix(start)?.split_once('`')?;
        Some(name)
    });
    let place = path.trim_matches(['.', '?']);
    match (place, named) {
        ("", None) => whole.to_owned(),
        ("", Some(name)) => name.to_owned(),
        (place, None) => place.to_owned(),
        (place, Some(name)) if place.rsplit('.').next() == Some(name) => place.to_owned(),
        (place, Some(name)) => format!("{place}.{name}"),
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // These types cannot fail to serialise; an empty body would still carry the status.
        let mut response = (status, serde_json::to_vec(&self).unwrap_or_default()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
