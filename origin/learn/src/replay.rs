//! Replay: a session is revealed click by click, and each next click is predicted from those before it.
//!
//! Evaluation, tuning and the choice of hyperparameters share this loop and its measures:
//!
//! ```text
//! HR@n   share of the predictions whose next item is among the first n         MRR@n  mean of 1 / rank there, else 0
//! ```

use crate::Table;
use snapshots::{
    event::Kind,
    score::{Neighbours, Seed, Source},
    signal::Signal,
    strategy::{Seen, Strategy, Weights},
};

/// Length of the ranked list that counts.
pub const CUTOFF: usize = 20;

/// A visitor's distinct items, newest first, with how often each was seen.
#[derive(Clone, Debug, Default)]
pub struct SessionRecents(Vec<Seed>);

impl SessionRecents {
    /// Adds an event, newer than those before.
    pub fn push(&mut self, item: u32, kind: Kind) {
        let known = self.0.iter().position(|seed| seed.item == item);
        let count = known.map_or(0, |place| self.0.remove(place).count);
        self.0.insert(0, Seed { item, kind, count: count.saturating_add(1), age: 0 });
    }

    /// Removes all items.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The items, newest first.
    pub fn seeds(&self) -> &[Seed] {
        &self.0
    }
}

/// One prediction of a replay.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The clicks so far, oldest first; never empty.
    pub clicks: &'a [u32],
    /// Their distinct items, newest first.
    pub recents: &'a [Seed],
    /// The item of the next click.
    pub next: u32,
    /// Whether training has events of it. A cold item is predicted but never revealed.
    pub is_known: bool,
    /// The known clicks that are not revealed yet, oldest first.
    pub remaining: &'a [u32],
}

impl Step<'_> {
    /// The item that the visitor looks at: the last click.
    pub fn on_screen(&self) -> Option<u32> {
        self.clicks.last().copied()
    }
}

/// Replays a session: calls `predict` for every click that follows a known one.
pub fn replay(session: &[u32], is_known: impl Fn(u32) -> bool, mut predict: impl FnMut(&Step<'_>)) {
    let known: Vec<u32> = session.iter().copied().filter(|item| is_known(*item)).collect();
    let mut recents = SessionRecents::default();
    let mut revealed = 0;
    for next in session.iter().copied() {
        let (clicks, remaining) = known.split_at(revealed);
        let is_known = remaining.first() == Some(&next);
        if revealed > 0 {
            predict(&Step { clicks, recents: recents.seeds(), next, is_known, remaining });
        }
        if is_known {
            recents.push(next, Kind::View);
            revealed += 1;
        }
    }
}

/// Hit (0 or 1) and reciprocal rank of one prediction, given the rank of the next item, from 1.
pub fn hit(rank: Option<usize>, cutoff: usize) -> [f64; 2] {
    rank.filter(|rank| *rank <= cutoff).map_or([0.0; 2], |rank| [1.0, 1.0 / rank as f64])
}

/// Sums of hits and reciprocal ranks at [`CUTOFF`] over predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HitSums {
    /// Where the item on screen may be recommended (variant a): hits, then reciprocal ranks.
    pub with_on_screen: [f64; 2],
    /// Where it is never recommended (variant b), so a repeated click is a miss.
    pub without_on_screen: [f64; 2],
}

impl HitSums {
    /// Counts one prediction, given the items ranked for it, best first, the item on screen among them.
    pub fn count(&mut self, step: &Step<'_>, ranked: impl Iterator<Item = u32>) {
        let on_screen = step.on_screen();
        let mut on_screen_before = false;
        // One item more than counts: variant b leaves one out.
        for (place, item) in ranked.take(CUTOFF + 1).enumerate() {
            if item == step.next {
                let rank = place + 1;
                add(&mut self.with_on_screen, hit(Some(rank), CUTOFF));
                let rank = (on_screen != Some(item)).then(|| rank - usize::from(on_screen_before));
                add(&mut self.without_on_screen, hit(rank, CUTOFF));
                return;
            }
            on_screen_before |= on_screen == Some(item);
        }
    }

    /// Adds the sums of other predictions.
    pub fn merge(&mut self, other: &Self) {
        add(&mut self.with_on_screen, other.with_on_screen);
        add(&mut self.without_on_screen, other.without_on_screen);
    }

    /// Hits and reciprocal ranks of variant a, then those of variant b.
    pub fn all(&self) -> [f64; 4] {
        let ([hits_a, ranks_a], [hits_b, ranks_b]) = (self.with_on_screen, self.without_on_screen);
        [hits_a, ranks_a, hits_b, ranks_b]
    }
}

fn add(sums: &mut [f64; 2], values: [f64; 2]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// A co-view table alone as a source for the scorer: one that is being learned, or a packed one.
pub(crate) struct CoviewOnly<'a, T = Table> {
    table: &'a T,
    items: usize,
}

