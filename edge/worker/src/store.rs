//! The snapshots in an isolate's memory: lookup, refresh schedule and eviction.
//!
//! Nothing here waits or reads; `load` does. Workers forbid awaiting another request's I/O, so a request that needs
//! what another is loading polls the store until it is there.

use limits::{MAX_HELD, MAX_SNAPSHOT};
use snapshots::manifest::{BlobRef, Manifest, WORLD};
use snapshots::shards::{ShardCache, ShardLookup};
use snapshots::{Bytes, Error, Shard, Snapshot};
use std::collections::HashMap;
use std::rc::Rc;

/// Limits on memory, in bytes.
pub mod limits {
    /// Of all blobs held at any moment, shards included, and both the old and the new snapshot during a refresh. An
    /// isolate has 128 MB; the rest is for one incoming KV value (25 MiB) and the program.
    pub const MAX_HELD: u64 = 80 << 20;
    /// Of one snapshot without its shards, so that it and its successor always fit.
    pub const MAX_SNAPSHOT: u64 = MAX_HELD / 2;
}

/// How long a load may take, in ms, before another request may start one for the same region. The platform may have
/// ended the request that started it.
const LEASE_MS: i64 = 5_000;
/// Pause after a failed first load, in ms.
const RETRY_MS: i64 = 1_000;

/// An opened snapshot and its manifest.
pub struct LoadedSnapshot {
    /// The manifest.
    pub manifest: Manifest,
    /// The tables.
    pub snapshot: Snapshot,
    /// The bytes of the manifest's resident blobs, in its order. Regions share equal blobs.
    pub blobs: Vec<Bytes>,
}

/// How a load ended.
pub enum LoadOutcome {
    /// A new snapshot.
    Loaded(Box<LoadedSnapshot>),
    /// The manifest still names the snapshot in memory.
    Unchanged,
    /// The manifest or a blob is missing, unreadable or damaged.
    Failed,
}

/// The result of looking up a region.
pub enum RegionLookup {
    /// A snapshot to answer from.
    Found(ServedSnapshot),
    /// Not in memory: the caller has to load it.
    StartLoad,
    /// Not in memory: another request is loading it.
    Loading,
    /// Not in memory: the last load failed less than a second ago.
    Failed,
}

/// A snapshot as one request uses it.
pub struct ServedSnapshot {
    /// The snapshot.
    pub loaded: Rc<LoadedSnapshot>,
    /// The snapshot with the shards that this request needs, if its tables are sharded.
    pub with_rows: Option<Box<Snapshot>>,
    /// How many shards are in `with_rows`, and how many the request needs.
    pub shards: (usize, usize),
    /// Whether the request had to wait for a load.
    pub waited: bool,
    /// Whether refreshing has failed for longer than `stale_after_ms`.
    pub outdated: bool,
    /// Whether this is the world's snapshot because that of the visitor's region could not be loaded.
    pub fallback: bool,
    /// Whether the caller has to refresh the snapshot in the background.
    pub refresh: bool,
}

impl ServedSnapshot {
    /// The snapshot to answer from.
    pub fn snapshot(&self) -> &Snapshot {
        self.with_rows.as_deref().unwrap_or(&self.loaded.snapshot)
    }

    /// Whether answers are to be marked `stale`: a load has failed, so they are not what they should be.
    pub const fn is_stale(&self) -> bool {
        self.outdated || self.fallback
    }

    /// Adds shards for this request, of `needed` in all. A shard that does not fit the snapshot counts as missing, so
    /// that the answer is not cached as complete.
    pub fn add_shards(&mut self, shards: Vec<Shard>, needed: usize) -> Vec<Error> {
        let (mut snapshot, mut added, mut errors) = (self.loaded.snapshot.clone(), 0, Vec::new());
        for shard in shards {
            match snapshot.add(shard) {
                Ok(()) => added += 1,
                Err(error) => errors.push(error),
            }
        }
        self.shards = (added, needed);
        self.with_rows = Some(Box::new(snapshot));
        errors
    }
}

struct LoadInProgress {
    since: i64,
    reserved: u64,
}

#[derive(Default)]
struct RegionState {
    loaded: Option<Rc<LoadedSnapshot>>,
    load: Option<LoadInProgress>,
    /// When the last load ended.
    tried_at: Option<i64>,
    failing_since: Option<i64>,
    used_at: i64,
}

/// When to refresh a snapshot, and when to call it stale.
#[derive(Clone, Copy)]
pub struct Freshness {
    /// How long a snapshot is assumed to be the newest, in ms.
    pub ttl_ms: i64,
    /// How long refreshing may fail, in ms.
    pub stale_after_ms: i64,
}

/// The snapshots of an isolate, by region.
#[derive(Default)]
pub struct Store {
    regions: HashMap<String, RegionState>,
    shards: ShardCache,
}

