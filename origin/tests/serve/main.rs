//! Tests of `verge serve`: the real binary, over HTTP.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod admin;
mod adversary;
mod audit;
mod edge;
mod feeds;
mod formats;
mod items;
mod openapi;
mod operations;
mod publishing;
mod senders;
mod service;
mod spellings;
mod traces;

use serde_json::{Value, json};
use service::{Service, until};
use std::{io::Write, net::TcpStream, time::Duration};

#[test]
fn a_request_requires_a_key_with_the_role() {
    let service = Service::start();
    let event = json!({"kind":"view","item":"cup"});
    for (key, status) in [("", 401), ("verge_made_up", 401), (&*service.key("metrics"), 403)] {
        let answer = service.with_key(key).post("/v1/events", &event);
        assert_eq!(answer.status, status, "{key}");
        assert_eq!(answer.problem()["field"], "authorization");
    }
    assert_eq!(service.with_key(&service.key("events")).post("/v1/events", &event).status, 202);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(service.with_key("").get(path).status, 200, "{path}");
    }
    assert_eq!(service.with_key("").get("/metrics").status, 401);
}

#[test]
fn a_running_service_notices_added_and_revoked_keys() {
    let service = Service::start();
    let event = json!({"kind":"view","item":"cup"});
    let key = service.verge(&["keys", "add", "late", "--role", "events"]).trim().to_owned();
    let status = || service.with_key(&key).post("/v1/events", &event).status;
    until("the new key to be accepted", || status() == 202);
    service.verge(&["keys", "revoke", "late"]);
    until("the revoked key to be rejected", || status() == 401);
}

#[test]
fn valid_events_of_a_batch_are_stored_and_invalid_ones_reported() {
    let service = Service::start();
    let caller = service.with_key(&service.key("events"));
    let events =
        json!([{"id":"1","kind":"view","item":"cup"}, {"kind":"veiw","item":"cup"}, {"kind":"cart"}]);
    let answer = caller.post("/v1/events", &events);
    assert_eq!(answer.status, 202);
    let outcome = answer.json();
    assert_eq!(outcome["accepted"], 1);
    assert_eq!([&outcome["rejected"][0]["field"], &outcome["rejected"][1]["field"]], ["kind", "item"]);
    assert_eq!(caller.post("/v1/events", &json!({"id":"1","kind":"view","item":"cup"})).status, 202);
    let problem = caller.post("/v1/events", &json!([{"kind":"veiw"}])).problem();
    assert_eq!((&problem["status"], &problem["field"]), (&json!(400), &json!("body")));
    assert_eq!(problem["rejected"][0]["field"], "kind");
    let many: Vec<Value> = (0..10_001).map(|_| json!({"kind":"view","item":"cup"})).collect();
    assert_eq!(caller.post("/v1/events", &json!(many)).problem()["status"], 413);
    let long = " ".repeat((8 << 20) + 1);
    assert_eq!(caller.send("POST", "/v1/events", Some(long.as_bytes())).problem()["status"], 413);
}

