//! The edge's own scorer over a packed snapshot, as a model.

use super::{
    measures::SHOWN,
    protocol::{Model, Ranker},
};
use snapshots::{
    Snapshot,
    event::Kind,
    score::{MAX_SEEDS, Scratch, Seed, personal},
    strategy::Strategy,
};

/// A strategy of a snapshot.
pub struct Tables<'a> {
    /// What it is called in reports.
    pub name: &'a str,
    /// The opened snapshot.
    pub snapshot: &'a Snapshot,
    /// The strategy.
    pub strategy: &'a Strategy,
}

/// The recents that these clicks, oldest first, leave behind: distinct, newest first.
pub fn seeds(clicks: &[u32], seeds: &mut Vec<Seed>) {
    seeds.clear();
    for item in clicks.iter().rev() {
        if let Some(seed) = seeds.iter_mut().find(|seed| seed.item == *item) {
            seed.count = seed.count.saturating_add(1);
        } else if seeds.len() < MAX_SEEDS {
            seeds.push(Seed { item: *item, kind: Kind::View, count: 1, age: 0 });
        }
    }
}

impl Model for Tables<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        let mut scratch = Scratch::default();
        let mut recents = Vec::new();
        let mut best = Vec::new();
        Box::new(move |clicks, without, out| {
            seeds(clicks, &mut recents);
            let may = |item| Some(item) != without;
            personal(self.snapshot, self.strategy, &recents, SHOWN, &mut scratch, may, &mut best);
            out.clear();
            out.extend(best.iter().map(|scored| scored.item));
            for item in self.snapshot.popularity.order() {
                if out.len() >= SHOWN {
                    return;
                }
                if may(item) && !out.contains(&item) && !recents.iter().any(|seed| seed.item == item) {
                    out.push(item);
                }
            }
        })
    }
}
