//! A shop too large for one snapshot: its tables in shards, of which requests read what they need.

use crate::answers::popular;
use crate::{Parts, Test};
use anyhow::{Context, Result, ensure};
use end_to_end::{Edge, Reply, Verge};
use serde_json::Value;
use snapshots::Snapshot;
use snapshots::answer::{Call, Request, answer};
use snapshots::manifest::{Manifest, WORLD, blob_key, manifest_key};
use snapshots::query::Query;
use snapshots::recents::Recents;
use snapshots::score::Scratch;
use snapshots::time::Timestamp;

pub const TESTS: &[Test] = &[
    ("shards_answer_as_all_of_them_would", the_same),
    ("missing_shards_leave_popular_items_and_return", missing),
];

/// How many of the shards a request needed were at hand, and how many it needed.
fn shards(reply: &Reply) -> Option<(usize, usize)> {
    let (_, text) = reply.header("server-timing").split_once(";desc=\"")?;
    let (at_hand, needed) = text.trim_end_matches('"').split_once(" of ")?;
    Some((at_hand.parse().ok()?, needed.parse().ok()?))
}

fn has_all_shards(reply: &Reply) -> bool {
    shards(reply).is_some_and(|(at_hand, needed)| at_hand == needed && needed > 0)
}

fn manifest(shop: &Verge) -> Result<Manifest> {
    Ok(Manifest::parse(&shop.built(&manifest_key(WORLD))?)?)
}

fn until_served(edge: &Edge, shop: &Verge) -> Result<()> {
    let version = manifest(shop)?.version;
    edge.until("/v1/popular?limit=1&region=world", |reply| {
        reply.json()["snapshot"]["version"] == version.as_str()
    })?;
    Ok(())
}

fn the_same(parts: &Parts) -> Result<()> {
    let (whole, edge, shop) = (parts.serving()?, parts.changing()?, parts.sharded_shop()?);
    let manifest = manifest(shop)?;
    ensure!(manifest.blobs.len() > 10, "the tables are not cut: {:?}", manifest.blobs);
    // All shards at once, as no isolate has to hold them.
    let blobs = manifest.blobs.iter().map(|blob| Ok(shop.built(&blob_key(&blob.hash))?.into()));
    let snapshot = Snapshot::open(&blobs.collect::<Result<Vec<_>>>()?)?;
    shop.publish(&edge.kv_api())?;
    until_served(edge, shop)?;
    let items = popular(whole, 60)?;
    let mut scratch = Scratch::default();
    for recents in items.windows(5).step_by(5) {
        let asked = format!("region=world&limit=20&recents={}", recents.join(","));
        let path = format!("/v1/recommendations?{asked}");
        ensure!(shards(&whole.get(&path)?).is_none(), "a whole snapshot speaks of shards");
        let found = edge.until(&path, has_all_shards)?;
        ensure!(found.json()["degraded"] == Value::Null, "degraded: {found:?}");
        let query = Query::parse(&asked).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let nobody = Recents::default();
        let request = Request::new(&query, &nobody, Timestamp(0));
        let expected = answer(&snapshot, Call::Recommend, &request, &mut scratch);
        let expected = expected.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let expected: Vec<String> = expected.items.iter().map(|item| item.item.id.to_string()).collect();
        ensure!(found.ids() == expected, "{path}: {:?} instead of {expected:?}", found.ids());
        let similar = edge.until(&format!("/v1/items/{}/similar?limit=5", recents[0]), has_all_shards)?;
        ensure!(similar.ids().len() == 5, "{similar:?}");
    }
    Ok(())
}

fn missing(parts: &Parts) -> Result<()> {
    // One that has read no shard yet.
    let (edge, shop) = (Edge::start(&[("SHARD_DEADLINE_MS", "500")])?, parts.sharded_shop()?);
    shop.publish(&edge.kv_api())?;
    until_served(&edge, shop)?;
    let manifest = manifest(shop)?;
    let cut: Vec<_> = manifest.blobs.iter().filter(|blob| blob.rows.is_some()).collect();
    for blob in &cut {
        edge.kv_delete(&blob_key(&blob.hash))?;
    }
    let path = format!("/v1/recommendations?limit=5&recents={}", popular(&edge, 1)?[0]);
    let reply = edge.get(&path)?;
    ensure!(reply.status == 200 && reply.ids().len() == 5, "no answer without rows: {reply:?}");
    let (at_hand, needed) = shards(&reply).with_context(|| format!("nothing said of shards: {reply:?}"))?;
    ensure!(at_hand == 0 && needed > 0, "{at_hand} of {needed} shards are at hand");
    ensure!(reply.json()["degraded"] == "popular_only", "it is not told that rows are missing: {reply:?}");
    let similar = format!("/v1/items/{}/similar?limit=5", popular(&edge, 1)?[0]);
    let reply = edge.get(&similar)?;
    let kept = !reply.header("etag").is_empty() || !reply.header("cache-control").contains("no-store");
    ensure!(reply.status == 200 && !kept, "others may keep an answer without rows: {reply:?}");

    // Damaged ones are as good as missing.
    for blob in &cut {
        edge.kv_put(&blob_key(&blob.hash), &shop.built(&blob_key(&blob.hash))?[1..])?;
    }
    ensure!(shards(&edge.get(&path)?).is_some_and(|(at_hand, _)| at_hand == 0), "a damaged shard is used");
    for blob in &cut {
        edge.kv_put(&blob_key(&blob.hash), &shop.built(&blob_key(&blob.hash))?)?;
    }
    let reply = edge.until(&path, has_all_shards)?;
    ensure!(reply.json()["degraded"] == Value::Null, "still degraded: {reply:?}");
    ensure!(reply.json()["items"][0]["signal"] == "coview", "no rows are used: {reply:?}");
    let reply = edge.until(&similar, has_all_shards)?;
    ensure!(!reply.header("etag").is_empty(), "an answer with all rows has no ETag: {reply:?}");
    Ok(())
}
