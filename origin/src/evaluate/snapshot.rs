//! The edge's own scorer over a packed snapshot, as a recommender to evaluate.

use crate::evaluate::{
    measures::SHOWN,
    protocol::{Ranker, Recommender},
};
use snapshots::{
    Snapshot,
    score::{MAX_SEEDS, Scratch, Seed},
    strategy::Strategy,
};

/// A strategy of a snapshot.
pub struct SnapshotRecommender<'a> {
    /// Its name in reports.
    pub name: &'a str,
    /// The opened snapshot.
    pub snapshot: &'a Snapshot,
    /// The strategy.
    pub strategy: &'a Strategy,
    /// Maps the items of training to those of the snapshot.
    pub mapping: &'a IndexMapping,
}

/// Maps item indices of training to those of a snapshot and back: the two order items differently.
pub struct IndexMapping {
    to_snapshot: Vec<u32>,
    from_snapshot: Vec<u32>,
}

/// An item that the other side lacks.
const NONE: u32 = u32::MAX;

impl IndexMapping {
    /// `ids` are those of training, in index order. Items that either side lacks are never shown.
    pub fn new<'i>(snapshot: &Snapshot, ids: impl Iterator<Item = &'i str>) -> Self {
        let to_snapshot: Vec<u32> = ids.map(|id| snapshot.ids.index(id).unwrap_or(NONE)).collect();
        let mut from_snapshot = vec![NONE; snapshot.len()];
        for (item, place) in (0u32..).zip(&to_snapshot).filter(|(_, place)| **place != NONE) {
            from_snapshot[*place as usize] = item;
        }
        Self { to_snapshot, from_snapshot }
    }

    /// The snapshot's index of an item; above all of its indices for an item that it lacks.
    pub fn to_snapshot(&self, item: u32) -> u32 {
        self.to_snapshot[item as usize]
    }
}

impl Recommender for SnapshotRecommender<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        let mut scratch = Scratch::default();
        let mut seeds: Vec<Seed> = Vec::new();
        let mut excluded = Vec::new();
        Box::new(move |state, out| {
            let from_snapshot = &self.mapping.from_snapshot;
            seeds.clear();
            seeds.extend(state.recents.iter().take(MAX_SEEDS));
            seeds.iter_mut().for_each(|seed| seed.item = self.mapping.to_snapshot(seed.item));
            excluded.clear();
            excluded.extend(state.excluded.iter().map(|item| self.mapping.to_snapshot(*item)));
            let is_allowed = |item| !excluded.contains(&item) && from_snapshot[item as usize] != NONE;
            let candidates = scratch.candidates(self.snapshot, self.strategy, &seeds);
            out.clear();
            out.extend(candidates.map(|scored| scored.item).filter(|item| is_allowed(*item)).take(SHOWN));
            for item in self.snapshot.popularity.order() {
                if out.len() >= SHOWN {
                    break;
                }
                if is_allowed(item) && !out.contains(&item) && !seeds.iter().any(|seed| seed.item == item) {
                    out.push(item);
                }
            }
            out.iter_mut().for_each(|item| *item = from_snapshot[*item as usize]);
        })
    }
}
