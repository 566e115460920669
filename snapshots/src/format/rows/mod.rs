//! Sections `coview` and `knn`: a row of neighbours an item, each with a weight, near 10 bits a neighbour.
//!
//! # Layout
//! Four parts: a head, block offsets, row offsets, and the rows as one stream of bits, least significant first.
//!
//! | part | bits | what |
//! | --- | --- | --- |
//! | head | – | rows, first row, neighbours, greatest weight, parameters and the weights' code |
//! | blocks | 32 every 32 rows | byte at which the block's rows begin |
//! | offsets | 16 a row | bytes from there to the row; `0xFFFF`: the row is empty |
//! | row | 24 | neighbours (8), parameter `k` (4), the row's greatest weight (12) |
//! | neighbour | about 7 + 2 | gap to the neighbour before, then the weight's level |
//!
//! **Ids.** A row is sorted by index. The first neighbour is stored relative to the row's own item, the others as
//! gaps, all in exponential Golomb code of order `k` (Teuhola, "A compression method for clustered bit-vectors",
//! IPL 1978), the cheapest `k` by row. This code is short for small gaps and grows with the logarithm of large
//! ones, which pays because the dictionary's order brings items of one neighbourhood together: the origin orders
//! it by recursive bisection of the table's graph. Measured on YooChoose 1/64 (17,376 items): 6.6 bits an id,
//! where sets drawn uniformly need log2 C(n,k)/k = 10.3 and Rice codes over ids in order of popularity took 10.1.
//!
//! **Weights.** A weight is kept relative to the row's greatest, in levels of equal width on a square-root scale
//! (small weights are many and close), each level read as the mean of what fell into it. Levels are in a
//! canonical Huffman code (Huffman, "A method for the construction of minimum-redundancy codes", 1952) of at
//! most 8 bits, one a table. The row's greatest weight has 12 bits on a logarithmic scale, half a percent apart.
//!
//! **Access** to a row is two reads and the row; opening reads the head. A neighbour takes one 8-byte load, which
//! is why rows are followed by 8 bytes of nothing, and why ids have at most 24 bits.

use crate::format::{
    error::Error,
    layout::{U32s, join, split},
};
use bytes::Bytes;
use std::sync::Arc;

mod table;
mod write;

pub use table::Table;
pub use write::{DEFAULT_LEVELS, write, write_shard, write_shards};

/// Name of the co-view table's section.
pub const COVIEW: &str = "coview";
/// Name of the KNN table's section.
pub const KNN: &str = "knn";
/// Name of the section of what is bought together.
pub const BOUGHT: &str = "bought";
/// The tables there are, in the order in which the scorer counts them.
pub const TABLES: [&str; 3] = [COVIEW, KNN, BOUGHT];
/// A row that an answer reads: its table, one of [`TABLES`], and its item.
pub type RowKey = (&'static str, u32);
/// Version of their layout.
pub const VERSION: u32 = 1;
/// The most neighbours a row holds.
pub const MAX_ROW: usize = 255;
/// The most levels a weight is told apart in.
pub const MAX_LEVELS: usize = 32;
/// Rows that share one block offset.
const BLOCK: usize = 32;
const EMPTY: u16 = u16::MAX;
/// Bits of a row's head: count, `k`, scale.
const ROW_HEAD: usize = 8 + 4 + 12;
/// Steps of a row's scale that halve it.
const SCALE_STEPS: f32 = 128.0;
/// Longest code of a level.
const MAX_CODE: usize = 8;
/// Longest code of an id: `2 · 24 + 1`, so that id and level lie in the 57 bits that one load surely holds.
const MAX_ID_CODE: u32 = 49;
/// Bits that one load surely holds, and neighbours that are read from it at most.
const WINDOW: u32 = 57;
const PER_WINDOW: u32 = 4;
/// What follows the rows, so that the last load stays inside.
const PADDING: usize = 8;
const HEAD: usize = 18;

/// What the next 8 bits say: a level's weight relative to the row's greatest, and how many of the bits it took.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    weight: f32,
    bits: u8,
}

