//! The scorer: from the recents to the best items, by the tables of a snapshot.
//!
//! Every signal is a number from 0 to 1: co-view and KNN are sums of table rows over the recents, divided by the
//! greatest such sum of this request; popularity and recency are the region's own. A candidate scores
//! `Σ weight · signal`, where the two sums count `1 + votes · (recents naming it − 1)` times.
//!
//! Sums live in one dense array by item, of which only the touched cells are ever read or cleared: a request
//! costs its rows, not the catalogue. Filters are asked of the best only, in order, until enough have passed.

use crate::{
    event::Kind,
    rows::Table,
    snapshot::Snapshot,
    strategy::{Seen, Strategy},
};
use serde::Serialize;
use std::collections::BinaryHeap;

/// The most seeds a request counts.
pub const MAX_SEEDS: usize = 50;
/// The most items one call returns.
pub const MAX_WANTED: usize = 254;

/// What chiefly put an item into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Seen together with a recent.
    Coview,
    /// Like a recent.
    Knn,
    /// Wanted in the region.
    Popularity,
    /// Wanted lately.
    Recency,
}

/// One of the recents, as the tables know it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seed {
    /// Index of the item.
    pub item: u32,
    /// The strongest kind seen.
    pub kind: Kind,
    /// How often it was met, from 1.
    pub count: u8,
    /// Minutes since it was last met.
    pub age: u32,
}

/// A recommended item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Index of the item.
    pub item: u32,
    /// Share of the sum of weights, from 0; items named by several recents may exceed 1.
    pub score: f32,
    /// What chiefly put it here.
    pub signal: Signal,
    /// Index of the recent it came from; `None` for popularity and recency.
    pub because: Option<u32>,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    coview: f32,
    knn: f32,
    /// The last seed that named it, from 1; 0 for an untouched cell.
    last: u8,
    /// How many seeds named it.
    votes: u8,
    /// Its own place among the seeds, from 1; 0 for none.
    seed: u8,
    /// Its place in the answer, from 1; 0 for none.
    slot: u8,
}

/// The strongest contribution to one item of the answer by one table.
#[derive(Clone, Copy, Default)]
struct Reason {
    contribution: f32,
    because: u32,
}

/// Memory for scoring, kept between requests: once it has met a catalogue, scoring allocates nothing.
#[derive(Default)]
pub struct Scratch {
    cells: Vec<Cell>,
    touched: Vec<u32>,
    ranked: Vec<u64>,
    reasons: Vec<[Reason; 2]>,
}

/// A score and an item as one number that sorts as they should: by score, then the lower index first. Scores are finite and not negative, so their bits sort as they do.
fn rank_key(score: f32, item: u32) -> u64 {
    u64::from(score.max(0.0).to_bits()) << 32 | u64::from(!item)
}

fn rank_parts(key: u64) -> (f32, u32) {
    (f32::from_bits((key >> 32) as u32), !(key as u32))
}

fn seed_weight(strategy: &Strategy, place: usize, seed: &Seed) -> f32 {
    let kind = strategy.kinds.get(seed.kind as usize).copied().unwrap_or(1.0);
    let age = if strategy.half_life > 0.0 { (-(seed.age as f32) / strategy.half_life).exp2() } else { 1.0 };
    // A recent never weighs nothing: with old ones only, the newest still leads.
    kind * age.max(1e-6) * (place as f32 + 1.0).powf(-strategy.position)
}

/// The tables a strategy reads, each with its weight and then the scale that makes it a signal.
struct Tables<'a> {
    coview: Option<&'a Table>,
    knn: Option<&'a Table>,
    coview_scale: f32,
    knn_scale: f32,
}

