//! Failures around the Worker: a slow, failing or inconsistent KV, clock skew, an instance that aborts. Answers stay as
//! documented, and the Worker recovers when the failure ends.

use crate::answers::{ensure_healthy, problem};
use crate::{Fixtures, Test};
use anyhow::{Result, bail, ensure};
use end_to_end::{Edge, Live, Reply, Verge, wrangler_config};
use serde_json::{Value, json};
use snapshots::manifest::{Manifest, WORLD, blob_key, manifest_key};
use snapshots::time::Timestamp;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) const TESTS: &[Test] = &[
    ("slow_kv_is_awaited_until_the_deadline_and_read_in_the_background", slow),
    ("failing_kv_leaves_static_items_or_the_old_snapshot", failing),
    ("manifest_is_used_once_its_blobs_arrive", ahead),
    ("snapshots_are_served_despite_clock_skew", skewed),
    ("aborted_instance_is_replaced", aborted),
];

/// A wrapper of the Worker. The JSON at the key `fault` controls reads of KV: they `wait` (ms), then `fail`, for keys that
/// start with `prefix`. A request to `/v1/abort` throws what a WebAssembly trap throws.
const FAULTS: &str = r#"
const faulty = (kv) => ({
  async get(key, options) {
    const { prefix = "", wait = 0, fail } = (await kv.get("fault", "json")) ?? {};
    if (key.startsWith(prefix)) {
      if (wait) await scheduler.wait(wait);
      if (fail) throw new Error("KV GET failed: 500 Internal Server Error");
    }
    return kv.get(key, options);
  },
});
const trap = { get method() { throw new WebAssembly.RuntimeError("unreachable"); } };
export default {
  fetch(request, env, context) {
    const received = new URL(request.url).pathname === "/v1/abort" ? trap : request;
    return verge.fetch(received, { ...env, SNAPSHOTS: faulty(env.SNAPSHOTS) }, context);
  },
};
"#;

/// Starts the Worker with injected faults.
fn start_with_faults(vars: &[(&str, &str)]) -> Result<Edge> {
    let entry = xtask::root().join("target/worker/entry.js");
    let main = format!("main = {entry:?}");
    let config = wrangler_config(&[])?;
    ensure!(config.contains(&main), "wrangler.toml names another module than {}", entry.display());
    let config = config.replace(&main, "main = \"worker.js\"");
    Edge::start_as(&[(&config, &format!("import verge from {entry:?};\n{FAULTS}"))], vars)
}

fn inject(edge: &Edge, fault: &Value) -> Result<()> {
    edge.kv_put("fault", fault.to_string().as_bytes())
}

fn is_degraded(reply: &Reply, how: &str) -> bool {
    reply.status == 200 && reply.json()["degraded"] == how
}

fn is_complete(reply: &Reply) -> bool {
    reply.status == 200 && reply.json()["degraded"] == Value::Null && !reply.ids().is_empty()
}

