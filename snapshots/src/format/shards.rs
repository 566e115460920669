//! ShardCache at hand: a cache of table shards, bounded in bytes, of which the longest unused give way.
//!
//! It reads nothing and waits for nothing. [`ShardCache::look_up`] tells the caller which shards to read, and
//! [`ShardCache::finish`] takes them; so that several requests of one isolate never read the same shard at once, and
//! none awaits another's work.

use super::{manifest::BlobRef, rows::Rows};
use std::collections::HashMap;

/// Some rows of one table.
#[derive(Clone, Debug)]
pub struct Shard {
    /// The table: one of [`rows::TABLES`].
    pub table: &'static str,
    /// The rows.
    pub rows: Rows,
}

/// How long a read may take before another request may begin one for the same shard, in ms. The request that began
/// it may have been ended by the platform.
const LEASE_MS: i64 = 5_000;
/// How long after a failed read the next is tried, in ms.
const RETRY_MS: i64 = 1_000;

/// What a request finds when it looks for a shard.
#[derive(Debug)]
pub enum ShardLookup {
    /// The rows.
    Held(Shard),
    /// Not there: the caller is to read it, and to tell the outcome to [`ShardCache::finish`].
    StartRead,
    /// Not there yet: another request is reading it.
    Reading,
    /// Not there: it could not be read a moment ago, or the cache has no room for it.
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

/// The shards at hand, by content hash.
#[derive(Debug, Default)]
pub struct ShardCache {
    entries: HashMap<String, Entry>,
    /// Bytes of what is held or being read.
    bytes: u64,
    /// Looks so far: tells the longest unused even while the clock stands still.
    looks: u64,
}

impl ShardCache {
    /// Looks for a shard at `now` (ms), with room for `limit` bytes of shards in all.
    pub fn look_up(&mut self, blob: &BlobRef, limit: u64, now: i64) -> ShardLookup {
        self.looks += 1;
        match self.entries.get_mut(&blob.hash).map(|entry| &mut entry.state) {
            Some(State::Held { shard, used }) => {
                *used = self.looks;
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

    /// Takes what was read; `None` when that failed.
    pub fn finish(&mut self, hash: &str, shard: Option<Shard>, now: i64) {
        let bytes = self.entries.get(hash).map_or(0, |entry| entry.bytes);
        self.remove(hash);
        // What failed long ago is forgotten, so that hashes of old snapshots do not pile up.
        let recent = |entry: &Entry| !matches!(entry.state, State::Failed { at } if now.saturating_sub(at) >= RETRY_MS);
        self.entries.retain(|_, entry| recent(entry));
        let (state, bytes) = match shard {
            // Room that was given away meanwhile is not taken back.
            Some(shard) if bytes > 0 => (State::Held { shard, used: self.looks }, bytes),
            Some(_) => return,
            None => (State::Failed { at: now }, 0),
        };
        self.insert(hash, Entry { state, bytes });
    }

    /// Gives up what was not used for the longest until at most `limit` bytes are left, those being read included.
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

    /// Bytes of what is held or being read.
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
    fn the_longest_unused_gives_way() {
        let mut shards = ShardCache::default();
        hold(&mut shards, 1, 8);
        hold(&mut shards, 2, 8);
        assert!(matches!(shards.look_up(&blob(1, 4), 8, 0), ShardLookup::Held(_)));
        hold(&mut shards, 3, 8);
        assert!(matches!(shards.look_up(&blob(1, 4), 8, 0), ShardLookup::Held(_)));
        assert!(matches!(shards.look_up(&blob(3, 4), 8, 0), ShardLookup::Held(_)));
        assert!(matches!(shards.look_up(&blob(2, 4), 8, 0), ShardLookup::StartRead));
        assert!(matches!(shards.look_up(&blob(4, 9), 8, 0), ShardLookup::Failed), "larger than all there is");
    }

    proptest! {
        #[test]
        fn never_more_bytes_than_allowed(
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
