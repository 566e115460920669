//! The encoder of rows; [`super`] describes the layout.

use super::{
    BLOCK, EMPTY, MAX_CODE, MAX_LEVELS, MAX_ROW, PADDING, ROW_HEAD, SCALE_STEPS, U32s, canonical, join,
};
use crate::format::huffman;
use core::cmp::Reverse;

/// Default number of levels of a weight.
pub const DEFAULT_LEVELS: usize = 32;
/// Highest order that fits in four bits.
const MAX_ORDER: u32 = 15;

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    length: u32,
}

impl BitWriter {
    /// Appends the low `length` (at most 32) bits of `value`.
    fn put(&mut self, value: u64, length: u32) {
        self.pending |= (value & ((1 << length) - 1)) << self.length;
        self.length += length;
        while self.length >= 8 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.length -= 8;
        }
    }

    fn golomb(&mut self, value: u64, k: u32) {
        let high = (value >> k) + 1;
        let zeros = high.ilog2();
        self.put(1 << zeros, zeros + 1);
        self.put(high, zeros);
        self.put(value, k);
    }

    fn align(&mut self) {
        self.put(0, (8 - self.length % 8) % 8);
    }
}

fn golomb_bits(value: u64, k: u32) -> u32 {
    2 * ((value >> k) + 1).ilog2() + 1 + k
}

fn cheapest(values: impl Iterator<Item = u64> + Clone, orders: u32) -> u32 {
    let cost = |k: &u32| values.clone().map(|value| u64::from(golomb_bits(value, *k))).sum::<u64>();
    (0..=orders).min_by_key(cost).unwrap_or(0)
}

/// A quantised row, sorted by index.
struct Row {
    /// Zigzag code of the first neighbour relative to the item.
    first: u64,
    gaps: Vec<u64>,
    levels: Vec<u8>,
    scale: u64,
}

fn zigzag(distance: i64) -> u64 {
    (distance << 1 ^ distance >> 63) as u64
}

/// The level of a relative weight.
fn level(relative: f32, levels: usize) -> u8 {
    ((relative.clamp(0.0, 1.0).sqrt() * levels as f32).ceil() as usize).clamp(1, levels) as u8 - 1
}

/// The mean of the weights of each level, and their number.
fn level_means(relatives: impl Iterator<Item = f32>, levels: usize) -> (Vec<f32>, Vec<u64>) {
    let (mut sums, mut counts) = (vec![0f64; levels], vec![0u64; levels]);
    for relative in relatives {
        let level = usize::from(level(relative, levels));
        if let (Some(sum), Some(count)) = (sums.get_mut(level), counts.get_mut(level)) {
            *sum += f64::from(relative);
            *count += 1;
        }
    }
    let means = sums.iter().zip(&counts).map(|(sum, count)| (sum / (*count).max(1) as f64) as f32);
    (means.collect(), counts)
}

/// The code length of each level; 0 for a level that does not occur.
fn code_lengths(counts: &[u64]) -> Vec<u8> {
    let mut used: Vec<(usize, u64)> =
        counts.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
    used.sort_by_key(|(_, count)| Reverse(*count));
    let frequencies: Vec<u64> = used.iter().map(|(_, count)| *count).collect();
    let mut lengths = vec![0; counts.len()];
    for ((level, _), length) in used.into_iter().zip(huffman::lengths(&frequencies, MAX_CODE as u32)) {
        if let Some(own) = lengths.get_mut(level) {
            *own = length.max(1) as u8;
        }
    }
    lengths
}

/// Encodes a whole table with one row per item, in [`DEFAULT_LEVELS`].
pub fn write(rows: &[Vec<(u32, f32)>]) -> Vec<u8> {
    write_shard(rows, 0, DEFAULT_LEVELS)
}

/// Encodes a table as shards of at most `limit` bytes, in order. A shard of a single row may exceed the limit.
pub fn write_shards(rows: &[Vec<(u32, f32)>], limit: usize) -> Vec<Vec<u8>> {
    let whole = write(rows);
    if whole.len() <= limit || rows.len() <= 1 {
        return vec![whole];
    }
    // Rows differ, so a shard gets a tenth less than the average allows. One that is still too large is halved.
    let share = (limit as f64 / whole.len() as f64 * rows.len() as f64 * 0.9) as usize;
    drop(whole);
    let mut shards = Vec::new();
    type Part<'a> = (usize, &'a [Vec<(u32, f32)>]);
    let mut ahead: Vec<Part<'_>> = Vec::new();
    for (number, part) in rows.chunks(share.max(1)).enumerate() {
        ahead.push((number * share.max(1), part));
        while let Some((first, part)) = ahead.pop() {
            let shard = write_shard(part, u32::try_from(first).unwrap_or(u32::MAX), DEFAULT_LEVELS);
            if shard.len() <= limit || part.len() <= 1 {
                shards.push(shard);
                continue;
            }
            let (left, right) = part.split_at(part.len() / 2);
            ahead.extend([(first + left.len(), right), (first, left)]);
        }
    }
    shards
}

