//! From `verge publish` to the answers, whatever happens on the way.

use crate::answers::is_unharmed;
use crate::{Parts, Test};
use anyhow::{Context, Result, bail, ensure};
use end_to_end::{Edge, Peer, Received, Verge};
use snapshots::manifest::{Manifest, WORLD, blob_key, manifest_key};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

pub const TESTS: &[Test] = &[
    ("publishing_again_writes_nothing", again),
    ("a_publisher_killed_before_the_manifest_leaves_the_old_snapshot", killed),
    ("rolling_back_takes_effect_at_the_edge", rollback),
];

/// A region of both shops besides the world.
const REGION: &str = "gb";

fn version_built(shop: &Verge, region: &str) -> Result<String> {
    Ok(Manifest::parse(&shop.built(&manifest_key(region))?)?.version)
}

/// Waits until the edge answers from what the shop has built, in the world and in a region.
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

fn again(parts: &Parts) -> Result<()> {
    let (edge, shop) = (parts.changing()?, parts.other_shop()?);
    let first = Peer::in_front_of(edge.kv_api(), |_| true)?;
    shop.publish(&first.address())?;
    ensure!(
        !writes(&first).is_empty(),
        "the first time nothing was written, so that this test shows nothing"
    );
    until_served(edge, shop)?;
    let second = Peer::in_front_of(edge.kv_api(), |_| true)?;
    let printed = shop.publish(&second.address())?;
    ensure!(!second.received().is_empty(), "the publisher did not ask what is there");
    ensure!(writes(&second).is_empty(), "the second time wrote {:?}", writes(&second));
    ensure!(printed.contains("nothing changed"), "it does not say so: {printed}");
    Ok(())
}

/// Lets everything pass but the first write of a manifest, which it announces and then keeps waiting.
fn stopping_at_the_manifest(
    arrived: Sender<()>,
    hold: Receiver<()>,
) -> impl Fn(&Received) -> bool + Send + Sync {
    let (arrived, hold) = (Mutex::new(arrived), Mutex::new(hold));
    move |one| {
        let is_manifest = one.method == "PUT" && one.path.contains("/values/manifest");
        if is_manifest {
            let _ = arrived.lock().unwrap().send(());
            // Ends when the test drops the other side.
            let _ = hold.lock().unwrap().recv();
        }
        !is_manifest
    }
}

fn killed(parts: &Parts) -> Result<()> {
    let (edge, shop, next) = (parts.changing()?, parts.shop()?, parts.other_shop()?);
    shop.publish(&edge.kv_api())?;
    until_served(edge, shop)?;

    // So that there are blobs to be written.
    let coming = Manifest::parse(&next.built(&manifest_key(WORLD))?)?;
    for blob in &coming.blobs {
        edge.kv_delete(&blob_key(&blob.hash))?;
    }
    let ((arrived, at_manifest), (release, hold)) = (channel(), channel());
    let peer = Peer::in_front_of(edge.kv_api(), stopping_at_the_manifest(arrived, hold))?;
    let mut command = next.kv_command(&["publish", "--to", "kv"], &peer.address())?;
    let mut publisher = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let arrived = at_manifest.recv_timeout(Duration::from_secs(60));
    publisher.kill()?;
    let status = publisher.wait()?;
    arrived.with_context(|| format!("the publisher never came to a manifest ({status})"))?;
    drop(release);

    for blob in &coming.blobs {
        ensure!(edge.kv_get(&blob_key(&blob.hash))?.is_some(), "blob '{}' was not written before", blob.name);
    }
    for _ in 0..20 {
        for region in [WORLD, REGION] {
            let version = edge.version(region)?;
            if version != version_built(shop, region)? {
                bail!("{region} has moved to {version}");
            }
        }
    }
    is_unharmed(edge)?;

    next.publish(&edge.kv_api())?;
    until_served(edge, next)
}

fn rollback(parts: &Parts) -> Result<()> {
    let (edge, shop, next) = (parts.changing()?, parts.shop()?, parts.other_shop()?);
    shop.publish(&edge.kv_api())?;
    until_served(edge, shop)?;
    next.publish(&edge.kv_api())?;
    until_served(edge, next)?;
    for region in [WORLD, REGION] {
        let printed = next.roll_back(&edge.kv_api(), region)?;
        let version = version_built(shop, region)?;
        ensure!(printed.contains(&version), "it does not say that it is back at {version}: {printed}");
    }
    until_served(edge, shop)?;
    is_unharmed(edge)
}
