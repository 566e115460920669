//! Sections `coview`, `knn` and `bought`: a row of weighted neighbours per item, about 10 bits per neighbour.
//!
//! # Layout
//! Four parts: a header, block offsets, row offsets, and the rows as a stream of bits, least significant first.
//!
//! | part | bits | what |
//! | --- | --- | --- |
//! | header | – | rows, first row, neighbours, greatest weight, parameters and the weights' code |
//! | blocks | 32 per 32 rows | byte at which the block's rows begin |
//! | offsets | 16 per row | bytes from there to the row; `0xFFFF`: the row is empty |
//! | row | 24 | neighbours (8), parameter `k` (4), the row's greatest weight (12) |
//! | neighbour | about 7 + 2 | gap to the previous neighbour, then the weight's level |
//!
//! **Ids.** A row is sorted by index. The first neighbour is stored relative to the row's item, the others as gaps, in an
//! exponential Golomb code of order `k` (Teuhola, "A compression method for clustered bit-vectors", IPL 1978), with the
//! cheapest `k` per row. The code is short for small gaps, which are frequent because the origin orders the dictionary by
//! recursive bisection of the table's graph. Measured on YooChoose 1/64 (17,376 items): 6.6 bits per id, where uniformly
//! drawn sets need log2 C(n,k)/k = 10.3, and Rice codes over ids in order of popularity take 10.1.
//!
//! **Weights.** A weight is stored relative to the greatest of its row, in levels of equal width on a square-root scale,
//! since small weights are frequent and close. A level decodes to the mean of its weights. Levels have a canonical Huffman
//! code (Huffman, "A method for the construction of minimum-redundancy codes", 1952) of at most 8 bits, one per table.
//! The greatest weight of a row has 12 bits on a logarithmic scale with steps of half a percent.
//!
//! **Access.** Opening reads the header; finding a row takes two reads. A neighbour takes one 8-byte load. Therefore 8 bytes
//! of padding follow the rows, and ids have at most 24 bits.

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
/// Name of the section of items bought together.
pub const BOUGHT: &str = "bought";
/// The names of all tables.
pub const TABLES: [&str; 3] = [COVIEW, KNN, BOUGHT];
/// A row: its table, one of [`TABLES`], and its item.
pub type RowKey = (&'static str, u32);
/// Version of their layout.
pub const VERSION: u32 = 1;
/// Most neighbours of a row.
pub const MAX_ROW: usize = 255;
/// Most levels of a weight.
pub const MAX_LEVELS: usize = 32;
/// Rows that share one block offset.
const BLOCK: usize = 32;
const EMPTY: u16 = u16::MAX;
/// Bits of a row's header: count, `k`, scale.
const ROW_HEAD: usize = 8 + 4 + 12;
/// Steps of a row's scale that halve it.
const SCALE_STEPS: f32 = 128.0;
/// Longest code of a level.
const MAX_CODE: usize = 8;
/// Longest code of an id, `2 · 24 + 1`: id and level fit in the 57 bits that one load always yields.
const MAX_ID_CODE: u32 = 49;
/// Bits that one load always yields.
const WINDOW: u32 = 57;
/// Most neighbours that are decoded from one load.
const PER_WINDOW: u32 = 4;
/// Zero bytes after the rows, so that the last load stays within the section.
const PADDING: usize = 8;
const HEAD: usize = 18;

/// A decoded level: its weight relative to the row's greatest, and the length of its code.
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

/// Decodes a row's scale, `2^(−step/128)`: one of 128 roots, with the halvings subtracted from its exponent.
#[inline]
fn row_scale(step: u32) -> f32 {
    /// `2^(1/128)`.
    const ROOT: f64 = 1.005_429_901_112_802_7;
    #[allow(
        clippy::indexing_slicing,
        reason = "evaluated at compile time, which rejects an index out of bounds"
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
    // At most 31 halvings of a number from 0.5 to 1 do not underflow the exponent.
    f32::from_bits(root.to_bits() - ((step >> 7 & 31) << 23))
}

/// A window of at least 57 bits of the stream, from bit `at` on.
#[inline(always)]
fn window(bits: &[u8], at: usize) -> Option<u64> {
    let bytes = bits.get(at >> 3..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*bytes) >> (at & 7))
}

/// Decodes an exponential Golomb code of order `k`: the value, and the length of its code.
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
    /// [`Error::Section`] if its parts are inconsistent.
    pub fn open(section: &'static str, bytes: &Bytes) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section, detail };
        let [head, blocks, offsets, bits] = split(bytes).ok_or(bad("it does not have its four parts"))?;
        let word = |at: usize| {
            let bytes = head.get(at..).and_then(<[u8]>::first_chunk).ok_or(bad("the header is truncated"))?;
            Ok(u32::from_le_bytes(*bytes))
        };
        let (first, count, neighbours, greatest) = (word(0)?, word(4)?, word(8)?, f32::from_bits(word(12)?));
        let [first_order, levels] =
            *head.get(16..HEAD).and_then(<[u8]>::first_chunk).ok_or(bad("the header is truncated"))?;
        let blocks = U32s::new(blocks).ok_or(bad("the blocks are truncated"))?;
        let rows = count as usize;
        if blocks.len() != rows.div_ceil(BLOCK) || offsets.len() != rows * 2 || bits.len() < PADDING {
            return Err(bad("blocks, offsets and rows have different lengths"));
        }
        if !(0.0..=1e9).contains(&greatest) || first_order > 24 || first.checked_add(count).is_none() {
            return Err(bad("a parameter in its header is out of range"));
        }
        let levels = open_levels(head.get(HEAD..).unwrap_or(&[]), levels.into())
            .ok_or(bad("the code of its weights is invalid"))?;
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

    /// The first item with a row; 0 unless this is a shard.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// One past the last item with a row.
    pub fn end(&self) -> u32 {
        self.first.saturating_add(self.count)
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether no row has a neighbour.
    pub fn is_empty(&self) -> bool {
        self.neighbours == 0
    }

    /// The number of neighbours in all rows.
    pub fn neighbours(&self) -> usize {
        self.neighbours as usize
    }

    fn start(&self, item: u32) -> Option<usize> {
        let row = item.checked_sub(self.first)? as usize;
        let offset = u16::from_le_bytes(*self.offsets.get(row.checked_mul(2)?..)?.first_chunk()?);
        let block = self.blocks.get(row / BLOCK)? as usize;
        (offset != EMPTY).then(|| block.checked_add(offset.into())?.checked_mul(8))?
    }

    /// Calls `each` with every neighbour of `item` and its weight, in order of index. Weights are from 0 to 1e9. A damaged
    /// row ends early.
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
            // One load holds several neighbours. One that may extend past its end is decoded from the next.
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
                    // Zigzag: the first neighbour may precede or follow the item.
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

/// Opens the code of the levels: a table from the next 8 bits to the level that they begin with.
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

/// The canonical codes of these lengths (0: the level does not occur), ordered by length, then by level. The bits are
/// reversed, since the stream is read from the least significant bit. `None` if no prefix code has these lengths.
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
