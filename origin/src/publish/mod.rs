//! Publishing snapshots to where the edge reads them, and rolling back.
//!
//! The order of writes makes it safe: first the blobs, each read back and compared, then the region's history, and last
//! its manifest. Readers start from a manifest, so if the publisher is killed at any time, the edge serves the old or the
//! new snapshot. Blobs are named by their hash, so that existing ones are not sent again.
//!
//! May import: `rules`, `pack`, `stream`, `store`, `config` and the crates below.

pub mod destination;
mod error;
pub mod kv;

pub use error::{PublishError, Result};

use crate::{
    config::{ItemsFrom, Kv, StreamOptions},
    pack::{SnapshotSet, refresh::Refresher},
    rules,
    store::{Store, lock, snapshots_dir},
    stream::checkpoint,
};
use destination::{Destination, Directory};
use kv::KvNamespace;
use serde::{Deserialize, Serialize};
use snapshots::{
    manifest::{Manifest, blob_key, content_hash, is_region, manifest_key},
    time::Timestamp,
};
use std::{collections::BTreeSet, fs::File, path::Path};

/// How long the blobs of a replaced manifest are kept at least, because readers may still use it.
const GRACE_PERIOD_MS: i64 = 3_600_000;
/// Most manifests in a history, including those in the grace period.
const MAX_HISTORY: usize = 200;

/// The destination of this name: `kv`, or a directory as `dir:PATH`. Without `dir:`, a path is one that contains a `/` or
/// that exists, so that a misspelt name of a destination does not create a directory.
///
/// # Errors
/// A setting of KV is missing, or there is no such destination.
pub fn open(name: &str, kv: &Kv) -> Result<Box<dyn Destination + Send>> {
    let path = name.strip_prefix("dir:").or_else(|| {
        let is_path = !name.contains(':') && (name.contains('/') || Path::new(name).is_dir());
        is_path.then_some(name)
    });
    match path.filter(|path| !path.is_empty()) {
        _ if name == "kv" => Ok(Box::new(KvNamespace::new(kv)?)),
        Some(path) => Ok(Box::new(Directory::new(path.as_ref()))),
        None => Err(PublishError::UnknownDestination(name.to_owned())),
    }
}

/// Waits for the publishing lock of a data directory. Without it, one publisher could delete a blob that another is about
/// to name in a manifest.
///
/// # Errors
/// The data directory cannot be written.
pub fn lock_publishing(data_dir: &Path) -> Result<File> {
    Ok(lock(data_dir, "publish.lock")?)
}

/// The snapshots of the serving model with the current popularity, attributes and rules.
///
/// # Errors
/// There are no snapshots, the store or the log cannot be read, or the rules are invalid.
pub fn up_to_date(data_dir: &Path, options: StreamOptions, items: Option<ItemsFrom>) -> Result<SnapshotSet> {
    let mut refresher = Refresher::new(SnapshotSet::load(&snapshots_dir(data_dir))?)?;
    let log = origin_log::dir(data_dir);
    let (mut tables, mut reader, _) = checkpoint::load(data_dir, &log, options)?;
    reader.read(|record, names| tables.add(record, names)).map_err(anyhow::Error::from)?;
    if reader.position() > 0 {
        let store = Store::open(data_dir)?.with_items_from(items);
        refresher.attributes(&store.items()?, store.others_in_stock()?)?;
        refresher.popularity(&tables.popularity_counts())?;
    }
    refresher.rules(&rules::load(data_dir)?)?;
    Ok(refresher.into_built())
}

/// An entry of a region's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PublishedManifest {
    published_at: Timestamp,
    manifest: Manifest,
}

/// The result of [`publish`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishReport {
    /// Number of keys written.
    pub keys_written: usize,
    /// Number of bytes written.
    pub bytes_written: usize,
    /// Number of blobs deleted because no manifest names them any more.
    pub blobs_removed: usize,
    /// Regions at the destination that are not in the snapshot set.
    pub unbuilt_regions: Vec<String>,
}

fn history_key(region: &str) -> String {
    format!("history/{region}")
}

fn damaged(to: &dyn Destination, key: String, error: impl std::fmt::Display) -> PublishError {
    PublishError::Damaged { key, destination: to.name(), detail: error.to_string() }
}

/// The manifests that were published for a region, oldest first; empty if there were none.
fn history(to: &dyn Destination, region: &str) -> Result<Vec<PublishedManifest>> {
    let key = history_key(region);
    match to.get(&key)? {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| damaged(to, key, error)),
        None => Ok(Vec::new()),
    }
}

