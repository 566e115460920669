//! item2vec: one vector an item, near those of the items that stand beside it in sessions.
//!
//! Skip-gram with negative sampling (Mikolov et al., NIPS 2013) over sessions (Barkan & Koenigstein, "Item2vec", 2016).
//! Each item has a vector as a centre, `c`, and one as a context, `o`; a centre with the contexts `O` of its window costs
//!
//! ```text
//! −Σ_{o ∈ O} ln σ(c·o) − 5·|O|/64 · Σ_{n ∈ N} ln σ(−c·n)      N: 64 drawn ∝ events^.75, shared by 64 centres
//! ```
//! Sharing makes the products matrices; 5 negatives a context are what it amounts to. Four such batches are computed
//! from the same vectors on all cores, then applied in order: the outcome does not depend on how many cores there
//! are. Memory: `2 · dimensions` floats an item, 8 bytes a click.

use crate::rng::Random;
use crate::{
    alias::AliasTable,
    embedding::Embedding,
    matrix::{Layout, add_scaled, dot, exp, normalise, product},
    sessions::Sessions,
    sharding::{ShardMut, Sharding},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The numbers of the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Item2vecParams {
    /// Length of a vector.
    pub dimensions: usize,
    /// Passes over the log.
    pub epochs: usize,
    /// Clicks on either side that are contexts.
    pub window: usize,
    /// Size of the first step; it falls to 0. Half of what is usual: steps of a group do not see each other.
    pub rate: f32,
    /// Draws the first vectors, the order and the negatives.
    pub seed: u64,
}

impl Default for Item2vecParams {
    fn default() -> Self {
        Self { dimensions: 128, epochs: 5, window: 5, rate: 0.0125, seed: 1 }
    }
}

/// Centres that share their negatives.
const CENTRES: usize = 64;
/// Negatives they share.
const NEGATIVES: usize = 64;
/// Negatives a context is worth.
const WORTH: f32 = 5.0;
/// Batches computed from the same vectors.
const TOGETHER: usize = 4;

/// A click with others beside it.
#[derive(Clone, Copy)]
struct Centre {
    session: u32,
    place: u32,
}

/// All that stays as it is while vectors change.
struct Training<'a> {
    sessions: &'a Sessions,
    recipe: &'a Item2vecParams,
    deal: Sharding,
    drawing: AliasTable,
}

impl Training<'_> {
    /// Where an item's vector as a centre lies.
    fn inner(&self, item: u32) -> u32 {
        self.deal.place(2 * item)
    }

    /// Where its vector as a context lies.
    fn outer(&self, item: u32) -> u32 {
        self.deal.place(2 * item + 1)
    }

    fn item(&self, centre: Centre) -> u32 {
        self.sessions.get(centre.session as usize).clicks[centre.place as usize]
    }

    fn contexts(&self, centre: Centre) -> impl Iterator<Item = u32> {
        let (clicks, place) = (self.sessions.get(centre.session as usize).clicks, centre.place as usize);
        let first = place.saturating_sub(self.recipe.window);
        let last = (place + self.recipe.window).min(clicks.len() - 1);
        (first..=last).filter(move |other| *other != place).map(move |other| clicks[other])
    }
}

fn of(vectors: &[f32], place: u32, size: usize) -> &[f32] {
    &vectors[place as usize * size..][..size]
}

/// `σ(x)`.
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The gradients of one batch, and what computing them needs.
struct Batch {
    negatives: Vec<u32>,
    gathered: Vec<f32>,
    centres: Vec<f32>,
    logits: Vec<f32>,
    of_centres: Vec<f32>,
    of_negatives: Vec<f32>,
    /// Of each centre's contexts, one after another: `σ(c·o) − 1`.
    surprise: Vec<f32>,
}

impl Batch {
    fn new(size: usize) -> Self {
        Self {
            negatives: vec![0; NEGATIVES],
            gathered: vec![0.0; NEGATIVES * size],
            centres: vec![0.0; CENTRES * size],
            logits: vec![0.0; CENTRES * NEGATIVES],
            of_centres: vec![0.0; CENTRES * size],
            of_negatives: vec![0.0; NEGATIVES * size],
            surprise: Vec::new(),
        }
    }

