//! The ids of the last events, to store none twice.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The ids of at least the last `window` events, and of fewer than twice as many: two sets, of which the older is dropped
/// when the newer is full. An id is kept as a hash of 64 bits, 9 bytes in a table between half and seven eighths full: a
/// million of the window take 10 to 40 MB. With 7 million ids at hand, a new one is taken for an old one once in 10¹²
/// events.
#[derive(Debug)]
pub(crate) struct Ids {
    window: usize,
    seed: u64,
    newer: Set,
    older: Set,
}

type Set = HashSet<u64, BuildHasherDefault<Hashed>>;

/// What is hashed already needs no hashing.
#[derive(Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
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

impl Ids {
    /// None yet. `seed` keeps others from finding ids that hash alike.
    pub(crate) fn new(window: usize, seed: u64) -> Self {
        Self { window: window.max(1), seed, newer: Set::default(), older: Set::default() }
    }

    /// Adds an id; its hash, or `None` when it was there.
    pub(crate) fn add(&mut self, id: &str) -> Option<u64> {
        let hash = xxh3_64_with_seed(id.as_bytes(), self.seed);
        if self.older.contains(&hash) || !self.newer.insert(hash) {
            return None;
        }
        if self.newer.len() >= self.window {
            std::mem::swap(&mut self.newer, &mut self.older);
            self.newer.clear();
        }
        Some(hash)
    }

    /// Takes back what [`Self::add`] gave out.
    pub(crate) fn forget(&mut self, hash: u64) {
        self.newer.remove(&hash);
        self.older.remove(&hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_kept_and_no_more_than_twice_of_it() {
        let mut ids = Ids::new(100, 1);
        for number in 0..1_000 {
            assert!(ids.add(&number.to_string()).is_some(), "{number}");
            for back in 0..100.min(number + 1) {
                assert!(ids.add(&(number - back).to_string()).is_none(), "{back} before {number}");
            }
            assert!(ids.newer.len() + ids.older.len() < 200);
        }
        assert!(ids.add("0").is_some());
        let hash = ids.add("once").unwrap();
        ids.forget(hash);
        assert!(ids.add("once").is_some());
    }
}
