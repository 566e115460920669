//! From `verge publish` to the Worker's answers, including interruptions.

use crate::answers::ensure_healthy;
use crate::{Fixtures, Test};
use anyhow::{Context, Result, bail, ensure};
use end_to_end::{Edge, Peer, Received, Verge};
use snapshots::manifest::{Manifest, WORLD, blob_key, manifest_key};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

pub(crate) const TESTS: &[Test] = &[
    ("publishing_again_writes_nothing", again),
    ("publisher_killed_before_the_manifest_leaves_the_old_snapshot", killed),
    ("rollback_takes_effect_at_the_edge", rollback),
];

/// A region of both shops, besides the world.
const REGION: &str = "gb";

fn version_built(shop: &Verge, region: &str) -> Result<String> {
    Ok(Manifest::parse(&shop.built(&manifest_key(region))?)?.version)
}

/// Waits until the Worker serves the shop's snapshots of the world and of a region.
fn until_served(edge: &Edge, shop: &Verge) -> Result<()> {
    for region in [WORLD, REGION] {
        let version = version_built(shop, region)?;
        let path = format!("/v1/popular?limit=1&region={region}");
        edge.until(&path, |reply| reply.json()["snapshot"]["version"] == version.as_str())?;
    }
    Ok(())
}

fn writes(peer: &Peer) -> Vec<String> {
    let received = peer.received();
    let writing = received.iter().filter(|one| one.method != "GET");
    writing.map(|one| format!("{} {}", one.method, one.path)).collect()
}

fn again(fixtures: &Fixtures) -> Result<()> {
    let (edge, shop) = (fixtures.changing()?, fixtures.other_shop()?);
    let first = Peer::in_front_of(edge.kv_api(), |_| true)?;
    shop.publish(&first.address())?;
    ensure!(!writes(&first).is_empty(), "the first run wrote nothing, so this test proves nothing");
    until_served(edge, shop)?;
    let second = Peer::in_front_of(edge.kv_api(), |_| true)?;
    let printed = shop.publish(&second.address())?;
    ensure!(!second.received().is_empty(), "the publisher did not check the destination");
    ensure!(writes(&second).is_empty(), "the second run wrote {:?}", writes(&second));
    ensure!(printed.contains("nothing changed"), "the output does not report it: {printed}");
    Ok(())
}

/// Accepts every request except writes of manifests: these are announced and then blocked.
fn block_manifests(arrived: Sender<()>, hold: Receiver<()>) -> impl Fn(&Received) -> bool + Send + Sync {
    let (arrived, hold) = (Mutex::new(arrived), Mutex::new(hold));
    move |request| {
        let is_manifest = request.method == "PUT" && request.path.contains("/values/manifest");
        if is_manifest {
            let _ = arrived.lock().unwrap().send(());
            // Returns when the test drops the sender.
            let _ = hold.lock().unwrap().recv();
        }
        !is_manifest
    }
}

fn killed(fixtures: &Fixtures) -> Result<()> {
    let (edge, shop, next) = (fixtures.changing()?, fixtures.shop()?, fixtures.other_shop()?);
    shop.publish(&edge.kv_api())?;
    until_served(edge, shop)?;

    // Ensures that blobs have to be written.
    let next_manifest = Manifest::parse(&next.built(&manifest_key(WORLD))?)?;
    for blob in &next_manifest.blobs {
        edge.kv_delete(&blob_key(&blob.hash))?;
    }
    let ((arrived, at_manifest), (release, hold)) = (channel(), channel());
    let peer = Peer::in_front_of(edge.kv_api(), block_manifests(arrived, hold))?;
    let mut command = next.kv_command(&["publish", "--to", "kv"], &peer.address())?;
    let mut publisher = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let arrived = at_manifest.recv_timeout(Duration::from_secs(60));
    publisher.kill()?;
    let status = publisher.wait()?;
    arrived.with_context(|| format!("the publisher did not reach a manifest ({status})"))?;
    drop(release);

    for blob in &next_manifest.blobs {
        ensure!(
            edge.kv_get(&blob_key(&blob.hash))?.is_some(),
            "blob '{}' was not written before the manifest",
            blob.name
        );
    }
    for _ in 0..20 {
        for region in [WORLD, REGION] {
            let version = edge.version(region)?;
            if version != version_built(shop, region)? {
                bail!("{region} is served from {version}");
            }
        }
    }
    ensure_healthy(edge)?;

    next.publish(&edge.kv_api())?;
    until_served(edge, next)
}

fn rollback(fixtures: &Fixtures) -> Result<()> {
    let (edge, shop, next) = (fixtures.changing()?, fixtures.shop()?, fixtures.other_shop()?);
    shop.publish(&edge.kv_api())?;
    until_served(edge, shop)?;
    next.publish(&edge.kv_api())?;
    until_served(edge, next)?;
    for region in [WORLD, REGION] {
        let printed = next.roll_back(&edge.kv_api(), region)?;
        let version = version_built(shop, region)?;
        ensure!(printed.contains(&version), "the output does not name {version}: {printed}");
    }
    until_served(edge, shop)?;
    ensure_healthy(edge)
}
