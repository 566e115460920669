//! An empty or corrupt KV: the Worker answers or reports a clear error, and recovers.

use crate::answers::{ensure_healthy, problem};
use crate::{Fixtures, Test};
use anyhow::{Result, ensure};
use end_to_end::{Edge, Verge};
use serde_json::{Value, json};
use snapshots::manifest::{BlobRef, Manifest, WORLD, blob_key, content_hash, manifest_key};
use snapshots::time::Timestamp;
use std::collections::BTreeMap;

pub(crate) const TESTS: &[Test] = &[
    ("empty_or_corrupt_kv_gives_503_until_a_snapshot_is_published", cold),
    ("configured_items_are_served_without_a_snapshot", static_items),
    ("corrupt_kv_keeps_the_old_snapshot", warm),
    ("unreadable_region_falls_back_to_world", broken_region),
];

/// Ways in which a region's manifest or blob can be corrupt, from harmless to malicious.
const CORRUPTIONS: [Corruption; 8] = [
    Corruption { name: "no manifest", apply: |edge, _, region| edge.kv_delete(&manifest_key(region)) },
    Corruption {
        name: "a manifest of random bytes",
        apply: |edge, _, region| edge.kv_put(&manifest_key(region), &[0xff; 999]),
    },
    Corruption {
        name: "a manifest of a later format",
        apply: |edge, _, region| edge.kv_put(&manifest_key(region), br#"{"format":999}"#),
    },
    Corruption {
        name: "a manifest without its blobs",
        apply: |edge, _, region| publish_manifest(edge, region, &content_hash(b"missing"), 7),
    },
    Corruption {
        name: "a blob that does not match its hash",
        apply: |edge, shop, region| {
            let (_, mut bytes) = any_blob(shop)?;
            let hash = content_hash(b"something else");
            bytes[0] ^= 1;
            edge.kv_put(&blob_key(&hash), &bytes)?;
            publish_manifest(edge, region, &hash, bytes.len() as u64)
        },
    },
    Corruption {
        name: "a truncated blob",
        apply: |edge, shop, region| {
            let (_, bytes) = any_blob(shop)?;
            let hash = content_hash(b"truncated");
            edge.kv_put(&blob_key(&hash), &bytes[..bytes.len() / 2])?;
            publish_manifest(edge, region, &hash, bytes.len() as u64)
        },
    },
    Corruption {
        name: "a blob of random bytes with the right hash",
        apply: |edge, _, region| {
            let noise = vec![0xc1; 5_000];
            edge.kv_put(&blob_key(&content_hash(&noise)), &noise)?;
            publish_manifest(edge, region, &content_hash(&noise), 5_000)
        },
    },
    Corruption {
        name: "a snapshot larger than the memory of an isolate",
        apply: |edge, _, region| publish_manifest(edge, region, &content_hash(b"large"), u64::MAX),
    },
];

struct Corruption {
    name: &'static str,
    apply: fn(&Edge, &Verge, &str) -> Result<()>,
}

/// Publishes a valid manifest that names one blob.
fn publish_manifest(edge: &Edge, region: &str, hash: &str, bytes: u64) -> Result<()> {
    let blob = BlobRef { name: "items".to_owned(), hash: hash.to_owned(), bytes, rows: None };
    let manifest = Manifest::new(region, Timestamp(0), vec![blob], BTreeMap::new());
    edge.kv_put(&manifest_key(region), &manifest.to_json())
}

/// The hash and the bytes of a blob of the shop.
fn any_blob(shop: &Verge) -> Result<(String, Vec<u8>)> {
    let manifest = Manifest::parse(&shop.built(&manifest_key(WORLD))?)?;
    let hash = manifest.blobs[0].hash.clone();
    let bytes = shop.built(&blob_key(&hash))?;
    Ok((hash, bytes))
}

fn cold(fixtures: &Fixtures) -> Result<()> {
    let (shop, edge) = (fixtures.shop()?, Edge::start(&[])?);
    for corruption in &CORRUPTIONS {
        (corruption.apply)(&edge, shop, WORLD)?;
        for path in ["/v1/recommendations", "/v1/popular", "/v1/items/a", "/v1/items/a/similar"] {
            let reply = edge.get(path)?;
            problem(&reply, 503)?;
            ensure!(reply.header("retry-after") == "5", "{}: {reply:?}", corruption.name);
        }
        let health = edge.get("/healthz")?;
        ensure!(
            health.status == 200 && health.json()["snapshots"] == json!([]),
            "{}: {health:?}",
            corruption.name
        );
        let event = json!({"kind": "view", "item": "a"}).to_string();
        let accepted = edge.request("POST", "/v1/events").body(event).send()?;
        ensure!(accepted.status == 202 && accepted.cookies().len() == 1, "{}: {accepted:?}", corruption.name);
    }
    shop.publish(&edge.kv_api())?;
    edge.until("/v1/recommendations", |reply| reply.status == 200)?;
    ensure_healthy(&edge)
}

fn static_items(_: &Fixtures) -> Result<()> {
    let items = json!([{"id": "a", "name": "An item", "price": 2.5}, "b", "c"]).to_string();
    let edge = Edge::start(&[("STATIC_ITEMS", &items)])?;
    let reply = edge.get("/v1/recommendations?limit=2&exclude=b")?;
    ensure!(reply.status == 200 && reply.ids() == ["a", "c"], "{reply:?}");
    let body = reply.json();
    ensure!(body["degraded"] == "static" && body["snapshot"] == Value::Null, "{reply:?}");
    ensure!(body["items"][0]["name"] == "An item", "{reply:?}");
    problem(&edge.get("/v1/items/a")?, 503)?;
    Ok(())
}

fn warm(fixtures: &Fixtures) -> Result<()> {
    let (edge, shop) = (fixtures.changing()?, fixtures.shop()?);
    let valid = shop.built(&manifest_key(WORLD))?;
    let version = Manifest::parse(&valid)?.version;
    shop.publish(&edge.kv_api())?;
    let is_current = |reply: &end_to_end::Reply| reply.json()["snapshot"]["version"] == version.as_str();
    let path = "/v1/popular?limit=3&region=world";
    for corruption in &CORRUPTIONS {
        edge.kv_put(&manifest_key(WORLD), &valid)?;
        edge.until(path, |reply| is_current(reply) && reply.json()["degraded"] == Value::Null)?;
        (corruption.apply)(edge, shop, WORLD)?;
        // It becomes stale only because the Worker keeps trying and failing to read the new one.
        let reply = edge.until(path, |reply| reply.json()["degraded"] == "stale")?;
        ensure!(
            is_current(&reply) && reply.ids().len() == 3,
            "{}: not the old snapshot: {reply:?}",
            corruption.name
        );
    }
    edge.kv_put(&manifest_key(WORLD), &valid)?;
    edge.until(path, |reply| is_current(reply) && reply.json()["degraded"] == Value::Null)?;
    ensure_healthy(edge)
}

fn broken_region(fixtures: &Fixtures) -> Result<()> {
    let (edge, shop) = (fixtures.changing()?, fixtures.shop()?);
    shop.publish(&edge.kv_api())?;
    let valid = Manifest::parse(&shop.built(&manifest_key(WORLD))?)?;
    for (number, corruption) in CORRUPTIONS.iter().enumerate() {
        // A region of the world's manifest that has not been requested yet.
        let region = format!("broken-{number}");
        let regions = BTreeMap::from([("aq".to_owned(), region.clone())]);
        let world = Manifest::new(WORLD, valid.built_at, valid.blobs.clone(), regions);
        edge.kv_put(&manifest_key(WORLD), &world.to_json())?;
        (corruption.apply)(edge, shop, &region)?;
        let path = format!("/v1/popular?limit=3&region={region}");
        edge.until(&path, |reply| reply.json()["snapshot"]["version"] == world.version.as_str())?;
        let reply = edge.get(&path)?;
        ensure!(reply.status == 200 && reply.json()["region"] == WORLD, "{}: {reply:?}", corruption.name);
        let by_country = edge.request("GET", "/v1/popular?limit=3").country("AQ").send()?;
        ensure!(
            by_country.status == 200 && by_country.json()["region"] == WORLD,
            "{}: {by_country:?}",
            corruption.name
        );
        ensure!(edge.log().contains(&format!("region '{region}'")), "{} is not in the log", corruption.name);
        edge.kv_delete(&manifest_key(&region))?;
    }
    shop.publish(&edge.kv_api())?;
    ensure_healthy(edge)
}
