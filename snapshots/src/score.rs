//! The scorer: from the recents to the best items, by the tables of a snapshot.
//!
//! Every signal is a number from 0 to 1: co-view, KNN and bought together are sums of table rows over the recents, divided by the
//! greatest such sum of this request; popularity and recency are the region's own. A candidate scores
//! `Σ weight · signal`, where those sums count `1 + votes · (recents naming it − 1)` times.
//!
//! What is found lies side by side in the order it was met, and one dense array tells each item's place in it. Only
//! the cells of found items are ever written or cleared: a request costs its rows, not the catalogue. Each row is
//! read once. Whoever takes candidates filters them, in order, until enough have passed.

use crate::{
    format::{
        rows::Table,
        signal::Signal,
        strategy::{Seen, Strategy, TABLES},
    },
    snapshot::Snapshot,
    wire::event::Kind,
};
use std::collections::BinaryHeap;

/// The most seeds a request counts.
pub const MAX_SEEDS: usize = 50;

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

/// What the tables say of one item.
#[derive(Clone, Copy, Default)]
struct Found {
    item: u32,
    /// By table, the weighted sum over the seeds.
    sums: [f32; TABLES],
    /// By table, the greatest part of the sum, and the place of the seed that it came from, from 0.
    greatest: [f32; TABLES],
    because: [u8; TABLES],
    /// The last seed that named it, from 1.
    last: u8,
    /// How many seeds named it.
    votes: u8,
    /// Its own place among the seeds, from 1; 0 for none.
    seed: u8,
}

impl Found {
    /// The tables' signals times their weights.
    fn signals(&self, scales: [f32; TABLES]) -> [f32; TABLES] {
        let ([first, second], [first_scale, second_scale]) = (self.sums, scales);
        [first * first_scale, second * second_scale]
    }
}

/// Memory for scoring, kept between requests: once it has met a catalogue, scoring allocates nothing.
#[derive(Default)]
pub struct Scratch {
    /// By item, its place in `found`, from 1; 0 for none. There are at most 50 · (2 · 255 + 1) places.
    places: Vec<u16>,
    found: Vec<Found>,
    ranked: Vec<u64>,
    /// `(place + 1)^−position` of the seeds, and the position it was computed for.
    positions: Vec<f32>,
    position: f32,
}

/// A sum that is less counts as nothing.
const LEAST: f32 = 1e-30;

/// The greater of two numbers. They are never NaN, for which `f32::max` takes four times as long.
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// A score and an item as one number that sorts as they should: by score, then the lower index first. Scores are finite and not negative, so their bits sort as they do.
fn rank_key(score: f32, item: u32) -> u64 {
    u64::from(greater(score, 0.0).to_bits()) << 32 | u64::from(!item)
}

fn rank_parts(key: u64) -> (f32, u32) {
    (f32::from_bits((key >> 32) as u32), !(key as u32))
}

/// What the seeds lead to, in falling order of score, which is not yet a share of the sum of weights: a heap, so that none is sorted that nobody
/// looks at. Scores are made shares, and reasons told, by [`Candidates::explain`].
pub struct Candidates<'a> {
    snapshot: &'a Snapshot,
    strategy: &'a Strategy,
    seeds: &'a [Seed],
    scales: [f32; TABLES],
    heap: BinaryHeap<u64>,
    scratch: &'a mut Scratch,
}

impl Iterator for Candidates<'_> {
    type Item = Scored;

    #[inline]
    fn next(&mut self) -> Option<Scored> {
        let (score, item) = rank_parts(self.heap.pop()?);
        Some(Scored { item, score, signal: Signal::Coview, because: None })
    }
}

impl Candidates<'_> {
    /// Tells each item's chief signal, and the recent whose row gave most of it. Each item is to be told of once.
    pub fn explain(&self, out: &mut [Scored]) {
        let Self { snapshot, strategy, seeds, scales, scratch, .. } = self;
        let weights = strategy.weights;
        let read = strategy.tables(snapshot.bought.is_some());
        for scored in out {
            let found = scratch.of(scored.item).copied().unwrap_or_default();
            let seed = |place: u8| seeds.get(usize::from(place)).map(|seed| seed.item);
            let ([(first, _), (second, _)], [by_first, by_second]) = (read, found.because);
            let [of_first, of_second] = found.signals(*scales);
            let signals = [
                (of_first, first, seed(by_first)),
                (of_second, second, seed(by_second)),
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
}

impl Drop for Candidates<'_> {
    fn drop(&mut self) {
        self.scratch.ranked = core::mem::take(&mut self.heap).into_vec();
        self.scratch.clear();
    }
}

fn known<'a>(places: &[u16], found: &'a [Found], item: u32) -> Option<&'a Found> {
    let place = usize::from(*places.get(item as usize)?);
    found.get(place.wrapping_sub(1))
}

