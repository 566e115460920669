//! What each visitor met lately: the last distinct items, newest first, as the cookie at the edge has them.

use serde::{Deserialize, Serialize};
use snapshots::time::{DAY_MS, Timestamp};
use std::collections::HashMap;

/// The most items of a visitor.
pub const ITEMS: usize = 50;
/// Items met longer than this before the visitor's last are forgotten.
pub const REACH_MS: i64 = DAY_MS;

/// One item that a visitor met, and when last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// The item's number.
    pub item: u32,
}

/// The recents of those visitors who were seen last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recents {
    limit: usize,
    visitors: HashMap<u64, Vec<Recent>>,
    evicted: u64,
}

impl Recents {
    /// Of at most `limit` visitors.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), visitors: HashMap::new(), evicted: 0 }
    }

    /// A visitor met an item. Visitor 0 is nobody.
    pub fn add(&mut self, visitor: u64, item: u32, at: Timestamp) {
        if visitor == 0 {
            return;
        }
        let recents = self.visitors.entry(visitor).or_default();
        let known = recents.iter().position(|recent| recent.item == item);
        let at = known.map_or(at.0, |place| recents.remove(place).at.max(at.0));
        let place = recents.partition_point(|recent| (recent.at, recent.item) > (at, item));
        recents.insert(place, Recent { at, item });
        let newest = recents[0].at;
        recents.truncate(recents.partition_point(|recent| newest - recent.at <= REACH_MS).min(ITEMS));
        if self.visitors.len() > self.limit {
            self.evict();
        }
    }

    /// Forgets the eighth of the visitors that were seen longest ago.
    fn evict(&mut self) {
        let mut seen: Vec<(i64, u64)> =
            self.visitors.iter().map(|(visitor, recents)| (recents[0].at, *visitor)).collect();
        seen.sort_unstable();
        let gone = seen.len().div_ceil(8);
        for (_, visitor) in &seen[..gone] {
            self.visitors.remove(visitor);
        }
        self.evicted += gone as u64;
    }

    /// A visitor's, newest first.
    pub fn of(&self, visitor: u64) -> &[Recent] {
        self.visitors.get(&visitor).map_or(&[], Vec::as_slice)
    }

    /// How many visitors are held.
    pub fn len(&self) -> usize {
        self.visitors.len()
    }

    /// Whether none are.
    pub fn is_empty(&self) -> bool {
        self.visitors.is_empty()
    }

    /// How many were forgotten for want of room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// All of it, in the order of the visitors.
    pub(super) fn save(&self) -> (u64, Vec<(u64, Vec<Recent>)>) {
        let mut visitors: Vec<_> =
            self.visitors.iter().map(|(visitor, recents)| (*visitor, recents.clone())).collect();
        visitors.sort_unstable_by_key(|(visitor, _)| *visitor);
        (self.evicted, visitors)
    }

    /// What [`Self::save`] gave.
    pub(super) fn load(limit: usize, (evicted, visitors): (u64, Vec<(u64, Vec<Recent>)>)) -> Self {
        Self { limit, visitors: visitors.into_iter().collect(), evicted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(recents: &Recents, visitor: u64) -> Vec<u32> {
        recents.of(visitor).iter().map(|recent| recent.item).collect()
    }

    #[test]
    fn the_latest_fifty_of_a_day_are_kept_newest_first() {
        let mut recents = Recents::new(10);
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
    fn who_was_seen_longest_ago_gives_way_and_is_counted() {
        let mut recents = Recents::new(80);
        (0..81).for_each(|visitor| recents.add(visitor + 1, 1, Timestamp(visitor as i64)));
        assert_eq!((recents.len(), recents.evicted()), (70, 11));
        assert!(items(&recents, 11).is_empty() && !items(&recents, 12).is_empty());
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            mut events in proptest::collection::vec((0u32..70, 0..DAY_MS), 1..150),
        ) {
            let fill = |events: &[(u32, i64)]| {
                let mut recents = Recents::new(10);
                events.iter().for_each(|(item, at)| recents.add(1, *item, Timestamp(*at)));
                recents
            };
            let one = fill(&events);
            events.reverse();
            prop_assert_eq!(fill(&events), one);
        }
    }
}
