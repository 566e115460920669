//! Bindings other than KV: rate limits and Analytics Engine.

use crate::answers::{ensure_healthy, problem};
use crate::{Fixtures, Test};
use anyhow::{Context, Result, ensure};
use end_to_end::{Edge, Reply, wrangler_config};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("rate_limits_apply_to_each_client", limits),
    ("aggregated_counts_are_written_to_analytics_engine", metrics),
];

fn limits(fixtures: &Fixtures) -> Result<()> {
    let config = wrangler_config(&["EVENTS_LIMIT"])?
        .replace("limit = 120", "limit = 3")
        .replace("limit = 600", "limit = 4");
    let edge = Edge::start_as(&[(&config, "")], &[])?;
    fixtures.shop()?.publish(&edge.kv_api())?;
    let from = |address: &str, method: &str, path: &str, body: &str| {
        edge.request(method, path).header("cf-connecting-ip", address).body(body).send()
    };
    let event = json!({"kind": "view", "item": "a"}).to_string();
    let refused = |reply: &Reply| -> Result<bool> {
        if reply.status == 429 {
            problem(reply, 429)?;
            ensure!(reply.header("retry-after").parse::<u32>().is_ok(), "no valid Retry-After: {reply:?}");
        }
        Ok(reply.status == 429)
    };
    for (method, path, body, limit) in
        [("POST", "/v1/events", &*event, 3), ("GET", "/v1/recommendations?limit=1", "", 4)]
    {
        // The first address of a client, another one that belongs to the same client, and that of another client.
        for (address, again, other) in [
            ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
            ("2001:db8:0:7::1", "2001:db8::7:1:2:3:4", "2001:db8:0:8::1"),
        ] {
            for count in 0..limit {
                let reply = from(address, method, path, body)?;
                ensure!(!refused(&reply)?, "{method} {address} is refused after {count} requests: {reply:?}");
            }
            ensure!(refused(&from(again, method, path, body)?)?, "{method} {again} is not refused");
            ensure!(!refused(&from(other, method, path, body)?)?, "{method} {other} is refused");
        }
    }
    ensure!(edge.get("/healthz")?.status == 200, "health checks are limited");
    ensure!(
        !edge.log().contains("203.0.113") && !edge.log().contains("2001:db8"),
        "the log contains an address"
    );
    Ok(())
}

/// A fake Analytics Engine that stores its data points in KV.
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

fn metrics(fixtures: &Fixtures) -> Result<()> {
    // The binding in wrangler.toml is valid.
    let real = Edge::start_as(&[(&wrangler_config(&["METRICS"])?, "")], &[])?;
    drop(real);
    let config = wrangler_config(&[])? + "\n[[services]]\nbinding = \"METRICS\"\nservice = \"points\"\n";
    let edge = Edge::start_as(&[(&config, ""), (POINTS_CONFIG, POINTS)], &[])?;
    fixtures.shop()?.publish(&edge.kv_api())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    let deadline = Instant::now() + Duration::from_secs(40);
    let mut requests = 0;
    let points: Value = loop {
        ensure_healthy(&edge)?;
        requests += 1;
        if let Some(points) = edge.kv_get("points")? {
            break serde_json::from_slice(&points)?;
        }
        ensure!(Instant::now() < deadline, "no data point:\n{}", edge.log());
        thread::sleep(Duration::from_millis(100));
    };
    ensure!(points.as_array().is_some_and(|points| points.len() == 1), "not one data point: {points}");
    let figures = points[0]["doubles"].as_array().context("no figures")?;
    ensure!(points[0]["indexes"] == json!(["verge"]) && figures.len() == 20, "{points}");
    let figures: Vec<f64> = figures.iter().filter_map(Value::as_f64).collect();
    ensure!(figures[0] > 1.0 && figures[0] <= f64::from(requests) + 10.0, "{requests} requests: {points}");
    ensure!(figures[2] + figures[3] == figures[0], "hits and misses do not add up: {points}");
    ensure!(figures[6..19].iter().sum::<f64>() == figures[0], "buckets do not add up: {points}");
    Ok(())
}
