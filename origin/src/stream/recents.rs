//! Each visitor's recents: the latest distinct items, newest first, like the cookie at the edge.

use serde::{Deserialize, Serialize};
use snapshots::time::{DAY_MS, Timestamp};
use std::collections::HashMap;

/// Most items per visitor.
const MAX_ITEMS: usize = 50;
/// Items are dropped when they are this much older than the visitor's newest one, in milliseconds.
const MAX_AGE_MS: i64 = DAY_MS;

/// An item and the time of the visitor's last event on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Time in milliseconds since 1970.
    pub at: i64,
    /// Number of the item.
    pub item: u32,
}

/// The recents of the visitors seen last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VisitorRecents {
    max_visitors: usize,
    visitors: HashMap<u64, Vec<Recent>>,
    evicted: u64,
}

impl VisitorRecents {
    /// Empty, with room for `max_visitors`, at least 1.
    pub fn new(max_visitors: usize) -> Self {
        Self { max_visitors: max_visitors.max(1), visitors: HashMap::new(), evicted: 0 }
    }

    /// Adds an event of a visitor. Events without a visitor (0) are ignored.
    pub fn add(&mut self, visitor: u64, item: u32, at: Timestamp) {
        if visitor == 0 {
            return;
        }
        let recents = self.visitors.entry(visitor).or_default();
        let known = recents.iter().position(|recent| recent.item == item);
        let at = known.map_or(at.0, |index| recents.remove(index).at.max(at.0));
        let index = recents.partition_point(|recent| (recent.at, recent.item) > (at, item));
        recents.insert(index, Recent { at, item });
        let newest = recents[0].at;
        recents.truncate(recents.partition_point(|recent| newest - recent.at <= MAX_AGE_MS).min(MAX_ITEMS));
        if self.visitors.len() > self.max_visitors {
            self.evict();
        }
    }

    /// Removes the eighth of the visitors that were seen longest ago.
    fn evict(&mut self) {
        let mut last_seen: Vec<(i64, u64)> =
            self.visitors.iter().map(|(visitor, recents)| (recents[0].at, *visitor)).collect();
        last_seen.sort_unstable();
        let count = last_seen.len().div_ceil(8);
        for (_, visitor) in &last_seen[..count] {
            self.visitors.remove(visitor);
        }
        self.evicted += count as u64;
    }

    /// The recents of a visitor, newest first; empty if the visitor is unknown.
    pub fn get(&self, visitor: u64) -> &[Recent] {
        self.visitors.get(&visitor).map_or(&[], Vec::as_slice)
    }

    /// Number of visitors in memory.
    pub fn len(&self) -> usize {
        self.visitors.len()
    }

    /// Whether there are no visitors.
    pub fn is_empty(&self) -> bool {
        self.visitors.is_empty()
    }

    /// Number of visitors evicted so far.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The content for a checkpoint, sorted by visitor.
    pub(super) fn save(&self) -> (u64, Vec<(u64, Vec<Recent>)>) {
        let mut visitors: Vec<_> =
            self.visitors.iter().map(|(visitor, recents)| (*visitor, recents.clone())).collect();
        visitors.sort_unstable_by_key(|(visitor, _)| *visitor);
        (self.evicted, visitors)
    }

    /// Restores what [`Self::save`] returned.
    pub(super) fn load(max_visitors: usize, (evicted, visitors): (u64, Vec<(u64, Vec<Recent>)>)) -> Self {
        Self { max_visitors, visitors: visitors.into_iter().collect(), evicted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(recents: &VisitorRecents, visitor: u64) -> Vec<u32> {
        recents.get(visitor).iter().map(|recent| recent.item).collect()
    }

    #[test]
    fn keeps_the_latest_fifty_items_of_a_day_newest_first() {
        let mut recents = VisitorRecents::new(10);
        let hour = |hours: i64| Timestamp(hours * 3_600_000);
        for (item, at) in [(1, 0), (2, 1), (1, 2), (3, 2), (9, 1)] {
            recents.add(7, item, hour(at));
        }
        assert_eq!(items(&recents, 7), [3, 1, 9, 2]);
        recents.add(7, 4, hour(26));
        assert_eq!(items(&recents, 7), [4, 3, 1]);
        (0..200).for_each(|item| recents.add(7, item, hour(30)));
        assert_eq!(items(&recents, 7), (150..200).rev().collect::<Vec<_>>());
        recents.add(0, 1, hour(30));
        assert_eq!(recents.len(), 1);
    }

    #[test]
    fn evicts_and_counts_the_visitors_seen_longest_ago() {
        let mut recents = VisitorRecents::new(80);
        (0..81).for_each(|visitor| recents.add(visitor + 1, 1, Timestamp(visitor as i64)));
        assert_eq!((recents.len(), recents.evicted()), (70, 11));
        assert!(items(&recents, 11).is_empty() && !items(&recents, 12).is_empty());
    }

    proptest! {
        #[test]
        fn recents_do_not_depend_on_the_order_of_arrival(
            mut events in proptest::collection::vec((0u32..70, 0..DAY_MS), 1..150),
        ) {
            let fill = |events: &[(u32, i64)]| {
                let mut recents = VisitorRecents::new(10);
                events.iter().for_each(|(item, at)| recents.add(1, *item, Timestamp(*at)));
                recents
            };
            let one = fill(&events);
            events.reverse();
            prop_assert_eq!(fill(&events), one);
        }
    }
}
