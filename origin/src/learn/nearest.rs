//! Neighbours of learnt vectors: `R_i = softmax over j ≠ i of (scale · e_i·e_j + ½·b_j)`, the best kept.
//!
//! Exact: every pair is compared, tile by tile on all cores, so time grows with the square of the items; memory is a
//! tile a core beside the table.

use super::{
    Table,
    embedding::Embedding,
    matrix::{Lies, exp, product},
    prune,
};
use rayon::prelude::*;

/// Neighbours of an item that are worth keeping for what comes after.
pub const KEPT: usize = 100;
/// Rows compared at a time, and with how many.
const ROWS: usize = 128;
const COLUMNS: usize = 512;
/// Weights looked at together.
const LANES: usize = 16;

/// Finds the `k` nearest of every item that `taught` says the vectors know something of, among those.
pub fn exact(model: &Embedding, scale: f32, k: usize, taught: &[bool]) -> Table {
    let size = model.dimensions;
    // No logit exceeds this; taken away from all, it leaves the shares as they are.
    let most = scale + 0.5 * model.bias.iter().copied().fold(0.0, f32::max);
    let bias: Vec<f32> = model
        .bias
        .iter()
        .zip(taught)
        .map(|(bias, taught)| if *taught { bias * 0.5 - most } else { -1e9 })
        .collect();
    let block = |logits: &mut Vec<f32>, block: usize, vectors: &[f32]| {
        let count = vectors.len() / size;
        let mut rows: Vec<Row> = (0..count).map(|at| Row::new(block * ROWS + at, k)).collect();
        for (tile, others) in model.vectors.chunks(COLUMNS * size).enumerate() {
            let (first, width) = (tile * COLUMNS, others.len() / size);
            product([count, size, width], (vectors, Lies::Straight), (others, Lies::Turned), logits);
            let bias = &bias[first..first + width];
            for (row, logits) in rows.iter_mut().zip(logits.chunks_exact_mut(width)) {
                row.take(first, logits, bias, scale);
            }
        }
        rows.into_iter()
            .map(|row| if taught[row.item] { row.finish() } else { Vec::new() })
            .collect::<Table>()
    };
    let blocks: Vec<Table> = model
        .vectors
        .par_chunks(ROWS * size)
        .enumerate()
        .map_init(|| vec![0f32; ROWS * COLUMNS], |logits, (at, vectors)| block(logits, at, vectors))
        .collect();
    blocks.into_iter().flatten().collect()
}

/// A row being found, tile by tile.
struct Row {
    item: usize,
    k: usize,
    sum: f32,
    /// What a weight must exceed to be worth keeping: it rises as better ones are found, so that most are passed
    /// over.
    least: f32,
    kept: Vec<(u32, f32)>,
}

impl Row {
    fn new(item: usize, k: usize) -> Self {
        Self { item, k, sum: 0.0, least: f32::MIN_POSITIVE, kept: Vec::with_capacity(4 * k) }
    }

    /// Takes in the products with the items from `first` on.
    fn take(&mut self, first: usize, logits: &mut [f32], bias: &[f32], scale: f32) {
        logits.iter_mut().zip(bias).for_each(|(logit, bias)| *logit = exp(scale * *logit + bias));
        if let Some(own) = self.item.checked_sub(first).and_then(|at| logits.get_mut(at)) {
            *own = 0.0;
        }
        for (chunk, weights) in logits.chunks(LANES).enumerate() {
            let best = weights.iter().fold(0f32, |best, weight| if *weight > best { *weight } else { best });
            self.sum += weights.iter().sum::<f32>();
            if best > self.least {
                self.keep(first + chunk * LANES, weights);
            }
        }
    }

    fn keep(&mut self, first: usize, weights: &[f32]) {
        for (item, weight) in (first as u32..).zip(weights) {
            if *weight > self.least {
                self.kept.push((item, *weight));
                if self.kept.len() == 4 * self.k {
                    self.kept = prune(std::mem::take(&mut self.kept), self.k);
                    self.least = self.kept[self.k - 1].1;
                    self.kept.reserve(3 * self.k);
                }
            }
        }
    }

    fn finish(self) -> Vec<(u32, f32)> {
        let sum = self.sum.max(f32::MIN_POSITIVE);
        let mut row = prune(self.kept, self.k);
        row.iter_mut().for_each(|entry| entry.1 /= sum);
        row
    }
}
