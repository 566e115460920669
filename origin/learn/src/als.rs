//! ALS: a vector per session and item; their dot product predicts whether the session has the item.
//!
//! Hu, Koren & Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008: with confidence `c` in observed
//! pairs and 1 in all others,
//!
//! ```text
//! x_u = (YᵀY + λI + (c−1) Σ_{i∈u} y_i·y_iᵀ)⁻¹ · c Σ_{i∈u} y_i        and likewise y_i
//! ```
//! Instead of solving each system, three steps of conjugate gradients improve the current vector (Takács, Pilászy & Tikk,
//! RecSys 2011), 64 vectors at a time, so that products with `YᵀY` are products of matrices. The result does not depend on
//! the number of cores. Memory: `dimensions` floats per item and per session.

use crate::rng::Random;
use crate::{
    embedding::Embedding,
    matrix::{Layout, add_scaled, dot, normalise, product},
    sessions::Sessions,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Hyperparameters of ALS.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlsParams {
    /// Length of a vector.
    pub dimensions: usize,
    /// Iterations; each updates all sessions, then all items.
    pub iterations: usize,
    /// c, from 1.
    pub confidence: f32,
    /// λ.
    pub regularisation: f32,
    /// Random seed of the initial vectors.
    pub seed: u64,
}

impl Default for AlsParams {
    fn default() -> Self {
        Self { dimensions: 128, iterations: 15, confidence: 40.0, regularisation: 0.01, seed: 1 }
    }
}

/// Vectors updated together.
const BLOCK: usize = 64;
/// Vectors of a partial sum of `YᵀY`.
const GRAM_BLOCK: usize = 4_096;
/// Steps of conjugate gradients.
const STEPS: usize = 3;

/// A sparse binary matrix: for each row, its columns.
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

    fn transposed(&self, rows: usize) -> Self {
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
fn gram(vectors: &[f32], params: &AlsParams) -> Vec<f32> {
    let size = params.dimensions;
    let parts: Vec<Vec<f32>> = vectors
        .par_chunks(GRAM_BLOCK * size)
        .map(|part| {
            let mut sum = vec![0.0; size * size];
            let count = part.len() / size;
            product([size, count, size], (part, Layout::ColMajor), (part, Layout::RowMajor), &mut sum);
            sum
        })
        .collect();
    let mut sum = vec![0.0; size * size];
    parts.iter().for_each(|part| add_scaled(&mut sum, 1.0, part));
    (0..size).for_each(|at| sum[at * (size + 1)] += params.regularisation);
    sum
}

/// Improves the vectors `own`, one per row of `pairs`, given those of the columns.
fn improve(own: &mut [f32], pairs: &Pairs, others: &[f32], params: &AlsParams) {
    let (size, more) = (params.dimensions, params.confidence - 1.0);
    let gram = gram(others, params);
    let other = |item: u32| &others[item as usize * size..][..size];
    own.par_chunks_mut(BLOCK * size).enumerate().for_each_init(
        || [(); 3].map(|()| vec![0f32; BLOCK * size]),
        |[residual, direction, image], (at, own)| {
            let (first, count) = (at * BLOCK, own.len() / size);
            let rows = || (first..first + count).map(|row| pairs.row(row));
            // Multiplies each row's matrix by its vector.
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
                row.iter().for_each(|item| add_scaled(residual, params.confidence, other(*item)));
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
                    let beta = dot(residual, residual) / before;
                    direction.iter_mut().zip(residual).for_each(|(to, from)| *to = *from + beta * *to);
                }
            }
        },
    );
}

/// Learns the vectors of `items` items, scaled to length 1; the bias is 0.
pub fn learn(sessions: &Sessions, items: usize, params: &AlsParams) -> Embedding {
    let by_session = Pairs::of_sessions(sessions);
    let by_item = by_session.transposed(items);
    let mut random = Random::new(params.seed, "als");
    let mut vectors = |count: usize| -> Vec<f32> {
        (0..count * params.dimensions).map(|_| random.unit() as f32 * 0.01).collect()
    };
    let (mut users, mut own) = (vectors(sessions.len()), vectors(items));
    for _ in 0..params.iterations {
        improve(&mut users, &by_session, &own, params);
        improve(&mut own, &by_item, &users, params);
    }
    own.chunks_exact_mut(params.dimensions.max(1)).for_each(|vector| _ = normalise(vector));
    Embedding { dimensions: params.dimensions, vectors: own, bias: vec![0.0; items] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::tests::{circle, same_on_any_cores};

    #[test]
    fn neighbours_share_sessions_on_any_number_of_cores() {
        let params = AlsParams { dimensions: 16, ..AlsParams::default() };
        same_on_any_cores(|| learn(&circle(), 60, &params));
    }

    #[test]
    fn vectors_converge_to_the_solution() {
        let params =
            AlsParams { dimensions: 8, confidence: 5.0, regularisation: 0.1, ..AlsParams::default() };
        let (rows, size) = (Pairs { starts: vec![0, 2, 2, 5], columns: vec![0, 3, 1, 2, 3] }, 8);
        let mut random = Random::new(1, "test");
        let others: Vec<f32> = (0..4 * size).map(|_| random.normal() as f32).collect();
        let mut own = vec![0.0; 3 * size];
        (0..20).for_each(|_| improve(&mut own, &rows, &others, &params));
        for row in 0..3 {
            let of = |vectors: &[f32], at: usize, place: usize| f64::from(vectors[at * size + place]);
            let product = |at: usize| (0..size).map(|d| of(&own, row, d) * of(&others, at, d)).sum::<f64>();
            for d in 0..size {
                let mut left = 0.1 * of(&own, row, d);
                let mut right = 0.0;
                for at in 0..4 {
                    let observed = rows.row(row).contains(&(at as u32));
                    left += if observed { 5.0 } else { 1.0 } * product(at) * of(&others, at, d);
                    right += if observed { 5.0 * of(&others, at, d) } else { 0.0 };
                }
                assert!((left - right).abs() < 1e-3, "{left} {right}");
            }
        }
    }

    #[test]
    fn repeated_pairs_count_once_and_transpose() {
        let mut sessions = Sessions::default();
        for clicks in [vec![2, 0, 2, 1, 0], vec![], vec![1, 1]] {
            sessions.push(clicks, snapshots::time::Timestamp(0));
        }
        let pairs = Pairs::of_sessions(&sessions);
        assert_eq!(
            (0..3).map(|row| pairs.row(row).to_vec()).collect::<Vec<_>>(),
            [vec![0, 1, 2], vec![], vec![1]]
        );
        let transposed = pairs.transposed(3);
        assert_eq!(
            (0..3).map(|row| transposed.row(row).to_vec()).collect::<Vec<_>>(),
            [vec![0], vec![0, 2], vec![0]]
        );
    }
}
