//! The snapshots that an isolate holds: which are there, which are due for another look, and which give way.
//!
//! Nothing here waits or reads; `load` does. So one request's work is never awaited by another, which Workers
//! forbid: a request that needs what another is loading looks again until it is there.

use bytes_budget::{MAX_HELD, MAX_SNAPSHOT};
use snapshots::shards::{self, Shards};
use snapshots::{Bytes, Snapshot, manifest::BlobRef, manifest::Manifest, manifest::WORLD};
use std::collections::HashMap;
use std::rc::Rc;

/// The bounds on memory.
pub mod bytes_budget {
    /// The most bytes of blobs held at any moment, shards and those of a snapshot and its successor while they change
    /// places included. An isolate has 128 MB; the rest is for one value of KV (25 MiB) on its way in and for
    /// the program.
    pub const MAX_HELD: u64 = 80 << 20;
    /// The most bytes of one snapshot without its shards, so that it and its successor always fit.
    pub const MAX_SNAPSHOT: u64 = MAX_HELD / 2;
}

/// How long a load may take before another request may begin one for the same region. The request that began
/// it may have been ended by the platform.
const LEASE_MS: i64 = 5_000;
/// How long after a failed first load the next is tried.
const RETRY_MS: i64 = 1_000;

/// An opened snapshot and the manifest it was named by.
pub struct Loaded {
    /// The manifest.
    pub manifest: Manifest,
    /// The tables.
    pub snapshot: Snapshot,
    /// The bytes of the manifest's resident blobs, in its order; shared with other regions.
    pub blobs: Vec<Bytes>,
}

/// How a load ended.
pub enum Outcome {
    /// There is a new snapshot.
    Loaded(Box<Loaded>),
    /// The manifest names what is held already.
    Unchanged,
    /// There is no manifest, or it or a blob cannot be used.
    Failed,
}

/// What a request finds when it looks for a region.
pub enum Look {
    /// A snapshot.
    Ready(Ready),
    /// None yet: the caller is to load it.
    Load,
    /// None yet: another request is loading it.
    Wait,
    /// None: it could not be loaded a moment ago.
    Failed,
}

/// A snapshot to answer from.
pub struct Ready {
    /// The snapshot.
    pub loaded: Rc<Loaded>,
    /// The snapshot with the rows that this request needs, where tables are cut into shards.
    pub with_rows: Option<Box<Snapshot>>,
    /// How many of the shards that this request needs are at hand, and how many it needs.
    pub shards: (usize, usize),
    /// Whether the request had to wait for any of it.
    pub waited: bool,
    /// Whether refreshing it has failed for too long.
    pub stale: bool,
    /// Whether the caller is to refresh it, behind its answer.
    pub refresh: bool,
}

impl Ready {
    /// The snapshot to answer from.
    pub fn snapshot(&self) -> &Snapshot {
        self.with_rows.as_deref().unwrap_or(&self.loaded.snapshot)
    }
}

struct Load {
    since: i64,
    reserved: u64,
}

#[derive(Default)]
struct Region {
    loaded: Option<Rc<Loaded>>,
    load: Option<Load>,
    /// When the last load ended.
    tried_at: Option<i64>,
    failing_since: Option<i64>,
    used_at: i64,
}

/// How often to look for a newer snapshot, and when to say that one is stale, in ms.
#[derive(Clone, Copy)]
pub struct Freshness {
    /// How long a snapshot is taken to be the newest.
    pub ttl_ms: i64,
    /// How long refreshing may fail.
    pub stale_after_ms: i64,
}

/// The snapshots of an isolate, by region.
#[derive(Default)]
pub struct Store {
    regions: HashMap<String, Region>,
    shards: Shards,
}

impl Store {
    /// Looks for a region's snapshot at `now` (ms). [`Look::Load`] and [`Ready::refresh`] bind the caller to
    /// load it and to tell the outcome to [`Store::finish`].
    pub fn look(&mut self, name: &str, now: i64, freshness: Freshness) -> Look {
        let region = self.regions.entry(name.to_owned()).or_default();
        region.used_at = now;
        let being_loaded = region.load.as_ref().is_some_and(|load| now.saturating_sub(load.since) < LEASE_MS);
        let tried_ago = region.tried_at.map_or(i64::MAX, |tried| now.saturating_sub(tried));
        let wait = if region.loaded.is_some() { freshness.ttl_ms } else { RETRY_MS.min(freshness.ttl_ms) };
        let due = !being_loaded && tried_ago >= wait;
        if due {
            region.load = Some(Load { since: now, reserved: 0 });
        }
        match &region.loaded {
            Some(loaded) => Look::Ready(Ready {
                loaded: Rc::clone(loaded),
                with_rows: None,
                shards: (0, 0),
                waited: false,
                stale: region
                    .failing_since
                    .is_some_and(|since| now.saturating_sub(since) > freshness.stale_after_ms),
                refresh: due,
            }),
            None if due => Look::Load,
            None if being_loaded => Look::Wait,
            None => Look::Failed,
        }
    }

