//! A KV that is empty or holds what it should not: an answer or a clear error, and recovery.

use crate::answers::{is_unharmed, problem};
use crate::{Parts, Test};
use anyhow::{Result, ensure};
use end_to_end::{Edge, Verge};
use serde_json::{Value, json};
use snapshots::manifest::{BlobRef, Manifest, WORLD, blob_key, content_hash, manifest_key};
use snapshots::time::Timestamp;
use std::collections::BTreeMap;

pub const TESTS: &[Test] = &[
    ("an_empty_kv_and_one_full_of_garbage_are_told_until_there_is_a_snapshot", cold),
    ("configured_items_answer_where_there_is_no_snapshot", static_items),
    ("garbage_in_kv_leaves_the_old_snapshot_in_place", warm),
    ("a_region_that_cannot_be_read_is_answered_from_the_world", broken_region),
];

/// What can be wrong with what a region's manifest key leads to, from harmless to malicious.
const WRONGS: [Wrong; 8] = [
    Wrong { name: "no manifest", make: |edge, _, region| edge.kv_delete(&manifest_key(region)) },
    Wrong {
        name: "a manifest of noise",
        make: |edge, _, region| edge.kv_put(&manifest_key(region), &[0xff; 999]),
    },
    Wrong {
        name: "a manifest of a later format",
        make: |edge, _, region| edge.kv_put(&manifest_key(region), br#"{"format":999}"#),
    },
    Wrong {
        name: "a manifest without its blobs",
        make: |edge, _, region| name_blob(edge, region, &content_hash(b"nowhere"), 7),
    },
    Wrong {
        name: "a blob that is another than it is named",
        make: |edge, shop, region| {
            let (_, mut bytes) = a_blob(shop)?;
            let hash = content_hash(b"something else");
            bytes[0] ^= 1;
            edge.kv_put(&blob_key(&hash), &bytes)?;
            name_blob(edge, region, &hash, bytes.len() as u64)
        },
    },
    Wrong {
        name: "a blob that was cut short",
        make: |edge, shop, region| {
            let (_, bytes) = a_blob(shop)?;
            let hash = content_hash(b"cut short");
            edge.kv_put(&blob_key(&hash), &bytes[..bytes.len() / 2])?;
            name_blob(edge, region, &hash, bytes.len() as u64)
        },
    },
    Wrong {
        name: "a blob of noise under its right name",
        make: |edge, _, region| {
            let noise = vec![0xc1; 5_000];
            edge.kv_put(&blob_key(&content_hash(&noise)), &noise)?;
            name_blob(edge, region, &content_hash(&noise), 5_000)
        },
    },
    Wrong {
        name: "a snapshot larger than an isolate",
        make: |edge, _, region| name_blob(edge, region, &content_hash(b"large"), u64::MAX),
    },
];

struct Wrong {
    name: &'static str,
    make: fn(&Edge, &Verge, &str) -> Result<()>,
}

/// Publishes a manifest that is right by itself and names one blob.
fn name_blob(edge: &Edge, region: &str, hash: &str, bytes: u64) -> Result<()> {
    let blob = BlobRef { name: "items".to_owned(), hash: hash.to_owned(), bytes, rows: None };
    let manifest = Manifest::new(region, Timestamp(0), vec![blob], BTreeMap::new());
    edge.kv_put(&manifest_key(region), &manifest.to_json())
}

/// A blob of the shop's own.
fn a_blob(shop: &Verge) -> Result<(String, Vec<u8>)> {
    let manifest = Manifest::parse(&shop.built(&manifest_key(WORLD))?)?;
    let hash = manifest.blobs[0].hash.clone();
    let bytes = shop.built(&blob_key(&hash))?;
    Ok((hash, bytes))
}

fn cold(parts: &Parts) -> Result<()> {
    let (shop, edge) = (parts.shop()?, Edge::start(&[])?);
    for wrong in &WRONGS {
        (wrong.make)(&edge, shop, WORLD)?;
        for path in ["/v1/recommendations", "/v1/popular", "/v1/items/a", "/v1/items/a/similar"] {
            let reply = edge.get(path)?;
            problem(&reply, 503)?;
            ensure!(reply.header("retry-after") == "5", "{}: {reply:?}", wrong.name);
        }
        let health = edge.get("/healthz")?;
        ensure!(
            health.status == 200 && health.json()["snapshots"] == json!([]),
            "{}: {health:?}",
            wrong.name
        );
        let event = json!({"kind": "view", "item": "a"}).to_string();
        let taken = edge.request("POST", "/v1/events").body(event).send()?;
        ensure!(taken.status == 202 && taken.cookies().len() == 1, "{}: {taken:?}", wrong.name);
    }
    shop.publish(&edge.kv_api())?;
    edge.until("/v1/recommendations", |reply| reply.status == 200)?;
    is_unharmed(&edge)
}

fn static_items(_: &Parts) -> Result<()> {
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

fn warm(parts: &Parts) -> Result<()> {
    let (edge, shop) = (parts.changing()?, parts.shop()?);
    let right = shop.built(&manifest_key(WORLD))?;
    let version = Manifest::parse(&right)?.version;
    shop.publish(&edge.kv_api())?;
    let is_right = |reply: &end_to_end::Reply| reply.json()["snapshot"]["version"] == version.as_str();
    let path = "/v1/popular?limit=3&region=world";
    for wrong in &WRONGS {
        edge.kv_put(&manifest_key(WORLD), &right)?;
        edge.until(path, |reply| is_right(reply) && reply.json()["degraded"] == Value::Null)?;
        (wrong.make)(edge, shop, WORLD)?;
        // It becomes stale only because the Worker looks, and keeps failing to read what is there.
        let reply = edge.until(path, |reply| reply.json()["degraded"] == "stale")?;
        ensure!(
            is_right(&reply) && reply.ids().len() == 3,
            "{}: not the old snapshot: {reply:?}",
            wrong.name
        );
    }
    edge.kv_put(&manifest_key(WORLD), &right)?;
    edge.until(path, |reply| is_right(reply) && reply.json()["degraded"] == Value::Null)?;
    is_unharmed(edge)
}

fn broken_region(parts: &Parts) -> Result<()> {
    let (edge, shop) = (parts.changing()?, parts.shop()?);
    shop.publish(&edge.kv_api())?;
    let right = Manifest::parse(&shop.built(&manifest_key(WORLD))?)?;
    for (place, wrong) in WRONGS.iter().enumerate() {
        // A region that no request has asked for yet, known to the world's manifest.
        let region = format!("broken-{place}");
        let regions = BTreeMap::from([("aq".to_owned(), region.clone())]);
        let world = Manifest::new(WORLD, right.built_at, right.blobs.clone(), regions);
        edge.kv_put(&manifest_key(WORLD), &world.to_json())?;
        (wrong.make)(edge, shop, &region)?;
        let path = format!("/v1/popular?limit=3&region={region}");
        edge.until(&path, |reply| reply.json()["snapshot"]["version"] == world.version.as_str())?;
        let reply = edge.get(&path)?;
        ensure!(reply.status == 200 && reply.json()["region"] == WORLD, "{}: {reply:?}", wrong.name);
        let there = edge.request("GET", "/v1/popular?limit=3").country("AQ").send()?;
        ensure!(there.status == 200 && there.json()["region"] == WORLD, "{}: {there:?}", wrong.name);
        ensure!(edge.log().contains(&format!("region '{region}'")), "{} is not in the log", wrong.name);
        edge.kv_delete(&manifest_key(&region))?;
    }
    shop.publish(&edge.kv_api())?;
    is_unharmed(edge)
}
