//! Events of shops, and who sent them.

use crate::service::{Caller, Service};
use serde_json::{Value, json};

fn stored(service: &Service, kind: &str) -> f64 {
    service.metric(&format!("events_ingested_total{{kind=\"{kind}\"}}")).unwrap_or_default()
}

fn accepted(caller: &Caller, event: &Value, headers: &[(&str, &str)]) {
    let answer = caller.send_with("POST", "/v1/events", Some(event.to_string().as_bytes()), headers);
    assert_eq!(answer.status, 202, "{}", answer.text());
}

#[test]
fn an_id_counts_once_a_sender() {
    let service = Service::start();
    let (edge, shop) = (service.with_key(&service.key("events")), service.with_key(&service.key("admin")));
    let event = json!({"id": "2041", "kind": "view", "item": "cup"});
    let public = [("verge-door", "public")];
    for (caller, headers, count) in [
        (&edge, &public[..], 1.0), // A stranger, through the edge.
        (&edge, &public[..], 1.0),
        (&edge, &[], 2.0), // The shop's server, with the edge's key.
        (&shop, &[], 3.0), // It has a key of its own.
        (&shop, &[], 3.0),
    ] {
        accepted(caller, &event, headers);
        assert_eq!(stored(&service, "view"), count);
    }
}

#[test]
fn a_line_of_an_order_counts_once() {
    let service = Service::start();
    let shop = service.with_key(&service.key("events"));
    let order = json!({"client_id": "6.1", "events": [{"name": "purchase", "params": {
        "transaction_id": "T-9", "items": [{"item_id": "cup", "quantity": 1}, {"item_id": "jug"}, {"item_id": "cup"}]}}]});
    let answer = shop.post("/v1/events", &order).json();
    assert_eq!((&answer["accepted"], &answer["warnings"][0]["line"]), (&json!(2), &json!(2)));
    let again = json!([
        {"id": "other", "kind": "purchase", "order": "T-9", "item": "cup", "visitor": "6.1"},
        {"event": "Order Completed", "messageId": "m", "anonymousId": "6.1",
         "properties": {"order_id": "T-9", "products": [{"product_id": "jug"}]}},
    ]);
    accepted(&shop, &again, &[]);
    assert_eq!(stored(&service, "purchase"), 2.0);
    accepted(&shop, &json!({"kind": "purchase", "order": "T-9", "item": "cup", "visitor": "6.2"}), &[]);
    assert_eq!(stored(&service, "purchase"), 3.0);
}

#[test]
fn valid_lines_are_stored_and_what_was_changed_is_reported() {
    let service = Service::start();
    let shop = service.with_key(&service.key("events"));
    let bodies = json!([
        ["event", "add_to_cart", {"currency": "SEK", "items": [{"item_id": 18}, {"item_id": "undefined"}]}],
        {"event": "view_item", "ecommerce": {"currencyCode": "SEK", "detail": {"products": [{"id": "cup", "price": "1.500"}]}}},
    ]);
    let answer = shop.post("/v1/events", &bodies).json();
    assert_eq!(answer["accepted"], 2);
    assert_eq!(answer["rejected"][0]["line"], 1);
    let warning = &answer["warnings"][0];
    assert_eq!(
        (&warning["index"], &warning["line"], &warning["field"]),
        (&json!(1), &json!(0), &json!("price"))
    );
    assert!(warning["detail"].as_str().unwrap().contains("1.5 or 1500"), "{warning}");
    assert!(
        shop.post("/v1/events", &json!({"kind": "view", "item": "cup"})).json().get("warnings").is_none()
    );
}

/// A key of order tokens.
const ORDER_KEY: &str = "0123456789abcdef0123456789abcdef";
/// The HMAC-SHA-256 by [`ORDER_KEY`] of `T-2041`, `85123A` and `2`, a line each.
const TOKEN: &str = "f99bcd94261c3e17577929c3a7b3c20a6269cf7a18192ec87cf7e0c8f37b01c9";

