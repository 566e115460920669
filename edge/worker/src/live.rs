//! Access control of `GET /v1/live`. `js/live.js` holds the connection.

use crate::config::Config;
use crate::cors;
use crate::head::Head;
use crate::reply::Problem;

/// The reply to a request to connect. `426` means allowed: the entry module replaces it by the connection if the client
/// sent an upgrade. `403` rejects pages of other origins, since browsers do not apply CORS to WebSockets.
pub fn handshake(config: &Config, head: &Head<'_>) -> Problem {
    if !cors::is_ours(config, head) {
        let detail = "Pages of this origin may not connect. CORS_ORIGINS lists those that may.";
        return Problem { field: Some("origin".to_owned()), ..Problem::new(403, "Forbidden", detail) };
    }
    Problem::new(426, "Upgrade required", "Open a WebSocket here.").with("upgrade", "websocket")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_same_and_configured_origins_may_connect() {
        let setting = |name: &str| (name == "CORS_ORIGINS").then(|| "https://m.shop.example".to_owned());
        let (config, _) = Config::read(setting);
        for (origin, status) in [
            ("", 426),
            ("https://shop.example", 426),
            ("https://m.shop.example", 426),
            ("https://shop", 403),
            ("https://shop.example.evil.example", 403),
            ("http://shop.example", 403),
            ("null", 403),
        ] {
            let head = Head { url: "https://shop.example/v1/live", origin, ..Head::default() };
            assert_eq!(handshake(&config, &head).status, status, "{origin}");
        }
    }
}
