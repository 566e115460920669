//! Replacing large snapshots under load: each answer comes from one version, and memory stays bounded.

use crate::{Fixtures, Test};
use anyhow::{Context, Result, ensure};
use end_to_end::{Edge, Verge};
use snapshots::envelope::{Envelope, Section};
use snapshots::manifest::{BlobRef, Manifest, WORLD, blob_key, manifest_key};
use snapshots::{Bytes, time::Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

pub(crate) const TESTS: &[Test] = &[("memory_stays_bounded_over_50_swaps_of_20_mib", swaps)];

const SWAPS: u8 = 50;
const BALLAST: usize = 20 << 20;
/// The memory limit of an isolate on Cloudflare, in bytes.
const ISOLATE_LIMIT: u64 = 128_000_000;

/// A shop's snapshot with an additional blob of 20 MiB that is unique to the version.
struct Version {
    manifest: Manifest,
    ballast: Vec<u8>,
}

impl Version {
    /// A version with the build time `number` ms, by which answers identify it.
    fn new(shop: &Verge, number: u8) -> Result<Self> {
        let own = Manifest::parse(&shop.built(&manifest_key(WORLD))?)?;
        let items = Bytes::from(shop.built(&blob_key(&own.blobs[0].hash))?);
        let catalogue = Envelope::open(&items)?.catalogue;
        let sections = vec![Section::new("ballast", 1, vec![number; BALLAST])];
        let ballast =
            Envelope { region: String::new(), built_at: Timestamp(0), catalogue, sections }.write()?;
        let mut blobs = own.blobs;
        blobs.push(BlobRef::new("ballast", &ballast));
        let manifest = Manifest::new(WORLD, Timestamp(number.into()), blobs, BTreeMap::new());
        Ok(Self { manifest, ballast })
    }

    fn ballast_key(&self) -> Result<String> {
        Ok(blob_key(&self.manifest.blobs.last().context("the manifest has no blobs")?.hash))
    }

    /// Writes the unique blob, then the manifest.
    fn publish(&self, edge: &Edge) -> Result<()> {
        edge.kv_put(&self.ballast_key()?, &self.ballast)?;
        edge.kv_put(&manifest_key(WORLD), &self.manifest.to_json())
    }
}

fn memory(edge: &Edge) -> Result<u64> {
    edge.get("/healthz")?.json()["memory_bytes"].as_u64().context("/healthz reports no memory")
}

/// Sends requests until `stop` and returns their number. Version and build time of each answer must match.
fn visitor(edge: &Edge, versions: &[String], stop: &AtomicBool) -> Result<usize> {
    let mut answers = 0;
    while !stop.load(Ordering::Relaxed) {
        let reply = edge.get("/v1/recommendations?limit=5&region=world")?;
        ensure!(reply.status == 200 && reply.ids().len() == 5, "a request failed: {reply:?}");
        let snapshot = &reply.json()["snapshot"];
        let built_at: Timestamp = serde_json::from_value(snapshot["built_at"].clone())?;
        let version = usize::try_from(built_at.0).ok().and_then(|number| versions.get(number));
        ensure!(
            version.is_some_and(|version| snapshot["version"] == version.as_str()),
            "an answer mixes two versions: {reply:?}"
        );
        answers += 1;
    }
    Ok(answers)
}

fn swaps(fixtures: &Fixtures) -> Result<()> {
    let (edge, shop) = (Edge::start(&[])?, fixtures.shop()?);
    shop.publish(&edge.kv_api())?;
    let versions = (0..=SWAPS).map(|number| Ok(Version::new(shop, number)?.manifest.version));
    let versions: Vec<String> = versions.collect::<Result<_>>()?;
    Version::new(shop, 0)?.publish(&edge)?;
    let path = "/v1/popular?limit=1&region=world";
    edge.until(path, |reply| reply.json()["snapshot"]["version"] == versions[0].as_str())?;
    let stop = AtomicBool::new(false);
    let (max_memory, answers) = thread::scope(|scope| {
        let visitors: Vec<_> = (0..2).map(|_| scope.spawn(|| visitor(&edge, &versions, &stop))).collect();
        let swapped = swap_all(&edge, shop, &versions);
        stop.store(true, Ordering::Relaxed);
        let mut answers = 0;
        for visitor in visitors {
            answers += visitor.join().map_err(|_| anyhow::anyhow!("a visitor panicked"))??;
        }
        anyhow::Ok((swapped?, answers))
    })?;
    println!(
        "{SWAPS} swaps of {BALLAST} bytes during {answers} answers: at most {max_memory} bytes of wasm memory"
    );
    Ok(())
}

/// Publishes the versions in order, each after its predecessor is served. Returns the maximum memory in bytes.
fn swap_all(edge: &Edge, shop: &Verge, versions: &[String]) -> Result<u64> {
    let mut max = 0;
    for number in 1..=SWAPS {
        let before = Version::new(shop, number - 1)?.ballast_key()?;
        Version::new(shop, number)?.publish(edge)?;
        let path = "/v1/popular?limit=1&region=world";
        let version = versions[usize::from(number)].as_str();
        edge.until(path, |reply| reply.json()["snapshot"]["version"] == version)?;
        max = max.max(memory(edge)?);
        ensure!(max < ISOLATE_LIMIT, "{max} bytes of wasm memory after swap {number}");
        edge.kv_delete(&before)?;
    }
    Ok(max)
}