fn unconfirmed(service: &Service) -> f64 {
    service.metric("events_unconfirmed_total{kind=\"purchase\"}").unwrap_or_default()
}

fn tokens(service: &Service, outcome: &str) -> f64 {
    service.metric(&format!("order_tokens_total{{outcome=\"{outcome}\"}}")).unwrap_or_default()
}

#[test]
fn public_purchases_are_unconfirmed_until_a_key_or_a_token_confirms_them() {
    let service = Service::start_with(&format!("[serve]\norder_key = \"{ORDER_KEY}\"\n"), &[]);
    let shop = service.with_key(&service.key("events"));
    let public = [("verge-door", "public")];
    let line = |visitor: &str, more: Value| {
        let mut event = json!({"kind": "purchase", "order": "T-2041", "item": "85123A", "quantity": 2, "visitor": visitor});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let counts = || (stored(&service, "purchase"), unconfirmed(&service));
    // Made up: by a Worker of this version, and by an earlier one that does not say who vouches.
    accepted(&shop, &line("v1", json!({"trust": "public"})), &public);
    accepted(&shop, &line("v2", json!({})), &public);
    assert_eq!(counts(), (2.0, 2.0));
    // Nobody can claim a token.
    accepted(&shop, &line("v3", json!({"trust": "order"})), &public);
    accepted(&shop, &line("v4", json!({"order_token": "ab".repeat(32)})), &public);
    assert_eq!((counts(), tokens(&service, "invalid")), ((4.0, 4.0), 1.0));
    // The token of another quantity, item or order.
    for (number, (name, value)) in
        [("quantity", json!(3)), ("item", json!("22423")), ("order", json!("T-1"))].into_iter().enumerate()
    {
        accepted(&shop, &line(&format!("w{number}"), json!({"order_token": TOKEN, name: value})), &public);
    }
    assert_eq!((counts(), tokens(&service, "invalid")), ((7.0, 7.0), 4.0));
    accepted(&shop, &line("v1", json!({"order_token": TOKEN})), &public);
    assert_eq!((counts(), tokens(&service, "valid")), ((8.0, 7.0), 1.0));
    // Replayed by the same visitor and by another, and told again by the shop's server.
    accepted(&shop, &line("v1", json!({"order_token": TOKEN})), &public);
    accepted(&shop, &line("v9", json!({"order_token": TOKEN})), &public);
    accepted(&shop, &line("v1", json!({})), &[]);
    assert_eq!(counts(), (8.0, 7.0));
    // A sender with a key confirms, here or through the edge.
    let other = |trust: Value| {
        let mut event = line("v5", trust);
        event["order"] = json!("T-2042");
        event
    };
    accepted(&shop, &other(json!({"trust": "public"})), &public);
    accepted(&shop, &other(json!({"trust": "keyed"})), &public);
    accepted(&shop, &other(json!({})), &[]);
    assert_eq!(counts(), (10.0, 8.0));
}

#[test]
fn a_short_order_key_is_refused_at_start() {
    let error = Service::refused("[serve]\norder_key = \"secret\"\n");
    assert!(error.contains("VERGE_ORDER_KEY") && !error.contains("secret"), "{error}");
}

#[test]
fn regions_are_of_iso_or_configured() {
    let service = Service::start_with("[regions]\ndach = [\"de\", \"at\"]\n", &[]);
    let shop = service.with_key(&service.key("events"));
    let view = |region: &str| json!({"kind": "view", "item": "cup", "visitor": "v", "region": region});
    for known in ["gb", "US-CA", "dach"] {
        assert!(shop.post("/v1/events", &view(known)).json().get("warnings").is_none(), "{known}");
    }
    let answer = shop.post("/v1/events", &view("atlantis")).json();
    assert_eq!((&answer["accepted"], &answer["warnings"][0]["field"]), (&json!(1), &json!("region")));
}
