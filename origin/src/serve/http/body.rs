//! Request bodies: bounded in bytes, in time, and in the memory of all bodies together.

use crate::serve::http::problem::{Problem, Result, field_of};
use crate::serve::state::service::Service;
use axum::{body::Bytes, extract::Request};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A complete body. Its share of the memory for bodies is released when it is dropped.
pub(crate) struct Body {
    /// The content.
    pub(crate) bytes: Bytes,
    _memory: OwnedSemaphorePermit,
}

/// Reads a body of at most `limit` bytes. A longer one is discarded but still read, up to four times the limit: a client
/// that gets the answer while it is sending may report a broken connection instead.
///
/// # Errors
/// The body is longer (413), does not arrive in time (408), is cut off (400), or bodies take too much memory (503).
pub(crate) async fn read(service: &Service, request: Request, limit: usize) -> Result<Body> {
    let mut body = request.into_body();
    let expected = body.size_hint().upper().and_then(|upper| usize::try_from(upper).ok());
    let most = expected.unwrap_or(limit).min(limit);
    let permits = u32::try_from(most.div_ceil(1024)).unwrap_or(u32::MAX);
    let _memory = Arc::clone(&service.body_memory).try_acquire_many_owned(permits).map_err(|_| {
        Problem::unavailable(1, "The memory for request bodies is in use. Send the request again.")
    })?;
    let (mut bytes, mut length) = (Vec::new(), 0);
    let read = async {
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            length += data.len();
            if length <= limit {
                bytes.extend_from_slice(&data);
            } else if length > limit * 4 {
                break;
            }
        }
        Ok::<_, axum::Error>(())
    };
    match tokio::time::timeout(TIMEOUT, read).await {
        Ok(Ok(())) if length > limit => {
            Err(Problem::too_large(format!("The body is longer than {limit} bytes; send it in parts.")))
        }
        Ok(Ok(())) => Ok(Body { bytes: bytes.into(), _memory }),
        Ok(Err(_)) => Err(Problem::bad_request("body", "The connection ended before the body was complete.")),
        Err(_) => Err(Problem::timeout(format!("The body did not arrive within {} s.", TIMEOUT.as_secs()))),
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
