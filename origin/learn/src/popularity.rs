//! Popularity by region: exponentially decayed event counts.
//!
//! ```text
//! popularity_i(now) = Σ over events of i of  weight(kind) · 2^(−(now − at) / half-life)
//! ```
//! An unconfirmed cart or purchase has the weight of a view, and its confirmation the rest.
//!
//! Decay is applied forward (Cormode et al., "Forward Decay", ICDE 2009): an event adds `weight · 2^(at / half-life)`, so
//! earlier sums never change. The integer part of `at / half-life`, counted from 1970, selects a cell; the rest is added to
//! the cell as an integer. Integer sums do not depend on the order of events, so live counters equal those of a batch build.

use origin_data::{Interner, LogEvent, Standing};
use serde::{Deserialize, Serialize};
use snapshots::{
    event::Kind,
    time::{DAY_MS, Timestamp},
};
use std::collections::{BTreeMap, HashMap};

/// Weights and half-lives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay {
    /// Weight of an event by its kind: impression, view, click, cart, purchase.
    pub kinds: [f32; Kind::ALL.len()],
    /// Half-life of an event, in days.
    pub half_life_days: f32,
    /// Half-life of an item's recency since its newest event, in days.
    pub recency_days: f32,
}

impl Default for Decay {
    fn default() -> Self {
        Self { kinds: [0.0, 1.0, 3.0, 5.0, 10.0], half_life_days: 7.0, recency_days: 3.0 }
    }
}

impl Decay {
    /// Weight of an event.
    fn weight(&self, kind: Kind, standing: Standing) -> f32 {
        let of = |kind: Kind| self.kinds[kind as usize];
        match standing {
            Standing::Confirmed | Standing::Unconfirmed => of(standing.counts_as(kind)),
            Standing::Confirming => (of(kind) - of(Standing::Unconfirmed.counts_as(kind))).max(0.0),
        }
    }
}

fn decay(age_ms: i64, days: f32) -> f64 {
    (-(age_ms.max(0) as f64) / (f64::from(days) * DAY_MS as f64)).exp2()
}

/// Units per event of weight 1.
const UNITS: f64 = (1 << 20) as f64;

/// An item, an area and a half-life since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CellKey {
    /// The item's number.
    pub item: u32,
    /// The area's number.
    pub area: u16,
    /// Whole half-lives since 1970.
    pub period: u16,
}

/// The sum of a [`CellKey`] and the time of its newest event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    sum: u64,
    newest: i64,
}

/// Counts by item, area and half-life: 40 bytes per cell with events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    decay: Decay,
    cells: HashMap<CellKey, Cell>,
}

/// Current counts of a shop, with names. Numbers of items and areas are places in the interners.
pub struct PopularityCounts<'a> {
    /// The counts.
    pub counts: &'a Counts,
    /// Ids of the items; append-only.
    pub items: &'a Interner,
    /// Names of the areas.
    pub areas: &'a Interner,
    /// Time of the newest event.
    pub newest: Timestamp,
}

impl Counts {
    /// Counts a log without what is held.
    pub fn new(events: &[LogEvent]) -> Self {
        let mut counts = Self::default();
        for event in events.iter().filter(|event| !event.held) {
            counts.add(event.at, event.kind, event.standing, event.item, event.area);
        }
        counts
    }

    /// Counts an event; impressions are ignored.
    pub fn add(&mut self, at: Timestamp, kind: Kind, standing: Standing, item: u32, area: u16) {
        if kind == Kind::Impression {
            return;
        }
        let half_life = self.half_life();
        let (period, rest) = (at.0.max(0) / half_life, at.0.max(0) % half_life);
        let period = u16::try_from(period).unwrap_or(u16::MAX);
        let weight = f64::from(self.decay.weight(kind, standing)) * (rest as f64 / half_life as f64).exp2();
        let cell = self.cells.entry(CellKey { item, area, period }).or_default();
        cell.sum = cell.sum.saturating_add((weight * UNITS).round() as u64);
        cell.newest = cell.newest.max(at.0);
    }

