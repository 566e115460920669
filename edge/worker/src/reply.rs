//! Replies and problems, independent of the platform's `Response`.

use serde::Serialize;
use serde_json::Value;

/// Passed to JavaScript apart from the other headers, which are mostly the same for all answers and can be reused.
const TAG: &str = "etag";
/// `Retry-After` while there is no snapshot, in seconds.
const RETRY_AFTER_S: &str = "5";

/// A body that the platform streams: a `ReadableStream` in the Worker, plain bytes in native tests.
#[cfg(target_arch = "wasm32")]
pub type Stream = worker::wasm_bindgen::JsValue;
/// A body that the platform streams: a `ReadableStream` in the Worker, plain bytes in native tests.
#[cfg(not(target_arch = "wasm32"))]
pub type Stream = Vec<u8>;

/// A response's body.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// JSON.
    Text(String),
    /// Bytes that pass through the Worker without being held in memory.
    Stream(Stream),
}

impl Body {
    /// The text; empty for any other body.
    pub fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Header names and values. A name may occur twice.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// The experiments and variants of this answer, for the counts.
    pub exposed: Vec<(String, String)>,
}

impl Reply {
    /// A reply without a body.
    pub const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty, exposed: Vec::new() }
    }

    /// A reply with `value` as JSON.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(body) => Self { body: Body::Text(body), ..Self::empty(status) }
                .with("content-type", "application/json"),
            Err(_) => Problem::internal().reply(""),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The `ETag`; empty if there is none.
    pub fn tag(&self) -> &str {
        self.headers.iter().find(|(name, _)| *name == TAG).map_or("", |(_, tag)| tag)
    }

    /// The other headers for `js/glue.js`: alternating lines of name and value, without control characters.
    pub fn lines(&self) -> String {
        let mut lines = String::with_capacity(256);
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != TAG) {
            lines.push_str(name);
            lines.push('\n');
            lines.extend(value.chars().filter(|character| !character.is_control()));
            lines.push('\n');
        }
        lines
    }
}

/// An error reply by RFC 9457. It never contains internal messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The kind of problem.
    pub title: &'static str,
    /// What is wrong, and what to do.
    pub detail: String,
    /// The invalid parameter, header or part of the body.
    pub field: Option<String>,
    /// The rejected events of a batch.
    pub rejected: Option<Value>,
    /// A header that the status requires: `Allow` or `Retry-After`.
    pub header: Option<(&'static str, String)>,
}

impl Problem {
    /// A problem without a field.
    pub fn new(status: u16, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), field: None, rejected: None, header: None }
    }

    /// An invalid part of the request.
    pub fn bad_request(field: &str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(400, "Bad request", detail) }
    }

    /// An unexpected error. The Worker's log has the details.
    pub fn internal() -> Self {
        Self::new(500, "Internal error", "The answer could not be computed. Try again.")
    }

    /// No snapshot is published, or it cannot be loaded.
    pub fn no_snapshot() -> Self {
        let detail =
            "No snapshot could be loaded yet. Try again; if this lasts, publish one with `verge publish`.";
        Self::new(503, "No snapshot", detail).with("retry-after", RETRY_AFTER_S)
    }

    /// Sets the header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
        self
    }

    /// The reply, with the request's id.
    pub fn reply(self, request: &str) -> Reply {
        #[derive(Serialize)]
        struct ProblemBody<'a> {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            rejected: Option<&'a Value>,
            #[serde(skip_serializing_if = "str::is_empty")]
            request: &'a str,
        }
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.title,
            status: self.status,
            detail: &self.detail,
            field: self.field.as_deref(),
            rejected: self.rejected.as_ref(),
            request,
        };
        // These types always serialise; an empty body would still carry the status.
        let body = serde_json::to_string(&body).unwrap_or_default();
        let mut reply = Reply { body: Body::Text(body), ..Reply::empty(self.status) }
            .with("content-type", "application/problem+json")
            .with("cache-control", "no-store");
        reply.headers.extend(self.header);
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_json_with_its_type_and_header() {
        let reply =
            Problem { field: Some("limit".into()), ..Problem::new(400, "Bad request", "expected 1 to 100") }
                .with("retry-after", "1")
                .reply("01JD");
        let body: Value = serde_json::from_str(reply.body.text()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"type": "about:blank", "title": "Bad request", "status": 400,
                "detail": "expected 1 to 100", "field": "limit", "request": "01JD"})
        );
        let names: Vec<_> = reply.headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["content-type", "cache-control", "retry-after"]);
    }
}
