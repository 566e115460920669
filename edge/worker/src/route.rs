//! The router.

use percent_encoding::percent_decode_str;
use snapshots::event::{MAX_ITEM_ID, is_printable};
use snapshots::manifest::{is_hash, is_region};

/// The routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /v1/recommendations`
    Recommendations,
    /// `GET /v1/popular`
    Popular,
    /// `GET /v1/items/{id}`
    Item(String),
    /// `GET /v1/items/{id}/similar`
    Similar(String),
    /// `GET /v1/snapshots/manifest/{region}`
    Manifest(String),
    /// `GET /v1/snapshots/blob/{hash}`
    Blob(String),
    /// `POST /v1/events`
    Events,
    /// `GET /v1/live`
    Live,
    /// `GET /healthz`
    Health,
    /// `OPTIONS` of any route, with its methods: a CORS preflight request.
    Preflight(&'static str),
}

/// Why a request has no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// The path is unknown.
    NotFound,
    /// The path allows only these methods.
    MethodNotAllowed(&'static str),
    /// The item id in the path is invalid.
    BadItemId,
}

/// The path below `base`, which begins with a slash and does not end with one, or is empty.
pub fn below<'a>(base: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(base).filter(|rest| base.is_empty() || rest.starts_with('/'))
}

/// Finds the route of a method and a percent-encoded path.
///
/// # Errors
/// [`NoRoute`].
pub fn route(method: &str, path: &str) -> Result<Route, NoRoute> {
    let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
    let found = match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("healthz"), None, ..) => Route::Health,
        (Some("v1"), Some("recommendations"), None, ..) => Route::Recommendations,
        (Some("v1"), Some("popular"), None, ..) => Route::Popular,
        (Some("v1"), Some("events"), None, ..) => Route::Events,
        (Some("v1"), Some("live"), None, ..) => Route::Live,
        (Some("v1"), Some("snapshots"), Some("manifest"), Some(region), None) if is_region(region) => {
            Route::Manifest(region.to_owned())
        }
        (Some("v1"), Some("snapshots"), Some("blob"), Some(hash), None) if is_hash(hash) => {
            Route::Blob(hash.to_owned())
        }
        (Some("v1"), Some("items"), Some(id), None, _) => Route::Item(item_id(id)?),
        (Some("v1"), Some("items"), Some(id), Some("similar"), None) => Route::Similar(item_id(id)?),
        _ => return Err(NoRoute::NotFound),
    };
    let (methods, allowed): (&[&str], _) = match found {
        Route::Events => (&["POST"], "POST, OPTIONS"),
        Route::Live => (&["GET"], "GET, OPTIONS"),
        _ => (&["GET", "HEAD"], "GET, HEAD, OPTIONS"),
    };
    match method {
        "OPTIONS" => Ok(Route::Preflight(allowed)),
        method if methods.contains(&method) => Ok(found),
        _ => Err(NoRoute::MethodNotAllowed(allowed)),
    }
}

fn item_id(encoded: &str) -> Result<String, NoRoute> {
    let id = percent_decode_str(encoded).decode_utf8().map_err(|_| NoRoute::BadItemId)?;
    if is_printable(&id, MAX_ITEM_ID) { Ok(id.into_owned()) } else { Err(NoRoute::BadItemId) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_path_has_its_route() {
        for (method, path, expected) in [
            ("GET", "/v1/recommendations", Ok(Route::Recommendations)),
            ("HEAD", "/v1/popular", Ok(Route::Popular)),
            ("GET", "/healthz", Ok(Route::Health)),
            ("POST", "/v1/events", Ok(Route::Events)),
            ("GET", "/v1/live", Ok(Route::Live)),
            ("HEAD", "/v1/live", Err(NoRoute::MethodNotAllowed("GET, OPTIONS"))),
            ("GET", "/v1/items/85123A", Ok(Route::Item("85123A".into()))),
            ("GET", "/v1/items/a%2Fb%20%C3%A9/similar", Ok(Route::Similar("a/b é".into()))),
            ("GET", "/v1/events", Err(NoRoute::MethodNotAllowed("POST, OPTIONS"))),
            ("OPTIONS", "/v1/events", Ok(Route::Preflight("POST, OPTIONS"))),
            ("DELETE", "/v1/popular", Err(NoRoute::MethodNotAllowed("GET, HEAD, OPTIONS"))),
            ("BREW", "/healthz", Err(NoRoute::MethodNotAllowed("GET, HEAD, OPTIONS"))),
            ("GET", "/v1/snapshots/manifest/gb", Ok(Route::Manifest("gb".into()))),
            ("GET", "/v1/snapshots/manifest/..", Err(NoRoute::NotFound)),
            ("GET", "/v1/snapshots/blob/0123456789abcdef0123456789abcdef", {
                Ok(Route::Blob("0123456789abcdef0123456789abcdef".into()))
            }),
            ("GET", "/v1/snapshots/blob/0123456789abcdef0123456789abcde%2F", Err(NoRoute::NotFound)),
            ("GET", "/v1/snapshots/blob/world", Err(NoRoute::NotFound)),
            ("GET", "/v1/items/", Err(NoRoute::BadItemId)),
            ("GET", "/v1/items/%ff", Err(NoRoute::BadItemId)),
            ("GET", "/v1/items/%00", Err(NoRoute::BadItemId)),
            ("GET", "/v1/items/a/b", Err(NoRoute::NotFound)),
            ("GET", "/v1/items", Err(NoRoute::NotFound)),
            ("GET", "/v1/items/a/similar/b", Err(NoRoute::NotFound)),
            ("GET", "/v1/popular/x", Err(NoRoute::NotFound)),
            ("OPTIONS", "/v1/x", Err(NoRoute::NotFound)),
            ("GET", "/v2/popular", Err(NoRoute::NotFound)),
            ("GET", "", Err(NoRoute::NotFound)),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_base_path_ends_at_a_slash() {
        for (base, path, expected) in [
            ("", "/v1/popular", Some("/v1/popular")),
            ("/verge", "/verge/v1/popular", Some("/v1/popular")),
            ("/a/b", "/a/b/healthz", Some("/healthz")),
            ("/verge", "/verges/v1/popular", None),
            ("/verge", "/v1/popular", None),
            ("/verge", "/verge", None),
        ] {
            assert_eq!(below(base, path), expected, "{base} {path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_answered(method in "GET|POST|[A-Z]{0,9}", path in "(/v1/items/)?\\PC{0,40}") {
            let _ = route(&method, &path);
        }
    }
}
