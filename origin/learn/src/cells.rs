//! Cells of items with similar vectors, which limit the search for neighbours: the coarse quantiser of an inverted file
//! (Jégou, Douze & Schmid, "Product quantization for nearest neighbor search", TPAMI 2011, §IV), by spherical k-means. The
//! result does not depend on the number of cores.

use crate::matrix::{Layout, product};
use rayon::prelude::*;

/// Mean number of items per cell.
const ITEMS: usize = 256;
/// Items per cell in the sample for k-means, and its iterations.
const SAMPLE: usize = 64;
const PASSES: usize = 6;
/// Vectors that are compared with the centres together.
const ROWS: usize = 128;

/// The cells.
pub(crate) struct Cells {
    /// The items, cell by cell, each cell's in ascending order.
    pub(crate) items: Vec<u32>,
    /// The start of each cell in `items`, and the end of the last.
    pub(crate) bounds: Vec<usize>,
}

impl Cells {
    /// Assigns the items `members` to cells by their unit vectors of length `size`.
    pub(crate) fn new(vectors: &[f32], size: usize, members: &[u32]) -> Self {
        let count = members.len().div_ceil(ITEMS).max(1);
        let of = |item: u32| &vectors[item as usize * size..][..size];
        let gathered = |step: usize| -> Vec<f32> {
            members.iter().step_by(step).flat_map(|item| of(*item)).copied().collect()
        };
        let mut centres: Vec<f32> =
            (0..count).flat_map(|cell| of(members[cell * members.len() / count])).copied().collect();
        let sample = gathered((ITEMS / SAMPLE).min(members.len().div_ceil(count)).max(1));
        for _ in 0..PASSES {
            let mut sums = vec![0f32; count * size];
            for (vector, cell) in sample.chunks_exact(size).zip(nearest(&sample, &centres, size)) {
                let sum = &mut sums[cell as usize * size..][..size];
                sum.iter_mut().zip(vector).for_each(|(sum, number)| *sum += number);
            }
            for (centre, sum) in centres.chunks_exact_mut(size).zip(sums.chunks_exact(size)) {
                let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
                // An empty cell keeps its centre.
                if length > 1e-6 {
                    centre.iter_mut().zip(sum).for_each(|(centre, sum)| *centre = sum / length);
                }
            }
        }
        let mut placed: Vec<(u32, u32)> =
            nearest(&gathered(1), &centres, size).into_iter().zip(members.iter().copied()).collect();
        placed.sort_unstable();
        let bounds = (0..=count as u32).map(|cell| placed.partition_point(|(of, _)| *of < cell)).collect();
        Self { items: placed.into_iter().map(|(_, item)| item).collect(), bounds }
    }

    /// Number of cells.
    pub(crate) fn count(&self) -> usize {
        self.bounds.len() - 1
    }
}

/// The most similar centre of each vector; of equal ones the first.
fn nearest(vectors: &[f32], centres: &[f32], size: usize) -> Vec<u32> {
    let count = centres.len() / size;
    let blocks = vectors.par_chunks(ROWS * size).map_init(
        || vec![0f32; ROWS * count],
        |dots, block| {
            let rows = block.len() / size;
            product([rows, size, count], (block, Layout::RowMajor), (centres, Layout::ColMajor), dots);
            let best = |row: &[f32]| {
                let greater = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
                (1..count).fold(0, greater) as u32
            };
            dots.chunks_exact(count).take(rows).map(best).collect::<Vec<_>>()
        },
    );
    blocks.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Random;

    #[test]
    fn every_item_is_in_one_cell_with_similar_vectors() {
        let (size, groups) = (8, 5usize);
        let mut random = Random::new(3, "cells");
        // Five directions with noise; every seventh item is left out.
        let vectors: Vec<f32> = (0..3_000)
            .flat_map(|item| {
                let mut vector: Vec<f32> = (0..size).map(|_| 0.1 * random.unit() as f32).collect();
                vector[item % groups] += 1.0;
                let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
                vector.into_iter().map(move |number| number / length)
            })
            .collect();
        let members: Vec<u32> = (0..3_000).filter(|item| item % 7 > 0).collect();
        let cells = Cells::new(&vectors, size, &members);
        assert_eq!((cells.count(), cells.bounds[0], cells.bounds[cells.count()]), (11, 0, members.len()));
        let mut all = cells.items.clone();
        all.sort_unstable();
        assert_eq!(all, members);
        for cell in 0..cells.count() {
            let items = &cells.items[cells.bounds[cell]..cells.bounds[cell + 1]];
            assert!(items.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(items.iter().all(|item| *item as usize % groups == items[0] as usize % groups));
        }
    }

    #[test]
    fn a_single_item_is_a_cell() {
        let cells = Cells::new(&[0.6, 0.8], 2, &[0]);
        assert_eq!((cells.items, cells.bounds), (vec![0], vec![0, 1]));
    }
}