impl Store {
    /// Looks up a region's snapshot at `now` (ms). After [`RegionLookup::StartLoad`] or [`ServedSnapshot::refresh`], the
    /// caller has to load it and to report the outcome to [`Store::finish`].
    pub fn look_up(&mut self, name: &str, now: i64, freshness: Freshness) -> RegionLookup {
        let region = self.regions.entry(name.to_owned()).or_default();
        region.used_at = now;
        let being_loaded = region.load.as_ref().is_some_and(|load| now.saturating_sub(load.since) < LEASE_MS);
        let tried_ago = region.tried_at.map_or(i64::MAX, |tried| now.saturating_sub(tried));
        let wait = if region.loaded.is_some() { freshness.ttl_ms } else { RETRY_MS.min(freshness.ttl_ms) };
        let due = !being_loaded && tried_ago >= wait;
        if due {
            // A load that was never finished has failed: the platform ended its request.
            if let Some(abandoned) = &region.load {
                region.failing_since = region.failing_since.or(Some(abandoned.since));
            }
            region.load = Some(LoadInProgress { since: now, reserved: 0 });
        }
        match &region.loaded {
            Some(loaded) => RegionLookup::Found(ServedSnapshot {
                loaded: Rc::clone(loaded),
                with_rows: None,
                shards: (0, 0),
                waited: false,
                fallback: false,
                outdated: region
                    .failing_since
                    .is_some_and(|since| now.saturating_sub(since) > freshness.stale_after_ms),
                refresh: due,
            }),
            None if due => RegionLookup::StartLoad,
            None if being_loaded => RegionLookup::Loading,
            None => RegionLookup::Failed,
        }
    }

    /// A region's snapshot, without counting as use.
    pub fn get(&self, name: &str) -> Option<&Rc<LoadedSnapshot>> {
        self.regions.get(name)?.loaded.as_ref()
    }

    /// All snapshots, by region.
    pub fn held(&self) -> impl Iterator<Item = (&str, &LoadedSnapshot)> {
        self.regions.iter().filter_map(|(name, region)| Some((&**name, &**region.loaded.as_ref()?)))
    }

    /// A blob in memory, of any region.
    pub fn blob(&self, hash: &str) -> Option<Bytes> {
        self.held().find_map(|(_, loaded)| {
            let place = loaded.manifest.resident().position(|blob| blob.hash == hash)?;
            loaded.blobs.get(place).cloned()
        })
    }

    /// Looks up a shard at `now` (ms). After [`ShardLookup::StartRead`], the caller has to read it and to report the
    /// outcome to [`Store::finish_shard`].
    pub fn look_up_shard(&mut self, blob: &BlobRef, now: i64) -> ShardLookup {
        let room = MAX_HELD.saturating_sub(self.held_bytes()).saturating_sub(self.reserved(""));
        self.shards.look_up(blob, room, now)
    }

    /// Stores a shard; `None` if it could not be read.
    pub fn finish_shard(&mut self, hash: &str, shard: Option<Shard>, now: i64) {
        self.shards.finish(hash, shard, now);
    }

    /// Bytes of the shards in memory or being read.
    pub fn shard_bytes(&self) -> u64 {
        self.shards.bytes()
    }

    /// Frees memory for `missing` more bytes of a snapshot of `whole` bytes. Evicts the least recently used regions
    /// other than the world, and shards.
    ///
    /// # Errors
    /// A message if the snapshot exceeds the limit, or loads of other regions leave no room.
    pub fn make_room(&mut self, name: &str, whole: u64, missing: u64) -> Result<(), String> {
        if whole > MAX_SNAPSHOT {
            return Err(format!("it has {whole} bytes, and an isolate holds {MAX_SNAPSHOT} at most"));
        }
        while self.held_bytes().saturating_add(self.reserved(name)).saturating_add(missing) > MAX_HELD {
            let oldest = self
                .regions
                .iter_mut()
                .filter(|(known, region)| *known != name && *known != WORLD && region.loaded.is_some())
                .min_by_key(|(_, region)| region.used_at);
            match oldest {
                Some((_, region)) => *region = RegionState::default(),
                None => {
                    return Err(format!("no room for {missing} bytes while other regions are being loaded"));
                }
            }
        }
        let resident = self.held_bytes().saturating_add(self.reserved(name)).saturating_add(missing);
        self.shards.shrink(MAX_HELD.saturating_sub(resident));
        if let Some(load) = self.regions.get_mut(name).and_then(|region| region.load.as_mut()) {
            load.reserved = missing;
        }
        Ok(())
    }

    fn reserved(&self, except: &str) -> u64 {
        let others = self.regions.iter().filter(|(name, _)| *name != except);
        others.filter_map(|(_, region)| Some(region.load.as_ref()?.reserved)).sum()
    }

