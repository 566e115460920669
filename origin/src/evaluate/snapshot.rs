//! The edge's own scorer over a packed snapshot, as a model.

use crate::evaluate::{
    measures::SHOWN,
    protocol::{Ask, Model, Ranker},
};
use snapshots::{
    Snapshot,
    event::Kind,
    score::{MAX_SEEDS, Scratch, Seed},
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
    /// How the snapshot counts the items.
    pub numbering: &'a Numbering,
}

/// Learning and snapshot count items in different orders.
pub struct Numbering {
    to_snapshot: Vec<u32>,
    from_snapshot: Vec<u32>,
}

/// Where one of the two lacks an item.
const NONE: u32 = u32::MAX;

impl Numbering {
    /// From the ids in the order of learning. Items that one of the two lacks are never shown.
    pub fn new<'i>(snapshot: &Snapshot, ids: impl Iterator<Item = &'i str>) -> Self {
        let to_snapshot: Vec<u32> = ids.map(|id| snapshot.ids.index(id).unwrap_or(NONE)).collect();
        let mut from_snapshot = vec![NONE; snapshot.len()];
        for (item, place) in (0u32..).zip(&to_snapshot).filter(|(_, place)| **place != NONE) {
            from_snapshot[*place as usize] = item;
        }
        Self { to_snapshot, from_snapshot }
    }

    /// The snapshot's index of an item; past all of them for one that it lacks.
    pub fn to_snapshot(&self, item: u32) -> u32 {
        self.to_snapshot[item as usize]
    }
}

/// The recents that these leave behind: distinct, newest first.
fn seeds(ask: &Ask<'_>, seeds: &mut Vec<Seed>) {
    seeds.clear();
    let clicks = ask.clicks.iter().map(|item| (*item, ask.kind));
    let bought = ask.bought.iter().map(|item| (*item, Kind::Purchase));
    for (item, kind) in clicks.rev().chain(bought.rev()) {
        if let Some(seed) = seeds.iter_mut().find(|seed| seed.item == item) {
            seed.count = seed.count.saturating_add(1);
        } else if seeds.len() < MAX_SEEDS {
            seeds.push(Seed { item, kind, count: 1, age: 0 });
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
        let mut without = Vec::new();
        Box::new(move |ask, out| {
            let Numbering { to_snapshot, from_snapshot } = self.numbering;
            let to_snapshot = |item: &u32| to_snapshot[*item as usize];
            seeds(ask, &mut recents);
            recents.iter_mut().for_each(|seed| seed.item = to_snapshot(&seed.item));
            without.clear();
            without.extend(ask.without.iter().map(to_snapshot));
            let may = |item| !without.contains(&item) && from_snapshot[item as usize] != NONE;
            let candidates = scratch.candidates(self.snapshot, self.strategy, &recents);
            out.clear();
            out.extend(candidates.map(|scored| scored.item).filter(|item| may(*item)).take(SHOWN));
            for item in self.snapshot.popularity.order() {
                if out.len() >= SHOWN {
                    break;
                }
                if may(item) && !out.contains(&item) && !recents.iter().any(|seed| seed.item == item) {
                    out.push(item);
                }
            }
            out.iter_mut().for_each(|item| *item = from_snapshot[*item as usize]);
        })
    }
}
