//! Tables in shards: a request loads only the shards it needs.

use crate::answers::popular;
use crate::{Fixtures, Test};
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

pub(crate) const TESTS: &[Test] = &[
    ("sharded_answers_equal_those_of_the_full_tables", equal_answers),
    ("missing_shards_fall_back_to_popular_and_recover", missing),
];

/// The number of cached shards and of needed shards of a request.
fn shards(reply: &Reply) -> Option<(usize, usize)> {
    let (_, text) = reply.header("server-timing").split_once(";desc=\"")?;
    let (cached, needed) = text.trim_end_matches('"').split_once(" of ")?;
    Some((cached.parse().ok()?, needed.parse().ok()?))
}

fn has_all_shards(reply: &Reply) -> bool {
    shards(reply).is_some_and(|(cached, needed)| cached == needed && needed > 0)
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

fn equal_answers(fixtures: &Fixtures) -> Result<()> {
    let (whole, edge, shop) = (fixtures.serving()?, fixtures.changing()?, fixtures.sharded_shop()?);
    let manifest = manifest(shop)?;
    ensure!(manifest.blobs.len() > 10, "the tables are not sharded: {:?}", manifest.blobs);
    // All shards at once, which an isolate never loads.
    let blobs = manifest.blobs.iter().map(|blob| Ok(shop.built(&blob_key(&blob.hash))?.into()));
    let snapshot = Snapshot::open(&blobs.collect::<Result<Vec<_>>>()?)?;
    shop.publish(&edge.kv_api())?;
    until_served(edge, shop)?;
    let items = popular(whole, 60)?;
    let mut scratch = Scratch::default();
    for recents in items.windows(5).step_by(5) {
        let query = format!("region=world&limit=20&recents={}", recents.join(","));
        let path = format!("/v1/recommendations?{query}");
        ensure!(shards(&whole.get(&path)?).is_none(), "an unsharded snapshot reports shards");
        let found = edge.until(&path, has_all_shards)?;
        ensure!(found.json()["degraded"] == Value::Null, "degraded: {found:?}");
        let query = Query::parse(&query).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let no_recents = Recents::default();
        let request = Request::new(&query, &no_recents, Timestamp(0));
        let expected = answer(&snapshot, Call::Recommend, &request, &mut scratch);
        let expected = expected.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let expected: Vec<String> = expected.items.iter().map(|item| item.item.id.to_string()).collect();
        ensure!(found.ids() == expected, "{path}: {:?} instead of {expected:?}", found.ids());
        let similar = edge.until(&format!("/v1/items/{}/similar?limit=5", recents[0]), has_all_shards)?;
        ensure!(similar.ids().len() == 5, "{similar:?}");
    }
    Ok(())
}

fn missing(fixtures: &Fixtures) -> Result<()> {
    // A new Worker, which has loaded no shard.
    let (edge, shop) = (Edge::start(&[("SHARD_DEADLINE_MS", "500")])?, fixtures.sharded_shop()?);
    shop.publish(&edge.kv_api())?;
    until_served(&edge, shop)?;
    let manifest = manifest(shop)?;
    let shard_blobs: Vec<_> = manifest.blobs.iter().filter(|blob| blob.rows.is_some()).collect();
    for blob in &shard_blobs {
        edge.kv_delete(&blob_key(&blob.hash))?;
    }
    let path = format!("/v1/recommendations?limit=5&recents={}", popular(&edge, 1)?[0]);
    let reply = edge.get(&path)?;
    ensure!(reply.status == 200 && reply.ids().len() == 5, "no answer without shards: {reply:?}");
    let (cached, needed) =
        shards(&reply).with_context(|| format!("the answer does not report shards: {reply:?}"))?;
    ensure!(cached == 0 && needed > 0, "{cached} of {needed} shards are cached");
    ensure!(reply.json()["degraded"] == "popular_only", "the answer is not marked as degraded: {reply:?}");
    let similar = format!("/v1/items/{}/similar?limit=5", popular(&edge, 1)?[0]);
    let reply = edge.get(&similar)?;
    let is_cacheable =
        !reply.header("etag").is_empty() || !reply.header("cache-control").contains("no-store");
    ensure!(reply.status == 200 && !is_cacheable, "an answer without shards is cacheable: {reply:?}");

    // Corrupt shards are treated as missing.
    for blob in &shard_blobs {
        edge.kv_put(&blob_key(&blob.hash), &shop.built(&blob_key(&blob.hash))?[1..])?;
    }
    ensure!(shards(&edge.get(&path)?).is_some_and(|(cached, _)| cached == 0), "a corrupt shard is used");
    for blob in &shard_blobs {
        edge.kv_put(&blob_key(&blob.hash), &shop.built(&blob_key(&blob.hash))?)?;
    }
    let reply = edge.until(&path, has_all_shards)?;
    ensure!(reply.json()["degraded"] == Value::Null, "still degraded: {reply:?}");
    ensure!(reply.json()["items"][0]["signal"] == "coview", "the shards are not used: {reply:?}");
    let reply = edge.until(&similar, has_all_shards)?;
    ensure!(!reply.header("etag").is_empty(), "an answer with all shards has no ETag: {reply:?}");
    Ok(())
}
