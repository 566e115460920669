//! Trends: items with more events now than in the hour before, counted in windows of five minutes.

use serde::Serialize;
use snapshots::time::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Length of a window in milliseconds.
const WINDOW_MS: i64 = 5 * 60_000;
/// Windows in memory: the current one and the hour before it.
const WINDOWS: usize = 13;
/// Events added to an item's count before the last window, so that its first few events are not a trend.
const PRIOR_EVENTS: f32 = 3.0;

/// Event counts by window and item. They hold at most the events of an hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trends {
    windows: BTreeMap<i64, HashMap<u32, u32>>,
}

/// An item whose events rise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// Number of the item.
    pub item: u32,
    /// Events in the last complete window.
    pub events: u32,
    /// `events` divided by the mean of the windows before.
    pub rise: f32,
}

/// The content for a checkpoint: (window, (item, events)), sorted by both.
pub(super) type SavedTrends = Vec<(i64, Vec<(u32, u32)>)>;

impl Trends {
    /// Counts an event, unless its window was dropped already.
    pub fn add(&mut self, at: Timestamp, item: u32) {
        *self.windows.entry(at.0.div_euclid(WINDOW_MS)).or_default().entry(item).or_default() += 1;
        while let Some(oldest) = self.windows.first_entry() {
            let oldest = *oldest.key();
            let newest = self.windows.last_key_value().map_or(oldest, |(window, _)| *window);
            if newest - oldest < WINDOWS as i64 {
                break;
            }
            self.windows.pop_first();
        }
    }

    /// The `count` items that rise most from the hour before to the last complete window before `now`.
    pub fn rising(&self, now: Timestamp, count: usize) -> Vec<Trend> {
        let last = now.0.div_euclid(WINDOW_MS) - 1;
        let Some(counts) = self.windows.get(&last) else { return Vec::new() };
        let before = |item: &u32| -> u32 {
            self.windows.range(..last).map(|(_, counts)| counts.get(item).copied().unwrap_or_default()).sum()
        };
        let windows = (WINDOWS - 2) as f32;
        let trend = |(item, events): (&u32, &u32)| Trend {
            item: *item,
            events: *events,
            rise: *events as f32 / ((before(item) as f32 + PRIOR_EVENTS) / windows).max(1.0),
        };
        let mut trends: Vec<Trend> = counts.iter().map(trend).filter(|trend| trend.rise > 1.0).collect();
        trends.sort_unstable_by(|a, b| b.rise.total_cmp(&a.rise).then(a.item.cmp(&b.item)));
        trends.truncate(count);
        trends
    }

    /// The content for a checkpoint.
    pub(super) fn save(&self) -> SavedTrends {
        let sorted = |counts: &HashMap<u32, u32>| {
            let mut counts: Vec<_> = counts.iter().map(|(item, count)| (*item, *count)).collect();
            counts.sort_unstable();
            counts
        };
        self.windows.iter().map(|(window, counts)| (*window, sorted(counts))).collect()
    }

    /// Restores what [`Self::save`] returned.
    pub(super) fn load(saved: SavedTrends) -> Self {
        let windows = saved.into_iter().map(|(window, counts)| (window, counts.into_iter().collect()));
        Self { windows: windows.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_items_by_their_rise_over_the_hour_before() {
        let mut trends = Trends::default();
        let mut add = |window: i64, item, times| {
            (0..times).for_each(|_| trends.add(Timestamp(window * WINDOW_MS + 1), item));
        };
        for window in 0..12 {
            add(window, 1, 20);
            add(window, 2, 1);
        }
        add(12, 1, 22);
        add(12, 2, 10);
        add(12, 3, 2);
        add(13, 4, 99);
        let rising = trends.rising(Timestamp(13 * WINDOW_MS + 5), 9);
        assert_eq!(
            rising.iter().map(|trend| (trend.item, trend.events)).collect::<Vec<_>>(),
            [(2, 10), (3, 2), (1, 22)]
        );
        assert_eq!(trends.windows.len(), WINDOWS);
        trends.add(Timestamp(0), 5);
        assert_eq!(trends.windows.len(), WINDOWS, "an event of a dropped window is not counted");
        assert_eq!(Trends::load(trends.save()), trends);
    }
}
