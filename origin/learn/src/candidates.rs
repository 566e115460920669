//! What a table leads to from a session, click by click, summed as the scorer does: for learning from what came next.

use crate::{DenseRow, Table};
use snapshots::strategy::{Repeats, Strategy};

/// A recent: an item, and how often the session has met it, up to 3.
pub(crate) type Recent = (u32, u8);

/// Tells for every click but the first the recents before it, newest first, and the item clicked.
pub(crate) fn each(clicks: &[u32], mut tell: impl FnMut(&[Recent], u32)) {
    let mut recents: Vec<Recent> = Vec::new();
    for pair in clicks.windows(2) {
        let met = recents.iter().position(|recent| recent.0 == pair[0]);
        let count = met.map_or(0, |place| recents.remove(place).1);
        recents.insert(0, (pair[0], (count + 1).min(3)));
        tell(&recents, pair[1]);
    }
}

/// What the scorer makes of the sum of the recent at a `place` of so many, seen so often: it multiplies the sum, and adds
/// that much of the greatest sum.
pub(crate) fn boost(repeats: &Repeats, place: usize, distinct: usize, count: u8) -> (f32, f32) {
    let (mul, add) = match place {
        0 => (repeats.last_mul, repeats.last_add),
        _ => (repeats.mul, repeats.add * repeats.fade.powi(place as i32 - 1)),
    };
    (mul * repeats.spread.powi(distinct as i32 - 1), add * repeats.often.powi(i32::from(count) - 1))
}

/// The candidates of one table by one strategy.
pub(crate) struct Candidates<'a> {
    table: &'a Table,
    strategy: &'a Strategy,
    sums: DenseRow,
    votes: DenseRow,
}

impl<'a> Candidates<'a> {
    /// With memory for every item of the table.
    pub(crate) fn new(table: &'a Table, strategy: &'a Strategy) -> Self {
        Self { table, strategy, sums: DenseRow::new(table.len()), votes: DenseRow::new(table.len()) }
    }

    /// The recents that count.
    pub(crate) fn near<'r>(&self, recents: &'r [Recent]) -> &'r [Recent] {
        &recents[..recents.len().min(usize::from(self.strategy.recents))]
    }

    /// Every item that the rows of these recents name, with its sum times its votes.
    pub(crate) fn of(&mut self, recents: &[Recent]) -> Vec<(u32, f32)> {
        for (place, (item, _)) in recents.iter().enumerate() {
            let weight = (place as f32 + 1.0).powf(-self.strategy.position);
            for (neighbour, value) in &self.table[*item as usize] {
                self.sums.add(*neighbour, weight * value);
                self.votes.add(*neighbour, 1.0);
            }
        }
        let mut voted = self.sums.drain(|_, sum| sum);
        for ((_, sum), (_, votes)) in voted.iter_mut().zip(self.votes.drain(|_, votes| votes)) {
            *sum *= 1.0 + self.strategy.votes * (votes - 1.0);
        }
        voted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recents_are_distinct_and_newest_first() {
        let mut told = Vec::new();
        each(&[4, 7, 4, 4], |recents, next| told.push((recents.to_vec(), next)));
        let expected = [(vec![(4, 1)], 7), (vec![(7, 1), (4, 1)], 4), (vec![(4, 2), (7, 1)], 4)];
        assert_eq!(told, expected);
    }

    #[test]
    fn rows_are_added_by_place_and_votes() {
        let table = vec![vec![(2, 4.0)], vec![(2, 1.0), (0, 3.0)], vec![]];
        let strategy = Strategy { position: 1.0, votes: 0.5, ..Strategy::default() };
        let mut candidates = Candidates::new(&table, &strategy);
        for _ in 0..2 {
            assert_eq!(candidates.of(&[(1, 1), (0, 1)]), [(2, (1.0 + 4.0 / 2.0) * 1.5), (0, 3.0)]);
        }
    }
}
