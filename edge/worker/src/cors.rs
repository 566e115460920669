//! Pages of other origins: which ones may call the Worker, and the CORS headers for those in `CORS_ORIGINS`.

use crate::config::Config;
use crate::head::Head;
use crate::reply::Reply;

/// Adds the headers that let a page of `origin` read the reply, if `origin` is configured.
pub fn allow_origin(reply: Reply, config: &Config, origin: &str) -> Reply {
    if config.cors_origins.is_empty() {
        return reply;
    }
    // Shared caches must not hand the reply for one origin to a page of another.
    let reply = reply.with("vary", "origin");
    if !config.cors_origins.iter().any(|allowed| allowed == origin) {
        return reply;
    }
    reply
        .with("access-control-allow-origin", origin)
        .with("access-control-allow-credentials", "true")
        .with("access-control-allow-methods", "GET, HEAD, POST")
        .with("access-control-allow-headers", "content-type")
        .with("access-control-expose-headers", "etag, retry-after, server-timing")
        .with("access-control-max-age", "86400")
        .with("timing-allow-origin", origin)
}

/// Whether a request comes from a page of the Worker's own origin or of a configured one, or from no page.
pub fn is_ours(config: &Config, head: &Head<'_>) -> bool {
    let is_own = |origin: &str| head.url.strip_prefix(origin).is_some_and(|rest| rest.starts_with('/'));
    let is_allowed = |origin: &str| config.cors_origins.iter().any(|allowed| allowed == origin);
    head.origin.is_empty() || is_own(head.origin) || is_allowed(head.origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(origins: &str, origin: &str, name: &str) -> Option<String> {
        let (config, _) = Config::read(|name| (name == "CORS_ORIGINS").then(|| origins.to_owned()));
        let reply = allow_origin(Reply::empty(200), &config, origin);
        reply.headers.into_iter().find(|header| header.0 == name).map(|header| header.1)
    }

    #[test]
    fn only_configured_origins_are_allowed() {
        let (origins, allow) = ("https://shop.example,https://m.shop.example", "access-control-allow-origin");
        assert_eq!(
            header(origins, "https://m.shop.example", allow).as_deref(),
            Some("https://m.shop.example")
        );
        for origin in ["", "null", "https://shop.example.evil.example", "http://shop.example"] {
            assert_eq!(header(origins, origin, allow), None, "{origin}");
        }
        assert_eq!(header("", "https://shop.example", allow), None);
    }

    #[test]
    fn replies_vary_by_origin_only_when_origins_are_configured() {
        assert_eq!(header("https://shop.example", "", "vary").as_deref(), Some("origin"));
        assert_eq!(header("", "https://shop.example", "vary"), None);
    }
}