    fn compute(&mut self, training: &Training<'_>, vectors: &[f32], batch: &[Centre], random: &mut Random) {
        let (size, count) = (training.recipe.dimensions, batch.len());
        for (negative, gathered) in self.negatives.iter_mut().zip(self.gathered.chunks_exact_mut(size)) {
            *negative = training.outer(training.drawing.draw(random));
            gathered.copy_from_slice(of(vectors, *negative, size));
        }
        for (centre, own) in batch.iter().zip(self.centres.chunks_exact_mut(size)) {
            own.copy_from_slice(of(vectors, training.inner(training.item(*centre)), size));
        }
        let gathered = (&*self.gathered, Layout::RowMajor);
        let centres = (&*self.centres, Layout::RowMajor);
        product([count, size, NEGATIVES], centres, (gathered.0, Layout::ColMajor), &mut self.logits);
        for (centre, logits) in batch.iter().zip(self.logits.chunks_exact_mut(NEGATIVES)) {
            let worth = WORTH * training.contexts(*centre).count() as f32 / NEGATIVES as f32;
            logits.iter_mut().for_each(|logit| *logit = worth * sigmoid(*logit));
        }
        let logits = &self.logits[..count * NEGATIVES];
        product([count, NEGATIVES, size], (logits, Layout::RowMajor), gathered, &mut self.of_centres);
        product([NEGATIVES, count, size], (logits, Layout::ColMajor), centres, &mut self.of_negatives);
        self.surprise.clear();
        for (place, centre) in batch.iter().enumerate() {
            let own = &self.centres[place * size..][..size];
            let gradient = &mut self.of_centres[place * size..][..size];
            for item in training.contexts(*centre) {
                let context = of(vectors, training.outer(item), size);
                let surprise = sigmoid(dot(own, context)) - 1.0;
                add_scaled(gradient, surprise, context);
                self.surprise.push(surprise);
            }
        }
    }

    fn apply(&self, training: &Training<'_>, share: &mut ShardMut<'_>, batch: &[Centre], rate: f32) {
        let size = training.recipe.dimensions;
        let mut step = |place: u32, factor: f32, gradient: &[f32]| {
            if let Some(vector) = share.at(place) {
                add_scaled(vector, -rate * factor, gradient);
            }
        };
        for (negative, gradient) in self.negatives.iter().zip(self.of_negatives.chunks_exact(size)) {
            step(*negative, 1.0, gradient);
        }
        let mut surprise = self.surprise.iter();
        for (place, centre) in batch.iter().enumerate() {
            for (item, surprise) in training.contexts(*centre).zip(&mut surprise) {
                step(training.outer(item), *surprise, &self.centres[place * size..][..size]);
            }
            step(training.inner(training.item(*centre)), 1.0, &self.of_centres[place * size..][..size]);
        }
    }
}

/// Learns the vectors of `items` items, scaled to length 1; the bias is 0.
pub fn learn(sessions: &Sessions, items: usize, recipe: &Item2vecParams) -> Embedding {
    let size = recipe.dimensions;
    let mut random = Random::new(recipe.seed, "item2vec");
    let drawn: Vec<f64> =
        sessions.events(items).into_iter().map(|events| f64::from(events).powf(0.75)).collect();
    let drawing = AliasTable::new(&drawn, NEGATIVES);
    let training = Training { sessions, recipe, deal: Sharding::new(2 * items), drawing };
    let mut vectors = vec![0f32; training.deal.places() * size];
    for item in 0..items as u32 {
        let start = training.inner(item) as usize * size;
        vectors[start..start + size]
            .iter_mut()
            .for_each(|value| *value = ((random.unit() - 0.5) / size as f64) as f32);
    }
    let mut centres: Vec<Centre> = (0u32..)
        .zip(sessions.iter())
        .filter(|(_, clicked)| clicked.clicks.len() > 1)
        .flat_map(|(session, clicked)| {
            (0..clicked.clicks.len() as u32).map(move |place| Centre { session, place })
        })
        .collect();
    let groups = centres.len().div_ceil(CENTRES * TOGETHER) * recipe.epochs;
    let mut batches: Vec<Batch> = (0..TOGETHER).map(|_| Batch::new(size)).collect();
    let mut randoms: Vec<Random> =
        (0..TOGETHER).map(|at| Random::new(recipe.seed, &format!("item2vec negatives {at}"))).collect();
    let mut done = 0;
    for _ in 0..recipe.epochs {
        random.shuffle(&mut centres);
        for group in centres.chunks(CENTRES * TOGETHER) {
            let rate = recipe.rate * (1.0 - done as f32 / groups as f32);
            done += 1;
            group
                .par_chunks(CENTRES)
                .zip(&mut batches)
                .zip(&mut randoms)
                .for_each(|((centres, batch), random)| batch.compute(&training, &vectors, centres, random));
            training.deal.change(&mut vectors, size, |share| {
                for (centres, batch) in group.chunks(CENTRES).zip(&batches) {
                    batch.apply(&training, share, centres, rate);
                }
            });
        }
    }
    let mut own: Vec<f32> =
        (0..items as u32).flat_map(|item| of(&vectors, training.inner(item), size)).copied().collect();
    own.chunks_exact_mut(size.max(1)).for_each(|vector| _ = normalise(vector));
    Embedding { dimensions: size, vectors: own, bias: vec![0.0; items] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::tests::{circle, same_on_any_cores};

    #[test]
    fn neighbours_are_those_met_beside_it_on_any_number_of_cores() {
        let recipe = Item2vecParams { dimensions: 16, epochs: 60, window: 2, rate: 0.05, seed: 1 };
        same_on_any_cores(|| learn(&circle(), 60, &recipe));
    }
}
