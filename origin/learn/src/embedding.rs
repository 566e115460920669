//! Next-item embeddings: one unit vector per item, trained to predict the next item of a session.
//!
//! ```text
//! u      = normalise( Σ_p e^(−p/1.5) · e_recent_p )     over the last 5 distinct items, p = 0 the newest
//! logit  = scale · u·e_j + b_j
//! loss   = −ln softmax(logit of the next item, against sampled negatives)
//! ```
//! Negatives are drawn ∝ popularity^.75; 64 prefixes share 256 of them, and `ln(256·q_j)` is subtracted from their logits
//! (sampled softmax: Jean et al., ACL 2015; shared negatives: Hidasi & Karatzoglou, CIKM 2018; scaled unit vectors: Gupta et
//! al., "NISER", 2019). Next items that the session already has are skipped. Training is by SGD; vectors are normalised after
//! each step.
//!
//! The gradients of four batches of 64 are computed from the same vectors on all cores, then applied in order, so the result
//! does not depend on the number of cores. Memory: `dimensions + 1` floats per item, 8 bytes per click.

use crate::rng::Random;
use crate::{
    alias::AliasTable,
    matrix::{Layout, add_scaled, dot, exp, normalise, product},
    sessions::Sessions,
    sharding::{ShardMut, Sharding},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Hyperparameters of the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingParams {
    /// Length of a vector.
    pub dimensions: usize,
    /// Epochs; with 0 nothing is learned.
    pub epochs: usize,
    /// Initial learning rate; it falls to 0 linearly.
    pub rate: f32,
    /// Scale of the cosine in a logit.
    pub scale: f32,
    /// The recent at place `p` weighs `e^(−p/reach)`.
    pub reach: f32,
    /// Random seed of initial vectors, order of examples and negatives.
    pub seed: u64,
}

impl Default for EmbeddingParams {
    fn default() -> Self {
        Self { dimensions: 64, epochs: 5, rate: 0.04, scale: 12.0, reach: 1.5, seed: 1 }
    }
}

/// Prefixes that share their negatives.
const PREFIXES: usize = 64;
/// Negatives they share.
const NEGATIVES: usize = 256;
/// Batches whose gradients are computed from the same vectors.
const BATCHES: usize = 4;
/// Recents of a prefix.
const RECENTS: usize = 5;

/// Learned vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Length of a vector.
    pub dimensions: usize,
    /// One unit vector per item, contiguous.
    pub vectors: Vec<f32>,
    /// One bias per item.
    pub bias: Vec<f32>,
}

impl Embedding {
    fn vector(&self, item: u32) -> &[f32] {
        let start = item as usize * self.dimensions;
        &self.vectors[start..start + self.dimensions]
    }
}

/// A prefix and the next item.
#[derive(Clone, Copy)]
struct Example {
    recents: [u32; RECENTS],
    count: u8,
    next: u32,
}

impl Example {
    fn recents(&self) -> &[u32] {
        &self.recents[..usize::from(self.count)]
    }
}

/// One example per click on an item new to its session, except the first; `place_of` maps items to places.
fn examples(sessions: &Sessions, place_of: impl Fn(u32) -> u32) -> Vec<Example> {
    let mut examples = Vec::new();
    for session in sessions.iter() {
        for (place, next) in session.clicks.iter().enumerate().skip(1) {
            let before = &session.clicks[..place];
            if before.contains(next) {
                continue;
            }
            let mut example = Example { recents: [0; RECENTS], count: 0, next: place_of(*next) };
            for item in before.iter().rev().map(|item| place_of(*item)) {
                if !example.recents().contains(&item) {
                    example.recents[usize::from(example.count)] = item;
                    example.count += 1;
                    if usize::from(example.count) == RECENTS {
                        break;
                    }
                }
            }
            examples.push(example);
        }
    }
    examples
}

/// The gradients of one batch, with buffers to compute them.
struct Batch {
    negatives: Vec<u32>,
    gathered: Vec<f32>,
    users: Vec<f32>,
    lengths: Vec<f32>,
    /// Logits, then probabilities, of the negatives.
    logits: Vec<f32>,
    /// By negative, the sum of its probabilities.
    totals: Vec<f32>,
    /// By example, probability of the next item − 1.
    error: Vec<f32>,
    user_gradients: Vec<f32>,
    negative_gradients: Vec<f32>,
}

impl Batch {
    fn new(dimensions: usize) -> Self {
        Self {
            negatives: vec![0; NEGATIVES],
            gathered: vec![0.0; NEGATIVES * dimensions],
            users: vec![0.0; PREFIXES * dimensions],
            lengths: vec![0.0; PREFIXES],
            logits: vec![0.0; PREFIXES * NEGATIVES],
            totals: vec![0.0; NEGATIVES],
            error: vec![0.0; PREFIXES],
            user_gradients: vec![0.0; PREFIXES * dimensions],
            negative_gradients: vec![0.0; NEGATIVES * dimensions],
        }
    }

