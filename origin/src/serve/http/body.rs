//! Request bodies: bounded in bytes, in time, and in what all of them take together.

use crate::serve::{
    problem::{Problem, Result, field_of},
    state::Service,
};
use axum::{body::Bytes, extract::Request};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A whole body. While it is held, its room is taken.
pub struct Body {
    /// What was sent.
    pub bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Reads a body of at most `limit` bytes. A longer one is read to its end all the same, within reason: a caller
/// that is answered while it still sends may see a broken connection in place of the answer.
///
/// # Errors
/// It is longer (413), does not arrive in time (408) or at all (400), or bodies take too much memory now (503).
pub async fn read(service: &Service, request: Request, limit: usize) -> Result<Body> {
    let mut body = request.into_body();
    let expected = body.size_hint().upper().and_then(|upper| usize::try_from(upper).ok());
    let most = expected.unwrap_or(limit).min(limit);
    let room = u32::try_from(most.div_ceil(1024)).unwrap_or(u32::MAX);
    let _room = Arc::clone(&service.bodies).try_acquire_many_owned(room).map_err(|_| {
        Problem::unavailable(1, "The service holds as many request bodies as it has memory for.")
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
            Err(Problem::too_large(format!("The body has more than {limit} bytes; send it in parts.")))
        }
        Ok(Ok(())) => Ok(Body { bytes: bytes.into(), _room }),
        Ok(Err(_)) => Err(Problem::bad_request("body", "The body ended before it was whole.")),
        Err(_) => {
            Err(Problem::timeout(format!("The body took longer than {} s to arrive.", TIMEOUT.as_secs())))
        }
    }
}

/// Reads a JSON body of at most `limit` bytes.
///
/// # Errors
/// As [`read`], and 400 that names the field at fault.
pub async fn read_json<T: DeserializeOwned>(service: &Service, request: Request, limit: usize) -> Result<T> {
    let body = read(service, request, limit).await?;
    parse_json(&body.bytes)
}

/// Reads JSON; the problem names the field at fault by its path.
///
/// # Errors
/// 400 when it is no JSON or not what is expected.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let message = error.inner().to_string();
        Problem::bad_request(&field_of(&error.path().to_string(), &message, "body"), message)
    })?;
    json.end().map_err(|error| Problem::bad_request("body", error.to_string()))?;
    Ok(value)
}