const STATIC: (&str, &str) = ("STATIC_ITEMS", r#"["a","b"]"#);

fn slow(fixtures: &Fixtures) -> Result<()> {
    let edge = start_with_faults(&[("LOAD_DEADLINE_MS", "300"), STATIC])?;
    fixtures.shop()?.publish(&edge.kv_api())?;
    inject(&edge, &json!({"wait": 1_500}))?;
    let started_at = Instant::now();
    let reply = edge.get("/v1/popular")?;
    let duration = started_at.elapsed();
    ensure!(is_degraded(&reply, "static") && reply.ids() == ["a", "b"], "{reply:?}");
    // Shorter than KV needs for an answer: manifest and blobs take 1.5 s each.
    ensure!(duration < Duration::from_millis(2_500), "it waited for {duration:?}");
    // Reading continued in the background.
    edge.until("/v1/popular", is_complete)?;
    ensure!(
        edge.log().contains("no snapshot within the deadline"),
        "the log does not report it:\n{}",
        edge.log()
    );
    // With a snapshot loaded, nothing waits for KV.
    inject(&edge, &json!({"wait": 60_000}))?;
    for _ in 0..5 {
        ensure_healthy(&edge)?;
    }
    Ok(())
}

fn failing(fixtures: &Fixtures) -> Result<()> {
    let edge = start_with_faults(&[("STALE_AFTER_S", "1"), STATIC])?;
    fixtures.shop()?.publish(&edge.kv_api())?;
    for prefix in ["", "blob/"] {
        inject(&edge, &json!({"prefix": prefix, "fail": true}))?;
        for path in ["/v1/recommendations", "/v1/popular", "/v1/items/x/similar"] {
            let reply = edge.get(path)?;
            ensure!(is_degraded(&reply, "static") && reply.ids() == ["a", "b"], "{reply:?}");
        }
        problem(&edge.get("/v1/items/a")?, 503)?;
    }
    inject(&edge, &json!({}))?;
    let version = edge.until("/v1/popular", is_complete)?.json()["snapshot"]["version"].clone();
    inject(&edge, &json!({"fail": true}))?;
    let reply = edge.until("/v1/popular", |reply| is_degraded(reply, "stale"))?;
    ensure!(reply.json()["snapshot"]["version"] == version && !reply.ids().is_empty(), "{reply:?}");
    inject(&edge, &json!({}))?;
    edge.until("/v1/popular", is_complete)?;
    Ok(())
}

/// The shop's manifest of the world with another build time, and with a region that gives it another version.
fn built_at(shop: &Verge, at: Timestamp) -> Result<Manifest> {
    let built = Manifest::parse(&shop.built(&manifest_key(WORLD))?)?;
    let regions = BTreeMap::from([("aq".to_owned(), format!("at{}", at.0.unsigned_abs()))]);
    Ok(Manifest::new(WORLD, at, built.blobs, regions))
}

fn ahead(fixtures: &Fixtures) -> Result<()> {
    let edge = Edge::start(&[("STALE_AFTER_S", "60")])?;
    let (shop, next) = (fixtures.shop()?, fixtures.other_shop()?);
    shop.publish(&edge.kv_api())?;
    let path = "/v1/popular?region=world&limit=5";
    let before = edge.until(path, is_complete)?.json()["snapshot"]["version"].clone();
    let next_manifest = Manifest::parse(&next.built(&manifest_key(WORLD))?)?;
    // The manifest arrives first, then one blob after the other.
    edge.kv_put(&manifest_key(WORLD), &next_manifest.to_json())?;
    for blob in &next_manifest.blobs {
        for _ in 0..5 {
            let reply = edge.get(path)?;
            ensure!(is_complete(&reply) && reply.json()["snapshot"]["version"] == before, "{reply:?}");
        }
        edge.kv_put(&blob_key(&blob.hash), &next.built(&blob_key(&blob.hash))?)?;
    }
    edge.until(path, |reply| {
        is_complete(reply) && reply.json()["snapshot"]["version"] == next_manifest.version.as_str()
    })?;
    Ok(())
}

fn skewed(fixtures: &Fixtures) -> Result<()> {
    let (edge, shop) = (Edge::start(&[])?, fixtures.shop()?);
    shop.publish(&edge.kv_api())?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let (hour, year) = (3_600_000, 365 * 86_400_000);
    for at in [now + hour, now + 10 * year, now - 10 * year, 0, -year, now] {
        let manifest = built_at(shop, Timestamp(at))?;
        edge.kv_put(&manifest_key(WORLD), &manifest.to_json())?;
        let path = "/v1/recommendations?region=world&limit=5";
        let reply = edge.until(path, |reply| {
            is_complete(reply) && reply.json()["snapshot"]["version"] == manifest.version.as_str()
        })?;
        let age = reply.json()["snapshot"]["age_s"].as_i64();
        let expected = (now - at).max(0) / 1_000;
        ensure!(age.is_some_and(|age| (0..60).contains(&(age - expected))), "age {age:?} of {at}: {reply:?}");
    }
    ensure_healthy(&edge)
}

fn aborted(fixtures: &Fixtures) -> Result<()> {
    let edge = start_with_faults(&[("LOAD_DEADLINE_MS", "30000")])?;
    fixtures.shop()?.publish(&edge.kv_api())?;
    edge.until("/v1/popular", is_complete)?;
    let mut live = Live::open(&edge, "/v1/live", &[])?;
    live.send(json!({"subscribe": [{"limit": 1}]}))?;
    ensure!(live.receive()?["answer"].is_object(), "no live answer");
    for _ in 0..3 {
        problem(&edge.get("/v1/abort")?, 500)?;
        // The new instance has no snapshot and loads it.
        let health = edge.get("/healthz")?;
        ensure!(health.status == 200 && health.json()["snapshots"] == json!([]), "{health:?}");
        edge.until("/v1/popular", is_complete)?;
        ensure_healthy(&edge)?;
        // Open connections continue with the new instance.
        live.send(json!({"event": {"kind": "view", "item": "a"}}))?;
        let (ack, answer) = (live.receive()?, live.receive()?);
        ensure!(ack["ack"]["accepted"] == 1 && answer["answer"].is_object(), "{ack} {answer}");
    }
    // Requests that wait in the aborted instance are answered too.
    inject(&edge, &json!({"wait": 20_000}))?;
    problem(&edge.get("/v1/abort")?, 500)?;
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| edge.get("/v1/popular"))).collect();
        thread::sleep(Duration::from_millis(500));
        let started_at = Instant::now();
        problem(&edge.get("/v1/abort")?, 500)?;
        for request in waiting {
            let Ok(reply) = request.join() else { bail!("a request panicked") };
            problem(&reply?, 500)?;
        }
        ensure!(
            started_at.elapsed() < Duration::from_secs(10),
            "waiting requests took {:?}",
            started_at.elapsed()
        );
        Ok(())
    })?;
    inject(&edge, &json!({}))?;
    edge.until("/v1/popular", is_complete)?;
    ensure_healthy(&edge)
}