/// A table of rows, or a shard of one, read in place.
#[derive(Clone, Debug)]
pub struct Rows {
    first: u32,
    count: u32,
    neighbours: u32,
    greatest: f32,
    first_order: u32,
    levels: Arc<[Level; 1 << MAX_CODE]>,
    blocks: U32s,
    offsets: Bytes,
    bits: Bytes,
}

/// What a row's scale is read as, `2^(−step/128)`: one of 128 roots, and the rest taken off its exponent.
#[inline]
fn row_scale(step: u32) -> f32 {
    /// `2^(1/128)`.
    const ROOT: f64 = 1.005_429_901_112_802_7;
    #[allow(
        clippy::indexing_slicing,
        reason = "computed by the compiler, which refuses what is out of bounds"
    )]
    const ROOTS: [f32; 128] = {
        let (mut roots, mut value, mut step) = ([1.0; 128], 1.0, 0);
        while step < 128 {
            roots[step] = value as f32;
            value /= ROOT;
            step += 1;
        }
        roots
    };
    let root = ROOTS.get(step as usize & 127).copied().unwrap_or(1.0);
    // At most 31 halvings of a number from 0.5 to 1: its exponent does not run out.
    f32::from_bits(root.to_bits() - ((step >> 7 & 31) << 23))
}

/// A window of at least 57 bits of the stream, from bit `at` on.
#[inline(always)]
fn window(bits: &[u8], at: usize) -> Option<u64> {
    let bytes = bits.get(at >> 3..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*bytes) >> (at & 7))
}

/// Reads an exponential Golomb code of order `k`: the value, and the bits it took.
#[inline(always)]
fn golomb(window: u64, k: u32) -> Option<(u64, u32)> {
    let zeros = window.trailing_zeros();
    let length = 2 * zeros + 1 + k;
    if length > MAX_ID_CODE {
        return None;
    }
    let rest = window >> (zeros + 1);
    let high = (rest & ((1 << zeros) - 1)) + (1 << zeros) - 1;
    Some((high << k | (rest >> zeros) & ((1 << k) - 1), length))
}

impl Rows {
    /// Opens the section named `section`.
    ///
    /// # Errors
    /// [`Error::Section`] when its parts do not fit each other.
    pub fn open(section: &'static str, bytes: &Bytes) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section, detail };
        let [head, blocks, offsets, bits] = split(bytes).ok_or(bad("not the four parts of a table"))?;
        let word = |at: usize| {
            let bytes = head.get(at..).and_then(<[u8]>::first_chunk).ok_or(bad("the head is cut"))?;
            Ok(u32::from_le_bytes(*bytes))
        };
        let (first, count, neighbours, greatest) = (word(0)?, word(4)?, word(8)?, f32::from_bits(word(12)?));
        let [first_order, levels] =
            *head.get(16..HEAD).and_then(<[u8]>::first_chunk).ok_or(bad("the head is cut"))?;
        let blocks = U32s::new(blocks).ok_or(bad("the blocks are cut"))?;
        let rows = count as usize;
        if blocks.len() != rows.div_ceil(BLOCK) || offsets.len() != rows * 2 || bits.len() < PADDING {
            return Err(bad("blocks, offsets and rows count different rows"));
        }
        if !(0.0..=1e9).contains(&greatest) || first_order > 24 || first.checked_add(count).is_none() {
            return Err(bad("a parameter in its head is out of range"));
        }
        let levels = open_levels(head.get(HEAD..).unwrap_or(&[]), levels.into())
            .ok_or(bad("the code of its weights is no code"))?;
        Ok(Self {
            first,
            count,
            neighbours,
            greatest,
            first_order: first_order.into(),
            levels,
            blocks,
            offsets,
            bits,
        })
    }