impl Scratch {
    /// What `seeds`, newest first, lead to by a strategy.
    pub fn candidates<'a>(
        &'a mut self,
        snapshot: &'a Snapshot,
        strategy: &'a Strategy,
        seeds: &'a [Seed],
    ) -> Candidates<'a> {
        let seeds = seeds.get(..seeds.len().min(strategy.recents.into()).min(MAX_SEEDS)).unwrap_or(&[]);
        if self.places.len() < snapshot.len() {
            self.places.resize(snapshot.len(), 0);
        }
        let read = strategy.tables(snapshot.bought.is_some());
        let table = |(signal, weight): (Signal, f32)| snapshot.table(signal.table()).filter(|_| weight > 0.0);
        self.sum(strategy, seeds, read.map(table));
        let scales = self.scales(strategy, read.map(|(_, weight)| weight));
        self.rank(snapshot, strategy, seeds, scales);
        let heap = core::mem::take(&mut self.ranked).into();
        Candidates { snapshot, strategy, seeds, scales, heap, scratch: self }
    }

    /// What is known of an item, which is added where nothing was.
    #[inline(always)]
    fn touch(&mut self, item: u32) -> Option<&mut Found> {
        let place = self.places.get_mut(item as usize)?;
        if *place == 0 {
            self.found.push(Found { item, ..Found::default() });
            *place = self.found.len() as u16;
        }
        self.found.get_mut(usize::from(*place).wrapping_sub(1))
    }

    fn of(&self, item: u32) -> Option<&Found> {
        known(&self.places, &self.found, item)
    }

    fn seed_weight(&mut self, strategy: &Strategy, place: usize, seed: &Seed) -> f32 {
        if self.position != strategy.position {
            (self.position, self.positions) = (strategy.position, Vec::with_capacity(MAX_SEEDS));
        }
        for place in self.positions.len()..=place {
            self.positions.push((place as f32 + 1.0).powf(-strategy.position));
        }
        let position = self.positions.get(place).copied().unwrap_or(1.0);
        let kind = strategy.kinds.get(seed.kind as usize).copied().unwrap_or(1.0);
        let ages = strategy.half_life > 0.0 && seed.age > 0;
        let age = if ages { (-(seed.age as f32) / strategy.half_life).exp2() } else { 1.0 };
        // A recent never weighs nothing: with old ones only, the newest still leads.
        kind * age.max(1e-6) * position
    }

    fn sum(&mut self, strategy: &Strategy, seeds: &[Seed], tables: [Option<&Table>; TABLES]) {
        for (place, seed) in (1u8..).zip(seeds) {
            let weight = self.seed_weight(strategy, usize::from(place) - 1, seed);
            for (table, rows) in tables.into_iter().enumerate() {
                let Some(rows) = rows else { continue };
                rows.for_each(seed.item, |neighbour, value| {
                    let Some(found) = self.touch(neighbour) else { return };
                    found.votes += u8::from(found.last != place);
                    found.last = place;
                    let part = weight * value;
                    let (Some(sum), Some(greatest), Some(because)) = (
                        found.sums.get_mut(table),
                        found.greatest.get_mut(table),
                        found.because.get_mut(table),
                    ) else {
                        return;
                    };
                    *sum += part;
                    if part > *greatest {
                        (*greatest, *because) = (part, place - 1);
                    }
                });
            }
        }
        // Seeds come after, so that one that no row names does not count as named by itself.
        for (place, seed) in (1u8..).zip(seeds) {
            if let Some(found) = self.touch(seed.item) {
                found.seed = if found.seed == 0 { place } else { found.seed };
            }
        }
    }

    /// What makes the sums signals: the greatest one of a candidate becomes 1, times the table's weight.
    fn scales(&self, strategy: &Strategy, weights: [f32; TABLES]) -> [f32; TABLES] {
        let seen_too = strategy.seen != Seen::Exclude;
        let candidates = self.found.iter().filter(|found| seen_too || found.seed == 0);
        let most = |[first, second]: [f32; TABLES], found: &Found| {
            let [own_first, own_second] = found.sums;
            [greater(first, own_first), greater(second, own_second)]
        };
        let [first, second] = candidates.fold([0.0; TABLES], most);
        // A weight is a million at most, so that no scale is infinite, which times nothing would be no number.
        let scale = |weight: f32, most: f32| if most > LEAST { weight / most } else { 0.0 };
        let [first_weight, second_weight] = weights;
        [scale(first_weight, first), scale(second_weight, second)]
    }

    fn rank(&mut self, snapshot: &Snapshot, strategy: &Strategy, seeds: &[Seed], scales: [f32; TABLES]) {
        let by_tables = |found: &Found| {
            let voted = 1.0 + strategy.votes * f32::from(found.votes.saturating_sub(1));
            let [first, second] = found.signals(scales);
            (first + second) * voted
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
        for found in self.found.iter().filter(|found| found.seed == 0) {
            let score = by_tables(found);
            most = greater(most, score);
            self.ranked.push(rank_key(score + by_region(found.item), found.item));
        }
        let Seen::Boost(repeats) = strategy.seen else { return };
        let seen = |place: u8, seed: &Seed| {
            let found = known(&self.places, &self.found, seed.item)?;
            (found.seed == place).then(|| by_tables(found))
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

    fn clear(&mut self) {
        for found in self.found.drain(..) {
            if let Some(place) = self.places.get_mut(found.item as usize) {
                *place = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