    /// Bytes of all resident blobs, each counted once.
    fn held_bytes(&self) -> u64 {
        let mut sizes = HashMap::new();
        for (_, loaded) in self.held() {
            sizes.extend(loaded.manifest.resident().map(|blob| (&blob.hash, blob.bytes)));
        }
        sizes.values().sum()
    }

    /// Records the outcome of a load. A failed load keeps the old snapshot.
    pub fn finish(&mut self, name: &str, outcome: LoadOutcome, now: i64) {
        let region = self.regions.entry(name.to_owned()).or_default();
        region.load = None;
        region.tried_at = Some(now);
        match outcome {
            LoadOutcome::Failed => region.failing_since = region.failing_since.or(Some(now)),
            LoadOutcome::Unchanged => region.failing_since = None,
            LoadOutcome::Loaded(loaded) => {
                region.failing_since = None;
                region.loaded = Some(Rc::new(*loaded));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::envelope::{Envelope, Section};
    use snapshots::manifest::RowRange;
    use snapshots::rows::{COVIEW, Rows, write_shard};
    use snapshots::strategy::{self, Strategy};
    use snapshots::time::Timestamp;
    use snapshots::{attributes, ids, popularity};

    const FRESHNESS: Freshness = Freshness { ttl_ms: 30_000, stale_after_ms: 600_000 };

    /// An empty snapshot. Its manifest claims blobs of these sizes (MiB) and contents.
    fn loaded(region: &str, stated: &[(u64, u8)]) -> Box<LoadedSnapshot> {
        let sections = vec![
            Section::new(ids::NAME, ids::VERSION, ids::write(&[])),
            Section::new(attributes::NAME, attributes::VERSION, attributes::write("", &[], &[])),
            Section::new(popularity::NAME, popularity::VERSION, popularity::write(&[])),
            Section::new(strategy::NAME, strategy::VERSION, strategy::write(&[Strategy::default()]).unwrap()),
        ];
        let envelope = Envelope { region: String::new(), built_at: Timestamp(0), catalogue: 0, sections };
        let blob = Bytes::from(envelope.write().unwrap());
        let named = stated.iter().map(|(mib, content)| BlobRef {
            name: String::new(),
            hash: format!("{content:032x}"),
            bytes: mib << 20,
            rows: None,
        });
        let manifest = Manifest::new(region, Timestamp(0), named.collect(), Default::default());
        let snapshot = Snapshot::open(std::slice::from_ref(&blob)).unwrap();
        Box::new(LoadedSnapshot { manifest, snapshot, blobs: vec![blob; stated.len()] })
    }

    fn ready(store: &mut Store, region: &str, now: i64) -> ServedSnapshot {
        match store.look_up(region, now, FRESHNESS) {
            RegionLookup::Found(ready) => ready,
            _ => panic!("{region} is not ready"),
        }
    }

    fn hold(store: &mut Store, region: &str, stated: &[(u64, u8)], now: i64) {
        let snapshot = loaded(region, stated);
        let whole = snapshot.manifest.resident().map(|blob| blob.bytes).sum();
        let missing = snapshot.manifest.resident().filter(|blob| store.blob(&blob.hash).is_none());
        let missing = missing.map(|blob| blob.bytes).sum();
        assert!(matches!(
            store.look_up(region, now, FRESHNESS),
            RegionLookup::StartLoad | RegionLookup::Found(_)
        ));
        store.make_room(region, whole, missing).unwrap();
        store.finish(region, LoadOutcome::Loaded(snapshot), now);
    }

    #[test]
    fn one_request_loads_and_others_wait_until_its_lease_ends() {
        let mut store = Store::default();
        assert!(matches!(store.look_up("gb", 0, FRESHNESS), RegionLookup::StartLoad));
        assert!(matches!(store.look_up("gb", 1, FRESHNESS), RegionLookup::Loading));
        assert!(matches!(store.look_up("fr", 1, FRESHNESS), RegionLookup::StartLoad));
        assert!(matches!(store.look_up("gb", LEASE_MS, FRESHNESS), RegionLookup::StartLoad));
        store.finish("gb", LoadOutcome::Failed, LEASE_MS + 1);
        assert!(matches!(store.look_up("gb", LEASE_MS + 2, FRESHNESS), RegionLookup::Failed));
        assert!(matches!(store.look_up("gb", LEASE_MS + 1 + RETRY_MS, FRESHNESS), RegionLookup::StartLoad));
    }

    #[test]
    fn one_request_refreshes_in_the_background() {
        let mut store = Store::default();
        hold(&mut store, "gb", &[(1, 1)], 0);
        assert!(!ready(&mut store, "gb", 29_999).refresh);
        assert!(ready(&mut store, "gb", 30_000).refresh);
        assert!(!ready(&mut store, "gb", 30_001).refresh);
        store.finish("gb", LoadOutcome::Unchanged, 30_002);
        assert!(!ready(&mut store, "gb", 60_001).refresh);
        assert!(ready(&mut store, "gb", 60_002).refresh);
    }

    #[test]
    fn a_snapshot_is_stale_after_failed_refreshes_but_not_after_idle_time() {
        let mut store = Store::default();
        hold(&mut store, "gb", &[(1, 1)], 0);
        assert!(!ready(&mut store, "gb", 10_000_000).outdated);
        store.finish("gb", LoadOutcome::Failed, 10_000_000);
        assert!(!ready(&mut store, "gb", 10_600_000).outdated);
        store.finish("gb", LoadOutcome::Failed, 10_600_001);
        assert!(ready(&mut store, "gb", 10_600_001).outdated);
        store.finish("gb", LoadOutcome::Unchanged, 10_600_002);
        assert!(!ready(&mut store, "gb", 10_600_003).outdated);
    }

    #[test]
    fn the_least_recently_used_region_is_evicted_but_never_the_world() {
        let mut store = Store::default();
        hold(&mut store, WORLD, &[(20, 1)], 0);
        hold(&mut store, "gb", &[(20, 1), (18, 2)], 1);
        hold(&mut store, "fr", &[(20, 1), (18, 3)], 2);
        assert_eq!(store.held_bytes(), 56 << 20);
        ready(&mut store, "gb", 3);
        hold(&mut store, "de", &[(39, 4)], 4);
        assert!(store.get("fr").is_none() && store.get("gb").is_some() && store.get(WORLD).is_some());
        assert!(store.held_bytes() <= MAX_HELD);
        assert!(store.blob(&format!("{:032x}", 3)).is_none());
        assert!(store.make_room("es", MAX_SNAPSHOT + 1, 1).is_err());
    }

    #[test]
    fn a_refresh_that_never_finishes_counts_as_failed() {
        let mut store = Store::default();
        hold(&mut store, "gb", &[(1, 1)], 0);
        // Each of these requests starts a refresh, and the platform ends it.
        for now in (30_000..700_000).step_by(40_000) {
            assert!(ready(&mut store, "gb", now).refresh);
        }
        assert!(ready(&mut store, "gb", 710_000).outdated);
        store.finish("gb", LoadOutcome::Unchanged, 710_001);
        assert!(!ready(&mut store, "gb", 710_002).outdated);
    }

    #[test]
    fn a_shard_that_does_not_fit_counts_as_missing() {
        let mut store = Store::default();
        hold(&mut store, "gb", &[(1, 1)], 0);
        let mut served = ready(&mut store, "gb", 1);
        let rows = Rows::open(COVIEW, &write_shard(&[vec![(0, 1.0)]], 0, 16).into()).unwrap();
        let shard = Shard { table: COVIEW, rows };
        assert_eq!(served.add_shards(vec![shard.clone(), shard], 2).len(), 1);
        assert_eq!(served.shards, (1, 2));
    }

    #[test]
    fn shards_use_the_remaining_memory_and_are_evicted_for_snapshots() {
        let mut store = Store::default();
        hold(&mut store, WORLD, &[(30, 1)], 0);
        let shard = |number: u32| {
            let rows = Some(RowRange { first: number, end: number + 1 });
            BlobRef { name: COVIEW.to_owned(), hash: format!("5{number:031x}"), bytes: 4 << 20, rows }
        };
        let rows = Rows::open(COVIEW, &write_shard(&[vec![(0, 1.0)]], 0, 16).into()).unwrap();
        for number in 0..20 {
            assert!(matches!(store.look_up_shard(&shard(number), 0), ShardLookup::StartRead));
            store.finish_shard(&shard(number).hash, Some(Shard { table: COVIEW, rows: rows.clone() }), 0);
        }
        assert_eq!(store.shard_bytes(), 48 << 20);
        assert!(matches!(store.look_up_shard(&shard(19), 0), ShardLookup::Held(_)));
        hold(&mut store, WORLD, &[(30, 2)], 40_000);
        assert_eq!(store.shard_bytes(), 20 << 20);
        assert!(matches!(store.look_up_shard(&shard(19), 0), ShardLookup::Held(_)));
    }

    #[test]
    fn a_load_in_progress_reserves_memory() {
        let mut store = Store::default();
        for region in ["gb", "fr", "de"] {
            store.look_up(region, 0, FRESHNESS);
        }
        store.make_room("gb", 40 << 20, 40 << 20).unwrap();
        store.make_room("fr", 40 << 20, 40 << 20).unwrap();
        assert!(store.make_room("de", 1, 1).is_err());
        store.finish("gb", LoadOutcome::Failed, 1);
        assert!(store.make_room("de", 1, 1).is_ok());
    }
}
