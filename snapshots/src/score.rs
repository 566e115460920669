//! The scorer: from the recents to the best items, by the tables of a snapshot or by those being learned.
//!
//! Every signal is a number from 0 to 1. Co-view, KNN and bought together are sums of table rows over the recents, divided
//! by the greatest sum of the request; popularity and recency are the region's. A candidate scores `Σ weight · signal`,
//! with the sums multiplied by `1 + votes · (recents naming it − 1)`.
//!
//! Candidates lie side by side in the order in which they were found; one dense array holds each item's place among
//! them. Only the cells of candidates are written and cleared, so a request costs its rows, not the catalogue. Each row is
//! read once. The caller takes candidates in order and filters them until enough have passed.

use crate::{
    format::{
        rows::Table,
        signal::Signal,
        strategy::{Repeats, Seen, Strategy, TABLES},
    },
    snapshot::Snapshot,
    wire::event::Kind,
};
use std::collections::BinaryHeap;

/// The most seeds a request counts.
pub const MAX_SEEDS: usize = 50;

/// One of the recents, by item index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seed {
    /// Index of the item.
    pub item: u32,
    /// The strongest kind of its events.
    pub kind: Kind,
    /// How many events it has, from 1.
    pub count: u8,
    /// Minutes since the last of them.
    pub age: u32,
}

/// A recommended item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Index of the item.
    pub item: u32,
    /// Share of the sum of weights, from 0; items named by several recents may exceed 1.
    pub score: f32,
    /// The signal that contributes most.
    pub signal: Signal,
    /// Index of the recent that contributes most; `None` for popularity and recency.
    pub because: Option<u32>,
}

/// Rows of a table: the neighbours of each item with their weights.
pub trait Neighbours {
    /// Calls `each` with every neighbour and weight of one item's row, at most [`crate::rows::MAX_ROW`] of them. A row
    /// that is absent is empty.
    fn for_each(&self, item: u32, each: impl FnMut(u32, f32));
}

impl Neighbours for Table {
    #[inline(always)]
    fn for_each(&self, item: u32, each: impl FnMut(u32, f32)) {
        Self::for_each(self, item, each);
    }
}

impl Neighbours for Vec<Vec<(u32, f32)>> {
    #[inline]
    fn for_each(&self, item: u32, mut each: impl FnMut(u32, f32)) {
        for (neighbour, weight) in self.get(item as usize).into_iter().flatten() {
            each(*neighbour, *weight);
        }
    }
}

/// What the scorer reads: a snapshot, or tables while they are learned.
pub trait Source {
    /// How a table is held.
    type Table: Neighbours;

    /// Number of items.
    fn items(&self) -> usize;
    /// Whether there is a table of orders; without one its weight goes to co-view.
    fn has_orders(&self) -> bool;
    /// The table of a signal.
    fn table(&self, signal: Signal) -> Option<&Self::Table>;
    /// The item's popularity in the region, from 0 to 1.
    fn popularity(&self, item: u32) -> f32;
    /// The item's recency in the region, from 0 to 1.
    fn recency(&self, item: u32) -> f32;
    /// What the sums of a table are divided by, given the greatest of this request.
    #[inline(always)]
    fn norm(&self, greatest: f32) -> f32 {
        greatest
    }
}

impl Source for Snapshot {
    type Table = Table;

    #[inline(always)]
    fn items(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn has_orders(&self) -> bool {
        self.bought.is_some()
    }

    #[inline(always)]
    fn table(&self, signal: Signal) -> Option<&Table> {
        self.table(signal.table())
    }

    #[inline(always)]
    fn popularity(&self, item: u32) -> f32 {
        self.popularity.of(item)
    }

    #[inline(always)]
    fn recency(&self, item: u32) -> f32 {
        self.popularity.recency(item)
    }
}

impl<S: Source> Source for &S {
    type Table = S::Table;

    #[inline(always)]
    fn items(&self) -> usize {
        S::items(self)
    }

    #[inline(always)]
    fn has_orders(&self) -> bool {
        S::has_orders(self)
    }

    #[inline(always)]
    fn table(&self, signal: Signal) -> Option<&S::Table> {
        S::table(self, signal)
    }

    #[inline(always)]
    fn popularity(&self, item: u32) -> f32 {
        S::popularity(self, item)
    }

    #[inline(always)]
    fn recency(&self, item: u32) -> f32 {
        S::recency(self, item)
    }

