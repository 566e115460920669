//! Request bodies: bounded in bytes, in time, and in the memory of all bodies together.

use crate::serve::http::{
    audit,
    auth::SenderKey,
    problem::{Problem, Result, field_of},
};
use crate::serve::state::{
    body_memory::{Full, Reservation},
    service::Service,
};
use axum::{body::Bytes, extract::Request, http::header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A complete body. Its share of the memory for bodies is released when it is dropped.
pub(crate) struct Body {
    /// The content.
    pub(crate) bytes: Bytes,
    _memory: Reservation,
}

/// Reads a body of at most `limit` bytes. A longer one is discarded but still read, up to four times the limit: a client
/// that gets the answer while it is sending may report a broken connection instead.
///
/// # Errors
/// The body is longer (413), compressed (415), does not arrive in time (408), is cut off (400), or bodies take too much
/// memory (503; 429 if they are the sender's own).
pub(crate) async fn read(service: &Service, request: Request, limit: usize) -> Result<Body> {
    check_encoding(&request)?;
    let sender = match request.extensions().get::<SenderKey>() {
        Some(SenderKey(id)) => id.clone(),
        None => audit::address(request.extensions()).unwrap_or_default(),
    };
    // Reserved as bytes arrive, so that a body which is announced but not sent takes nothing.
    let mut memory = service.body_memory.reserve(&sender);
    let mut body = request.into_body();
    let (mut bytes, mut length) = (Vec::new(), 0);
    let read = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| {
                Problem::bad_request("body", "The connection ended before the body was complete.")
            })?;
            let Ok(data) = frame.into_data() else { continue };
            length += data.len();
            if length <= limit {
                memory.grow(data.len()).map_err(no_memory)?;
                bytes.extend_from_slice(&data);
            } else if length > limit * 4 {
                break;
            }
        }
        Ok(())
    };
    match tokio::time::timeout(TIMEOUT, read).await {
        Ok(Ok(())) if length > limit => {
            Err(Problem::too_large(format!("The body is longer than {limit} bytes; send it in parts.")))
        }
        Ok(Ok(())) => Ok(Body { bytes: bytes.into(), _memory: memory }),
        Ok(Err(problem)) => Err(problem),
        Err(_) => Err(Problem::timeout(format!("The body did not arrive within {} s.", TIMEOUT.as_secs()))),
    }
}

fn no_memory(full: Full) -> Problem {
    match full {
        Full::Sender => Problem::too_many(
            1,
            "The bodies that this sender is sending take too much memory. Send fewer requests at a time."
                .to_owned(),
        ),
        Full::Total => {
            Problem::unavailable(1, "The memory for request bodies is in use. Send the request again.")
        }
    }
}

fn check_encoding(request: &Request) -> Result<()> {
    match request.headers().get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(Problem::unsupported_encoding())
        }
        _ => Ok(()),
    }
}

/// Reads a JSON body of at most `limit` bytes.
///
/// # Errors
/// As [`read`], and 400 that names the field.
pub(crate) async fn read_json<T: DeserializeOwned>(
    service: &Service,
    request: Request,
    limit: usize,
) -> Result<T> {
    let body = read(service, request, limit).await?;
    parse_json(&body.bytes)
}

/// Parses JSON.
///
/// # Errors
/// 400 that names the field by its path: it is not valid JSON, or not of the expected type.
pub(crate) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let message = error.inner().to_string();
        Problem::bad_request(&field_of(&error.path().to_string(), &message, "body"), message)
    })?;
    json.end().map_err(|error| Problem::bad_request("body", error.to_string()))?;
    Ok(value)
}
