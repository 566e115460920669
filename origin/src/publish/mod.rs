//! `verge publish` and `verge rollback`: what was built, to where the edge reads it.
//!
//! Order makes it safe: blobs first, each read back and compared, then the region's history, and its manifest
//! last. A reader follows manifests only, so whatever moment the publisher dies at, the edge serves the old
//! snapshot or the new one. Blobs are named by their content: what is there already is not sent again.

pub mod destination;
pub mod kv;

use crate::{
    config::{ItemsFrom, Kv},
    pack::{SnapshotSet, refresh::Refresher},
    rules,
    store::{Store, lock, snapshots_dir},
    stream::{Limits, checkpoint},
};
use anyhow::{Context, Result, bail};
use destination::{Destination, Directory};
use kv::KvNamespace;
use serde::{Deserialize, Serialize};
use snapshots::{
    manifest::{Manifest, blob_key, content_hash, is_region, manifest_key},
    time::Timestamp,
};
use std::{collections::BTreeSet, fs::File, path::Path};

/// However many were published since, a manifest that readers may still hold keeps its blobs this long.
const GRACE_MS: i64 = 3_600_000;
/// The most manifests a history holds, young or not.
const MAX_HISTORY: usize = 200;

/// The destination of that name: `kv`, or a directory.
///
/// # Errors
/// A setting of KV is missing.
pub fn open(name: &str, kv: &Kv) -> Result<Box<dyn Destination + Send>> {
    Ok(match name {
        "kv" => Box::new(KvNamespace::new(kv)?),
        directory => Box::new(Directory::new(directory.as_ref())),
    })
}

/// Held by whoever publishes from a data directory: a blob that one removes, as no history names it any more, may be one
/// that another is about to name. Waits for the other.
///
/// # Errors
/// The data directory cannot be written.
pub fn lock_publishing(data_dir: &Path) -> Result<File> {
    lock(data_dir, "publish.lock")
}

/// The model that serves, with popularity and attributes as the log and the catalogue say now, and the rules that are
/// set.
///
/// # Errors
/// Nothing was built, the store or the log cannot be read, or the rules make no sense.
pub fn up_to_date(data_dir: &Path, limits: Limits, items: Option<ItemsFrom>) -> Result<SnapshotSet> {
    let mut refresher = Refresher::new(SnapshotSet::load(&snapshots_dir(data_dir))?)?;
    let log = origin_log::dir(data_dir);
    let (mut tables, mut reader, _) = checkpoint::load(data_dir, &log, limits)?;
    reader.read(|record, place| tables.add(record, place))?;
    if reader.position() > 0 {
        let store = Store::open(data_dir)?.with_items_from(items);
        refresher.attributes(&store.items()?, store.others_in_stock()?)?;
        refresher.popularity(&tables.counted())?;
    }
    refresher.rules(&rules::load(data_dir)?)?;
    Ok(refresher.into_built())
}

/// One manifest that was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Published {
    published_at: Timestamp,
    manifest: Manifest,
}

/// What publishing did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Keys written.
    pub wrote: usize,
    /// Bytes written.
    pub bytes: usize,
    /// Blobs removed because no kept manifest names them.
    pub removed: usize,
    /// Regions at the destination that were not built.
    pub unbuilt_regions: Vec<String>,
}

fn history_key(region: &str) -> String {
    format!("history/{region}")
}