    #[inline(always)]
    fn norm(&self, greatest: f32) -> f32 {
        S::norm(self, greatest)
    }
}

/// By the number of distinct recents: maps a recent's place (0 the newest) and its number of events to `(mul, add)`. Its
/// score `S` becomes `mul · S + add · max(S)`; the formula is that of [`Repeats`].
#[inline(always)]
pub fn boosts(repeats: &Repeats, recents: usize) -> impl Fn(usize, u8) -> (f32, f32) {
    let repeats = *repeats;
    let spread = repeats.spread.powi(recents.saturating_sub(1) as i32);
    move |place, count| {
        let (mul, add) = match place {
            0 => (repeats.last_mul, repeats.last_add),
            _ => (repeats.mul, repeats.add * repeats.fade.powi(place as i32 - 1)),
        };
        (mul * spread, add * repeats.often.powi(i32::from(count.clamp(1, 3)) - 1))
    }
}

/// An item that a row names, or a seed.
#[derive(Clone, Copy, Default)]
struct Candidate {
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

impl Candidate {
    /// The tables' signals times their weights.
    fn signals(&self, scales: [f32; TABLES]) -> [f32; TABLES] {
        let ([first, second], [first_scale, second_scale]) = (self.sums, scales);
        [first * first_scale, second * second_scale]
    }
}

/// Memory for scoring, kept between requests: after the first request for a catalogue, scoring allocates nothing.
#[derive(Default)]
pub struct Scratch {
    /// By item, its place in `found`, from 1; 0 for none. There are at most 50 · (2 · 255 + 1) places.
    places: Vec<u16>,
    found: Vec<Candidate>,
    ranked: Vec<u64>,
    /// `(place + 1)^−position` of the seeds, and the position it was computed for.
    positions: Vec<f32>,
    position: f32,
}

/// A lesser sum counts as 0.
const LEAST: f32 = 1e-30;

/// The greater of two numbers. They are never NaN, for which `f32::max` takes four times as long.
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// A score and an item as one number in the order of ranking: by score, then the lower index first. Scores are finite and
/// not negative, so their bits sort as they do.
fn rank_key(score: f32, item: u32) -> u64 {
    u64::from(greater(score, 0.0).to_bits()) << 32 | u64::from(!item)
}

fn rank_parts(key: u64) -> (f32, u32) {
    (f32::from_bits((key >> 32) as u32), !(key as u32))
}

/// Candidates in falling order of score. They lie in a heap, so that none is sorted that nobody takes. A score becomes a
/// share of the sum of weights, and gets its reasons, by [`Candidates::explain`].
pub struct Candidates<'a, S = Snapshot> {
    source: &'a S,
    strategy: &'a Strategy,
    seeds: &'a [Seed],
    scales: [f32; TABLES],
    heap: BinaryHeap<u64>,
    scratch: &'a mut Scratch,
}

impl<S> Iterator for Candidates<'_, S> {
    type Item = Scored;

    #[inline]
    fn next(&mut self) -> Option<Scored> {
        let (score, item) = rank_parts(self.heap.pop()?);
        Some(Scored { item, score, signal: Signal::Coview, because: None })
    }
}

impl<S: Source> Candidates<'_, S> {
    /// Fills in each item's strongest signal and the recent that contributed most to it, and makes the score a share. Call
    /// it once per item.
    pub fn explain(&self, out: &mut [Scored]) {
        let Self { source, strategy, seeds, scales, scratch, .. } = self;
        let weights = strategy.weights;
        let read = strategy.tables(source.has_orders());
        for scored in out {
            let found = scratch.candidate(scored.item).copied().unwrap_or_default();
            let seed = |place: u8| seeds.get(usize::from(place)).map(|seed| seed.item);
            let ([(first, _), (second, _)], [by_first, by_second]) = (read, found.because);
            let [of_first, of_second] = found.signals(*scales);
            let signals = [
                (of_first, first, seed(by_first)),
                (of_second, second, seed(by_second)),
                (weights.popularity * source.popularity(scored.item), Signal::Popularity, None),
                (weights.recency * source.recency(scored.item), Signal::Recency, None),
            ];
            let strongest = signals.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((share, signal, because)) = strongest {
                scored.signal = signal;
                scored.because = because.filter(|_| share > 0.0);
            }
            scored.score /= weights.sum();
        }
    }
}

impl<S> Drop for Candidates<'_, S> {
    fn drop(&mut self) {
        self.scratch.ranked = core::mem::take(&mut self.heap).into_vec();
        self.scratch.clear();
    }
}

fn candidate<'a>(places: &[u16], found: &'a [Candidate], item: u32) -> Option<&'a Candidate> {
    let place = usize::from(*places.get(item as usize)?);
    found.get(place.wrapping_sub(1))
}

