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
