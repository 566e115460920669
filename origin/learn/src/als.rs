//! ALS: a vector for every session and every item whose product says whether they met.
//!
//! Hu, Koren & Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008: with `c` the confidence
//! in a pair that was seen, 1 in any other,
//!
//! ```text
//! x_u = (YᵀY + λI + (c−1) Σ_{i∈u} y_i·y_iᵀ)⁻¹ · c Σ_{i∈u} y_i        and the same for y_i with the roles changed
//! ```
//! Each is not solved but improved by three steps of conjugate gradients from where it was (Takács, Pilászy & Tikk,
//! RecSys 2011), 64 at a time, so that the products with `YᵀY` are of matrices. The outcome does not depend on the
//! number of cores. Memory: `dimensions` floats an item and a session.

use crate::rng::Random;
use crate::{
    embedding::Embedding,
    matrix::{Layout, add_scaled, dot, normalise, product},
    sessions::Sessions,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The numbers of the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlsParams {
    /// Length of a vector.
    pub dimensions: usize,
    /// How often all sessions, then all items are improved.
    pub iterations: usize,
    /// c, from 1.
    pub confidence: f32,
    /// λ.
    pub regularisation: f32,
    /// Draws the first vectors.
    pub seed: u64,
}

impl Default for AlsParams {
    fn default() -> Self {
        Self { dimensions: 128, iterations: 15, confidence: 40.0, regularisation: 0.01, seed: 1 }
    }
}

/// Vectors improved together.
const TOGETHER: usize = 64;
/// Vectors whose products with themselves are summed on one core.
const SUMMED: usize = 4_096;
/// Steps of conjugate gradients.
const STEPS: usize = 3;

/// Who met whom: for each row, its columns.
struct Pairs {
    starts: Vec<usize>,
    columns: Vec<u32>,
}

impl Pairs {
    fn of_sessions(sessions: &Sessions) -> Self {
        let (mut starts, mut columns) = (vec![0], Vec::new());
        for session in sessions.iter() {
            let from = columns.len();
            columns.extend(session.clicks);
            columns[from..].sort_unstable();
            let mut kept = from;
            for at in from..columns.len() {
                if at == from || columns[at] != columns[at - 1] {
                    columns[kept] = columns[at];
                    kept += 1;
                }
            }
            columns.truncate(kept);
            starts.push(kept);
        }
        Self { starts, columns }
    }

    fn row(&self, row: usize) -> &[u32] {
        &self.columns[self.starts[row]..self.starts[row + 1]]
    }

    fn turned(&self, rows: usize) -> Self {
        let mut starts = vec![0; rows + 1];
        self.columns.iter().for_each(|column| starts[*column as usize + 1] += 1);
        (0..rows).for_each(|row| starts[row + 1] += starts[row]);
        let (mut next, mut columns) = (starts.clone(), vec![0; self.columns.len()]);
        for row in 0..self.starts.len() - 1 {
            for column in self.row(row) {
                columns[next[*column as usize]] = row as u32;
                next[*column as usize] += 1;
            }
        }
        Self { starts, columns }
    }
}

/// `YᵀY + λI`.
fn gram(vectors: &[f32], recipe: &AlsParams) -> Vec<f32> {
    let size = recipe.dimensions;
    let parts: Vec<Vec<f32>> = vectors
        .par_chunks(SUMMED * size)
        .map(|part| {
            let mut sum = vec![0.0; size * size];
            let count = part.len() / size;
            product([size, count, size], (part, Layout::ColMajor), (part, Layout::RowMajor), &mut sum);
            sum
        })
        .collect();
    let mut sum = vec![0.0; size * size];
    parts.iter().for_each(|part| add_scaled(&mut sum, 1.0, part));
    (0..size).for_each(|at| sum[at * (size + 1)] += recipe.regularisation);
    sum
}

/// Improves the vectors `own`, one a row of `pairs`, given those of the columns.
fn improve(own: &mut [f32], pairs: &Pairs, others: &[f32], recipe: &AlsParams) {
    let (size, more) = (recipe.dimensions, recipe.confidence - 1.0);
    let gram = gram(others, recipe);
    let other = |item: u32| &others[item as usize * size..][..size];
    own.par_chunks_mut(TOGETHER * size).enumerate().for_each_init(
        || [(); 3].map(|()| vec![0f32; TOGETHER * size]),
        |[residual, direction, image], (at, own)| {
            let (first, count) = (at * TOGETHER, own.len() / size);
            let rows = || (first..first + count).map(|row| pairs.row(row));
            // What the matrix of each row makes of its vector.
            let apply = |vectors: &[f32], image: &mut [f32]| {
                let by = (&*gram, Layout::RowMajor);
                product([count, size, size], (vectors, Layout::RowMajor), by, image);
                let vectors = vectors.chunks_exact(size);
                for ((row, vector), image) in rows().zip(vectors).zip(image.chunks_exact_mut(size)) {
                    row.iter().for_each(|item| {
                        add_scaled(image, more * dot(other(*item), vector), other(*item));
                    });
                }
            };
            apply(own, image);
            for (place, row) in rows().enumerate() {
                let residual = &mut residual[place * size..][..size];
                residual.fill(0.0);
                row.iter().for_each(|item| add_scaled(residual, recipe.confidence, other(*item)));
                add_scaled(residual, -1.0, &image[place * size..][..size]);
            }
            direction.copy_from_slice(residual);
            for _ in 0..STEPS {
                apply(direction, image);
                for place in 0..count {
                    let at = place * size..(place + 1) * size;
                    let (residual, direction) = (&mut residual[at.clone()], &mut direction[at.clone()]);
                    let before = dot(residual, residual);
                    if before < 1e-20 {
                        continue;
                    }
                    let step = before / dot(direction, &image[at.clone()]);
                    add_scaled(&mut own[at.clone()], step, direction);
                    add_scaled(residual, -step, &image[at]);
                    let turn = dot(residual, residual) / before;
                    direction.iter_mut().zip(residual).for_each(|(to, from)| *to = *from + turn * *to);
                }
            }
        },
    );
}

/// Learns the vectors of `items` items, scaled to length 1; the bias is 0.
pub fn learn(sessions: &Sessions, items: usize, recipe: &AlsParams) -> Embedding {
    let by_session = Pairs::of_sessions(sessions);
    let by_item = by_session.turned(items);
    let mut random = Random::new(recipe.seed, "als");
    let mut vectors = |count: usize| -> Vec<f32> {
        (0..count * recipe.dimensions).map(|_| random.unit() as f32 * 0.01).collect()
    };
    let (mut users, mut own) = (vectors(sessions.len()), vectors(items));
    for _ in 0..recipe.iterations {
        improve(&mut users, &by_session, &own, recipe);
        improve(&mut own, &by_item, &users, recipe);
    }
    own.chunks_exact_mut(recipe.dimensions.max(1)).for_each(|vector| _ = normalise(vector));
    Embedding { dimensions: recipe.dimensions, vectors: own, bias: vec![0.0; items] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::tests::{circle, same_on_any_cores};

    #[test]
    fn neighbours_are_those_met_together_on_any_number_of_cores() {
        let recipe = AlsParams { dimensions: 16, ..AlsParams::default() };
        same_on_any_cores(|| learn(&circle(), 60, &recipe));
    }

    #[test]
    fn vectors_come_to_solve_the_equation() {
        let recipe =
            AlsParams { dimensions: 8, confidence: 5.0, regularisation: 0.1, ..AlsParams::default() };
        let (rows, size) = (Pairs { starts: vec![0, 2, 2, 5], columns: vec![0, 3, 1, 2, 3] }, 8);
        let mut random = Random::new(1, "test");
        let others: Vec<f32> = (0..4 * size).map(|_| random.normal() as f32).collect();
        let mut own = vec![0.0; 3 * size];
        (0..20).for_each(|_| improve(&mut own, &rows, &others, &recipe));
        for row in 0..3 {
            let of = |vectors: &[f32], at: usize, place: usize| f64::from(vectors[at * size + place]);
            let product = |at: usize| (0..size).map(|d| of(&own, row, d) * of(&others, at, d)).sum::<f64>();
            for d in 0..size {
                let mut left = 0.1 * of(&own, row, d);
                let mut right = 0.0;
                for at in 0..4 {
                    let met = rows.row(row).contains(&(at as u32));
                    left += if met { 5.0 } else { 1.0 } * product(at) * of(&others, at, d);
                    right += if met { 5.0 * of(&others, at, d) } else { 0.0 };
                }
                assert!((left - right).abs() < 1e-3, "{left} {right}");
            }
        }
    }

    #[test]
    fn pairs_count_once_and_turn() {
        let mut sessions = Sessions::default();
        for clicks in [vec![2, 0, 2, 1, 0], vec![], vec![1, 1]] {
            sessions.push(clicks, snapshots::time::Timestamp(0));
        }
        let pairs = Pairs::of_sessions(&sessions);
        assert_eq!(
            (0..3).map(|row| pairs.row(row).to_vec()).collect::<Vec<_>>(),
            [vec![0, 1, 2], vec![], vec![1]]
        );
        let turned = pairs.turned(3);
        assert_eq!(
            (0..3).map(|row| turned.row(row).to_vec()).collect::<Vec<_>>(),
            [vec![0], vec![0, 2], vec![0]]
        );
    }
}
