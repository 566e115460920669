//! What is wanted more than before: events counted in windows of five minutes.

use serde::Serialize;
use snapshots::time::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Length of a window.
pub const WINDOW_MS: i64 = 5 * 60_000;
/// Windows that are held: the present one and an hour before it.
pub const WINDOWS: usize = 13;
/// Events that an item is taken to have had in the windows before, so that the first few events are no trend.
const PRIOR: f32 = 3.0;

/// Counts by window and item. Memory is bounded by the events of an hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trends {
    windows: BTreeMap<i64, HashMap<u32, u32>>,
}

/// An item that is wanted more than before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// The item's number.
    pub item: u32,
    /// Events in the last whole window.
    pub events: u32,
    /// How many times what the windows before would have had it.
    pub rise: f32,
}

/// What [`Trends::save`] gives: windows in the order of time, items in that of their numbers.
pub(super) type Saved = Vec<(i64, Vec<(u32, u32)>)>;

impl Trends {
    /// Counts an event. Events that come after their window was dropped are not counted.
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

    /// The `count` items whose last whole window before `now` stands out most against the hour before it.
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
            rise: *events as f32 / ((before(item) as f32 + PRIOR) / windows).max(1.0),
        };
        let mut trends: Vec<Trend> = counts.iter().map(trend).filter(|trend| trend.rise > 1.0).collect();
        trends.sort_unstable_by(|a, b| b.rise.total_cmp(&a.rise).then(a.item.cmp(&b.item)));
        trends.truncate(count);
        trends
    }

    pub(super) fn save(&self) -> Saved {
        let sorted = |counts: &HashMap<u32, u32>| {
            let mut counts: Vec<_> = counts.iter().map(|(item, count)| (*item, *count)).collect();
            counts.sort_unstable();
            counts
        };
        self.windows.iter().map(|(window, counts)| (*window, sorted(counts))).collect()
    }

    pub(super) fn load(saved: Saved) -> Self {
        let windows = saved.into_iter().map(|(window, counts)| (window, counts.into_iter().collect()));
        Self { windows: windows.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_out_against_the_hour_before_rises() {
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
        assert_eq!(trends.windows.len(), WINDOWS, "too late to be counted");
        assert_eq!(Trends::load(trends.save()), trends);
    }
}
