//! Reports of the Workers.

use crate::service::Service;
use serde_json::json;

#[test]
fn reports_of_the_edge_are_summed() {
    let service = Service::start();
    let caller = service.with_key(&service.key("events"));
    let report = json!({
        "latency":[0,5,0,0,0,0,0,0,0,0,0,0,1], "seconds":2.5, "cache_hits":4, "cache_misses":2, "errors":1, "events_dropped":3, "events_limited":5, "events_bots":2,
        "exposed":[{"experiment":"home","variant":"a","answers":3}]
    });
    for _ in 0..2 {
        assert_eq!(caller.post("/v1/metrics/edge", &report).status, 204);
    }
    for (name, value) in [
        ("recommendation_requests_total", 12.0),
        ("recommendation_cache_hits_total", 8.0),
        ("recommendation_cache_misses_total", 4.0),
        ("recommendation_errors_total", 2.0),
        ("edge_events_dropped_total", 6.0),
        ("edge_events_limited_total", 10.0),
        ("edge_events_bots_total", 4.0),
        ("recommendation_exposures_total{experiment=\"home\",variant=\"a\"}", 6.0),
        ("recommendation_latency_seconds_sum", 5.0),
        ("recommendation_latency_seconds_count", 12.0),
        ("recommendation_latency_seconds_bucket{le=\"0.0001\"}", 0.0),
        ("recommendation_latency_seconds_bucket{le=\"1.0\"}", 10.0),
        ("recommendation_latency_seconds_bucket{le=\"+Inf\"}", 12.0),
    ] {
        assert_eq!(service.metric(name), Some(value), "{name}");
    }
}

#[test]
fn a_problem_names_the_invalid_field_of_a_report() {
    let service = Service::start();
    let caller = service.with_key(&service.key("events"));
    let valid = json!({"latency":[0,0,0,0,0,0,0,0,0,0,0,0,0], "seconds":0, "cache_hits":0, "cache_misses":0, "errors":0});
    for (field, value) in [
        ("latency", json!([1])),
        ("latency", json!([2_000_000_000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("seconds", json!(-1)),
        ("cache_hits", json!(-1)),
        ("cache_misses", json!("many")),
        ("errors", json!(5_000_000_000u64)),
        ("hits", json!(1)),
        ("exposed", json!([{"experiment":"a b","variant":"a","answers":1}])),
    ] {
        let mut invalid = valid.clone();
        invalid[field] = value;
        let problem = caller.post("/v1/metrics/edge", &invalid).problem();
        let named = problem["field"].as_str().unwrap();
        assert!(problem["status"] == 400 && named.starts_with(field), "{field}: {problem}");
    }
}
