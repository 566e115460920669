//! Traces, as a collector receives them.

use crate::service::{Service, peer, until};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

type Spans = Arc<Mutex<Vec<Value>>>;

/// Starts a collector; returns its address and the received spans.
fn collector() -> (String, Spans) {
    let spans = Spans::default();
    let seen = Arc::clone(&spans);
    let address = peer(move |request| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/traces "), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        let scope = &body["resourceSpans"][0]["scopeSpans"][0];
        seen.lock().unwrap().extend(scope["spans"].as_array().unwrap().clone());
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}".to_owned()
    });
    (address.to_string(), spans)
}

#[test]
fn publishing_and_learning_send_spans() {
    let (collector, spans) = collector();
    let config = format!("[serve]\npublish_to = \"dir:published\"\ntraces_to = \"http://{collector}\"\n");
    let service = Service::start_shop(&config);
    let caller = service.with_key(&service.key("admin"));
    let named = |name: &str| spans.lock().unwrap().iter().find(|span| span["name"] == name).cloned();
    until("the span of publishing", || named("publish").is_some());
    assert_eq!(caller.post("/v1/admin/learn", &Value::Null).status, 202);
    until("the span of learning", || named("learn").is_some());
    for name in ["publish", "learn"] {
        let span = named(name).unwrap();
        assert_eq!((&span["kind"], &span["status"]), (&json!(1), &json!({})), "{span}");
    }
}

#[test]
fn a_request_sends_a_span_of_the_callers_trace() {
    let (collector, spans) = collector();
    let service = Service::start_with(&format!("[serve]\ntraces_to = \"http://{collector}\"\n"), &[]);
    let caller = service.with_key(&service.key("catalogue"));
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let get = |flags: &str| {
        let header = format!("00-{trace}-{parent}-{flags}");
        caller.send_with("GET", "/v1/items/secret", None, &[("traceparent", &header)]);
    };
    get("00");
    get("01");
    until("the span", || !spans.lock().unwrap().is_empty());
    let spans = spans.lock().unwrap().clone();
    assert_eq!(spans.len(), 1, "the first request was not sampled: {spans:?}");
    let span = &spans[0];
    assert_eq!([&span["traceId"], &span["parentSpanId"]], [trace, parent]);
    assert_eq!((&span["name"], &span["kind"]), (&json!("GET /v1/items/{id}"), &json!(2)));
    let nanos = |field: &str| span[field].as_str().unwrap().parse::<u128>().unwrap();
    assert!((1..10_000_000_000).contains(&(nanos("endTimeUnixNano") - nanos("startTimeUnixNano"))));
    assert!(!span.to_string().contains("secret"), "{span}");
}

#[test]
fn without_a_collector_spans_are_lost_and_requests_succeed() {
    let service = Service::start_with("[serve]\ntraces_to = \"http://127.0.0.1:9\"\n", &[]);
    let caller = service.with_key(&service.key("events"));
    assert_eq!(caller.post("/v1/events", &json!({"kind":"view","item":"cup"})).status, 202);
    until("a lost span", || service.metric("trace_spans_lost_total") >= Some(1.0));
}