    /// The first item that has a row here; 0 but for a shard.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// One past the last item that has a row here.
    pub fn end(&self) -> u32 {
        self.first.saturating_add(self.count)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether no row has a neighbour.
    pub fn is_empty(&self) -> bool {
        self.neighbours == 0
    }

    /// How many neighbours all rows hold.
    pub fn neighbours(&self) -> usize {
        self.neighbours as usize
    }

    fn start(&self, item: u32) -> Option<usize> {
        let row = item.checked_sub(self.first)? as usize;
        let offset = u16::from_le_bytes(*self.offsets.get(row.checked_mul(2)?..)?.first_chunk()?);
        let block = self.blocks.get(row / BLOCK)? as usize;
        (offset != EMPTY).then(|| block.checked_add(offset.into())?.checked_mul(8))?
    }

    /// Calls `each` with every neighbour of `item` and its weight, in order of index. Weights are from 0 to 1e9;
    /// a damaged row ends early.
    #[inline]
    pub fn for_each(&self, item: u32, each: impl FnMut(u32, f32)) {
        if let Some(start) = self.start(item) {
            self.decode(item, start, each);
        }
    }

    #[inline]
    fn decode(&self, item: u32, start: usize, mut each: impl FnMut(u32, f32)) -> Option<()> {
        let bits: &[u8] = &self.bits;
        let head = window(bits, start)?;
        let count = head & 0xFF;
        let k = (head >> 8 & 0xF) as u32;
        let scale = self.greatest * row_scale((head >> 12 & 0xFFF) as u32);
        let mut at = start + ROW_HEAD;
        let (mut neighbour, mut order, mut first) = (0u64, self.first_order, true);
        let mut left = count as u32;
        while left > 0 {
            // Several neighbours lie in one load; what may reach over its end is read again from the next.
            let window = window(bits, at)?;
            let mut used = 0;
            for _ in 0..left.min(PER_WINDOW) {
                let rest = window >> used;
                let code = golomb(rest, order).and_then(|(value, length)| {
                    let level = self.levels.get((rest >> length) as usize & 0xFF)?;
                    Some((value, level.weight, used + length + u32::from(level.bits)))
                });
                let Some((value, weight, end)) = code.filter(|code| used == 0 || code.2 <= WINDOW) else {
                    break;
                };
                (used, left) = (end, left - 1);
                if first {
                    // Zigzag: the first neighbour may lie before or behind the item.
                    let distance = (value >> 1) as i64 ^ -((value & 1) as i64);
                    neighbour = u64::try_from(i64::from(item) + distance).ok()?;
                    (order, first) = (k, false);
                } else {
                    neighbour += value + 1;
                }
                each(u32::try_from(neighbour).ok()?, weight * scale);
            }
            if used == 0 {
                return None;
            }
            at += used as usize;
        }
        Some(())
    }
}

/// The code of the levels, from their lengths: every 8 bits that may come, and which level they begin with.
fn open_levels(head: &[u8], count: usize) -> Option<Arc<[Level; 1 << MAX_CODE]>> {
    let (lengths, weights) = head.split_at_checked(count)?;
    if count > MAX_LEVELS || weights.len() != count * 4 {
        return None;
    }
    let mut table = [Level::default(); 1 << MAX_CODE];
    for (code, (length, weight)) in
        canonical(lengths)?.into_iter().zip(lengths.iter().zip(weights.as_chunks().0))
    {
        let weight = f32::from_le_bytes(*weight);
        if !(0.0..=1.0).contains(&weight) {
            return None;
        }
        let step = 1usize << length;
        for entry in
            table.iter_mut().skip(code as usize).step_by(step).take(if *length == 0 { 0 } else { 256 })
        {
            *entry = Level { weight, bits: *length };
        }
    }
    Some(Arc::new(table))
}

/// The codes that belong to these lengths (0: the level does not occur), bits reversed to be read from the least
/// significant on: shorter first, then by level. `None` when no code has such lengths.
fn canonical(lengths: &[u8]) -> Option<Vec<u16>> {
    let taken: u32 =
        lengths.iter().filter(|length| **length > 0).map(|length| 256u32 >> (*length).min(31)).sum();
    if taken > 256 || lengths.iter().any(|length| usize::from(*length) > MAX_CODE) {
        return None;
    }
    let mut codes = vec![0u16; lengths.len()];
    let mut next = 0u16;
    for length in 1..=MAX_CODE as u32 {
        for (code, _) in codes.iter_mut().zip(lengths).filter(|(_, own)| u32::from(**own) == length) {
            *code = next.reverse_bits() >> (16 - length);
            next += 1;
        }
        next <<= 1;
    }
    Some(codes)
}

#[cfg(test)]
mod tests;