    fn compute(
        &mut self,
        model: &Embedding,
        examples: &[Example],
        params: &EmbeddingParams,
        weights: &[f32],
        sampler: &AliasTable,
        random: &mut Random,
    ) {
        let size = model.dimensions;
        for (negative, gathered) in self.negatives.iter_mut().zip(self.gathered.chunks_exact_mut(size)) {
            *negative = sampler.draw(random);
            gathered.copy_from_slice(model.vector(*negative));
        }
        for ((example, user), length) in
            examples.iter().zip(self.users.chunks_exact_mut(size)).zip(&mut self.lengths)
        {
            user.fill(0.0);
            for (item, weight) in example.recents().iter().zip(weights) {
                add_scaled(user, *weight, model.vector(*item));
            }
            *length = normalise(user);
        }
        let count = examples.len();
        let (users, gathered) = ((&*self.users, Layout::RowMajor), (&*self.gathered, Layout::ColMajor));
        product([count, size, NEGATIVES], users, gathered, &mut self.logits);
        let offsets: Vec<f32> = self
            .negatives
            .iter()
            .map(|item| model.bias[*item as usize] - sampler.log_expected[*item as usize])
            .collect();
        for (place, example) in examples.iter().enumerate() {
            let user = &self.users[place * size..][..size];
            let next =
                params.scale * dot(user, model.vector(example.next)) + model.bias[example.next as usize];
            let logits = &mut self.logits[place * NEGATIVES..][..NEGATIVES];
            for ((logit, offset), negative) in logits.iter_mut().zip(&offsets).zip(&self.negatives) {
                let hit = if *negative == example.next { 1e9 } else { 0.0 };
                *logit = params.scale * *logit + offset - hit;
            }
            let most = logits.iter().copied().fold(next, f32::max);
            logits.iter_mut().for_each(|logit| *logit = exp(*logit - most));
            let own = exp(next - most);
            let scale = 1.0 / (own + logits.iter().sum::<f32>());
            logits.iter_mut().for_each(|logit| *logit *= scale);
            self.error[place] = own * scale - 1.0;
        }
        let logits = &self.logits[..count * NEGATIVES];
        self.totals.fill(0.0);
        logits.chunks_exact(NEGATIVES).for_each(|logits| add_scaled(&mut self.totals, 1.0, logits));
        product(
            [count, NEGATIVES, size],
            (logits, Layout::RowMajor),
            (&self.gathered, Layout::RowMajor),
            &mut self.user_gradients,
        );
        product(
            [NEGATIVES, count, size],
            (logits, Layout::ColMajor),
            (&self.users, Layout::RowMajor),
            &mut self.negative_gradients,
        );
        for (place, example) in examples.iter().enumerate() {
            let (user, gradient) =
                (&self.users[place * size..][..size], &mut self.user_gradients[place * size..][..size]);
            add_scaled(gradient, self.error[place], model.vector(example.next));
            // Gradient of the normalisation: the part orthogonal to `u`.
            let parallel = dot(gradient, user);
            add_scaled(gradient, -parallel, user);
            let scale = params.scale / self.lengths[place];
            gradient.iter_mut().for_each(|value| *value *= scale);
        }
    }

    /// Applies the gradients to the items of one shard.
    fn apply(
        &self,
        shard: &mut ShardMut<'_>,
        examples: &[Example],
        params: &EmbeddingParams,
        weights: &[f32],
        rate: f32,
    ) {
        let size = params.dimensions;
        let mut step = |item: u32, factor: f32, gradient: &[f32]| {
            if let Some(vector) = shard.vector_mut(item) {
                add_scaled(vector, factor, gradient);
                normalise(vector);
            }
        };
        for (negative, gradient) in self.negatives.iter().zip(self.negative_gradients.chunks_exact(size)) {
            step(*negative, -rate * params.scale, gradient);
        }
        for (place, (example, error)) in examples.iter().zip(&self.error).enumerate() {
            step(example.next, -rate * params.scale * error, &self.users[place * size..][..size]);
            for (item, weight) in example.recents().iter().zip(weights) {
                step(*item, -rate * weight, &self.user_gradients[place * size..][..size]);
            }
        }
    }

    fn apply_bias(&self, bias: &mut [f32], examples: &[Example], rate: f32) {
        for (negative, total) in self.negatives.iter().zip(&self.totals) {
            bias[*negative as usize] -= rate * total;
        }
        for (example, error) in examples.iter().zip(&self.error) {
            bias[example.next as usize] -= rate * error;
        }
    }
}