fn history(to: &dyn Destination, region: &str) -> Result<Vec<Published>> {
    match to.get(&history_key(region))? {
        // A history that cannot be read costs the way back, not the way forward.
        Some(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        None => Ok(Vec::new()),
    }
}

fn present(to: &dyn Destination, region: &str) -> Result<Option<Manifest>> {
    Ok(to.get(&manifest_key(region))?.and_then(|bytes| Manifest::parse(&bytes).ok()))
}

fn blobs_of(history: &[Published]) -> impl Iterator<Item = &str> {
    history.iter().flat_map(|published| published.manifest.named().map(|blob| &*blob.hash))
}

fn regions_at(to: &dyn Destination) -> Result<Vec<String>> {
    let keys = to.list(&manifest_key(""))?;
    let names = keys.iter().filter_map(|key| key.strip_prefix("manifest/"));
    Ok(names.filter(|name| is_region(name)).map(str::to_owned).collect())
}

/// Sends what is not there yet. `now` dates it; `keep` manifests a region stay to roll back to. Blobs in `known` were read
/// back from there by the publishing before, and are not read again; it is replaced by those of this one.
///
/// # Errors
/// The destination fails for good, or gives back other bytes than were sent; what it served before, it still
/// serves.
pub fn publish(
    built: &SnapshotSet,
    to: &dyn Destination,
    now: Timestamp,
    keep: usize,
    prune: bool,
    known: &mut BTreeSet<String>,
    mut report: impl FnMut(&str),
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut changed = Vec::new();
    for manifest in &built.manifests {
        if present(to, &manifest.region)?.as_ref() != Some(manifest) {
            changed.push(manifest);
        }
    }
    for blob in changed.iter().flat_map(|manifest| manifest.named()) {
        let key = blob_key(&blob.hash);
        if known.contains(&blob.hash) {
            continue;
        }
        if intact(to, &blob.hash)? {
            known.insert(blob.hash.clone());
            continue;
        }
        let bytes = built.blobs.get(&blob.hash).with_context(|| format!("{key} was not built"))?;
        to.put(&key, bytes)?;
        if !intact(to, &blob.hash)? {
            bail!("{key} reads back damaged from {}; nothing was switched over", to.name());
        }
        known.insert(blob.hash.clone());
        outcome.wrote += 1;
        outcome.bytes += bytes.len();
        report(&format!("{key}  {}  {} bytes", blob.name, bytes.len()));
    }
    let mut dropped = BTreeSet::new();
    for manifest in &changed {
        let (history, gone) = extend(history(to, &manifest.region)?, manifest, now, keep);
        dropped.extend(gone);
        let key = manifest_key(&manifest.region);
        for (key, bytes) in [
            (history_key(&manifest.region), serde_json::to_vec(&history)?),
            (key.clone(), manifest.to_json()),
        ] {
            to.put(&key, &bytes)?;
            outcome.wrote += 1;
            outcome.bytes += bytes.len();
        }
        report(&format!("{key}  version {}", manifest.version));
    }
    for region in regions_at(to)? {
        if built.manifests.iter().any(|manifest| manifest.region == region) {
            continue;
        }
        if prune {
            let old = history(to, &region)?;
            dropped.extend(blobs_of(&old).map(str::to_owned));
            to.delete(&manifest_key(&region))?;
            to.delete(&history_key(&region))?;
            report(&format!("{}  removed", manifest_key(&region)));
        } else {
            outcome.unbuilt_regions.push(region);
        }
    }
    outcome.removed = sweep(to, dropped, &mut report)?;
    // What the present manifests name is in their histories, so that no other publisher removes it.
    *known = built.manifests.iter().flat_map(Manifest::named).map(|blob| blob.hash.clone()).collect();
    Ok(outcome)
}

fn intact(to: &dyn Destination, hash: &str) -> Result<bool> {
    Ok(to.get(&blob_key(hash))?.is_some_and(|bytes| content_hash(&bytes) == hash))
}

/// The history with `manifest` as its newest, and the blobs of the manifests it lets go.
fn extend(
    mut history: Vec<Published>,
    manifest: &Manifest,
    now: Timestamp,
    keep: usize,
) -> (Vec<Published>, BTreeSet<String>) {
    history.retain(|published| published.manifest.version != manifest.version);
    history.push(Published { published_at: now, manifest: manifest.clone() });
    // A manifest was in use until the next was published.
    let until = |place: usize| history.get(place + 1).map_or(now, |next| next.published_at);
    let young = (0..history.len()).find(|place| now.0 - until(*place).0 < GRACE_MS).unwrap_or(0);
    let first = young.min(history.len().saturating_sub(keep)).max(history.len().saturating_sub(MAX_HISTORY));
    let kept = history.split_off(first);
    let named: BTreeSet<&str> = blobs_of(&kept).collect();
    let gone = blobs_of(&history).filter(|hash| !named.contains(hash)).map(str::to_owned).collect();
    (kept, gone)
}

/// Removes those of `candidates` that no history names any more.
fn sweep(
    to: &dyn Destination,
    mut candidates: BTreeSet<String>,
    report: &mut impl FnMut(&str),
) -> Result<usize> {
    if candidates.is_empty() {
        return Ok(0);
    }
    for region in regions_at(to)? {
        for hash in blobs_of(&history(to, &region)?) {
            candidates.remove(hash);
        }
    }
    for hash in &candidates {
        to.delete(&blob_key(hash))?;
        report(&format!("{}  removed", blob_key(hash)));
    }
    Ok(candidates.len())
}

/// Makes the manifest before the present one the present one, in `region` or in all. Returns (region, version).
///
/// # Errors
/// There is nothing before it, or its blobs are gone; then nothing was changed in that region.
pub fn roll_back(to: &dyn Destination, region: Option<&str>) -> Result<Vec<(String, String)>> {
    let regions = match region {
        Some(region) => vec![region.to_owned()],
        None => regions_at(to)?,
    };
    if regions.is_empty() {
        bail!("nothing was published to {}", to.name());
    }
    let mut targets = Vec::new();
    for region in regions {
        let Some(now) = present(to, &region)? else { bail!("region '{region}' was never published") };
        let history = history(to, &region)?;
        let place = history.iter().position(|published| published.manifest.version == now.version);
        let Some(before) = place.and_then(|place| history.get(place.checked_sub(1)?)) else {
            bail!("region '{region}' has no earlier snapshot at {}", to.name());
        };
        for blob in before.manifest.named() {
            if !intact(to, &blob.hash)? {
                bail!(
                    "region '{region}': {} of the earlier snapshot is gone or damaged",
                    blob_key(&blob.hash)
                );
            }
        }
        targets.push(before.manifest.clone());
    }
    for manifest in &targets {
        to.put(&manifest_key(&manifest.region), &manifest.to_json())?;
    }
    Ok(targets.into_iter().map(|manifest| (manifest.region, manifest.version)).collect())
}

#[cfg(test)]
mod tests;
