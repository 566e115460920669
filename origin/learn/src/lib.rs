//! Learning: events in, tables out. It reads no file, no clock and no system randomness, so equal logs give equal tables,
//! whether they come from the store, a stream or a test.
//!
//! Tables number items by *index*: their place in the order of [`popularity::Counts::rank`], most popular first.
//!
//! Memory for a million items: a table of 100 neighbours per row takes 0.8 GB, and at most three exist at a time (learned
//! neighbours, co-view, co-view after the walk). Vectors take 0.3 GB (next-item), 1.0 GB (item2vec) or 0.5 GB (ALS, and as
//! much per million sessions) before that. A million clicks take 12 MB, and 16 MB more while co-view is learned. Peak of
//! whole builds of generated shops for 13 regions: 0.35 GB with 50,000 items and 0.8 million events, 1.0 GB with 200,000
//! items and 1.2 million events.
//!
//! May import: `origin_data`, `snapshots`.

#![forbid(unsafe_code)]
#![deny(unreachable_pub)]
#![allow(
    clippy::indexing_slicing,
    reason = "loops over numbers, with indices that the same crate computed from the lengths"
)]

mod alias;
pub mod als;
pub mod blend;
pub mod bought;
pub mod caps;
mod cells;
pub mod choose;
pub mod config;
pub mod content;
pub mod coview;
pub mod embedding;
pub mod item2vec;
mod matrix;
pub mod nearest;
pub mod order;
pub mod orders;
pub mod popularity;
pub mod repeats;
pub mod replay;
pub mod rng;
pub mod sessions;
mod sharding;
pub mod train;
pub mod trend;
pub mod walk;

use rayon::prelude::*;

/// A table: one row of (neighbour, weight) per item, heaviest first.
pub type Table = Vec<Vec<(u32, f32)>>;

/// A dense row of sums. Only touched entries are read and cleared, so a row costs its entries, not the catalogue.
#[derive(Default)]
pub struct DenseRow {
    values: Vec<f32>,
    touched: Vec<u32>,
}

impl DenseRow {
    /// A row of `items` zeros.
    pub fn new(items: usize) -> Self {
        Self { values: vec![0.0; items], touched: Vec::new() }
    }

    /// Adds to one entry.
    pub fn add(&mut self, item: u32, value: f32) {
        let sum = &mut self.values[item as usize];
        if *sum == 0.0 {
            self.touched.push(item);
        }
        *sum += value;
    }

    /// Empties the row into (item, value) pairs, with values mapped by `map`.
    pub fn drain(&mut self, mut map: impl FnMut(u32, f32) -> f32) -> Vec<(u32, f32)> {
        let values = &mut self.values;
        self.touched
            .drain(..)
            .map(|item| (item, map(item, std::mem::take(&mut values[item as usize]))))
            .collect()
    }
}

/// Keeps the `k` heaviest positive entries, heaviest first, ties to the lower index.
pub fn prune(mut row: Vec<(u32, f32)>, k: usize) -> Vec<(u32, f32)> {
    let heavier = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    row.retain(|(_, weight)| *weight > 0.0);
    if row.len() > k {
        row.select_nth_unstable_by(k, heavier);
        row.truncate(k);
    }
    row.sort_unstable_by(heavier);
    row.shrink_to_fit();
    row
}

/// Makes every item's row on all cores, with one dense row per thread.
pub fn rows(items: usize, make: impl Fn(u32, &mut DenseRow) -> Vec<(u32, f32)> + Sync) -> Table {
    (0..items as u32)
        .into_par_iter()
        .with_min_len(64)
        .map_init(|| DenseRow::new(items), |dense, item| make(item, dense))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_keeps_the_heaviest_entries_and_breaks_ties_by_index() {
        let row = vec![(9, 1.0), (3, 2.0), (1, 1.0), (5, 0.0), (4, -1.0)];
        assert_eq!(prune(row.clone(), 2), [(3, 2.0), (1, 1.0)]);
        assert_eq!(prune(row, 9), [(3, 2.0), (1, 1.0), (9, 1.0)]);
    }
}
