//! Popularity by region: how much each item is wanted, the latest events counting most.

use crate::store::LogEvent;
use snapshots::{
    event::Kind,
    time::{DAY_MS, Timestamp},
};

/// How popularity is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay {
    /// Weight of an event by its kind: impression, view, click, cart, purchase.
    pub kinds: [f32; Kind::ALL.len()],
    /// An event counts half after so many days.
    pub half_life_days: f32,
    /// An item's recency halves with every so many days since its newest event.
    pub recency_days: f32,
}

impl Default for Decay {
    fn default() -> Self {
        Self { kinds: [0.0, 1.0, 3.0, 5.0, 10.0], half_life_days: 7.0, recency_days: 3.0 }
    }
}

fn halved(age_ms: i64, days: f32) -> f64 {
    (-(age_ms.max(0) as f64) / (f64::from(days) * DAY_MS as f64)).exp2()
}

/// Weighted, decayed counts of the events that `counts` lets pass, by the log's item, as of `now`.
fn count(
    events: &[LogEvent],
    items: usize,
    decay: &Decay,
    now: Timestamp,
    counts: impl Fn(&LogEvent) -> bool,
) -> Vec<f64> {
    let mut sums = vec![0.0; items];
    for event in events.iter().filter(|event| counts(event)) {
        let weight = f64::from(decay.kinds[event.kind as usize]);
        sums[event.item as usize] += weight * halved(now.0 - event.at.0, decay.half_life_days);
    }
    sums
}

/// The log's items from most to least wanted anywhere; ties keep the log's order (by id).
pub fn rank_items(events: &[LogEvent], items: usize, decay: &Decay, now: Timestamp) -> Vec<u32> {
    let wanted = count(events, items, decay, now, |_| true);
    let mut order: Vec<u32> = (0..items as u32).collect();
    order.sort_by(|a, b| wanted[*b as usize].total_cmp(&wanted[*a as usize]));
    order
}

/// Every item's popularity (1 the most wanted) and recency (1 an event at `now`) in one region, by item index.
/// `index` maps the log's items to item indices; `in_region` tells by an event's area.
pub fn learn(
    events: &[LogEvent],
    index: &[u32],
    decay: &Decay,
    now: Timestamp,
    in_region: impl Fn(u16) -> bool,
) -> Vec<(f32, f32)> {
    let counts = |event: &LogEvent| event.kind != Kind::Impression && in_region(event.area);
    let wanted = count(events, index.len(), decay, now, counts);
    let most = wanted.iter().copied().fold(0.0, f64::max);
    let mut table = vec![(0f32, 0f32); index.len()];
    for (item, value) in index.iter().zip(wanted) {
        // The least wanted of a long log is still wanted: never rounded to nothing.
        let share = if most > 0.0 { value / most } else { 0.0 };
        table[*item as usize].0 = if share > 0.0 { (share as f32).max(f32::MIN_POSITIVE) } else { 0.0 };
    }
    for event in events.iter().filter(|event| counts(event)) {
        let recency = halved(now.0 - event.at.0, decay.recency_days) as f32;
        let item = &mut table[index[event.item as usize] as usize];
        item.1 = item.1.max(recency);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(day: i64, kind: Kind, item: u32, area: u16) -> LogEvent {
        LogEvent { at: Timestamp(day * DAY_MS), kind, item, visitor: 0, session: 0, area, quantity: 1 }
    }

    #[test]
    fn kinds_weigh_and_age_halves() {
        let now = Timestamp(14 * DAY_MS);
        let log = [
            event(0, Kind::Purchase, 0, 0),
            event(7, Kind::Cart, 1, 1),
            event(14, Kind::View, 2, 1),
            event(14, Kind::Impression, 3, 1),
        ];
        // 10/4, 5/2, 1: the first two tie and keep their order.
        assert_eq!(rank_items(&log, 4, &Decay::default(), now), [0, 1, 2, 3]);
        let identity = [0, 1, 2, 3];
        let world = learn(&log, &identity, &Decay::default(), now, |_| true);
        assert_eq!(world.iter().map(|item| item.0).collect::<Vec<_>>(), [1.0, 1.0, 0.4, 0.0]);
        assert_eq!((world[2].1, world[3].1), (1.0, 0.0));
        let region = learn(&log, &identity, &Decay::default(), now, |area| area == 1);
        assert_eq!((region[0].0, region[1].0, region[2].0), (0.0, 1.0, 0.4));
    }
}