/// Fills `out` with the best `wanted` candidates (at most [`MAX_WANTED`]) that `seeds`, newest first, lead to
/// and `allowed` lets pass, best first.
pub fn personal(
    snapshot: &Snapshot,
    strategy: &Strategy,
    seeds: &[Seed],
    wanted: usize,
    scratch: &mut Scratch,
    allowed: impl FnMut(u32) -> bool,
    out: &mut Vec<Scored>,
) {
    out.clear();
    let seeds = seeds.get(..seeds.len().min(strategy.recents.into()).min(MAX_SEEDS)).unwrap_or(&[]);
    if scratch.cells.len() < snapshot.len() {
        scratch.cells.resize(snapshot.len(), Cell::default());
    }
    let weights = strategy.weights;
    let mut tables = Tables {
        coview: snapshot.coview.as_ref().filter(|_| weights.coview > 0.0),
        knn: snapshot.knn.as_ref().filter(|_| weights.knn > 0.0),
        coview_scale: 0.0,
        knn_scale: 0.0,
    };
    scratch.sum(strategy, seeds, &tables);
    (tables.coview_scale, tables.knn_scale) = scratch.scales(strategy);
    scratch.rank(snapshot, strategy, seeds, &tables);
    scratch.take_best(wanted.min(MAX_WANTED), allowed, out);
    scratch.explain(snapshot, strategy, seeds, &tables, out);
    scratch.clear();
}

impl Scratch {
    fn touch(&mut self, item: u32) -> Option<&mut Cell> {
        let cell = self.cells.get_mut(item as usize)?;
        if cell.last == 0 {
            self.touched.push(item);
        }
        Some(cell)
    }

    fn sum(&mut self, strategy: &Strategy, seeds: &[Seed], tables: &Tables<'_>) {
        for (place, seed) in (1u8..).zip(seeds) {
            let weight = seed_weight(strategy, usize::from(place) - 1, seed);
            let mut add = |rows: Option<&Table>, sum: fn(&mut Cell) -> &mut f32| {
                let Some(rows) = rows else { return };
                rows.for_each(seed.item, |neighbour, value| {
                    if let Some(cell) = self.touch(neighbour) {
                        cell.votes += u8::from(cell.last != place);
                        cell.last = place;
                        *sum(cell) += weight * value;
                    }
                });
            };
            add(tables.coview, |cell| &mut cell.coview);
            add(tables.knn, |cell| &mut cell.knn);
        }
        // Seeds come after, so that one that no row names does not count as named by itself.
        for (place, seed) in (1u8..).zip(seeds) {
            if let Some(cell) = self.touch(seed.item) {
                cell.last = place;
                cell.seed = if cell.seed == 0 { place } else { cell.seed };
            }
        }
    }

    /// What makes the sums signals: the greatest one of a candidate becomes 1, times the table's weight.
    fn scales(&self, strategy: &Strategy) -> (f32, f32) {
        let seen_too = strategy.seen != Seen::Exclude;
        let cells = self.touched.iter().filter_map(|item| self.cells.get(*item as usize));
        let (coview, knn) = cells
            .filter(|cell| seen_too || cell.seed == 0)
            .fold((0f32, 0f32), |(coview, knn), cell| (coview.max(cell.coview), knn.max(cell.knn)));
        let scale = |weight: f32, most: f32| if most > 0.0 { weight / most } else { 0.0 };
        (scale(strategy.weights.coview, coview), scale(strategy.weights.knn, knn))
    }

