//! Neighbours of learnt vectors: `R_i = softmax over j ≠ i of (scale · e_i·e_j + ½·b_j)`, the best kept.
//!
//! Exact: every pair is compared, a block of rows at a time on all cores, so time grows with the square of the
//! items; memory is a block of rows a core.

use super::{
    Table,
    embedding::Embedding,
    matrix::{Lies, exp, product},
    prune,
};
use rayon::prelude::*;

/// Neighbours of an item that are worth keeping for what comes after.
pub const KEPT: usize = 100;
/// Rows compared at a time.
const BLOCK: usize = 32;

/// Finds the `k` nearest of every item that `taught` says the vectors know something of, among those.
pub fn exact(model: &Embedding, scale: f32, k: usize, taught: &[bool]) -> Table {
    let (size, items) = (model.dimensions, model.bias.len());
    let bias: Vec<f32> =
        model.bias.iter().zip(taught).map(|(bias, taught)| if *taught { bias * 0.5 } else { -1e9 }).collect();
    let blocks: Vec<Table> = model
        .vectors
        .par_chunks(BLOCK * size)
        .enumerate()
        .map_init(
            || vec![0f32; BLOCK * items],
            |logits, (block, vectors)| {
                let rows = vectors.len() / size;
                let all = (&*model.vectors, Lies::Turned);
                product([rows, size, items], (vectors, Lies::Straight), all, logits);
                let row = |(place, logits): (usize, &mut [f32])| {
                    let item = block * BLOCK + place;
                    if taught[item] { softmax_row(logits, &bias, scale, item, k) } else { Vec::new() }
                };
                logits.chunks_exact_mut(items).take(rows).enumerate().map(row).collect()
            },
        )
        .collect();
    blocks.into_iter().flatten().collect()
}

fn softmax_row(logits: &mut [f32], bias: &[f32], scale: f32, item: usize, k: usize) -> Vec<(u32, f32)> {
    logits.iter_mut().zip(bias).for_each(|(logit, bias)| *logit = scale * *logit + bias);
    logits[item] = -1e9;
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    logits.iter_mut().for_each(|logit| *logit = exp(*logit - most));
    let sum: f32 = logits.iter().sum();
    // The least that is worth keeping rises as better ones are found: most of the row is passed over.
    let mut kept: Vec<(u32, f32)> = Vec::with_capacity(4 * k);
    let mut least = 1e-12;
    for (place, weight) in (0u32..).zip(&*logits) {
        if *weight > least {
            kept.push((place, weight / sum));
            if kept.len() == 4 * k {
                kept = prune(kept, k);
                least = kept[k - 1].1 * sum;
                kept.reserve(3 * k);
            }
        }
    }
    prune(kept, k)
}
