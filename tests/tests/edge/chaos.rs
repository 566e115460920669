//! What the Worker stands on fails: KV slow, failing and inconsistent, clocks that differ, an instance that aborts.
//! No answer but those that are documented, and all is well when the failure ends.

use crate::answers::{is_unharmed, problem};
use crate::{Parts, Test};
use anyhow::{Result, bail, ensure};
use end_to_end::{Edge, Live, Reply, Verge, recipe};
use serde_json::{Value, json};
use snapshots::manifest::{Manifest, WORLD, blob_key, manifest_key};
use snapshots::time::Timestamp;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const TESTS: &[Test] = &[
    ("a_slow_kv_is_waited_for_up_to_the_deadline_and_read_behind", slow),
    ("a_failing_kv_leaves_static_items_and_then_the_old_snapshot", failing),
    ("a_manifest_ahead_of_its_blobs_is_followed_when_they_come", ahead),
    ("a_snapshot_of_a_clock_that_is_ahead_or_behind_is_served", skewed),
    ("an_aborted_instance_comes_back", aborted),
];

/// Hands everything to the Worker, but lets KV do as its key `fault` says: `wait` (ms), then `fail`, for keys that begin
/// with `of`. At `/v1/abort` the instance meets what a trap of WebAssembly throws.
const FAULTS: &str = r#"
const behind = (kv) => ({
  async get(key, options) {
    const { of = "", wait = 0, fail } = (await kv.get("fault", "json")) ?? {};
    if (key.startsWith(of)) {
      if (wait) await scheduler.wait(wait);
      if (fail) throw new Error("KV GET failed: 500 Internal Server Error");
    }
    return kv.get(key, options);
  },
});
const trap = { get method() { throw new WebAssembly.RuntimeError("unreachable"); } };
export default {
  fetch(request, env, context) {
    const asked = new URL(request.url).pathname === "/v1/abort" ? trap : request;
    return verge.fetch(asked, { ...env, SNAPSHOTS: behind(env.SNAPSHOTS) }, context);
  },
};
"#;

/// The Worker behind what lets it meet faults.
fn behind_faults(vars: &[(&str, &str)]) -> Result<Edge> {
    let entry = xtask::root().join("target/worker/entry.js");
    let main = format!("main = {entry:?}");
    let config = recipe(&[])?;
    ensure!(config.contains(&main), "wrangler.toml names another module than {}", entry.display());
    let config = config.replace(&main, "main = \"worker.js\"");
    Edge::start_as(&[(&config, &format!("import verge from {entry:?};\n{FAULTS}"))], vars)
}

fn fault(edge: &Edge, fault: &Value) -> Result<()> {
    edge.kv_put("fault", fault.to_string().as_bytes())
}

fn is_degraded(reply: &Reply, how: &str) -> bool {
    reply.status == 200 && reply.json()["degraded"] == how
}

fn is_well(reply: &Reply) -> bool {
    reply.status == 200 && reply.json()["degraded"] == Value::Null && !reply.ids().is_empty()
}

