//! `/v1/items/{id}`.

use crate::service::{Service, until};
use serde_json::{Value, json};

#[test]
fn an_item_is_put_patched_read_and_deleted() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    let send = |method: &str, body: Value| {
        caller.send(method, "/v1/items/a%2F%C3%A9", Some(body.to_string().as_bytes()))
    };
    assert_eq!(caller.get("/v1/items/a%2F%C3%A9").problem()["field"], "id");
    assert_eq!(send("PATCH", json!({"price":1})).status, 404);
    let cup = json!({"name":"Cup","price":2.5,"currency":"gbp"});
    assert_eq!(send("PUT", cup.clone()).status, 201);
    assert_eq!(send("PUT", cup).status, 200);
    let cup = json!({"id":"a/é","name":"Cup","price":2.5,"currency":"GBP"});
    assert_eq!(caller.get("/v1/items/a%2F%C3%A9").json(), cup);
    let patched = send("PATCH", json!({"price":3, "currency":null, "in_stock":false}));
    assert_eq!(patched.json(), json!({"id":"a/é","name":"Cup","price":3.0,"in_stock":false}));
    assert_eq!(send("PUT", json!({"name":"Mug"})).json(), json!({"id":"a/é","name":"Mug"}));
    for _ in 0..2 {
        assert_eq!(caller.send("DELETE", "/v1/items/a%2F%C3%A9", None).status, 204);
        assert_eq!(caller.get("/v1/items/a%2F%C3%A9").status, 404);
    }
    until("the catalogue's size", || service.metric("catalogue_items") == Some(0.0));
}

#[test]
fn a_problem_names_the_invalid_field_of_an_item() {
    let service = Service::start();
    let caller = service.with_key(&service.key("catalogue"));
    caller.send("PUT", "/v1/items/a", Some(b"{}"));
    for method in ["PUT", "PATCH"] {
        for (body, field) in [
            ("{", "body"),
            ("[]", "body"),
            ("", "body"),
            ("{} {}", "body"),
            ("\u{0}", "body"),
            (r#"{"price":-1}"#, "price"),
            (r#"{"price":"2"}"#, "price"),
            (r#"{"price":1e400}"#, "price"),
            (r#"{"name":7}"#, "name"),
            (r#"{"currency":"pounds"}"#, "currency"),
            (r#"{"in_stock":"yes"}"#, "in_stock"),
            (r#"{"added_at":"yesterday"}"#, "added_at"),
            (r#"{"nmae":"Cup"}"#, "nmae"),
            (r#"{"nmae":null}"#, "nmae"),
            (r#"{"id":"b"}"#, "id"),
            (r#"{"url":""}"#, "url"),
            (r#"{"sale_price":-1}"#, "sale_price"),
            (r#"{"sale_until":"soon"}"#, "sale_until"),
            (r#"{"group":""}"#, "group"),
        ] {
            let answer = caller.send(method, "/v1/items/a", Some(body.as_bytes()));
            assert_eq!((answer.status, &answer.problem()["field"]), (400, &json!(field)), "{method} {body}");
        }
        let large = format!("{{\"name\":\"{}\"}}", "x".repeat(64 << 10));
        assert_eq!(caller.send(method, "/v1/items/a", Some(large.as_bytes())).problem()["status"], 413);
    }
    assert_eq!(caller.get("/v1/items/a").json(), json!({"id":"a"}));
    assert_eq!(caller.send("PUT", "/v1/items/undefined", Some(b"{}")).problem()["field"], "id");
    for id in ["%00", "%ff", &"x".repeat(129)] {
        assert_eq!(caller.get(&format!("/v1/items/{id}")).problem()["field"], "id", "{id}");
    }
}

#[test]
fn a_deleted_item_is_no_longer_recommended() {
    let service = Service::start_shop("");
    let caller = service.with_key(&service.key("catalogue"));
    let popular = || -> Vec<String> {
        let printed = service.verge(&["recommend", "--what", "popular", "--query", "limit=100", "--json"]);
        let answer: Value = serde_json::from_str(&printed).unwrap();
        let items = answer["items"].as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let before = popular();
    let gone = &before[0];
    assert_eq!(caller.send("DELETE", &format!("/v1/items/{gone}"), None).status, 204);
    service.verge(&["build", "--no-judge"]);
    let after = popular();
    assert!(after.contains(&before[1]) && !after.contains(gone), "{gone} is still popular");
    let printed = service.verge(&["recommend", "--recents", gone, "--json"]);
    assert!(
        printed.contains(&format!("\"because\": \"{gone}\"")),
        "it still leads to recommendations: {printed}"
    );
    assert!(!printed.contains(&format!("\"id\": \"{gone}\"")), "{printed}");
}

#[test]
fn what_only_events_know_is_recommended_where_no_catalogue_is() {
    for (items, feed, shown) in [
        ("", false, true),
        ("", true, false),
        ("items = \"events\"\n", true, true),
        ("items = \"catalogue\"\n", false, false),
    ] {
        let service = Service::start_shop(items);
        let caller = service.with_key(&service.key("admin"));
        let events: Vec<Value> = (0..400)
            .map(|number| json!({"id":format!("g{number}"),"kind":"view","item":"ghost","visitor":format!("v{number}")}))
            .collect();
        assert_eq!(caller.post("/v1/events", &json!(events)).status, 202);
        if feed {
            assert_eq!(caller.send("POST", "/v1/feeds", Some(b"id,title\nnew,New\n")).status, 200);
        }
        service.verge(&["build", "--no-judge"]);
        let printed = service.verge(&["recommend", "--what", "popular", "--query", "limit=100", "--json"]);
        assert_eq!(printed.contains("\"id\": \"ghost\""), shown, "{items:?}, feed: {feed}");
    }
}
