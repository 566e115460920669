//! A least-recently-used cache of table shards, bounded in bytes.
//!
//! It does no I/O. [`ShardCache::look_up`] tells the caller which shards to read, and [`ShardCache::finish`] stores them.
//! So requests of one isolate never read the same shard twice at once, and none awaits another's I/O.

use super::{manifest::BlobRef, rows::Rows};
use std::collections::HashMap;

/// A shard: some rows of one table.
#[derive(Clone, Debug)]
pub struct Shard {
    /// The table, one of [`crate::rows::TABLES`].
    pub table: &'static str,
    /// The rows.
    pub rows: Rows,
}

/// How long a read may take, in ms, before another request may start one for the same shard. The platform may have ended
/// the request that started it.
const LEASE_MS: i64 = 5_000;
/// Pause after a failed read, in ms.
const RETRY_MS: i64 = 1_000;

/// The result of looking up a shard.
#[derive(Debug)]
pub enum ShardLookup {
    /// In the cache.
    Held(Shard),
    /// Not in the cache: the caller has to read it and to report the outcome to [`ShardCache::finish`].
    StartRead,
    /// Not in the cache: another request is reading it.
    Reading,
    /// Not in the cache: reading it failed less than a second ago, or it does not fit.
    Failed,
}

#[derive(Debug)]
enum State {
    Held { shard: Shard, used: u64 },
    Reading { since: i64 },
    Failed { at: i64 },
}

#[derive(Debug)]
struct Entry {
    state: State,
    bytes: u64,
}

/// The cache, by content hash.
#[derive(Debug, Default)]
pub struct ShardCache {
    entries: HashMap<String, Entry>,
    /// Bytes of the shards in the cache or being read.
    bytes: u64,
    /// Number of lookups so far: orders the shards by use even while the clock stands still.
    lookups: u64,
}

impl ShardCache {
    /// Looks up a shard at `now` (ms), with a limit on the bytes of the cache.
    pub fn look_up(&mut self, blob: &BlobRef, limit: u64, now: i64) -> ShardLookup {
        self.lookups += 1;
        match self.entries.get_mut(&blob.hash).map(|entry| &mut entry.state) {
            Some(State::Held { shard, used }) => {
                *used = self.lookups;
                return ShardLookup::Held(shard.clone());
            }
            Some(State::Reading { since }) if now.saturating_sub(*since) < LEASE_MS => {
                return ShardLookup::Reading;
            }
            Some(State::Failed { at }) if now.saturating_sub(*at) < RETRY_MS => return ShardLookup::Failed,
            _ => {}
        }
        self.remove(&blob.hash);
        self.shrink(limit.saturating_sub(blob.bytes));
        let room = self.bytes.saturating_add(blob.bytes) <= limit;
        let state = if room { State::Reading { since: now } } else { State::Failed { at: now } };
        self.insert(&blob.hash, Entry { state, bytes: if room { blob.bytes } else { 0 } });
        if room { ShardLookup::StartRead } else { ShardLookup::Failed }
    }

    /// Stores a shard; `None` if reading it failed.
    pub fn finish(&mut self, hash: &str, shard: Option<Shard>, now: i64) {
        let bytes = self.entries.get(hash).map_or(0, |entry| entry.bytes);
        self.remove(hash);
        // Forget old failures, so that hashes of old snapshots do not accumulate.
        let recent = |entry: &Entry| !matches!(entry.state, State::Failed { at } if now.saturating_sub(at) >= RETRY_MS);
        self.entries.retain(|_, entry| recent(entry));
        let (state, bytes) = match shard {
            // Its reserved bytes may have been given to another shard meanwhile.
            Some(shard) if bytes > 0 => (State::Held { shard, used: self.lookups }, bytes),
            Some(_) => return,
            None => (State::Failed { at: now }, 0),
        };
        self.insert(hash, Entry { state, bytes });
    }

    /// Evicts the least recently used shards until at most `limit` bytes are left, including those being read.
    pub fn shrink(&mut self, limit: u64) {
        while self.bytes > limit {
            let oldest = self.entries.iter().filter_map(|(hash, entry)| match entry.state {
                State::Held { used, .. } => Some((used, hash)),
                _ => None,
            });
            let Some(hash) = oldest.min().map(|(_, hash)| hash.clone()) else { return };
            self.remove(&hash);
        }
    }

