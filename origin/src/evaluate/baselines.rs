//! What a shop could have without learning tables: popularity, and rows for the last item alone.
//!
//! The item-to-item rules are those of Ludewig & Jannach (2018): item-KNN by cosine with λ 20, association rules
//! that count pairs of a session, sequential rules that count a pair `1 / distance` in the order of the clicks,
//! over at most ten clicks.

use super::{
    measures::SHOWN,
    protocol::{Model, Ranker},
};
use crate::learn::{Table, prune, rows, sessions::Sessions};

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
    pub fn fill(&self, without: Option<u32>, out: &mut Vec<u32>) {
        out.truncate(SHOWN);
        for item in &self.order {
            if out.len() == SHOWN {
                return;
            }
            if Some(*item) != without && !out.contains(item) {
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
        Box::new(|_, without, out| {
            out.clear();
            self.0.fill(without, out);
        })
    }
}

/// The session's own items, the most often met first, then the popular.
pub struct SessionPopular<'a>(pub &'a Training<'a>);

impl Model for SessionPopular<'_> {
    fn name(&self) -> String {
        "session popular".to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        let mut items: Vec<u32> = Vec::new();
        Box::new(move |clicks, without, out| {
            items.clear();
            items.extend(clicks.iter().filter(|item| Some(**item) != without));
            items.sort_unstable();
            items.dedup();
            let times = |item: u32| clicks.iter().filter(|click| **click == item).count();
            items.sort_by_key(|item| std::cmp::Reverse((times(*item), self.0.events[*item as usize])));
            out.clear();
            out.extend(&items);
            self.0.fill(without, out);
        })
    }
}

/// Ranks by the last item's row of a table.
pub struct LastItem<'a> {
    name: &'static str,
    training: &'a Training<'a>,
    table: Table,
}

/// Clicks that a sequential rule spans.
const STEPS: usize = 10;
/// Items kept a row; one more than shown, since one may have to be left out.
const KEPT: usize = SHOWN + 1;

impl<'a> LastItem<'a> {
    fn learn(
        name: &'static str,
        training: &'a Training<'a>,
        pairs: impl Fn(u32, &[u32], &mut dyn FnMut(u32, f32)) + Sync,
        scale: impl Fn(u32, u32) -> f32 + Sync,
    ) -> Self {
        let table = rows(training.events.len(), |item, row| {
            for place in &training.holding[item as usize] {
                let clicks = training.sessions.get(*place as usize).clicks;
                pairs(item, clicks, &mut |other, value| row.add(other, value));
            }
            prune(row.drain(|other, sum| sum * scale(item, other)), KEPT)
        });
        Self { name, training, table }
    }

    /// Cosine of the sessions that hold the items.
    pub fn item_knn(training: &'a Training<'a>) -> Self {
        let regular = |item: u32| (training.holding[item as usize].len() as f32 + 20.0).sqrt();
        let pairs = |item: u32, clicks: &[u32], add: &mut dyn FnMut(u32, f32)| {
            for (place, other) in clicks.iter().enumerate() {
                if *other != item && !clicks[..place].contains(other) {
                    add(*other, 1.0);
                }
            }
        };
        let scale = move |item, other| 1.0 / regular(item) / regular(other);
        Self::learn("item-KNN", training, pairs, scale)
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
        Self::learn("association rules", training, pairs, |_, _| 1.0)
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
        Self::learn("sequential rules", training, pairs, |_, _| 1.0)
    }
}

impl Model for LastItem<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        Box::new(|clicks, without, out| {
            out.clear();
            let row = clicks.last().map_or(&[][..], |item| &self.table[*item as usize]);
            out.extend(row.iter().map(|entry| entry.0).filter(|item| Some(*item) != without));
            self.training.fill(without, out);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::time::Timestamp;

    fn first(model: &dyn Model, clicks: &[u32], without: Option<u32>) -> Vec<u32> {
        let mut out = Vec::new();
        (model.ranker())(clicks, without, &mut out);
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
        assert_eq!(first(&Popular(&training), &[2], None), [3, 0, 1, 2]);
        assert_eq!(first(&Popular(&training), &[3], Some(3)), [0, 1, 2]);
        assert_eq!(first(&SessionPopular(&training), &[2, 1, 2], None), [2, 1, 3, 0]);
        // 0 and 1 share three sessions; 3 shares two with either.
        assert_eq!(first(&LastItem::item_knn(&training), &[3, 0], None), [1, 3, 2, 0]);
        // Pairs of 3: twice itself, two with each of 0, 1 and 2.
        assert_eq!(first(&LastItem::association_rules(&training), &[3], Some(3)), [0, 1, 2]);
        // After 0: 1 twice at once, 2 once at two. After 1: 2 and 0, each once at once.
        assert_eq!(first(&LastItem::sequential_rules(&training), &[0], None), [1, 2, 3, 0]);
        assert_eq!(first(&LastItem::sequential_rules(&training), &[1], Some(1)), [0, 2, 3]);
    }
}
