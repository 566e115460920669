//! Middleware that rejects requests whose head two servers could read differently.

use crate::serve::http::problem::{Problem, Result};
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, Version, header},
    middleware::Next,
    response::Response,
};

/// Headers of which a second one would contradict the first.
const SINGLE: [HeaderName; 4] =
    [header::HOST, header::AUTHORIZATION, header::CONTENT_TYPE, header::CONTENT_ENCODING];

/// # Errors
/// 400 if there is no `Host`, or more than one of [`SINGLE`].
pub(crate) async fn check(request: Request, next: Next) -> Result<Response> {
    check_headers(request.version(), request.headers())?;
    Ok(next.run(request).await)
}

fn check_headers(version: Version, headers: &HeaderMap) -> Result<()> {
    if version >= Version::HTTP_11 && !headers.contains_key(header::HOST) {
        return Err(Problem::bad_request("host", "The request has no header `Host`."));
    }
    match SINGLE.iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        Some(name) => Err(Problem::bad_request(
            name.as_str(),
            format!("The request has more than one header `{name}`."),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_names_one_host_and_one_key() {
        let check = |version, headers: &[(&str, &str)]| {
            let pair =
                |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            let mut map = HeaderMap::new();
            for (name, value) in headers.iter().map(pair) {
                map.append(name, value);
            }
            check_headers(version, &map).map_err(|problem| (problem.status, problem.field.unwrap()))
        };
        let host = ("host", "shop.example");
        assert_eq!(check(Version::HTTP_11, &[host, ("authorization", "Bearer k")]), Ok(()));
        assert_eq!(check(Version::HTTP_10, &[]), Ok(()));
        assert_eq!(check(Version::HTTP_11, &[]), Err((400, "host".to_owned())));
        assert_eq!(check(Version::HTTP_11, &[host, host]), Err((400, "host".to_owned())));
        let twice = [host, ("authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert_eq!(check(Version::HTTP_11, &twice), Err((400, "authorization".to_owned())));
    }
}