    /// What is held of a region, without counting as use.
    pub fn get(&self, name: &str) -> Option<&Rc<Loaded>> {
        self.regions.get(name)?.loaded.as_ref()
    }

    /// Everything that is held, by region.
    pub fn held(&self) -> impl Iterator<Item = (&str, &Loaded)> {
        self.regions.iter().filter_map(|(name, region)| Some((&**name, &**region.loaded.as_ref()?)))
    }

    /// A blob that some region holds already.
    pub fn blob(&self, hash: &str) -> Option<Bytes> {
        self.held().find_map(|(_, loaded)| {
            let place = loaded.manifest.resident().position(|blob| blob.hash == hash)?;
            loaded.blobs.get(place).cloned()
        })
    }

    /// Looks for a shard at `now` (ms). [`shards::Look::Read`] binds the caller to read it and to tell the outcome
    /// to [`Store::finish_shard`].
    pub fn look_for_shard(&mut self, blob: &BlobRef, now: i64) -> shards::Look {
        let room = MAX_HELD.saturating_sub(self.held_bytes()).saturating_sub(self.reserved(""));
        self.shards.look(blob, room, now)
    }

    /// Takes a shard; `None` when it could not be read.
    pub fn finish_shard(&mut self, hash: &str, shard: Option<snapshots::Shard>, now: i64) {
        self.shards.finish(hash, shard, now);
    }

    /// Bytes of the shards at hand or on their way.
    pub fn shard_bytes(&self) -> u64 {
        self.shards.bytes()
    }