/// The current manifest of a region; `None` if none was published.
fn current_manifest(to: &dyn Destination, region: &str) -> Result<Option<Manifest>> {
    let key = manifest_key(region);
    match to.get(&key)? {
        Some(bytes) => Manifest::parse(&bytes).map(Some).map_err(|error| damaged(to, key, error)),
        None => Ok(None),
    }
}

/// Hashes of all blobs that a history names.
fn blob_hashes(history: &[PublishedManifest]) -> impl Iterator<Item = &str> {
    history.iter().flat_map(|published| published.manifest.named().map(|blob| &*blob.hash))
}

fn published_regions(to: &dyn Destination) -> Result<Vec<String>> {
    let keys = to.list(&manifest_key(""))?;
    let names = keys.iter().filter_map(|key| key.strip_prefix("manifest/"));
    Ok(names.filter(|name| is_region(name)).map(str::to_owned).collect())
}

/// Publishes a snapshot set: sends new blobs, writes the histories and manifests of changed regions, and deletes blobs
/// that no manifest names any more.
///
/// - `now` is stored as the time of publication.
/// - `keep` manifests per region stay in the history for rollbacks.
/// - `prune` removes regions that are not in `built`.
/// - `verified` has the hashes of blobs that an earlier call read back; they are not read again. The call replaces its
///   content by the blobs of `built`.
/// - `progress` is called with a line of text for each change.
///
/// # Errors
/// The destination fails after all retries, or returns other bytes than were sent. Regions whose manifest was not written
/// yet keep serving their previous snapshot.
pub fn publish(
    built: &SnapshotSet,
    to: &dyn Destination,
    now: Timestamp,
    keep: usize,
    prune: bool,
    verified: &mut BTreeSet<String>,
    mut progress: impl FnMut(&str),
) -> Result<PublishReport> {
    let mut report = PublishReport::default();
    let mut changed = Vec::new();
    for manifest in &built.manifests {
        match current_manifest(to, &manifest.region) {
            Ok(Some(current)) if current == *manifest => {}
            // A damaged manifest is replaced.
            Ok(_) | Err(PublishError::Damaged { .. }) => changed.push(manifest),
            Err(error) => return Err(error),
        }
    }
    for blob in changed.iter().flat_map(|manifest| manifest.named()) {
        let key = blob_key(&blob.hash);
        if verified.contains(&blob.hash) {
            continue;
        }
        if is_intact(to, &blob.hash)? {
            verified.insert(blob.hash.clone());
            continue;
        }
        let bytes = built.blobs.get(&blob.hash).ok_or_else(|| PublishError::Missing(key.clone()))?;
        to.put(&key, bytes)?;
        if !is_intact(to, &blob.hash)? {
            return Err(PublishError::ReadBack { key, destination: to.name() });
        }
        verified.insert(blob.hash.clone());
        report.keys_written += 1;
        report.bytes_written += bytes.len();
        progress(&format!("{key}  {}  {} bytes", blob.name, bytes.len()));
    }
    let (mut unnamed, mut may_remove) = (BTreeSet::new(), true);
    for manifest in &changed {
        let old_history = match history(to, &manifest.region) {
            Err(error @ PublishError::Damaged { .. }) => {
                progress(&format!("{error}; starting a new history, and no blob is removed"));
                may_remove = false;
                // The current snapshot stays available for a rollback, unless its manifest is damaged too.
                let current = match current_manifest(to, &manifest.region) {
                    Err(PublishError::Damaged { .. }) => None,
                    current => current?,
                };
                current
                    .map(|manifest| PublishedManifest { published_at: now, manifest })
                    .into_iter()
                    .collect()
            }
            history => history?,
        };
        let (history, dropped) = append_to_history(old_history, manifest, now, keep);
        unnamed.extend(dropped);
        let key = manifest_key(&manifest.region);
        for (key, bytes) in [
            (history_key(&manifest.region), serde_json::to_vec(&history).map_err(anyhow::Error::from)?),
            (key.clone(), manifest.to_json()),
        ] {
            to.put(&key, &bytes)?;
            report.keys_written += 1;
            report.bytes_written += bytes.len();
        }
        progress(&format!("{key}  version {}", manifest.version));
    }
    for region in published_regions(to)? {
        if built.manifests.iter().any(|manifest| manifest.region == region) {
            continue;
        }
        if prune {
            let old = history(to, &region)?;
            unnamed.extend(blob_hashes(&old).map(str::to_owned));
            to.delete(&manifest_key(&region))?;
            to.delete(&history_key(&region))?;
            progress(&format!("{}  removed", manifest_key(&region)));
        } else {
            report.unbuilt_regions.push(region);
        }
    }
    if may_remove {
        report.blobs_removed = sweep(to, unnamed, &mut progress)?;
    }
    // Other publishers do not delete these, as the current manifests and histories name them.
    *verified = built.manifests.iter().flat_map(Manifest::named).map(|blob| blob.hash.clone()).collect();
    Ok(report)
}

