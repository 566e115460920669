//! Counts by key in bounded memory.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The content for a checkpoint: the newer and the older generation, each sorted by key.
pub(super) type Saved<V> = [Vec<(u64, V)>; 2];

/// Values by key, in two generations. When the newer one is full, the older one is forgotten. A key that is used again moves
/// to the newer one, so what is forgotten was not used for at least as many other keys as there is room for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Generations<V> {
    room: usize,
    newer: HashMap<u64, V>,
    older: HashMap<u64, V>,
}

impl<V: Copy + Default> Generations<V> {
    /// Empty, with room for this many keys in each generation.
    pub(super) fn new(room: usize) -> Self {
        Self { room, newer: HashMap::new(), older: HashMap::new() }
    }

    /// The value of a key; the default if it is new or was forgotten.
    pub(super) fn entry(&mut self, key: u64) -> &mut V {
        if self.newer.len() >= self.room && !self.newer.contains_key(&key) {
            self.older = std::mem::take(&mut self.newer);
        }
        let older = &mut self.older;
        self.newer.entry(key).or_insert_with(|| older.remove(&key).unwrap_or_default())
    }

    pub(super) fn save(&self) -> Saved<V> {
        [&self.newer, &self.older].map(|generation| {
            let mut entries: Vec<_> = generation.iter().map(|(key, value)| (*key, *value)).collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            entries
        })
    }

    pub(super) fn load(room: usize, [newer, older]: Saved<V>) -> Self {
        Self { room, newer: newer.into_iter().collect(), older: older.into_iter().collect() }
    }
}

/// Counts within one window of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Windowed {
    window: u32,
    seen: u32,
    counted: u32,
}

impl Windowed {
    /// The counts in this window, which is the current one from now on.
    pub(super) fn at(&mut self, window: u32) -> &mut Self {
        if self.window != window {
            *self = Self { window, ..Self::default() };
        }
        self
    }

    /// Events that were seen.
    pub(super) fn seen(&self) -> u32 {
        self.seen
    }

    /// Events that counted.
    pub(super) fn counted(&self) -> u32 {
        self.counted
    }

    /// Adds one to those that counted.
    pub(super) fn count(&mut self) {
        self.counted = self.counted.saturating_add(1);
    }

    /// Sees one more event; whether it counts if this many are free.
    pub(super) fn pass(&mut self, free: u32) -> bool {
        self.seen = self.seen.saturating_add(1);
        let (free, seen) = (f64::from(free.max(1)), f64::from(self.seen));
        let most = if seen <= free { seen } else { free * (1.0 + (seen / free).ln()) };
        let counts = f64::from(self.counted) + 1.0 <= most;
        self.counted += u32::from(counts);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_counts_grows_with_the_logarithm() {
        let counted = |events: u32, free| {
            let mut group = Windowed::default();
            (0..events).for_each(|_| _ = group.at(3).pass(free));
            group.counted()
        };
        assert_eq!([1, 5, 6, 10, 300, 1_000_000].map(|events| counted(events, 5)), [1, 5, 5, 8, 25, 66]);
        assert_eq!((counted(9, 0), counted(0, 5)), (3, 0));
        let mut group = Windowed::default();
        group.at(3).pass(5);
        assert_eq!(group.at(4).counted(), 0);
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_what_is_used_stays(keys in proptest::collection::vec(0u64..60, 0..400)) {
            let mut counters = Generations::<Windowed>::new(16);
            for key in keys {
                counters.entry(99).count();
                let kept = counters.entry(99).counted();
                counters.entry(key).count();
                prop_assert!(counters.newer.len() <= 16 && counters.older.len() <= 16);
                prop_assert_eq!(counters.entry(99).counted(), kept);
                prop_assert_eq!(&Generations::load(16, counters.save()), &counters);
            }
        }
    }
}
