//! The ids of the latest events, for deduplication.

use crate::frame::SEPARATOR;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Remembers at least the last `window` hashes, and fewer than twice as many.
///
/// There are two sets; when the current one is full, it replaces the previous one. A hash takes 9 bytes in a table that is
/// between half and seven eighths full: 10 to 40 MB per million of the window. With 7 million in memory, a new one collides
/// with a known one about once in 10¹² events.
#[derive(Debug)]
pub(crate) struct RecentHashes {
    window: usize,
    current: IdSet,
    previous: IdSet,
}

impl RecentHashes {
    pub(crate) fn new(window: usize) -> Self {
        Self { window: window.max(1), current: IdSet::default(), previous: IdSet::default() }
    }

    pub(crate) fn contains(&self, hash: u64) -> bool {
        self.previous.contains(&hash) || self.current.contains(&hash)
    }

    /// Adds a hash; `false` if it is known.
    pub(crate) fn insert(&mut self, hash: u64) -> bool {
        if self.previous.contains(&hash) || !self.current.insert(hash) {
            return false;
        }
        if self.current.len() >= self.window {
            std::mem::swap(&mut self.current, &mut self.previous);
            self.current.clear();
        }
        true
    }

    pub(crate) fn remove(&mut self, hash: u64) {
        self.current.remove(&hash);
        self.previous.remove(&hash);
    }
}

/// Remembers the ids of the latest events, as hashes.
#[derive(Debug)]
pub(crate) struct RecentIds {
    seed: u64,
    hashes: RecentHashes,
    /// Whether there are ids without a sender.
    has_unscoped: bool,
    /// A sender and an id, to be hashed together.
    buffer: String,
}

type IdSet = HashSet<u64, BuildHasherDefault<IdentityHasher>>;

/// Passes a `u64` through: the ids are hashes already.
#[derive(Debug, Default)]
pub(crate) struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl RecentIds {
    /// An empty set. A secret `seed` keeps callers from constructing ids that collide.
    pub(crate) fn new(window: usize, seed: u64) -> Self {
        Self { seed, hashes: RecentHashes::new(window), has_unscoped: false, buffer: String::new() }
    }

    /// Adds a sender's id and returns its hash, or `None` if it is known. An id without a sender, of an older version's log,
    /// is known to all senders.
    pub(crate) fn insert(&mut self, sender: &str, id: &str) -> Option<u64> {
        let unscoped = || xxh3_64_with_seed(id.as_bytes(), self.seed);
        let hash = if sender.is_empty() {
            self.has_unscoped = true;
            unscoped()
        } else {
            if self.has_unscoped {
                let unscoped = unscoped();
                if self.hashes.contains(unscoped) {
                    return None;
                }
            }
            self.buffer.clear();
            self.buffer.push_str(sender);
            self.buffer.push(SEPARATOR);
            self.buffer.push_str(id);
            xxh3_64_with_seed(self.buffer.as_bytes(), self.seed)
        };
        self.hashes.insert(hash).then_some(hash)
    }

    /// Removes a hash that [`Self::insert`] returned.
    pub(crate) fn remove(&mut self, hash: u64) {
        self.hashes.remove(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_window_and_less_than_twice_of_it() {
        let mut ids = RecentIds::new(100, 1);
        for number in 0..1_000 {
            assert!(ids.insert("s", &number.to_string()).is_some(), "{number}");
            for back in 0..100.min(number + 1) {
                assert!(ids.insert("s", &(number - back).to_string()).is_none(), "{back} before {number}");
            }
            assert!(ids.hashes.current.len() + ids.hashes.previous.len() < 200);
        }
        assert!(ids.insert("s", "0").is_some());
        let hash = ids.insert("s", "once").unwrap();
        ids.remove(hash);
        assert!(ids.insert("s", "once").is_some());
    }

    #[test]
    fn senders_do_not_share_ids_but_ids_without_a_sender_are_known_to_all() {
        let mut ids = RecentIds::new(100, 1);
        assert!(ids.insert("", "old").is_some());
        assert!(ids.insert("a", "old").is_none());
        assert!(ids.insert("a", "1").is_some() && ids.insert("b", "1").is_some());
        assert!(ids.insert("a", "1").is_none());
        assert!(ids.insert("", "1").is_some(), "a scoped id is not known without its sender");
    }
}