    /// All cells, ordered by key.
    pub fn cells(&self) -> Vec<(CellKey, Cell)> {
        let mut cells: Vec<_> = self.cells.iter().map(|(key, cell)| (*key, *cell)).collect();
        cells.sort_unstable_by_key(|(key, _)| *key);
        cells
    }

    /// The inverse of [`Self::cells`].
    pub fn from_cells(cells: Vec<(CellKey, Cell)>) -> Self {
        Self { cells: cells.into_iter().collect(), ..Self::default() }
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn half_life(&self) -> i64 {
        ((f64::from(self.decay.half_life_days) * DAY_MS as f64) as i64).max(1)
    }

    /// The numbers below `items`, from most to least popular in the world; ties are in order of their numbers.
    pub fn rank(&self, items: usize, now: Timestamp) -> Vec<u32> {
        let (popularity, _) = self.by_item(items, now, |_| true);
        let mut order: Vec<u32> = (0..items as u32).collect();
        order.sort_by(|a, b| popularity[*b as usize].total_cmp(&popularity[*a as usize]));
        order
    }

    /// Popularity (1 for the most popular) and recency (1 for an event at `now`) in one region, by item index. `index` maps
    /// item numbers to item indices, `None` for items without one; `in_region` selects areas by number.
    pub fn learn(
        &self,
        index: &[Option<u32>],
        now: Timestamp,
        in_region: impl Fn(u16) -> bool,
    ) -> Vec<(f32, f32)> {
        let (values, newest) = self.by_item(index.len(), now, in_region);
        let indexed = || index.iter().zip(&values).filter_map(|(index, value)| Some(((*index)?, *value)));
        let most = indexed().map(|(_, value)| value).fold(0.0, f64::max);
        let mut table = vec![(0f32, 0f32); index.iter().flatten().count()];
        for (item, value) in indexed() {
            // Never rounded to 0: the least popular item of a long log stays above items without events.
            let share = if most > 0.0 { value / most } else { 0.0 };
            table[item as usize].0 = if share > 0.0 { (share as f32).max(f32::MIN_POSITIVE) } else { 0.0 };
        }
        for (item, newest) in index.iter().zip(newest) {
            if let (Some(item), Some(newest)) = (item, newest) {
                table[*item as usize].1 = decay(now.0 - newest, self.decay.recency_days) as f32;
            }
        }
        table
    }

    /// By item, its popularity at `now` and the time of its newest event. Areas are summed as integers, half-lives from the
    /// oldest on, so the order of the cells does not matter.
    fn by_item(
        &self,
        items: usize,
        now: Timestamp,
        counts: impl Fn(u16) -> bool,
    ) -> (Vec<f64>, Vec<Option<i64>>) {
        let mut newest = vec![None; items];
        let mut periods: BTreeMap<u16, Vec<(u32, u64)>> = BTreeMap::new();
        for (key, cell) in
            self.cells.iter().filter(|(key, _)| counts(key.area) && (key.item as usize) < items)
        {
            periods.entry(key.period).or_default().push((key.item, cell.sum));
            let newest = &mut newest[key.item as usize];
            *newest = (*newest).max(Some(cell.newest));
        }
        let (mut values, mut sums) = (vec![0f64; items], vec![0u64; items]);
        let half_lives = now.0.max(0) as f64 / self.half_life() as f64;
        for (period, cells) in periods {
            for (item, sum) in &cells {
                sums[*item as usize] = sums[*item as usize].saturating_add(*sum);
            }
            let scale = (f64::from(period) - half_lives).exp2() / UNITS;
            for (item, _) in &cells {
                values[*item as usize] += std::mem::take(&mut sums[*item as usize]) as f64 * scale;
            }
        }
        (values, newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(day: i64, kind: Kind, item: u32, area: u16) -> LogEvent {
        LogEvent { area, ..LogEvent::new(Timestamp(day * DAY_MS), kind, item, 0) }
    }

    #[test]
    fn kinds_are_weighted_and_age_decays() {
        let now = Timestamp(14 * DAY_MS);
        let counts = Counts::new(&[
            event(0, Kind::Purchase, 0, 0),
            event(7, Kind::Cart, 1, 1),
            event(14, Kind::View, 2, 1),
            event(14, Kind::Impression, 3, 1),
        ]);
        // 10/4, 5/2, 1: the first two tie and keep their order.
        assert_eq!(counts.rank(4, now), [0, 1, 2, 3]);
        let identity = [0, 1, 2, 3].map(Some);
        let world = counts.learn(&identity, now, |_| true);
        assert_eq!(world.iter().map(|item| item.0).collect::<Vec<_>>(), [1.0, 1.0, 0.4, 0.0]);
        assert_eq!((world[2].1, world[3].1), (1.0, 0.0));
        let region = counts.learn(&identity, now, |area| area == 1);
        assert_eq!((region[0].0, region[1].0, region[2].0), (0.0, 1.0, 0.4));
        let without_the_first = counts.learn(&[None, Some(1), Some(0), Some(2)], now, |_| true);
        // Later events leave the order of earlier ones unchanged.
        let later = Timestamp(now.0 + 700 * DAY_MS);
        let mut counts = counts;
        counts.add(later, Kind::View, Standing::Confirmed, 3, 1);
        assert_eq!(counts.rank(4, later), [3, 0, 1, 2]);
        assert!(counts.learn(&identity, later, |_| true).iter().all(|item| item.0 > 0.0));
        assert_eq!(without_the_first.iter().map(|item| item.0).collect::<Vec<_>>(), [0.4, 1.0, 0.0]);
    }

    #[test]
    fn unconfirmed_purchases_count_as_views_until_they_are_confirmed() {
        let of = |standings: &[(Kind, Standing)]| {
            let at = |(kind, standing): &(Kind, Standing)| LogEvent {
                standing: *standing,
                ..event(7, *kind, 0, 0)
            };
            Counts::new(&standings.iter().map(at).collect::<Vec<_>>())
        };
        use Standing::{Confirmed, Confirming, Unconfirmed};
        let view = of(&[(Kind::View, Confirmed)]);
        for kind in [Kind::View, Kind::Cart, Kind::Purchase] {
            assert_eq!(of(&[(kind, Unconfirmed)]), view);
            assert_eq!(of(&[(kind, Unconfirmed), (kind, Confirming)]), of(&[(kind, Confirmed)]));
        }
        assert_eq!(of(&[(Kind::Click, Unconfirmed)]), of(&[(Kind::Click, Confirmed)]));
        assert!(of(&[(Kind::Impression, Unconfirmed)]).is_empty());
    }

    proptest! {
        #[test]
        fn sums_follow_the_formula_in_any_order(
            events in proptest::collection::vec((0i64..400, 1u8..5, 0u32..3, 0u16..2), 1..40), shift in 0..10 * DAY_MS,
        ) {
            let mut events: Vec<LogEvent> = events
                .into_iter()
                .map(|(day, kind, item, area)| {
                    let event = event(day, Kind::from_u8(kind).unwrap(), item, area);
                    LogEvent { at: Timestamp(event.at.0 + shift), ..event }
                })
                .collect();
            let now = events.iter().map(|event| event.at).max().unwrap();
            let counts = Counts::new(&events);
            let (popularity, _) = counts.by_item(3, now, |area| area == 1);
            for (item, found) in (0u32..).zip(popularity) {
                let own = events.iter().filter(|event| event.item == item && event.area == 1);
                let weight = |event: &LogEvent| f64::from(Decay::default().kinds[event.kind as usize]);
                let exact: f64 = own.map(|event| weight(event) * decay(now.0 - event.at.0, 7.0)).sum();
                prop_assert!((found - exact).abs() <= 1e-5 * exact.max(1e-3), "{found} for {exact}");
            }
            events.reverse();
            prop_assert_eq!(Counts::new(&events), counts.clone());
            prop_assert_eq!(Counts::from_cells(counts.cells()), counts);
        }
    }
}
