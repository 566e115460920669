//! Middleware that counts, times, logs and traces every request.

use crate::network::Networks;
use crate::serve::http::connections::Peer;
use crate::serve::state::{
    service::Shared,
    traces::{Operation, Parent, Span},
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::Response,
};
use std::{net::IpAddr, time::Instant};

/// The address of the client: that of the connection, or if a proxy opened it, the last one in `X-Forwarded-For` that is no
/// proxy's. What precedes that one is the client's own claim.
fn client(peer: Peer, headers: &HeaderMap, proxies: &Networks) -> Peer {
    let mut client = peer.0;
    let forwarded = headers.get_all("x-forwarded-for").iter().rev().filter_map(|value| value.to_str().ok());
    for address in forwarded.flat_map(|value| value.rsplit(',')) {
        if !proxies.contain(client) {
            break;
        }
        let Ok(address) = address.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    Peer(client)
}

/// Counts and times a request, logs it, and sends its span.
pub(crate) async fn observe(State(service): State<Shared>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let peer = request.extensions().get::<Peer>().copied();
    let client = peer.map(|peer| client(peer, request.headers(), &service.config.serve.behind_proxy));
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    // A caller may invent methods; an unknown one must not become a label.
    let method = request.method().as_str();
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let method = known.into_iter().find(|name| *name == method).unwrap_or("other");
    let parent = request.headers().get("traceparent").and_then(|header| Parent::parse(header.to_str().ok()?));
    let response = next.run(request).await;
    let (status, duration) = (response.status(), start.elapsed());
    let (code, seconds) = (status.as_u16(), duration.as_secs_f64());
    // An overloaded service answers 503 thousands of times a second; counters and alerts report that.
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(route, method, status = code, seconds, "request failed");
    } else {
        tracing::debug!(route, method, status = code, seconds, "request");
    }
    service.metrics.record_request(&route, method, code, duration);
    if service.traces.is_enabled() {
        let operation = Operation::Request { method: method.to_owned(), route, status: code };
        service.traces.send(Span { parent, operation, duration });
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proxies_are_believed_about_their_clients() {
        let proxies: Networks = "10.0.0.0/8".parse().unwrap();
        let found = |peer: &str, forwarded: &[&str]| {
            let name = "x-forwarded-for".parse::<axum::http::HeaderName>().unwrap();
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(&name, value.parse().unwrap());
            }
            client(Peer(peer.parse().unwrap()), &headers, &proxies).0.to_string()
        };
        assert_eq!(found("192.0.2.1", &["203.0.113.9"]), "192.0.2.1", "a client's own claim");
        assert_eq!(found("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(found("10.0.0.1", &["1.2.3.4, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(found("10.0.0.1", &["1.2.3.4", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(found("10.0.0.1", &["1.2.3.4, nobody"]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &[]), "10.0.0.1");
    }
}