    fn rank(&mut self, snapshot: &Snapshot, strategy: &Strategy, seeds: &[Seed], tables: &Tables<'_>) {
        let by_tables = |cell: &Cell| {
            let voted = 1.0 + strategy.votes * f32::from(cell.votes.saturating_sub(1));
            (cell.coview * tables.coview_scale + cell.knn * tables.knn_scale) * voted
        };
        let weights = strategy.weights;
        let by_region = |item| {
            let mut score = 0.0;
            if weights.popularity > 0.0 {
                score += weights.popularity * snapshot.popularity.of(item);
            }
            if weights.recency > 0.0 {
                score += weights.recency * snapshot.popularity.recency(item);
            }
            score
        };
        let mut most = 0f32;
        self.ranked.clear();
        for item in &self.touched {
            let Some(cell) = self.cells.get(*item as usize) else { continue };
            if cell.seed == 0 {
                let score = by_tables(cell);
                most = most.max(score);
                self.ranked.push(rank_key(score + by_region(*item), *item));
            }
        }
        let Seen::Boost(repeats) = strategy.seen else { return };
        let seen = |place: u8, seed: &Seed| {
            let cell = self.cells.get(seed.item as usize)?;
            (cell.seed == place).then(|| by_tables(cell))
        };
        for (place, seed) in (1u8..).zip(seeds) {
            most = most.max(seen(place, seed).unwrap_or(0.0));
        }
        let spread = repeats.spread.powi(seeds.len().saturating_sub(1) as i32);
        for (place, seed) in (1u8..).zip(seeds) {
            let Some(score) = seen(place, seed) else { continue };
            let (mul, add) = match place {
                1 => (repeats.last_mul, repeats.last_add),
                _ => (repeats.mul, repeats.add * repeats.fade.powi(i32::from(place) - 2)),
            };
            let often = repeats.often.powi(i32::from(seed.count.clamp(1, 3)) - 1);
            let score = score * mul * spread + most * add * often;
            self.ranked.push(rank_key(score + by_region(seed.item), seed.item));
        }
    }

    fn take_best(&mut self, wanted: usize, mut allowed: impl FnMut(u32) -> bool, out: &mut Vec<Scored>) {
        let mut heap = BinaryHeap::from(core::mem::take(&mut self.ranked));
        while out.len() < wanted {
            let Some(key) = heap.pop() else { break };
            let (score, item) = rank_parts(key);
            if allowed(item) {
                out.push(Scored { item, score, signal: Signal::Coview, because: None });
            }
        }
        self.ranked = heap.into_vec();
    }

    /// Finds each item's chief signal, and the recent whose row gave most of it.
    fn explain(
        &mut self,
        snapshot: &Snapshot,
        strategy: &Strategy,
        seeds: &[Seed],
        tables: &Tables<'_>,
        out: &mut [Scored],
    ) {
        for (slot, scored) in (1u8..).zip(out.iter()) {
            if let Some(cell) = self.cells.get_mut(scored.item as usize) {
                cell.slot = slot;
            }
        }
        self.reasons.clear();
        self.reasons.resize(out.len(), Default::default());
        for (place, seed) in seeds.iter().enumerate() {
            let weight = seed_weight(strategy, place, seed);
            let mut note = |rows: Option<&Table>, reason: fn(&mut [Reason; 2]) -> &mut Reason| {
                let Some(rows) = rows else { return };
                rows.for_each(seed.item, |neighbour, value| {
                    let slot = self.cells.get(neighbour as usize).map_or(0, |cell| usize::from(cell.slot));
                    let Some(reasons) = slot.checked_sub(1).and_then(|slot| self.reasons.get_mut(slot))
                    else {
                        return;
                    };
                    let reason = reason(reasons);
                    if weight * value > reason.contribution {
                        *reason = Reason { contribution: weight * value, because: seed.item };
                    }
                });
            };
            note(tables.coview, |[coview, _]| coview);
            note(tables.knn, |[_, knn]| knn);
        }
        let weights = strategy.weights;
        for (scored, [coview, knn]) in out.iter_mut().zip(&self.reasons) {
            let cell = self.cells.get(scored.item as usize).copied().unwrap_or_default();
            let signals = [
                (cell.coview * tables.coview_scale, Signal::Coview, Some(coview.because)),
                (cell.knn * tables.knn_scale, Signal::Knn, Some(knn.because)),
                (weights.popularity * snapshot.popularity.of(scored.item), Signal::Popularity, None),
                (weights.recency * snapshot.popularity.recency(scored.item), Signal::Recency, None),
            ];
            let chief = signals.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((share, signal, because)) = chief {
                scored.signal = signal;
                scored.because = because.filter(|_| share > 0.0);
            }
            scored.score /= weights.sum();
        }
    }

    fn clear(&mut self) {
        for item in self.touched.drain(..) {
            if let Some(cell) = self.cells.get_mut(item as usize) {
                *cell = Cell::default();
            }
        }
    }
}

#[cfg(test)]
mod tests;