/// Encodes the rows of the items from `first` on. Keeps the [`MAX_ROW`] neighbours with the greatest weights of each row,
/// each once; weights must be above 0 and at most 1e9. `levels` is from 1 to [`MAX_LEVELS`].
pub fn write_shard(rows: &[Vec<(u32, f32)>], first: u32, levels: usize) -> Vec<u8> {
    let levels = levels.clamp(1, MAX_LEVELS);
    let rows: Vec<Vec<(u32, f32)>> = rows.iter().map(|row| clean(row)).collect();
    let greatest_of = |row: &[(u32, f32)]| row.iter().map(|entry| entry.1).fold(0f32, f32::max);
    let greatest = rows.iter().map(|row| greatest_of(row)).fold(0f32, f32::max);
    let relatives = rows.iter().flat_map(|row| {
        let most = greatest_of(row);
        row.iter().map(move |entry| entry.1 / most)
    });
    let (means, counts) = level_means(relatives, levels);
    let lengths = code_lengths(&counts);
    let codes = canonical(&lengths).unwrap_or_default();

    let packed: Vec<Row> = (u64::from(first)..)
        .zip(&rows)
        .map(|(item, row)| {
            let most = greatest_of(row);
            let indices = row.iter().map(|entry| u64::from(entry.0));
            Row {
                first: row.first().map_or(0, |entry| zigzag(i64::from(entry.0) - item as i64)),
                gaps: indices.clone().zip(indices.skip(1)).map(|(before, next)| next - before - 1).collect(),
                levels: row.iter().map(|entry| level(entry.1 / most, levels)).collect(),
                scale: ((greatest / most).log2() * SCALE_STEPS).round().clamp(0.0, 4_095.0) as u64,
            }
        })
        .collect();
    let filled = packed.iter().filter(|row| !row.levels.is_empty());
    let first_order = cheapest(filled.map(|row| row.first), 24);

    let mut bits = BitWriter::default();
    let (mut blocks, mut offsets) = (Vec::new(), Vec::new());
    for block in packed.chunks(BLOCK) {
        let start = bits.bytes.len();
        blocks.push(u32::try_from(start).unwrap_or(u32::MAX));
        for row in block {
            // 32 rows of 255 neighbours of 57 bits take less than 64 KiB.
            let offset = u16::try_from(bits.bytes.len() - start).unwrap_or(EMPTY);
            offsets.extend_from_slice(&if row.levels.is_empty() { EMPTY } else { offset }.to_le_bytes());
            write_row(&mut bits, row, first_order, &codes, &lengths);
        }
    }
    bits.bytes.extend_from_slice(&[0; PADDING]);

    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let neighbours = count(rows.iter().map(Vec::len).sum());
    let mut head = U32s::write([first, count(rows.len()), neighbours, greatest.to_bits()]);
    head.extend_from_slice(&[first_order as u8, levels as u8]);
    head.extend_from_slice(&lengths);
    head.extend(means.iter().flat_map(|mean| mean.to_le_bytes()));
    join(&[&head, &U32s::write(blocks), &offsets, &bits.bytes])
}

fn clean(row: &[(u32, f32)]) -> Vec<(u32, f32)> {
    let mut row: Vec<(u32, f32)> =
        row.iter().copied().filter(|entry| entry.1 > 0.0 && entry.1 <= 1e9 && entry.0 < 1 << 24).collect();
    row.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    row.truncate(MAX_ROW);
    row.sort_by_key(|entry| entry.0);
    row.dedup_by_key(|entry| entry.0);
    row
}

fn write_row(bits: &mut BitWriter, row: &Row, first_order: u32, codes: &[u16], lengths: &[u8]) {
    if row.levels.is_empty() {
        return;
    }
    let k = cheapest(row.gaps.iter().copied(), MAX_ORDER);
    bits.put(row.levels.len() as u64 | u64::from(k) << 8 | row.scale << 12, ROW_HEAD as u32);
    let ids = core::iter::once((row.first, first_order)).chain(row.gaps.iter().map(|gap| (*gap, k)));
    for ((id, order), level) in ids.zip(&row.levels) {
        bits.golomb(id, order);
        let at = usize::from(*level);
        if let (Some(code), Some(length)) = (codes.get(at), lengths.get(at)) {
            bits.put(u64::from(*code), u32::from(*length));
        }
    }
    bits.align();
}
