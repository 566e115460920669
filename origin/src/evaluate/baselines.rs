//! What a shop could have without learning tables: popularity, and rows for the last item, or for a cart.
//!
//! The item-to-item rules are those of Ludewig & Jannach (2018): item-KNN by cosine with λ 20, association rules
//! that count pairs of a session, sequential rules that count a pair `1 / distance` in the order of the clicks,
//! over at most ten clicks.

use crate::evaluate::{
    measures::SHOWN,
    protocol::{Ask, Model, Ranker},
};
use origin_learn::{DenseRow, Table, prune, rows, sessions::Sessions};

/// Sessions by item, and items by the number of their events: what baselines learn from.
pub struct Training<'a> {
    /// The sessions, oldest first.
    pub sessions: &'a Sessions,
    /// Events of every item.
    pub events: &'a [u32],
    /// Places of the sessions that hold an item, oldest first.
    pub holding: Vec<Vec<u32>>,
    /// All items, most events first.
    pub order: Vec<u32>,
}

impl<'a> Training<'a> {
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

    /// Appends the most popular until [`SHOWN`] are shown: they are next in the order of equal scores.
    pub fn fill(&self, ask: &Ask<'_>, out: &mut Vec<u32>) {
        out.truncate(SHOWN);
        for item in &self.order {
            if out.len() == SHOWN {
                return;
            }
            if ask.lets_pass(*item) && !out.contains(item) {
                out.push(*item);
            }
        }
    }
}

/// The items with the most events, whatever the session.
pub struct Popular<'a>(pub &'a Training<'a>);

impl Model for Popular<'_> {
    fn name(&self) -> String {
        "popular".to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        Box::new(|ask, out| {
            out.clear();
            self.0.fill(ask, out);
        })
    }
}

/// The visitor's own items, the most often met first, then the popular.
pub struct Own<'a> {
    /// What it is called.
    pub name: &'static str,
    /// What is popular.
    pub training: &'a Training<'a>,
}

impl Model for Own<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        let mut items: Vec<u32> = Vec::new();
        let mut own: Vec<(usize, u32, u32)> = Vec::new();
        Box::new(move |ask, out| {
            items.clear();
            items.extend(ask.bought.iter().chain(ask.clicks).filter(|item| ask.lets_pass(**item)));
            items.sort_unstable();
            own.clear();
            own.extend(items.chunk_by(|a, b| a == b).map(|same| {
                let item = same[0];
                (same.len(), self.training.events[item as usize], item)
            }));
            own.sort_by_key(|(times, events, _)| std::cmp::Reverse((*times, *events)));
            out.clear();
            out.extend(own.iter().map(|(_, _, item)| *item));
            self.training.fill(ask, out);
        })
    }
}

/// Ranks by a table's rows: the last item's, or the sum of those of the cart, and where there is none, of what was
/// bought.
pub struct Rules<'a> {
    name: &'static str,
    training: &'a Training<'a>,
    table: Table,
    sums: bool,
}

/// Clicks that a sequential rule spans.
const STEPS: usize = 10;
/// Items kept a row; one more than shown, since one may have to be left out.
const KEPT: usize = SHOWN + 1;
/// Items kept a row where rows are added up.
const KEPT_TO_SUM: usize = 500;

impl<'a> Rules<'a> {
    fn learn(
        name: &'static str,
        training: &'a Training<'a>,
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

    /// Cosine of the sessions that hold the items.
    pub fn item_knn(training: &'a Training<'a>) -> Self {
        Self::cosine("item-KNN", training, false)
    }

    /// The same of orders, added up over the cart.
    pub fn bought_together(training: &'a Training<'a>) -> Self {
        Self::cosine("co-purchase", training, true)
    }

    fn cosine(name: &'static str, training: &'a Training<'a>, sums: bool) -> Self {
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

    /// How often two clicks fell into one session.
    pub fn association_rules(training: &'a Training<'a>) -> Self {
        let pairs = |item: u32, clicks: &[u32], add: &mut dyn FnMut(u32, f32)| {
            for (place, _) in clicks.iter().enumerate().filter(|click| *click.1 == item) {
                for (_, other) in clicks.iter().enumerate().filter(|click| click.0 != place) {
                    add(*other, 1.0);
                }
            }
        };
        Self::learn("association rules", training, false, pairs, |_, _| 1.0)
    }

    /// How often, and how soon, one click followed another.
    pub fn sequential_rules(training: &'a Training<'a>) -> Self {
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

impl Model for Rules<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        let mut sums = DenseRow::new(if self.sums { self.table.len() } else { 0 });
        Box::new(move |ask, out| {
            out.clear();
            let seeds = if ask.clicks.is_empty() { ask.bought } else { ask.clicks };
            if self.sums {
                for (item, weight) in seeds.iter().flat_map(|seed| &self.table[*seed as usize]) {
                    sums.add(*item, *weight);
                }
                let mut all = sums.drain(|_, sum| sum);
                all.retain(|entry| ask.lets_pass(entry.0));
                out.extend(prune(all, SHOWN).iter().map(|entry| entry.0));
            } else {
                let row = seeds.last().map_or(&[][..], |item| &self.table[*item as usize]);
                out.extend(row.iter().map(|entry| entry.0).filter(|item| ask.lets_pass(*item)));
            }
            self.training.fill(ask, out);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::time::Timestamp;

    fn first(model: &dyn Model, clicks: &[u32], without: &[u32]) -> Vec<u32> {
        let mut out = Vec::new();
        (model.ranker())(&Ask::of(clicks, without), &mut out);
        out
    }

    #[test]
    fn each_ranks_by_its_rule() {
        let mut sessions = Sessions::default();
        for clicks in [[0, 1, 2], [3, 1, 0], [3, 0, 1], [3, 3, 2]] {
            sessions.push(clicks, Timestamp(0));
        }
        let events = [3, 3, 2, 4];
        let training = Training::new(&sessions, &events);
        assert_eq!(first(&Popular(&training), &[2], &[]), [3, 0, 1, 2]);
        assert_eq!(first(&Popular(&training), &[3], &[3]), [0, 1, 2]);
        assert_eq!(first(&Own { name: "own", training: &training }, &[2, 1, 2], &[]), [2, 1, 3, 0]);
        // 0 and 1 share three sessions; 3 shares two with either.
        assert_eq!(first(&Rules::item_knn(&training), &[3, 0], &[]), [1, 3, 2, 0]);
        // Pairs of 3: twice itself, two with each of 0, 1 and 2.
        assert_eq!(first(&Rules::association_rules(&training), &[3], &[3]), [0, 1, 2]);
        // After 0: 1 twice at once, 2 once at two. After 1: 2 and 0, each once at once.
        assert_eq!(first(&Rules::sequential_rules(&training), &[0], &[]), [1, 2, 3, 0]);
        assert_eq!(first(&Rules::sequential_rules(&training), &[1], &[1]), [0, 2, 3]);
    }
}
