//! Baselines: popularity, and item-to-item rules for the last item or for a cart.
//!
//! The item-to-item rules are those of Ludewig & Jannach (2018): item-KNN by cosine with λ 20, association rules
//! that count pairs of a session, sequential rules that count a pair `1 / distance` in the order of the clicks,
//! over at most ten clicks.

use crate::evaluate::{
    measures::SHOWN,
    protocol::{Ranker, Recommender, VisitorState},
};
use origin_learn::{DenseRow, Table, prune, rows, sessions::Sessions};

/// The training data of baselines: sessions by item, and items by their number of events.
pub struct SessionIndex<'a> {
    /// The sessions, oldest first.
    pub sessions: &'a Sessions,
    /// Events of every item.
    pub events: &'a [u32],
    /// Places of the sessions that hold an item, oldest first.
    pub holding: Vec<Vec<u32>>,
    /// All items, most events first.
    pub order: Vec<u32>,
}

impl<'a> SessionIndex<'a> {
    /// Indexes the sessions.
    pub fn new(sessions: &'a Sessions, events: &'a [u32]) -> Self {
        let mut holding = vec![Vec::new(); events.len()];
        for (place, session) in (0u32..).zip(sessions.iter()) {
            for item in session.clicks {
                let places: &mut Vec<u32> = &mut holding[*item as usize];
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        let mut order: Vec<u32> = (0..events.len() as u32).collect();
        order.sort_by_key(|item| std::cmp::Reverse(events[*item as usize]));
        Self { sessions, events, holding, order }
    }

    /// Appends the most popular items until there are [`SHOWN`].
    pub fn fill(&self, state: &VisitorState<'_>, out: &mut Vec<u32>) {
        out.truncate(SHOWN);
        for item in &self.order {
            if out.len() == SHOWN {
                return;
            }
            if state.allows(*item) && !out.contains(item) {
                out.push(*item);
            }
        }
    }
}

/// The most popular items, whatever the session.
pub struct Popular<'a>(pub &'a SessionIndex<'a>);

impl Recommender for Popular<'_> {
    fn name(&self) -> String {
        "popular".to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        Box::new(|state, out| {
            out.clear();
            self.0.fill(state, out);
        })
    }
}

/// The visitor's own items, the most frequent first, then the most popular.
pub struct OwnItems<'a> {
    /// Its name in reports.
    pub name: &'static str,
    /// The training data.
    pub training: &'a SessionIndex<'a>,
}

impl Recommender for OwnItems<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        let mut items: Vec<u32> = Vec::new();
        let mut own: Vec<(usize, u32, u32)> = Vec::new();
        Box::new(move |state, out| {
            items.clear();
            items.extend(state.bought.iter().chain(state.clicks).filter(|item| state.allows(**item)));
            items.sort_unstable();
            own.clear();
            own.extend(items.chunk_by(|a, b| a == b).map(|same| {
                let item = same[0];
                (same.len(), self.training.events[item as usize], item)
            }));
            own.sort_by_key(|(times, events, _)| std::cmp::Reverse((*times, *events)));
            out.clear();
            out.extend(own.iter().map(|(_, _, item)| *item));
            self.training.fill(state, out);
        })
    }
}

/// Ranks by the rows of a table: the row of the last item, or the sum over the cart or, without a cart, over the items bought.
pub struct ItemRules<'a> {
    name: &'static str,
    training: &'a SessionIndex<'a>,
    table: Table,
    sums: bool,
}

/// Clicks that a sequential rule spans.
const STEPS: usize = 10;
/// Items kept per row: one more than shown, since one may be excluded.
const KEPT: usize = SHOWN + 1;
/// Items kept per row where rows are summed.
const KEPT_TO_SUM: usize = 500;

impl<'a> ItemRules<'a> {
    fn learn(
        name: &'static str,
        training: &'a SessionIndex<'a>,
        sums: bool,
        pairs: impl Fn(u32, &[u32], &mut dyn FnMut(u32, f32)) + Sync,
        scale: impl Fn(u32, u32) -> f32 + Sync,
    ) -> Self {
        let table = rows(training.events.len(), |item, row| {
            for place in &training.holding[item as usize] {
                let clicks = training.sessions.get(*place as usize).clicks;
                pairs(item, clicks, &mut |other, value| row.add(other, value));
            }
            prune(row.drain(|other, sum| sum * scale(item, other)), if sums { KEPT_TO_SUM } else { KEPT })
        });
        Self { name, training, table, sums }
    }

    /// Cosine similarity of the sets of sessions that hold the items.
    pub fn item_knn(training: &'a SessionIndex<'a>) -> Self {
        Self::cosine("item-KNN", training, false)
    }

