//! item2vec: one vector per item, near those of the items around it in sessions.
//!
//! Skip-gram with negative sampling (Mikolov et al., NIPS 2013) over sessions (Barkan & Koenigstein, "Item2vec", 2016).
//! Each item has a vector as a centre, `c`, and one as a context, `o`. The loss of a centre with the contexts `O` of its window:
//!
//! ```text
//! −Σ_{o ∈ O} ln σ(c·o) − 5·|O|/64 · Σ_{n ∈ N} ln σ(−c·n)      N: 64 drawn ∝ events^.75, shared by 64 centres
//! ```
//! Shared negatives turn the products into products of matrices; their weight is that of 5 negatives per context. The
//! gradients of four batches are computed from the same vectors on all cores, then applied in order, so the result does not
//! depend on the number of cores. Memory: `2 · dimensions` floats per item, 8 bytes per click.

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

/// Hyperparameters of the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Item2vecParams {
    /// Length of a vector.
    pub dimensions: usize,
    /// Epochs.
    pub epochs: usize,
    /// Contexts on either side of a centre.
    pub window: usize,
    /// Initial learning rate; it falls to 0 linearly. Half of the usual one, since the batches of a group are computed from the
    /// same vectors.
    pub rate: f32,
    /// Random seed of initial vectors, order of centres and negatives.
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
/// Weight of the negatives, in negatives per context.
const NEGATIVES_PER_CONTEXT: f32 = 5.0;
/// Batches whose gradients are computed from the same vectors.
const BATCHES: usize = 4;

/// A click in a session of several.
#[derive(Clone, Copy)]
struct Centre {
    session: u32,
    place: u32,
}

/// What is constant during training.
struct SkipGram<'a> {
    sessions: &'a Sessions,
    params: &'a Item2vecParams,
    sharding: Sharding,
    sampler: AliasTable,
}

impl SkipGram<'_> {
    /// The place of an item's vector as a centre.
    fn centre_place(&self, item: u32) -> u32 {
        self.sharding.place(2 * item)
    }

    /// The place of its vector as a context.
    fn context_place(&self, item: u32) -> u32 {
        self.sharding.place(2 * item + 1)
    }

    fn item(&self, centre: Centre) -> u32 {
        self.sessions.get(centre.session as usize).clicks[centre.place as usize]
    }

    fn contexts(&self, centre: Centre) -> impl Iterator<Item = u32> {
        let (clicks, place) = (self.sessions.get(centre.session as usize).clicks, centre.place as usize);
        let first = place.saturating_sub(self.params.window);
        let last = (place + self.params.window).min(clicks.len() - 1);
        (first..=last).filter(move |other| *other != place).map(move |other| clicks[other])
    }
}

fn vector(vectors: &[f32], place: u32, size: usize) -> &[f32] {
    &vectors[place as usize * size..][..size]
}

/// `σ(x)`.
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The gradients of one batch, with buffers to compute them.
struct SkipGramBatch {
    negatives: Vec<u32>,
    gathered: Vec<f32>,
    centres: Vec<f32>,
    logits: Vec<f32>,
    centre_gradients: Vec<f32>,
    negative_gradients: Vec<f32>,
    /// `σ(c·o) − 1` of each centre's contexts, contiguous.
    error: Vec<f32>,
}

impl SkipGramBatch {
    fn new(size: usize) -> Self {
        Self {
            negatives: vec![0; NEGATIVES],
            gathered: vec![0.0; NEGATIVES * size],
            centres: vec![0.0; CENTRES * size],
            logits: vec![0.0; CENTRES * NEGATIVES],
            centre_gradients: vec![0.0; CENTRES * size],
            negative_gradients: vec![0.0; NEGATIVES * size],
            error: Vec::new(),
        }
    }

