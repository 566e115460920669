//! LearnedTables next-item embeddings: one unit vector an item, trained to predict the next item of a session.
//!
//! ```text
//! u      = normalise( Σ_p e^(−p/1.5) · e_recent_p )     over the last 5 distinct items, p = 0 the newest
//! logit  = scale · u·e_j + b_j
//! loss   = −ln softmax(logit of the next item, against sampled negatives)
//! ```
//! Negatives are drawn ∝ popularity^.75, 256 shared by 64 prefixes, and lose `ln(256·q_j)` of their logit for having
//! been drawn (sampled softmax: Jean et al., ACL 2015; shared negatives: Hidasi & Karatzoglou, CIKM 2018; unit
//! vectors with a scale: Gupta et al., "NISER", 2019). Next items the session has met are skipped. Plain gradient
//! steps, vectors scaled to length 1 after each.
//!
//! Four batches of 64 are computed from the same vectors on all cores, then applied, each item's steps one after
//! another in their order: the outcome does not depend on how many cores there are. Memory: `dimensions + 1` floats an item, 8 bytes a click.

use crate::rng::Random;
use crate::{
    alias::AliasTable,
    matrix::{Layout, add_scaled, dot, exp, normalise, product},
    sessions::Sessions,
    sharding::{ShardMut, Sharding},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The numbers of the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingParams {
    /// Length of a vector.
    pub dimensions: usize,
    /// Passes over the log; 0 learns nothing.
    pub epochs: usize,
    /// Size of the first step; it falls to 0.
    pub rate: f32,
    /// What a cosine of 1 adds to a logit.
    pub scale: f32,
    /// The recent at place `p` weighs `e^(−p/reach)`.
    pub reach: f32,
    /// Draws the first vectors, the order and the negatives.
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
/// Batches computed from the same vectors.
const TOGETHER: usize = 4;
/// Recents that make a prefix.
const RECENTS: usize = 5;

/// What was learnt.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Length of a vector.
    pub dimensions: usize,
    /// One unit vector an item, one after another.
    pub vectors: Vec<f32>,
    /// One number an item: how likely it is whatever the prefix.
    pub bias: Vec<f32>,
}

impl Embedding {
    fn of(&self, item: u32) -> &[f32] {
        let start = item as usize * self.dimensions;
        &self.vectors[start..start + self.dimensions]
    }
}

/// A prefix and the item that came next.
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

/// Every click that is not its session's first, and names an item that the session has not met, by the items' `names`.
fn examples(sessions: &Sessions, names: impl Fn(u32) -> u32) -> Vec<Example> {
    let mut examples = Vec::new();
    for session in sessions.iter() {
        for (place, next) in session.clicks.iter().enumerate().skip(1) {
            let before = &session.clicks[..place];
            if before.contains(next) {
                continue;
            }
            let mut example = Example { recents: [0; RECENTS], count: 0, next: names(*next) };
            for item in before.iter().rev().map(|item| names(*item)) {
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

/// The gradients of one batch, and what computing them needs.
struct Batch {
    negatives: Vec<u32>,
    gathered: Vec<f32>,
    users: Vec<f32>,
    lengths: Vec<f32>,
    /// Logits, then probabilities, of the negatives.
    logits: Vec<f32>,
    /// Of each negative, the sum of its probabilities.
    totals: Vec<f32>,
    /// Of the next items: probability − 1.
    surprise: Vec<f32>,
    of_users: Vec<f32>,
    of_negatives: Vec<f32>,
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
            surprise: vec![0.0; PREFIXES],
            of_users: vec![0.0; PREFIXES * dimensions],
            of_negatives: vec![0.0; NEGATIVES * dimensions],
        }
    }

    fn compute(
        &mut self,
        model: &Embedding,
        examples: &[Example],
        recipe: &EmbeddingParams,
        weights: &[f32],
        drawing: &AliasTable,
        random: &mut Random,
    ) {
        let size = model.dimensions;
        for (negative, gathered) in self.negatives.iter_mut().zip(self.gathered.chunks_exact_mut(size)) {
            *negative = drawing.draw(random);
            gathered.copy_from_slice(model.of(*negative));
        }
        for ((example, user), length) in
            examples.iter().zip(self.users.chunks_exact_mut(size)).zip(&mut self.lengths)
        {
            user.fill(0.0);
            for (item, weight) in example.recents().iter().zip(weights) {
                add_scaled(user, *weight, model.of(*item));
            }
            *length = normalise(user);
        }
        let count = examples.len();
        let (users, gathered) = ((&*self.users, Layout::RowMajor), (&*self.gathered, Layout::ColMajor));
        product([count, size, NEGATIVES], users, gathered, &mut self.logits);
        let offsets: Vec<f32> = self
            .negatives
            .iter()
            .map(|item| model.bias[*item as usize] - drawing.log_expected[*item as usize])
            .collect();
        for (place, example) in examples.iter().enumerate() {
            let user = &self.users[place * size..][..size];
            let next = recipe.scale * dot(user, model.of(example.next)) + model.bias[example.next as usize];
            let logits = &mut self.logits[place * NEGATIVES..][..NEGATIVES];
            for ((logit, offset), negative) in logits.iter_mut().zip(&offsets).zip(&self.negatives) {
                let hit = if *negative == example.next { 1e9 } else { 0.0 };
                *logit = recipe.scale * *logit + offset - hit;
            }
            let most = logits.iter().copied().fold(next, f32::max);
            logits.iter_mut().for_each(|logit| *logit = exp(*logit - most));
            let own = exp(next - most);
            let scale = 1.0 / (own + logits.iter().sum::<f32>());
            logits.iter_mut().for_each(|logit| *logit *= scale);
            self.surprise[place] = own * scale - 1.0;
        }
        let logits = &self.logits[..count * NEGATIVES];
        self.totals.fill(0.0);
        logits.chunks_exact(NEGATIVES).for_each(|logits| add_scaled(&mut self.totals, 1.0, logits));
        product(
            [count, NEGATIVES, size],
            (logits, Layout::RowMajor),
            (&self.gathered, Layout::RowMajor),
            &mut self.of_users,
        );
        product(
            [NEGATIVES, count, size],
            (logits, Layout::ColMajor),
            (&self.users, Layout::RowMajor),
            &mut self.of_negatives,
        );
        for (place, example) in examples.iter().enumerate() {
            let (user, gradient) =
                (&self.users[place * size..][..size], &mut self.of_users[place * size..][..size]);
            add_scaled(gradient, self.surprise[place], model.of(example.next));
            // Through the normalisation: only what is at right angles to `u` turns it.
            let along = dot(gradient, user);
            add_scaled(gradient, -along, user);
            let scale = recipe.scale / self.lengths[place];
            gradient.iter_mut().for_each(|value| *value *= scale);
        }
    }

    /// Steps along the gradients, of the items of one share.
    fn apply(
        &self,
        share: &mut ShardMut<'_>,
        examples: &[Example],
        recipe: &EmbeddingParams,
        weights: &[f32],
        rate: f32,
    ) {
        let size = recipe.dimensions;
        let mut step = |item: u32, factor: f32, gradient: &[f32]| {
            if let Some(vector) = share.at(item) {
                add_scaled(vector, factor, gradient);
                normalise(vector);
            }
        };
        for (negative, gradient) in self.negatives.iter().zip(self.of_negatives.chunks_exact(size)) {
            step(*negative, -rate * recipe.scale, gradient);
        }
        for (place, (example, surprise)) in examples.iter().zip(&self.surprise).enumerate() {
            step(example.next, -rate * recipe.scale * surprise, &self.users[place * size..][..size]);
            for (item, weight) in example.recents().iter().zip(weights) {
                step(*item, -rate * weight, &self.of_users[place * size..][..size]);
            }
        }
    }

    fn apply_bias(&self, bias: &mut [f32], examples: &[Example], rate: f32) {
        for (negative, total) in self.negatives.iter().zip(&self.totals) {
            bias[*negative as usize] -= rate * total;
        }
        for (example, surprise) in examples.iter().zip(&self.surprise) {
            bias[example.next as usize] -= rate * surprise;
        }
    }
}

/// Learns the vectors of `items` items; `report` is told after each pass.
pub fn learn(
    sessions: &Sessions,
    items: usize,
    recipe: &EmbeddingParams,
    mut report: impl FnMut(usize),
) -> Embedding {
    let size = recipe.dimensions;
    let mut random = Random::new(recipe.seed, "embedding");
    let deal = Sharding::new(items);
    let places = deal.places();
    let mut model =
        Embedding { dimensions: size, vectors: vec![0.0; places * size], bias: vec![0.0; places] };
    for vector in model.vectors.chunks_exact_mut(size.max(1)) {
        vector.iter_mut().for_each(|value| *value = random.normal() as f32);
        normalise(vector);
    }
    let mut examples = examples(sessions, |item| deal.place(item));
    let mut drawn = vec![0.0; places];
    for (item, events) in (0u32..).zip(sessions.events(items)) {
        drawn[deal.place(item) as usize] = f64::from(events).powf(0.75);
    }
    let drawing = AliasTable::new(&drawn, NEGATIVES);
    let weights: Vec<f32> = (0..RECENTS).map(|place| (-(place as f32) / recipe.reach).exp()).collect();
    let groups = examples.len().div_ceil(PREFIXES * TOGETHER) * recipe.epochs;
    let mut batches: Vec<Batch> = (0..TOGETHER).map(|_| Batch::new(size)).collect();
    let mut randoms: Vec<Random> =
        (0..TOGETHER).map(|at| Random::new(recipe.seed, &format!("negatives {at}"))).collect();
    let mut done = 0;
    for epoch in 0..recipe.epochs {
        random.shuffle(&mut examples);
        for group in examples.chunks(PREFIXES * TOGETHER) {
            let rate = recipe.rate * (1.0 - done as f32 / groups as f32);
            done += 1;
            let parts = group.par_chunks(PREFIXES).zip(&mut batches).zip(&mut randoms);
            parts.for_each(|((examples, batch), random)| {
                batch.compute(&model, examples, recipe, &weights, &drawing, random);
            });
            let computed = || group.chunks(PREFIXES).zip(&batches);
            deal.change(&mut model.vectors, size, |share| {
                computed().for_each(|(examples, batch)| batch.apply(share, examples, recipe, &weights, rate));
            });
            computed().for_each(|(examples, batch)| batch.apply_bias(&mut model.bias, examples, rate));
        }
        report(epoch + 1);
    }
    let order = || (0..items as u32).map(|item| deal.place(item));
    Embedding {
        dimensions: size,
        vectors: order().flat_map(|place| model.of(place)).copied().collect(),
        bias: order().map(|place| model.bias[place as usize]).collect(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::nearest;
    use snapshots::time::Timestamp;

    /// Visitors walk up and down a circle of 60 items.
    pub(crate) fn circle() -> Sessions {
        let mut sessions = Sessions::default();
        for start in 0..600u32 {
            let step = |at: u32| if start.is_multiple_of(2) { start + at } else { start + 60 - at };
            sessions.push((0..5).map(|at| step(at) % 60), Timestamp(i64::from(start)));
        }
        sessions
    }

    /// Learns from [`circle`] on one core and on three, and asks for neighbours on the circle.
    pub(crate) fn same_on_any_cores(learn: impl Fn() -> Embedding + Sync) {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(&learn)
        };
        let model = on(1);
        assert_eq!(model, on(3));
        let mut taught = vec![true; 60];
        taught[7] = false;
        let table = nearest::find(&model, 12.0, 4, &taught);
        assert!(table[7].is_empty() && table.iter().flatten().all(|entry| entry.0 != 7));
        let near =
            |item: u32, other: u32| (1..=4).contains(&(item.abs_diff(other).min(60 - item.abs_diff(other))));
        let right: usize = (0u32..)
            .zip(&table)
            .map(|(item, row)| row.iter().filter(|entry| near(item, entry.0)).count())
            .sum();
        // Four of 59 others by chance would be 16 of 236.
        assert!(right > 190, "{right} of {}", table.iter().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn the_number_of_cores_changes_nothing_and_neighbours_are_those_met_next() {
        let recipe = EmbeddingParams { dimensions: 16, epochs: 20, rate: 0.1, ..EmbeddingParams::default() };
        same_on_any_cores(|| learn(&circle(), 60, &recipe, |_| {}));
        let seeded = |seed: u64| learn(&circle(), 60, &EmbeddingParams { seed, ..recipe }, |_| {});
        assert_ne!(seeded(1), seeded(2));
    }
}