impl Scratch {
    /// The candidates of `seeds`, newest first, by a strategy.
    pub fn candidates<'a, S: Source>(
        &'a mut self,
        source: &'a S,
        strategy: &'a Strategy,
        seeds: &'a [Seed],
    ) -> Candidates<'a, S> {
        let (seeds, scales) = self.score(source, strategy, seeds);
        let heap = core::mem::take(&mut self.ranked).into();
        Candidates { source, strategy, seeds, scales, heap, scratch: self }
    }

    /// Calls `each` with every candidate and its score, in the order in which they were found: for learning, which sums
    /// over all of them.
    pub fn for_each<S: Source>(
        &mut self,
        source: &S,
        strategy: &Strategy,
        seeds: &[Seed],
        mut each: impl FnMut(u32, f32),
    ) {
        self.score(source, strategy, seeds);
        for key in &self.ranked {
            let (score, item) = rank_parts(*key);
            each(item, score);
        }
        self.clear();
    }

    /// Fills `ranked` with the candidates. Returns the seeds that count and the scales of the tables.
    #[inline]
    fn score<'s, S: Source>(
        &mut self,
        source: &S,
        strategy: &Strategy,
        seeds: &'s [Seed],
    ) -> (&'s [Seed], [f32; TABLES]) {
        let seeds = seeds.get(..seeds.len().min(strategy.recents.into()).min(MAX_SEEDS)).unwrap_or(&[]);
        if self.places.len() < source.items() {
            self.places.resize(source.items(), 0);
        }
        let read = strategy.tables(source.has_orders());
        let table = |(signal, weight): (Signal, f32)| source.table(signal).filter(|_| weight > 0.0);
        self.sum(strategy, seeds, read.map(table));
        let scales = self.scales(source, strategy, read.map(|(_, weight)| weight));
        self.rank(source, strategy, seeds, scales);
        (seeds, scales)
    }

    /// The candidate of an item, which is added if it is new.
    #[inline(always)]
    fn touch(&mut self, item: u32) -> Option<&mut Candidate> {
        let place = self.places.get_mut(item as usize)?;
        if *place == 0 {
            self.found.push(Candidate { item, ..Candidate::default() });
            *place = self.found.len() as u16;
        }
        self.found.get_mut(usize::from(*place).wrapping_sub(1))
    }

    fn candidate(&self, item: u32) -> Option<&Candidate> {
        candidate(&self.places, &self.found, item)
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
        // Never 0: where all recents are old, the newest still leads.
        kind * age.max(1e-6) * position
    }

    fn sum<T: Neighbours>(&mut self, strategy: &Strategy, seeds: &[Seed], tables: [Option<&T>; TABLES]) {
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
        // Seeds are added after the rows, so that a seed does not vote for itself.
        for (place, seed) in (1u8..).zip(seeds) {
            if let Some(found) = self.touch(seed.item) {
                found.seed = if found.seed == 0 { place } else { found.seed };
            }
        }
    }

    /// Factors from sums to weighted signals: the greatest sum of a candidate becomes the table's weight.
    fn scales<S: Source>(&self, source: &S, strategy: &Strategy, weights: [f32; TABLES]) -> [f32; TABLES] {
        let seen_too = strategy.seen != Seen::Exclude;
        let candidates = self.found.iter().filter(|found| seen_too || found.seed == 0);
        let most = |[first, second]: [f32; TABLES], found: &Candidate| {
            let [own_first, own_second] = found.sums;
            [greater(first, own_first), greater(second, own_second)]
        };
        let [first, second] = candidates.fold([0.0; TABLES], most);
        // Weights are a million at most, so no scale is infinite: infinity times 0 is not a number.
        let scale = |weight: f32, most: f32| if most > LEAST { weight / source.norm(most) } else { 0.0 };
        let [first_weight, second_weight] = weights;
        [scale(first_weight, first), scale(second_weight, second)]
    }

    fn rank<S: Source>(&mut self, source: &S, strategy: &Strategy, seeds: &[Seed], scales: [f32; TABLES]) {
        let by_tables = |found: &Candidate| {
            let voted = 1.0 + strategy.votes * f32::from(found.votes.saturating_sub(1));
            let [first, second] = found.signals(scales);
            (first + second) * voted
        };
        let weights = strategy.weights;
        let by_region = |item| {
            let mut score = 0.0;
            if weights.popularity > 0.0 {
                score += weights.popularity * source.popularity(item);
            }
            if weights.recency > 0.0 {
                score += weights.recency * source.recency(item);
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
            let found = candidate(&self.places, &self.found, seed.item)?;
            (found.seed == place).then(|| by_tables(found))
        };
        for (place, seed) in (1u8..).zip(seeds) {
            most = most.max(seen(place, seed).unwrap_or(0.0));
        }
        let boosts = boosts(&repeats, seeds.len());
        for (place, seed) in (1u8..).zip(seeds) {
            let Some(score) = seen(place, seed) else { continue };
            let (mul, add) = boosts(usize::from(place) - 1, seed.count);
            self.ranked.push(rank_key(score * mul + most * add + by_region(seed.item), seed.item));
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