    /// Bytes of the shards in the cache or being read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn insert(&mut self, hash: &str, entry: Entry) {
        self.bytes = self.bytes.saturating_add(entry.bytes);
        self.entries.insert(hash.to_owned(), entry);
    }

    fn remove(&mut self, hash: &str) {
        if let Some(entry) = self.entries.remove(hash) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{
        manifest::RowRange,
        rows::{COVIEW, Rows, write_shard},
    };
    use proptest::prelude::*;

    fn blob(number: u32, bytes: u64) -> BlobRef {
        let rows = Some(RowRange { first: number, end: number + 1 });
        BlobRef { name: COVIEW.to_owned(), hash: format!("{number:032x}"), bytes, rows }
    }

    fn shard(number: u32) -> Shard {
        let rows = Rows::open(COVIEW, &write_shard(&[vec![(7, 1.0)]], number, 16).into()).unwrap();
        Shard { table: COVIEW, rows }
    }

    fn hold(shards: &mut ShardCache, number: u32, limit: u64) {
        assert!(matches!(shards.look_up(&blob(number, 4), limit, 0), ShardLookup::StartRead));
        shards.finish(&blob(number, 4).hash, Some(shard(number)), 0);
    }

    #[test]
    fn one_request_reads_and_others_wait_until_its_lease_ends() {
        let (mut shards, one) = (ShardCache::default(), blob(1, 4));
        assert!(matches!(shards.look_up(&one, 8, 0), ShardLookup::StartRead));
        assert!(matches!(shards.look_up(&one, 8, 1), ShardLookup::Reading));
        assert!(matches!(shards.look_up(&one, 8, LEASE_MS), ShardLookup::StartRead));
        assert_eq!(shards.bytes(), 4);
        shards.finish(&one.hash, None, LEASE_MS);
        assert_eq!(shards.bytes(), 0);
        assert!(matches!(shards.look_up(&one, 8, LEASE_MS + 1), ShardLookup::Failed));
        assert!(matches!(shards.look_up(&one, 8, LEASE_MS + RETRY_MS), ShardLookup::StartRead));
        shards.finish(&one.hash, Some(shard(1)), LEASE_MS + RETRY_MS);
        assert!(
            matches!(shards.look_up(&one, 8, LEASE_MS + RETRY_MS), ShardLookup::Held(held) if held.rows.first() == 1)
        );
    }

    #[test]
    fn the_least_recently_used_shard_is_evicted() {
        let mut shards = ShardCache::default();
        hold(&mut shards, 1, 8);
        hold(&mut shards, 2, 8);
        assert!(matches!(shards.look_up(&blob(1, 4), 8, 0), ShardLookup::Held(_)));
        hold(&mut shards, 3, 8);
        assert!(matches!(shards.look_up(&blob(1, 4), 8, 0), ShardLookup::Held(_)));
        assert!(matches!(shards.look_up(&blob(3, 4), 8, 0), ShardLookup::Held(_)));
        assert!(matches!(shards.look_up(&blob(2, 4), 8, 0), ShardLookup::StartRead));
        assert!(matches!(shards.look_up(&blob(4, 9), 8, 0), ShardLookup::Failed), "larger than the limit");
    }

    proptest! {
        #[test]
        fn the_limit_is_never_exceeded(
            steps in proptest::collection::vec((0u32..12, 1u64..9, 0u8..3, 1u64..30), 1..200)
        ) {
            let mut shards = ShardCache::default();
            for (now, (number, bytes, outcome, limit)) in (0i64..).step_by(700).zip(steps) {
                let blob = blob(number, bytes);
                if let ShardLookup::StartRead = shards.look_up(&blob, limit, now) {
                    prop_assert!(shards.bytes() <= limit);
                    if outcome < 2 {
                        shards.finish(&blob.hash, (outcome == 0).then(|| shard(number)), now);
                    }
                }
                let counted: u64 = shards.entries.values().map(|entry| entry.bytes).sum();
                prop_assert_eq!(shards.bytes(), counted);
            }
        }
    }
}