    /// The same over orders, summed over the cart.
    pub fn bought_together(training: &'a SessionIndex<'a>) -> Self {
        Self::cosine("co-purchase", training, true)
    }

    fn cosine(name: &'static str, training: &'a SessionIndex<'a>, sums: bool) -> Self {
        let regular = |item: u32| (training.holding[item as usize].len() as f32 + 20.0).sqrt();
        let pairs = |item: u32, clicks: &[u32], add: &mut dyn FnMut(u32, f32)| {
            for (place, other) in clicks.iter().enumerate() {
                if *other != item && !clicks[..place].contains(other) {
                    add(*other, 1.0);
                }
            }
        };
        let scale = move |item, other| 1.0 / regular(item) / regular(other);
        Self::learn(name, training, sums, pairs, scale)
    }

    /// Pairs of clicks in one session.
    pub fn association_rules(training: &'a SessionIndex<'a>) -> Self {
        let pairs = |item: u32, clicks: &[u32], add: &mut dyn FnMut(u32, f32)| {
            for (place, _) in clicks.iter().enumerate().filter(|click| *click.1 == item) {
                for (_, other) in clicks.iter().enumerate().filter(|click| click.0 != place) {
                    add(*other, 1.0);
                }
            }
        };
        Self::learn("association rules", training, false, pairs, |_, _| 1.0)
    }

    /// Pairs of clicks in order, weighted by `1 / distance`.
    pub fn sequential_rules(training: &'a SessionIndex<'a>) -> Self {
        let pairs = |item: u32, clicks: &[u32], add: &mut dyn FnMut(u32, f32)| {
            for (place, _) in clicks.iter().enumerate().filter(|click| *click.1 == item) {
                for (distance, other) in (1u8..).zip(&clicks[place + 1..]).take(STEPS) {
                    add(*other, 1.0 / f32::from(distance));
                }
            }
        };
        Self::learn("sequential rules", training, false, pairs, |_, _| 1.0)
    }
}

impl Recommender for ItemRules<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        let mut sums = DenseRow::new(if self.sums { self.table.len() } else { 0 });
        Box::new(move |state, out| {
            out.clear();
            let seeds = if state.clicks.is_empty() { state.bought } else { state.clicks };
            if self.sums {
                for (item, weight) in seeds.iter().flat_map(|seed| &self.table[*seed as usize]) {
                    sums.add(*item, *weight);
                }
                let mut all = sums.drain(|_, sum| sum);
                all.retain(|entry| state.allows(entry.0));
                out.extend(prune(all, SHOWN).iter().map(|entry| entry.0));
            } else {
                let row = seeds.last().map_or(&[][..], |item| &self.table[*item as usize]);
                out.extend(row.iter().map(|entry| entry.0).filter(|item| state.allows(*item)));
            }
            self.training.fill(state, out);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::time::Timestamp;

    fn ranked(model: &dyn Recommender, clicks: &[u32], excluded: &[u32]) -> Vec<u32> {
        let mut out = Vec::new();
        let state = VisitorState { bought: &[], clicks, recents: &[], excluded };
        (model.ranker())(&state, &mut out);
        out
    }

    #[test]
    fn each_baseline_ranks_by_its_definition() {
        let mut sessions = Sessions::default();
        for clicks in [[0, 1, 2], [3, 1, 0], [3, 0, 1], [3, 3, 2]] {
            sessions.push(clicks, Timestamp(0));
        }
        let events = [3, 3, 2, 4];
        let training = SessionIndex::new(&sessions, &events);
        assert_eq!(ranked(&Popular(&training), &[2], &[]), [3, 0, 1, 2]);
        assert_eq!(ranked(&Popular(&training), &[3], &[3]), [0, 1, 2]);
        assert_eq!(ranked(&OwnItems { name: "own", training: &training }, &[2, 1, 2], &[]), [2, 1, 3, 0]);
        // 0 and 1 share three sessions; 3 shares two with either.
        assert_eq!(ranked(&ItemRules::item_knn(&training), &[3, 0], &[]), [1, 3, 2, 0]);
        // Pairs of 3: twice itself, two with each of 0, 1 and 2.
        assert_eq!(ranked(&ItemRules::association_rules(&training), &[3], &[3]), [0, 1, 2]);
        // After 0: 1 twice at once, 2 once at two. After 1: 2 and 0, each once at once.
        assert_eq!(ranked(&ItemRules::sequential_rules(&training), &[0], &[]), [1, 2, 3, 0]);
        assert_eq!(ranked(&ItemRules::sequential_rules(&training), &[1], &[1]), [0, 2, 3]);
    }
}
