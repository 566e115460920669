//! What is bound besides KV: rate limits, and Analytics Engine.

use crate::answers::{is_unharmed, problem};
use crate::{Parts, Test};
use anyhow::{Context, Result, ensure};
use end_to_end::{Edge, Reply, recipe};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

pub const TESTS: &[Test] = &[
    ("a_client_that_asks_too_often_is_refused_and_no_other", limits),
    ("counts_go_to_analytics_engine_now_and_then", metrics),
];

fn limits(parts: &Parts) -> Result<()> {
    let config =
        recipe(&["EVENTS_LIMIT"])?.replace("limit = 120", "limit = 3").replace("limit = 600", "limit = 4");
    let edge = Edge::start_as(&[(&config, "")], &[])?;
    parts.shop()?.publish(&edge.kv_api())?;
    let from = |address: &str, method: &str, path: &str, body: &str| {
        edge.request(method, path).header("cf-connecting-ip", address).body(body).send()
    };
    let event = json!({"kind": "view", "item": "a"}).to_string();
    let refused = |reply: &Reply| -> Result<bool> {
        if reply.status == 429 {
            problem(reply, 429)?;
            ensure!(reply.header("retry-after").parse::<u32>().is_ok(), "when to ask again? {reply:?}");
        }
        Ok(reply.status == 429)
    };
    for (method, path, body, limit) in
        [("POST", "/v1/events", &*event, 3), ("GET", "/v1/recommendations?limit=1", "", 4)]
    {
        // The second of each pair is the same client at another address of its own.
        for (address, again, other) in [
            ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
            ("2001:db8:0:7::1", "2001:db8::7:1:2:3:4", "2001:db8:0:8::1"),
        ] {
            for time in 0..limit {
                let reply = from(address, method, path, body)?;
                ensure!(!refused(&reply)?, "{method} {address} is refused the {time}th time: {reply:?}");
            }
            ensure!(refused(&from(again, method, path, body)?)?, "{method} {again} is not refused");
            ensure!(!refused(&from(other, method, path, body)?)?, "{method} {other} is refused");
        }
    }
    ensure!(edge.get("/healthz")?.status == 200, "health is limited");
    ensure!(
        !edge.log().contains("203.0.113") && !edge.log().contains("2001:db8"),
        "an address is in the log"
    );
    Ok(())
}

/// Stands where Analytics Engine stands, and keeps what it is given.
const POINTS: &str = r#"
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  async writeDataPoint(point) {
    const points = (await this.env.SNAPSHOTS.get("points", "json")) ?? [];
    await this.env.SNAPSHOTS.put("points", JSON.stringify([...points, point]));
  }
}
"#;
const POINTS_CONFIG: &str = r#"
name = "points"
main = "worker.js"
compatibility_date = "2026-11-01"
[[kv_namespaces]]
binding = "SNAPSHOTS"
"#;

fn metrics(parts: &Parts) -> Result<()> {
    // That the recipe's own is taken.
    let real = Edge::start_as(&[(&recipe(&["METRICS"])?, "")], &[])?;
    drop(real);
    let config = recipe(&[])? + "\n[[services]]\nbinding = \"METRICS\"\nservice = \"points\"\n";
    let edge = Edge::start_as(&[(&config, ""), (POINTS_CONFIG, POINTS)], &[])?;
    parts.shop()?.publish(&edge.kv_api())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    let deadline = Instant::now() + Duration::from_secs(40);
    let mut asked = 0;
    let points: Value = loop {
        is_unharmed(&edge)?;
        asked += 1;
        if let Some(points) = edge.kv_get("points")? {
            break serde_json::from_slice(&points)?;
        }
        ensure!(Instant::now() < deadline, "no data point:\n{}", edge.log());
        thread::sleep(Duration::from_millis(100));
    };
    ensure!(points.as_array().is_some_and(|points| points.len() == 1), "a point a request: {points}");
    let figures = points[0]["doubles"].as_array().context("no figures")?;
    ensure!(points[0]["indexes"] == json!(["verge"]) && figures.len() == 19, "{points}");
    let figures: Vec<f64> = figures.iter().filter_map(Value::as_f64).collect();
    ensure!(figures[0] > 1.0 && figures[0] <= f64::from(asked) + 10.0, "{asked} requests: {points}");
    ensure!(figures[2] + figures[3] == figures[0], "hits and misses do not add up: {points}");
    ensure!(figures[6..].iter().sum::<f64>() == figures[0], "buckets do not add up: {points}");
    Ok(())
}
