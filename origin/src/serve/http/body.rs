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
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
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
/// As [`read`] and [`parse_json`].
pub(crate) async fn read_json<T: DeserializeOwned + Serialize>(
    service: &Service,
    request: Request,
    limit: usize,
) -> Result<T> {
    let body = read(service, request, limit).await?;
    parse_json(&body.bytes)
}

/// Parses JSON. A whole number may be written as `7.0`.
///
/// # Errors
/// 400 that names the field by its path: it is not valid JSON, or not of the expected type.
fn parse_json<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| named(&error));
    if parsed.is_ok() {
        json.end().map_err(|error| Problem::bad_request("body", error.to_string()))?;
    }
    let mut sent = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let parsed: T = match parsed {
        Err(problem) if !whole_numbers(&mut sent) => return Err(problem),
        Err(_) => serde_path_to_error::deserialize(&sent).map_err(|error| named(&error))?,
        Ok(parsed) => parsed,
    };
    // serde also reads a struct from an array of its fields, without their names.
    let read = serde_json::to_value(&parsed).unwrap_or(Value::Null);
    match array_for_object(&sent, &read) {
        Some(path) => {
            let field = if path.is_empty() { "body" } else { path.trim_start_matches('.') };
            Err(Problem::bad_request(field, "expected an object, not an array"))
        }
        None => Ok(parsed),
    }
}

fn named(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let message = error.inner().to_string();
    Problem::bad_request(&field_of(&error.path().to_string(), &message, "body"), message)
}

/// Writes whole numbers as integers; whether there was one with a fraction of zero.
fn whole_numbers(value: &mut Value) -> bool {
    /// Integers up to this one are exact as floating point numbers.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if !number.is_u64() && !number.is_i64() => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= MAX_EXACT);
            whole.inspect(|whole| *value = Value::from(*whole as i64)).is_some()
        }
        Value::Array(values) => values.iter_mut().fold(false, |found, value| whole_numbers(value) | found),
        Value::Object(fields) => fields.values_mut().fold(false, |found, value| whole_numbers(value) | found),
        _ => false,
    }
}

/// The path of an array that was read as an object.
fn array_for_object(sent: &Value, read: &Value) -> Option<String> {
    match (sent, read) {
        (Value::Array(_), Value::Object(_)) => Some(String::new()),
        (Value::Array(sent), Value::Array(read)) => sent
            .iter()
            .zip(read)
            .enumerate()
            .find_map(|(place, (sent, read))| Some(format!("[{place}]{}", array_for_object(sent, read)?))),
        (Value::Object(sent), Value::Object(read)) => read
            .iter()
            .find_map(|(name, read)| Some(format!(".{name}{}", array_for_object(sent.get(name)?, read)?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sent {
        count: u64,
        share: f64,
        parts: Vec<Sent>,
    }

    fn parse(text: &str) -> Result<Sent, (String, String)> {
        parse_json(text.as_bytes()).map_err(|problem| (problem.field.unwrap_or_default(), problem.detail))
    }

    #[test]
    fn whole_numbers_may_have_a_fraction_of_zero() {
        let expected = Sent { count: 7, share: 2.0, parts: vec![Sent { count: 3, ..Sent::default() }] };
        assert_eq!(parse(r#"{"count":7.0,"share":2,"parts":[{"count":3.0}]}"#), Ok(expected));
        for wrong in [r#"{"count":7.5}"#, r#"{"count":-1.0}"#, r#"{"count":1e300}"#] {
            assert_eq!(parse(wrong).unwrap_err().0, "count", "{wrong}");
        }
        assert_eq!(parse(r#"{"parts":[{},{"count":"x"}]}"#).unwrap_err().0, "parts[1].count");
    }

    #[test]
    fn an_array_is_not_an_object() {
        for (text, field) in [("[]", "body"), (r#"{"parts":[{},[]]}"#, "parts[1]"), ("[7, 0.5, []]", "body")]
        {
            let (found, detail) = parse(text).unwrap_err();
            assert_eq!((&*found, detail.contains("object")), (field, true), "{text}: {detail}");
        }
        assert!(parse(r#"{"count":1,"count":2}"#).is_err() && parse("{} x").is_err());
    }
}