#[test]
fn a_problem_names_the_invalid_field_of_an_event() {
    let service = Service::start();
    let caller = service.with_key(&service.key("events"));
    for (field, value) in [
        ("kind", json!("veiw")),
        ("kind", json!(7)),
        ("item", json!("")),
        ("item", json!("x".repeat(129))),
        ("item", json!({"id":"cup"})),
        ("id", json!("\u{7}")),
        ("at", json!("yesterday")),
        ("at", json!("2001-01-01T00:00:00Z")),
        ("at", json!("2999-01-01T00:00:00Z")),
    ] {
        let mut event = json!({"kind":"view","item":"cup"});
        event[field] = value;
        let problem = caller.post("/v1/events", &event).problem();
        assert_eq!(
            (&problem["status"], &problem["rejected"][0]["field"]),
            (&json!(400), &json!(field)),
            "{event}"
        );
    }
    for (field, value) in [
        ("visitor", json!("x".repeat(129))),
        ("session", json!([])),
        ("quantity", json!(0)),
        ("quantity", json!(1.5)),
        ("price", json!(-1)),
        ("price", json!("dear")),
        ("currency", json!("pounds")),
        ("placement", json!(false)),
        ("request", json!("x".repeat(129))),
    ] {
        let mut event = json!({"kind":"view","item":"cup"});
        event[field] = value;
        let answer = caller.post("/v1/events", &event);
        assert_eq!((answer.status, &answer.json()["warnings"][0]["field"]), (202, &json!(field)), "{event}");
    }
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b"{\"kind\":\"view\",\"item\":\"cup\"} x",
        &[b'['; 200_000],
    ] {
        let problem = caller.send("POST", "/v1/events", Some(body)).problem();
        assert_eq!((&problem["status"], &problem["field"]), (&json!(400), &json!("body")), "{body:?}");
    }
    for id in ["%ff", "%00", &"x".repeat(129)] {
        for (role, path) in [("catalogue", "items"), ("admin", "visitors")] {
            let problem = service.with_key(&service.key(role)).get(&format!("/v1/{path}/{id}")).problem();
            assert_eq!(problem["field"], "id", "{path}/{id}");
        }
    }
}

#[test]
fn unknown_addresses_and_methods_are_answered_with_a_problem() {
    let service = Service::start();
    let caller = service.with_key(&service.key("admin"));
    assert_eq!(caller.get("/v1/nothing").problem()["field"], "path");
    let answer = caller.send("DELETE", "/v1/events", None);
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert_eq!(answer.problem()["status"], 405);
}

#[test]
fn a_key_is_rate_limited() {
    let service = Service::start_with("[serve]\nrequests_per_second = 2\n", &[]);
    let caller = service.with_key(&service.key("metrics"));
    let answers: Vec<_> = (0..5).map(|_| caller.get("/metrics")).collect();
    let refused = answers.iter().find(|answer| answer.status == 429).expect("all five requests passed");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.problem()["status"], 429);
}

#[test]
fn metrics_count_requests_by_route_pattern() {
    let service = Service::start();
    let caller = service.with_key(&service.key("admin"));
    caller.post("/v1/events", &json!([{"kind":"view","item":"cup"},{"kind":"cart","item":"cup"}]));
    let text = caller.get("/metrics").text();
    for line in [
        "events_ingested_total{kind=\"view\"} 1",
        "events_ingested_total{kind=\"cart\"} 1",
        "http_requests_total{route=\"/v1/events\",method=\"POST\",status=\"202\"} 1",
        "http_request_duration_seconds_count{route=\"/v1/events\"} 1",
    ] {
        assert!(text.lines().any(|has| has == line), "{line} is missing in\n{text}");
    }
}

#[test]
fn sigterm_lets_a_request_in_progress_finish() {
    let service = Service::start();
    let body = br#"{"kind":"view","item":"cup"}"#;
    let mut slow = TcpStream::connect(service.address()).unwrap();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        service.key("events"),
        body.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(&body[..5]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    service.terminate();
    std::thread::sleep(Duration::from_millis(300));
    assert!(TcpStream::connect(service.address()).is_err(), "it still accepts connections");
    slow.write_all(&body[5..]).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut slow, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let log = service.ended();
    assert!(log.iter().any(|line| line["message"] == "stopped"), "{log:?}");
}

#[test]
fn the_log_is_json_and_contains_no_personal_data() {
    let service = Service::start_with("", &["--log", "debug"]);
    let caller = service.with_key(&service.key("events"));
    caller.post("/v1/events", &json!({"kind":"view","item":"secret-item","visitor":"secret-visitor"}));
    caller.get("/v1/secret-path");
    service.terminate();
    let log = service.ended();
    let text = format!("{log:?}");
    assert!(text.contains("/v1/events") && !text.contains("secret"), "{text}");
}
