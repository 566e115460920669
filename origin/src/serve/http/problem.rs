//! Error answers as in RFC 9457. They say what is wrong and what to do; internal messages go to the log, and to operators
//! if stored data is damaged.

use crate::catalogue::feed::Report;
use crate::store::StoreError;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use snapshots::event::Rejected;

/// An `application/problem+json` answer: the one error type of the handlers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Problem {
    r#type: &'static str,
    /// The kind of problem: the same text for each status.
    title: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What is wrong with this request, and what to do.
    pub(crate) detail: String,
    /// The parameter, header or part of the body that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// The rejected events of a batch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<Rejected>,
    /// The report of a feed that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Box<Report>>,
    /// Seconds after which to try again.
    #[serde(skip)]
    pub(crate) retry_after: Option<u32>,
}

/// The result of a handler.
pub(crate) type Result<T, E = Problem> = std::result::Result<T, E>;

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

    /// 400: a part of the request is invalid.
    pub(crate) fn bad_request(field: &str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(StatusCode::BAD_REQUEST, "Bad request", detail) }
    }

    /// 401: no key, or an unknown one.
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        let field = Some("authorization".to_owned());
        Self { field, ..Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", detail) }
    }

    /// 403: the key has another role.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        let field = Some("authorization".to_owned());
        Self { field, ..Self::new(StatusCode::FORBIDDEN, "Forbidden", detail) }
    }

    /// 404: what `field` names does not exist.
    pub(crate) fn not_found(field: &str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(StatusCode::NOT_FOUND, "Not found", detail) }
    }

    /// 405: the address does not support the method.
    pub(crate) fn method_not_allowed() -> Self {
        let detail = "The address does not support this method; `Allow` lists those that it supports.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", detail)
    }

    /// 422: a feed failed.
    pub(crate) fn feed_failed(detail: impl Into<String>, report: Report) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Feed failed", detail);
        Self { report: Some(Box::new(report)), ..problem }
    }

    /// 409: the request conflicts with the current state.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", detail)
    }

    /// 413: the body is too long.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        let field = Some("body".to_owned());
        Self { field, ..Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Content too large", detail) }
    }

    /// 415: the body is compressed.
    pub(crate) fn unsupported_encoding() -> Self {
        let detail = "A body must not have a `Content-Encoding`; send it uncompressed.";
        let field = Some("content-encoding".to_owned());
        Self { field, ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", detail) }
    }

    /// 408: the body did not arrive in time.
    pub(crate) fn timeout(detail: impl Into<String>) -> Self {
        let field = Some("body".to_owned());
        Self { field, ..Self::new(StatusCode::REQUEST_TIMEOUT, "Request timeout", detail) }
    }

    /// 429: the key exceeds its rate limit.
    pub(crate) fn too_many(retry_after: u32, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// 503: the service is overloaded or cannot store events.
    pub(crate) fn unavailable(retry_after: u32, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// Adds the rejected events.
    #[must_use]
    pub(crate) fn with_rejected(mut self, rejected: Vec<Rejected>) -> Self {
        self.rejected = rejected;
        self
    }

    /// 500: an unexpected error. The log has the details; the client does not get them.
    pub(crate) fn internal(error: &anyhow::Error) -> Self {
        tracing::error!(error = format!("{error:#}"), "internal error");
        let detail = "The request failed; the log of the service says why.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", detail)
    }

    /// 500: stored data cannot be read or is damaged. Only for operators, who get the reason.
    pub(crate) fn damaged(error: &anyhow::Error) -> Self {
        let detail = format!("{error:#}");
        tracing::error!(error = detail, "stored data cannot be read");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", detail)
    }
}

/// The field that an error of serde is about: the one that its message names, else its path, else `whole`.
pub(crate) fn field_of(path: &str, message: &str, whole: &str) -> String {
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

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        anyhow::Error::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // These types cannot fail to serialise; the status is right even with an empty body.
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