const STATIC: (&str, &str) = ("STATIC_ITEMS", r#"["a","b"]"#);

fn slow(parts: &Parts) -> Result<()> {
    let edge = behind_faults(&[("LOAD_DEADLINE_MS", "300"), STATIC])?;
    parts.shop()?.publish(&edge.kv_api())?;
    fault(&edge, &json!({"wait": 1_500}))?;
    let began = Instant::now();
    let reply = edge.get("/v1/popular")?;
    let took = began.elapsed();
    ensure!(is_degraded(&reply, "static") && reply.ids() == ["a", "b"], "{reply:?}");
    // It gave up before KV can have answered: manifest and blobs take 1.5 s each.
    ensure!(took < Duration::from_millis(2_500), "it waited for {took:?}");
    // Reading has gone on behind the answer.
    edge.until("/v1/popular", is_well)?;
    ensure!(edge.log().contains("no snapshot within the deadline"), "it is not in the log:\n{}", edge.log());
    // Who has a snapshot waits for nothing.
    fault(&edge, &json!({"wait": 60_000}))?;
    for _ in 0..5 {
        is_unharmed(&edge)?;
    }
    Ok(())
}

fn failing(parts: &Parts) -> Result<()> {
    let edge = behind_faults(&[("STALE_AFTER_S", "1"), STATIC])?;
    parts.shop()?.publish(&edge.kv_api())?;
    for of in ["", "blob/"] {
        fault(&edge, &json!({"of": of, "fail": true}))?;
        for path in ["/v1/recommendations", "/v1/popular", "/v1/items/x/similar"] {
            let reply = edge.get(path)?;
            ensure!(is_degraded(&reply, "static") && reply.ids() == ["a", "b"], "{reply:?}");
        }
        problem(&edge.get("/v1/items/a")?, 503)?;
    }
    fault(&edge, &json!({}))?;
    let version = edge.until("/v1/popular", is_well)?.json()["snapshot"]["version"].clone();
    fault(&edge, &json!({"fail": true}))?;
    let reply = edge.until("/v1/popular", |reply| is_degraded(reply, "stale"))?;
    ensure!(reply.json()["snapshot"]["version"] == version && !reply.ids().is_empty(), "{reply:?}");
    fault(&edge, &json!({}))?;
    edge.until("/v1/popular", is_well)?;
    Ok(())
}

/// The shop's manifest of the world, as if built at another time, and another version by a region that it names.
fn built_at(shop: &Verge, at: Timestamp) -> Result<Manifest> {
    let right = Manifest::parse(&shop.built(&manifest_key(WORLD))?)?;
    let regions = BTreeMap::from([("aq".to_owned(), format!("at{}", at.0.unsigned_abs()))]);
    Ok(Manifest::new(WORLD, at, right.blobs, regions))
}

fn ahead(parts: &Parts) -> Result<()> {
    let edge = Edge::start(&[("STALE_AFTER_S", "60")])?;
    let (shop, next) = (parts.shop()?, parts.other_shop()?);
    shop.publish(&edge.kv_api())?;
    let path = "/v1/popular?region=world&limit=5";
    let before = edge.until(path, is_well)?.json()["snapshot"]["version"].clone();
    let coming = Manifest::parse(&next.built(&manifest_key(WORLD))?)?;
    // The manifest arrives first, and then one blob after the other.
    edge.kv_put(&manifest_key(WORLD), &coming.to_json())?;
    for blob in &coming.blobs {
        for _ in 0..5 {
            let reply = edge.get(path)?;
            ensure!(is_well(&reply) && reply.json()["snapshot"]["version"] == before, "{reply:?}");
        }
        edge.kv_put(&blob_key(&blob.hash), &next.built(&blob_key(&blob.hash))?)?;
    }
    edge.until(path, |reply| {
        is_well(reply) && reply.json()["snapshot"]["version"] == coming.version.as_str()
    })?;
    Ok(())
}

fn skewed(parts: &Parts) -> Result<()> {
    let (edge, shop) = (Edge::start(&[])?, parts.shop()?);
    shop.publish(&edge.kv_api())?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let (hour, year) = (3_600_000, 365 * 86_400_000);
    for at in [now + hour, now + 10 * year, now - 10 * year, 0, -year, now] {
        let manifest = built_at(shop, Timestamp(at))?;
        edge.kv_put(&manifest_key(WORLD), &manifest.to_json())?;
        let path = "/v1/recommendations?region=world&limit=5";
        let reply = edge.until(path, |reply| {
            is_well(reply) && reply.json()["snapshot"]["version"] == manifest.version.as_str()
        })?;
        let age = reply.json()["snapshot"]["age_s"].as_i64();
        let expected = (now - at).max(0) / 1_000;
        ensure!(age.is_some_and(|age| (0..60).contains(&(age - expected))), "age {age:?} of {at}: {reply:?}");
    }
    is_unharmed(&edge)
}

fn aborted(parts: &Parts) -> Result<()> {
    let edge = behind_faults(&[("LOAD_DEADLINE_MS", "30000")])?;
    parts.shop()?.publish(&edge.kv_api())?;
    edge.until("/v1/popular", is_well)?;
    let mut live = Live::open(&edge, "/v1/live", &[])?;
    live.say(json!({"subscribe": [{"limit": 1}]}))?;
    ensure!(live.hear()?["answer"].is_object(), "no live answer");
    for _ in 0..3 {
        problem(&edge.get("/v1/abort")?, 500)?;
        // The new instance holds nothing, and reads it.
        let health = edge.get("/healthz")?;
        ensure!(health.status == 200 && health.json()["snapshots"] == json!([]), "{health:?}");
        edge.until("/v1/popular", is_well)?;
        is_unharmed(&edge)?;
        // A connection goes on with it.
        live.say(json!({"event": {"kind": "view", "item": "a"}}))?;
        let (ack, answer) = (live.hear()?, live.hear()?);
        ensure!(ack["ack"]["accepted"] == 1 && answer["answer"].is_object(), "{ack} {answer}");
    }
    // Those that wait for the instance are answered, too, and do not hang.
    fault(&edge, &json!({"wait": 20_000}))?;
    problem(&edge.get("/v1/abort")?, 500)?;
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| edge.get("/v1/popular"))).collect();
        thread::sleep(Duration::from_millis(500));
        let began = Instant::now();
        problem(&edge.get("/v1/abort")?, 500)?;
        for one in waiting {
            let Ok(reply) = one.join() else { bail!("a visitor failed") };
            problem(&reply?, 500)?;
        }
        ensure!(began.elapsed() < Duration::from_secs(10), "they waited for {:?}", began.elapsed());
        Ok(())
    })?;
    fault(&edge, &json!({}))?;
    edge.until("/v1/popular", is_well)?;
    is_unharmed(&edge)
}