    fn compute(&mut self, training: &SkipGram<'_>, vectors: &[f32], batch: &[Centre], random: &mut Random) {
        let (size, count) = (training.params.dimensions, batch.len());
        for (negative, gathered) in self.negatives.iter_mut().zip(self.gathered.chunks_exact_mut(size)) {
            *negative = training.context_place(training.sampler.draw(random));
            gathered.copy_from_slice(vector(vectors, *negative, size));
        }
        for (centre, own) in batch.iter().zip(self.centres.chunks_exact_mut(size)) {
            own.copy_from_slice(vector(vectors, training.centre_place(training.item(*centre)), size));
        }
        let gathered = (&*self.gathered, Layout::RowMajor);
        let centres = (&*self.centres, Layout::RowMajor);
        product([count, size, NEGATIVES], centres, (gathered.0, Layout::ColMajor), &mut self.logits);
        for (centre, logits) in batch.iter().zip(self.logits.chunks_exact_mut(NEGATIVES)) {
            let weight = NEGATIVES_PER_CONTEXT * training.contexts(*centre).count() as f32 / NEGATIVES as f32;
            logits.iter_mut().for_each(|logit| *logit = weight * sigmoid(*logit));
        }
        let logits = &self.logits[..count * NEGATIVES];
        product([count, NEGATIVES, size], (logits, Layout::RowMajor), gathered, &mut self.centre_gradients);
        product([NEGATIVES, count, size], (logits, Layout::ColMajor), centres, &mut self.negative_gradients);
        self.error.clear();
        for (place, centre) in batch.iter().enumerate() {
            let own = &self.centres[place * size..][..size];
            let gradient = &mut self.centre_gradients[place * size..][..size];
            for item in training.contexts(*centre) {
                let context = vector(vectors, training.context_place(item), size);
                let error = sigmoid(dot(own, context)) - 1.0;
                add_scaled(gradient, error, context);
                self.error.push(error);
            }
        }
    }

    fn apply(&self, training: &SkipGram<'_>, shard: &mut ShardMut<'_>, batch: &[Centre], rate: f32) {
        let size = training.params.dimensions;
        let mut step = |place: u32, factor: f32, gradient: &[f32]| {
            if let Some(vector) = shard.vector_mut(place) {
                add_scaled(vector, -rate * factor, gradient);
            }
        };
        for (negative, gradient) in self.negatives.iter().zip(self.negative_gradients.chunks_exact(size)) {
            step(*negative, 1.0, gradient);
        }
        let mut error = self.error.iter();
        for (place, centre) in batch.iter().enumerate() {
            for (item, error) in training.contexts(*centre).zip(&mut error) {
                step(training.context_place(item), *error, &self.centres[place * size..][..size]);
            }
            step(
                training.centre_place(training.item(*centre)),
                1.0,
                &self.centre_gradients[place * size..][..size],
            );
        }
    }
}

/// Learns the vectors of `items` items, scaled to length 1; the bias is 0.
pub fn learn(sessions: &Sessions, items: usize, params: &Item2vecParams) -> Embedding {
    let size = params.dimensions;
    let mut random = Random::new(params.seed, "item2vec");
    let weights: Vec<f64> =
        sessions.events(items).into_iter().map(|events| f64::from(events).powf(0.75)).collect();
    let sampler = AliasTable::new(&weights, NEGATIVES);
    let training = SkipGram { sessions, params, sharding: Sharding::new(2 * items), sampler };
    let mut vectors = vec![0f32; training.sharding.places() * size];
    for item in 0..items as u32 {
        let start = training.centre_place(item) as usize * size;
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
    let groups = centres.len().div_ceil(CENTRES * BATCHES) * params.epochs;
    let mut batches: Vec<SkipGramBatch> = (0..BATCHES).map(|_| SkipGramBatch::new(size)).collect();
    let mut randoms: Vec<Random> =
        (0..BATCHES).map(|at| Random::new(params.seed, &format!("item2vec negatives {at}"))).collect();
    let mut done = 0;
    for _ in 0..params.epochs {
        random.shuffle(&mut centres);
        for group in centres.chunks(CENTRES * BATCHES) {
            let rate = params.rate * (1.0 - done as f32 / groups as f32);
            done += 1;
            group
                .par_chunks(CENTRES)
                .zip(&mut batches)
                .zip(&mut randoms)
                .for_each(|((centres, batch), random)| batch.compute(&training, &vectors, centres, random));
            training.sharding.update(&mut vectors, size, |shard| {
                for (centres, batch) in group.chunks(CENTRES).zip(&batches) {
                    batch.apply(&training, shard, centres, rate);
                }
            });
        }
    }
    let mut own: Vec<f32> = (0..items as u32)
        .flat_map(|item| vector(&vectors, training.centre_place(item), size))
        .copied()
        .collect();
    own.chunks_exact_mut(size.max(1)).for_each(|vector| _ = normalise(vector));
    Embedding { dimensions: size, vectors: own, bias: vec![0.0; items] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::tests::{circle, same_on_any_cores};

    #[test]
    fn neighbours_share_contexts_on_any_number_of_cores() {
        let params = Item2vecParams { dimensions: 16, epochs: 60, window: 2, rate: 0.05, seed: 1 };
        same_on_any_cores(|| learn(&circle(), 60, &params));
    }
}