/// Whether the blob exists and its content has this hash.
fn is_intact(to: &dyn Destination, hash: &str) -> Result<bool> {
    Ok(to.get(&blob_key(hash))?.is_some_and(|bytes| content_hash(&bytes) == hash))
}

/// Appends `manifest` to a history and truncates it to `keep` entries and those in the grace period. Returns the new
/// history and the blobs that only dropped entries name.
fn append_to_history(
    mut history: Vec<PublishedManifest>,
    manifest: &Manifest,
    now: Timestamp,
    keep: usize,
) -> (Vec<PublishedManifest>, BTreeSet<String>) {
    history.retain(|published| published.manifest.version != manifest.version);
    history.push(PublishedManifest { published_at: now, manifest: manifest.clone() });
    // A manifest was in use until the next one was published.
    let used_until = |index: usize| history.get(index + 1).map_or(now, |next| next.published_at);
    let in_grace =
        (0..history.len()).find(|index| now.0 - used_until(*index).0 < GRACE_PERIOD_MS).unwrap_or(0);
    let first =
        in_grace.min(history.len().saturating_sub(keep)).max(history.len().saturating_sub(MAX_HISTORY));
    let kept = history.split_off(first);
    let named: BTreeSet<&str> = blob_hashes(&kept).collect();
    let dropped = blob_hashes(&history).filter(|hash| !named.contains(hash)).map(str::to_owned).collect();
    (kept, dropped)
}

/// Deletes the blobs in `candidates` that no history and no current manifest names. If one of these is damaged, it is
/// unknown what it names, and nothing is deleted.
fn sweep(
    to: &dyn Destination,
    mut candidates: BTreeSet<String>,
    progress: &mut impl FnMut(&str),
) -> Result<usize> {
    if candidates.is_empty() {
        return Ok(0);
    }
    for region in published_regions(to)? {
        let named = history(to, &region).and_then(|history| Ok((history, current_manifest(to, &region)?)));
        let (history, current) = match named {
            Err(error @ PublishError::Damaged { .. }) => {
                progress(&format!("{error}; no blob is removed"));
                return Ok(0);
            }
            named => named?,
        };
        let current = current.iter().flat_map(Manifest::named).map(|blob| &*blob.hash);
        for hash in blob_hashes(&history).chain(current) {
            candidates.remove(hash);
        }
    }
    for hash in &candidates {
        to.delete(&blob_key(hash))?;
        progress(&format!("{}  removed", blob_key(hash)));
    }
    Ok(candidates.len())
}

/// Replaces the manifest of `region`, or of all regions, by the one published before it. Returns the region and version of
/// each restored manifest.
///
/// # Errors
/// A region has no earlier snapshot, or blobs of it are missing or damaged. Then no region is changed.
pub fn roll_back(to: &dyn Destination, region: Option<&str>) -> Result<Vec<(String, String)>> {
    let regions = match region {
        Some(region) => vec![region.to_owned()],
        None => published_regions(to)?,
    };
    if regions.is_empty() {
        return Err(PublishError::NoRollback(format!("nothing was published to {}", to.name())));
    }
    let mut targets = Vec::new();
    for region in regions {
        let Some(current) = current_manifest(to, &region)? else {
            return Err(PublishError::NoRollback(format!("region '{region}' was never published")));
        };
        let history = history(to, &region)?;
        let index = history.iter().position(|published| published.manifest.version == current.version);
        let Some(previous) = index.and_then(|index| history.get(index.checked_sub(1)?)) else {
            return Err(PublishError::NoRollback(format!(
                "region '{region}' has no earlier snapshot at {}",
                to.name()
            )));
        };
        for blob in previous.manifest.named() {
            if !is_intact(to, &blob.hash)? {
                return Err(PublishError::NoRollback(format!(
                    "region '{region}': {} of the earlier snapshot is missing or damaged",
                    blob_key(&blob.hash)
                )));
            }
        }
        targets.push(previous.manifest.clone());
    }
    for manifest in &targets {
        to.put(&manifest_key(&manifest.region), &manifest.to_json())?;
    }
    Ok(targets.into_iter().map(|manifest| (manifest.region, manifest.version)).collect())
}

#[cfg(test)]
mod tests;
