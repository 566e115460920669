//! Authorization by an API key: `Authorization: Bearer …`.

use crate::serve::http::problem::{Problem, Result};
use crate::serve::state::{
    keys::Denied,
    service::{Service, Shared},
};
use crate::store::{KeyHash, Role};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use origin_data::clock;

/// The id of the key that authorized a request, as an extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct SenderKey(pub(crate) String);

/// Authorizes one request with a key.
///
/// # Errors
/// The key is unknown (401), has another role (403) or exceeds its rate limit (429).
pub(crate) fn authorize(service: &Service, key: &str, required: Role) -> Result<()> {
    let per_second = service.config.serve.requests_per_second;
    service.keys().authorize(key, required, per_second, clock::now()).map_err(|denied| match denied {
        Denied::UnknownKey => Problem::unauthorized(
            "This key is not valid: it may have been revoked, or have expired. `verge keys list` shows the valid keys.",
        ),
        Denied::WrongRole(role) => Problem::forbidden(format!(
            "This request requires a key with the role {}; this key has the role {}.",
            required.name(),
            role.name()
        )),
        Denied::TooManyRequests(wait) => Problem::too_many(
            wait,
            format!("The key exceeds {per_second} requests a second; send events in batches."),
        ),
    })
}

/// The key in the headers of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Middleware: passes requests whose key has the required role.
///
/// # Errors
/// As [`authorize`], and 401 without a key.
pub(crate) async fn require(
    State((service, role)): State<(Shared, Role)>,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    match bearer(request.headers()) {
        Some(key) => {
            authorize(&service, key, role)?;
            let id = SenderKey(KeyHash::of(key).short());
            request.extensions_mut().insert(id);
        }
        None if service.keys().is_empty() => {
            return Err(Problem::unauthorized(format!(
                "There are no keys yet; `verge keys add NAME --role {}` creates one.",
                role.name()
            )));
        }
        None => {
            return Err(Problem::unauthorized("Send a key as `Authorization: Bearer KEY`."));
        }
    }
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_read_from_the_header() {
        let key = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(key("Bearer k"), Some("k".to_owned()));
        assert_eq!(key("bearer  k"), Some("k".to_owned()));
        assert_eq!((key("Basic k"), key("k")), (None, None));
    }
}