    /// Makes room for `missing` more bytes of a snapshot of `whole` bytes, at the cost of shards, and of the regions
    /// that were not asked for the longest.
    ///
    /// # Errors
    /// What does not fit, and the bound.
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
                Some((_, region)) => *region = Region::default(),
                None => return Err(format!("no room for {missing} bytes while others are being loaded")),
            }
        }
        let resident = self.held_bytes().saturating_add(self.reserved(name)).saturating_add(missing);
        self.shards.shrink(MAX_HELD.saturating_sub(resident));
        if let Some(load) = self.regions.get_mut(name).and_then(|region| region.load.as_mut()) {
            load.reserved = missing;
        }
        Ok(())
    }

    fn reserved(&self, but: &str) -> u64 {
        let others = self.regions.iter().filter(|(name, _)| *name != but);
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

    /// Takes the outcome of a load. What failed leaves the old snapshot in place.
    pub fn finish(&mut self, name: &str, outcome: Outcome, now: i64) {
        let region = self.regions.entry(name.to_owned()).or_default();
        region.load = None;
        region.tried_at = Some(now);
        match outcome {
            Outcome::Failed => region.failing_since = region.failing_since.or(Some(now)),
            Outcome::Unchanged => region.failing_since = None,
            Outcome::Loaded(loaded) => {
                region.failing_since = None;
                region.loaded = Some(Rc::new(*loaded));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::Shard;
    use snapshots::envelope::{Envelope, Section};
    use snapshots::manifest::RowRange;
    use snapshots::rows::{COVIEW, Rows, write_shard};
    use snapshots::strategy::{self, Strategy};
    use snapshots::time::Timestamp;
    use snapshots::{attributes, ids, popularity};

    const FRESHNESS: Freshness = Freshness { ttl_ms: 30_000, stale_after_ms: 600_000 };

    /// A snapshot of no items whose manifest states blobs of these (MiB, content) instead of its real one.
    fn loaded(region: &str, stated: &[(u64, u8)]) -> Box<Loaded> {
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
        Box::new(Loaded { manifest, snapshot, blobs: vec![blob; stated.len()] })
    }

    fn ready(store: &mut Store, region: &str, now: i64) -> Ready {
        match store.look(region, now, FRESHNESS) {
            Look::Ready(ready) => ready,
            _ => panic!("{region} is not ready"),
        }
    }

    fn hold(store: &mut Store, region: &str, stated: &[(u64, u8)], now: i64) {
        let snapshot = loaded(region, stated);
        let whole = snapshot.manifest.resident().map(|blob| blob.bytes).sum();
        let missing = snapshot.manifest.resident().filter(|blob| store.blob(&blob.hash).is_none());
        let missing = missing.map(|blob| blob.bytes).sum();
        assert!(matches!(store.look(region, now, FRESHNESS), Look::Load | Look::Ready(_)));
        store.make_room(region, whole, missing).unwrap();
        store.finish(region, Outcome::Loaded(snapshot), now);
    }

    #[test]
    fn one_request_loads_and_others_wait_until_its_lease_ends() {
        let mut store = Store::default();
        assert!(matches!(store.look("gb", 0, FRESHNESS), Look::Load));
        assert!(matches!(store.look("gb", 1, FRESHNESS), Look::Wait));
        assert!(matches!(store.look("fr", 1, FRESHNESS), Look::Load));
        assert!(matches!(store.look("gb", LEASE_MS, FRESHNESS), Look::Load));
        store.finish("gb", Outcome::Failed, LEASE_MS + 1);
        assert!(matches!(store.look("gb", LEASE_MS + 2, FRESHNESS), Look::Failed));
        assert!(matches!(store.look("gb", LEASE_MS + 1 + RETRY_MS, FRESHNESS), Look::Load));
    }

    #[test]
    fn one_request_refreshes_what_is_due_and_nobody_waits() {
        let mut store = Store::default();
        hold(&mut store, "gb", &[(1, 1)], 0);
        assert!(!ready(&mut store, "gb", 29_999).refresh);
        assert!(ready(&mut store, "gb", 30_000).refresh);
        assert!(!ready(&mut store, "gb", 30_001).refresh);
        store.finish("gb", Outcome::Unchanged, 30_002);
        assert!(!ready(&mut store, "gb", 60_001).refresh);
        assert!(ready(&mut store, "gb", 60_002).refresh);
    }

    #[test]
    fn a_snapshot_is_stale_when_refreshing_fails_for_long_not_when_nobody_asked() {
        let mut store = Store::default();
        hold(&mut store, "gb", &[(1, 1)], 0);
        assert!(!ready(&mut store, "gb", 10_000_000).stale);
        store.finish("gb", Outcome::Failed, 10_000_000);
        assert!(!ready(&mut store, "gb", 10_600_000).stale);
        store.finish("gb", Outcome::Failed, 10_600_001);
        assert!(ready(&mut store, "gb", 10_600_001).stale);
        store.finish("gb", Outcome::Unchanged, 10_600_002);
        assert!(!ready(&mut store, "gb", 10_600_003).stale);
    }

    #[test]
    fn the_longest_unused_region_gives_way_and_the_world_stays() {
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
    fn shards_take_what_room_is_left_and_give_way_to_snapshots() {
        let mut store = Store::default();
        hold(&mut store, WORLD, &[(30, 1)], 0);
        let shard = |number: u32| {
            let rows = Some(RowRange { first: number, end: number + 1 });
            BlobRef { name: COVIEW.to_owned(), hash: format!("5{number:031x}"), bytes: 4 << 20, rows }
        };
        let rows = Rows::open(COVIEW, &write_shard(&[vec![(0, 1.0)]], 0, 16).into()).unwrap();
        for number in 0..20 {
            assert!(matches!(store.look_for_shard(&shard(number), 0), shards::Look::Read));
            store.finish_shard(&shard(number).hash, Some(Shard { table: COVIEW, rows: rows.clone() }), 0);
        }
        assert_eq!(store.shard_bytes(), 48 << 20);
        assert!(matches!(store.look_for_shard(&shard(19), 0), shards::Look::Held(_)));
        hold(&mut store, WORLD, &[(30, 2)], 40_000);
        assert_eq!(store.shard_bytes(), 20 << 20);
        assert!(matches!(store.look_for_shard(&shard(19), 0), shards::Look::Held(_)));
    }

    #[test]
    fn what_is_being_loaded_counts_as_held() {
        let mut store = Store::default();
        for region in ["gb", "fr", "de"] {
            store.look(region, 0, FRESHNESS);
        }
        store.make_room("gb", 40 << 20, 40 << 20).unwrap();
        store.make_room("fr", 40 << 20, 40 << 20).unwrap();
        assert!(store.make_room("de", 1, 1).is_err());
        store.finish("gb", Outcome::Failed, 1);
        assert!(store.make_room("de", 1, 1).is_ok());
    }
}