impl<'a> CoviewOnly<'a> {
    /// A table that is being learned.
    pub(crate) fn learned(table: &'a Table) -> Self {
        Self { table, items: table.len() }
    }

    /// A strategy that reads this table alone.
    pub(crate) fn strategy(strategy: Strategy, seen: Seen) -> Strategy {
        let weights = Weights { coview: 1.0, knn: 0.0, bought: 0.0, popularity: 0.0, recency: 0.0 };
        Strategy { weights, seen, ..strategy }
    }
}

impl<T: Neighbours> Source for CoviewOnly<'_, T> {
    type Table = T;

    fn items(&self) -> usize {
        self.items
    }

    fn has_orders(&self) -> bool {
        false
    }

    fn table(&self, signal: Signal) -> Option<&T> {
        (signal == Signal::Coview).then_some(self.table)
    }

    fn popularity(&self, _: u32) -> f32 {
        0.0
    }

    fn recency(&self, _: u32) -> f32 {
        0.0
    }

    /// Sums stay as they are: dividing those of a single table changes no rank.
    fn norm(&self, _: f32) -> f32 {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy as _, any, prop_assert, proptest};
    use snapshots::{
        Bytes, rows,
        score::{MAX_SEEDS, Scratch},
        strategy::Repeats,
    };

    #[test]
    fn every_click_after_the_first_is_predicted_from_those_before() {
        let mut steps = Vec::new();
        replay(
            &[4, 7, 9, 4, 4],
            |item| item != 9,
            |step| {
                let recents: Vec<_> = step.recents.iter().map(|seed| (seed.item, seed.count)).collect();
                steps.push((recents, step.next, step.is_known, step.remaining.to_vec()));
            },
        );
        let expected = [
            (vec![(4, 1)], 7, true, vec![7, 4, 4]),
            (vec![(7, 1), (4, 1)], 9, false, vec![4, 4]),
            (vec![(7, 1), (4, 1)], 4, true, vec![4, 4]),
            (vec![(4, 2), (7, 1)], 4, true, vec![4]),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn variant_b_leaves_out_the_item_on_screen() {
        let count = |session: &[u32], ranked: &[u32]| {
            let mut sums = HitSums::default();
            replay(session, |_| true, |step| sums.count(step, ranked.iter().copied()));
            sums.all()
        };
        assert_eq!(count(&[1, 2], &[1, 5, 2]), [1.0, 1.0 / 3.0, 1.0, 0.5]);
        assert_eq!(count(&[1, 2], &[2, 1]), [1.0, 1.0, 1.0, 1.0]);
        assert_eq!(count(&[1, 1], &[3, 1]), [1.0, 0.5, 0.0, 0.0], "a repeated click is a miss");
        let long: Vec<u32> = (10..30).chain([2]).collect();
        assert_eq!(count(&[1, 2], &long), [0.0; 4]);
        assert_eq!(count(&[10, 2], &long), [0.0, 0.0, 1.0, 1.0 / 20.0]);
    }

    const ITEMS: u32 = 40;

    fn row() -> impl proptest::strategy::Strategy<Value = Vec<(u32, f32)>> {
        // proptest's sampler of f32 ranges fails an assertion of its own now and then.
        let weight = (10u16..5_000).prop_map(|weight| f32::from(weight) / 1_000.0);
        proptest::collection::btree_map(0..ITEMS, weight, 0..12).prop_map(|row| row.into_iter().collect())
    }

    proptest! {
        #[test]
        fn packed_and_learned_tables_score_alike(
            table in proptest::collection::vec(row(), ITEMS as usize), boosted in any::<bool>(),
            clicks in proptest::collection::vec(0..ITEMS, 2..30), votes in 0.0f32..1.0, position in 0.0f32..3.0,
        ) {
            let section = Bytes::from(rows::write(&table));
            let packed = rows::Table::open(rows::COVIEW, std::iter::once(&section)).unwrap();
            // The weights that packing keeps.
            let kept: Table = (0..ITEMS)
                .map(|item| {
                    let mut row = Vec::new();
                    Neighbours::for_each(&packed, item, |neighbour, weight| row.push((neighbour, weight)));
                    row
                })
                .collect();
            let packed = CoviewOnly { table: &packed, items: table.len() };
            let seen = if boosted { Seen::Boost(Repeats::default()) } else { Seen::Exclude };
            let strategy = Strategy { votes, position, recents: MAX_SEEDS as u8, ..Strategy::default() };
            let strategy = CoviewOnly::strategy(strategy, seen);
            let (mut of_packed, mut of_learned) = (Scratch::default(), Scratch::default());
            let mut same = true;
            replay(&clicks, |_| true, |step| {
                let learned = CoviewOnly::learned(&kept);
                let learned = of_learned.candidates(&learned, &strategy, step.recents).map(|scored| (scored.item, scored.score));
                let packed = of_packed.candidates(&packed, &strategy, step.recents).map(|scored| (scored.item, scored.score));
                same &= packed.eq(learned);
            });
            prop_assert!(same);
        }
    }
}