/// Learns the vectors of `items` items; calls `report` after each epoch.
pub fn learn(
    sessions: &Sessions,
    items: usize,
    params: &EmbeddingParams,
    mut report: impl FnMut(usize),
) -> Embedding {
    let size = params.dimensions;
    let mut random = Random::new(params.seed, "embedding");
    let sharding = Sharding::new(items);
    let places = sharding.places();
    let mut model =
        Embedding { dimensions: size, vectors: vec![0.0; places * size], bias: vec![0.0; places] };
    for vector in model.vectors.chunks_exact_mut(size.max(1)) {
        vector.iter_mut().for_each(|value| *value = random.normal() as f32);
        normalise(vector);
    }
    let mut examples = examples(sessions, |item| sharding.place(item));
    let mut negative_weights = vec![0.0; places];
    for (item, events) in (0u32..).zip(sessions.events(items)) {
        negative_weights[sharding.place(item) as usize] = f64::from(events).powf(0.75);
    }
    let sampler = AliasTable::new(&negative_weights, NEGATIVES);
    let weights: Vec<f32> = (0..RECENTS).map(|place| (-(place as f32) / params.reach).exp()).collect();
    let groups = examples.len().div_ceil(PREFIXES * BATCHES) * params.epochs;
    let mut batches: Vec<Batch> = (0..BATCHES).map(|_| Batch::new(size)).collect();
    let mut randoms: Vec<Random> =
        (0..BATCHES).map(|at| Random::new(params.seed, &format!("negatives {at}"))).collect();
    let mut done = 0;
    for epoch in 0..params.epochs {
        random.shuffle(&mut examples);
        for group in examples.chunks(PREFIXES * BATCHES) {
            let rate = params.rate * (1.0 - done as f32 / groups as f32);
            done += 1;
            let parts = group.par_chunks(PREFIXES).zip(&mut batches).zip(&mut randoms);
            parts.for_each(|((examples, batch), random)| {
                batch.compute(&model, examples, params, &weights, &sampler, random);
            });
            let computed = || group.chunks(PREFIXES).zip(&batches);
            sharding.update(&mut model.vectors, size, |shard| {
                computed().for_each(|(examples, batch)| batch.apply(shard, examples, params, &weights, rate));
            });
            computed().for_each(|(examples, batch)| batch.apply_bias(&mut model.bias, examples, rate));
        }
        report(epoch + 1);
    }
    let order = || (0..items as u32).map(|item| sharding.place(item));
    Embedding {
        dimensions: size,
        vectors: order().flat_map(|place| model.vector(place)).copied().collect(),
        bias: order().map(|place| model.bias[place as usize]).collect(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::nearest;
    use snapshots::time::Timestamp;

    /// Sessions that walk along a circle of 60 items, in both directions.
    pub(crate) fn circle() -> Sessions {
        let mut sessions = Sessions::default();
        for start in 0..600u32 {
            let step = |at: u32| if start.is_multiple_of(2) { start + at } else { start + 60 - at };
            sessions.push((0..5).map(|at| step(at) % 60), Timestamp(i64::from(start)));
        }
        sessions
    }

    /// Checks that learning from [`circle`] on one core and on three gives the same vectors, and neighbours on the circle.
    pub(crate) fn same_on_any_cores(learn: impl Fn() -> Embedding + Sync) {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(&learn)
        };
        let model = on(1);
        assert_eq!(model, on(3));
        let mut trained = vec![true; 60];
        trained[7] = false;
        let table = nearest::find(&model, 12.0, 4, &trained);
        assert!(table[7].is_empty() && table.iter().flatten().all(|entry| entry.0 != 7));
        let near =
            |item: u32, other: u32| (1..=4).contains(&(item.abs_diff(other).min(60 - item.abs_diff(other))));
        let correct: usize = (0u32..)
            .zip(&table)
            .map(|(item, row)| row.iter().filter(|entry| near(item, entry.0)).count())
            .sum();
        // Random neighbours would score 16 of 236.
        assert!(correct > 190, "{correct} of {}", table.iter().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn neighbours_follow_each_other_on_any_number_of_cores() {
        let params = EmbeddingParams { dimensions: 16, epochs: 20, rate: 0.1, ..EmbeddingParams::default() };
        same_on_any_cores(|| learn(&circle(), 60, &params, |_| {}));
        let seeded = |seed: u64| learn(&circle(), 60, &EmbeddingParams { seed, ..params }, |_| {});
        assert_ne!(seeded(1), seeded(2));
    }
}
