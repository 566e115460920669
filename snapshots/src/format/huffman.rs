//! Canonical Huffman codes.
//!
//! Symbols are numbered from the most frequent. The numbers of codes of 0, 1, … 32 bits define such a code completely.
//! Decoding takes two tables with an entry per length, and one by the first byte that gives the least length to try
//! (I. H. Witten, A. Moffat, T. C. Bell, *Managing Gigabytes*, 2nd ed. 1999, §2.3).

use super::{
    bits::{BitReader, BitWriter},
    layout::U32s,
};
use bytes::Bytes;
use core::cmp::Reverse;
use std::collections::BinaryHeap;

const MAX_LENGTH: u32 = 32;
const LENGTHS: usize = MAX_LENGTH as usize + 1;

/// A decoder.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    /// By length: the first 32-bit window beyond the codes of that length.
    limits: [u64; LENGTHS],
    /// By length: the difference between a symbol and its code.
    bases: [u32; LENGTHS],
    /// By the first eight bits: the least length of a code with this prefix.
    shortest: [u8; 256],
}

impl Code {
    /// Opens the code of an alphabet of `symbols`; `None` if the counts do not define one.
    pub(crate) fn open(counts: Bytes, symbols: usize) -> Option<Self> {
        let counts = U32s::new(counts).filter(|counts| counts.len() == LENGTHS)?;
        let mut code = Self { limits: [0; LENGTHS], bases: [0; LENGTHS], shortest: [0; 256] };
        let (mut next, mut known) = (0u64, 0u32);
        let tables = code.limits.iter_mut().zip(&mut code.bases);
        for (length, (limit, base)) in tables.enumerate() {
            let (count, unused) = (counts.get(length)?, LENGTHS - 1 - length);
            *base = known.wrapping_sub((next >> unused) as u32);
            next += u64::from(count) << unused;
            *limit = next;
            if next > 1 << MAX_LENGTH {
                return None;
            }
            known = known.checked_add(count)?;
            // From the first byte value that no code of this length can begin with, codes are longer.
            let held = (next.div_ceil(1 << 24)) as usize;
            for shortest in code.shortest.iter_mut().skip(held) {
                *shortest = length as u8 + 1;
            }
        }
        (known as usize == symbols).then_some(code)
    }

    /// The next symbol, less than the size of the alphabet; `None` past the end or if damaged.
    #[inline]
    pub(crate) fn read(&self, reader: &mut BitReader<'_>) -> Option<u32> {
        let window = reader.peek()?;
        let shortest = *self.shortest.get((window >> 24) as usize)?;
        let tables = self.limits.iter().zip(&self.bases).skip(shortest.into());
        for (length, (limit, base)) in (u32::from(shortest)..).zip(tables) {
            if u64::from(window) < *limit {
                reader.skip(length);
                return Some(((u64::from(window) >> (MAX_LENGTH - length)) as u32).wrapping_add(*base));
            }
        }
        None
    }
}

/// An encoder.
pub(crate) struct Encoder {
    /// Code and length of each symbol.
    codes: Vec<(u32, u32)>,
}

impl Encoder {
    /// The optimal code for symbols with these counts, in descending order.
    pub(crate) fn new(counts: &[u64]) -> Self {
        let mut next = 0u64;
        let code = |length: u32| {
            let code = (next >> (MAX_LENGTH - length)) as u32;
            next += 1 << (MAX_LENGTH - length);
            (code, length)
        };
        Self { codes: lengths(counts, MAX_LENGTH).into_iter().map(code).collect() }
    }

    /// The encoded counts for [`Code::open`].
    pub(crate) fn counts(&self) -> Vec<u8> {
        let count = |wanted| self.codes.iter().filter(|(_, length)| *length == wanted).count() as u32;
        U32s::write((0..=MAX_LENGTH).map(count))
    }

    /// Appends a symbol.
    pub(crate) fn put(&self, symbol: usize, to: &mut BitWriter) {
        if let Some((code, length)) = self.codes.get(symbol) {
            to.put(*code, *length);
        }
    }
}

/// Code lengths in ascending order, at most `longest` bits, for symbols with these counts. The alphabet has at most
/// `2^longest` symbols; a single symbol takes no bits.
pub(crate) fn lengths(counts: &[u64], longest: u32) -> Vec<u32> {
    let mut heap: BinaryHeap<Reverse<(u64, usize)>> =
        counts.iter().enumerate().map(|(node, count)| Reverse((*count, node))).collect();
    let mut parents = vec![0; (counts.len() * 2).saturating_sub(1)];
    for node in counts.len()..parents.len() {
        let mut sum = 0;
        for _ in 0..2 {
            let Some(Reverse((count, child))) = heap.pop() else { break };
            sum += count;
            if let Some(parent) = parents.get_mut(child) {
                *parent = node;
            }
        }
        heap.push(Reverse((sum, node)));
    }
    let mut depths = vec![0; parents.len()];
    for node in (0..parents.len().saturating_sub(1)).rev() {
        let depth = parents.get(node).and_then(|parent| depths.get(*parent)).map_or(0, |depth| depth + 1);
        if let Some(own) = depths.get_mut(node) {
            *own = depth;
        }
    }
    depths.truncate(counts.len());
    depths.sort_unstable();
    if depths.last().is_none_or(|depth| *depth <= longest) {
        return depths;
    }
    // Raise the relative counts of rare symbols until their codes are short enough.
    lengths(&counts.iter().map(|count| count.div_ceil(2)).collect::<Vec<_>>(), longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(counts: &[u64], symbols: &[usize]) -> usize {
        let encoder = Encoder::new(counts);
        let mut writer = BitWriter::default();
        symbols.iter().for_each(|symbol| encoder.put(*symbol, &mut writer));
        let bits = writer.at() as usize;
        let bytes = writer.finish();
        let code = Code::open(encoder.counts().into(), counts.len()).unwrap();
        let mut reader = BitReader::new(&bytes, 0);
        for symbol in symbols {
            assert_eq!(code.read(&mut reader), Some(*symbol as u32));
        }
        bits
    }

    #[test]
    fn frequent_symbols_are_short() {
        assert_eq!(lengths(&[4, 2, 1, 1], MAX_LENGTH), [1, 2, 3, 3]);
        assert_eq!(round_trip(&[4, 2, 1, 1], &[0, 0, 0, 0, 1, 1, 2, 3]), 14);
        assert_eq!(round_trip(&[7], &[0; 7]), 0);
        assert_eq!(round_trip(&[], &[]), 0);
    }

    #[test]
    fn codes_stay_within_a_window() {
        // Fibonacci numbers make the deepest trees: 59 levels.
        let mut counts: Vec<u64> = vec![1, 1];
        while counts.len() < 60 {
            counts.push(counts[counts.len() - 1] + counts[counts.len() - 2]);
        }
        counts.reverse();
        assert!(lengths(&counts, MAX_LENGTH).iter().all(|length| *length <= MAX_LENGTH));
        round_trip(&counts, &(0..60).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn symbols_read_as_they_were_written(mut counts in proptest::collection::vec(1u64..1000, 1..300)) {
            counts.sort_unstable_by_key(|count| Reverse(*count));
            let bits = round_trip(&counts, &(0..counts.len()).collect::<Vec<_>>());
            prop_assert!(counts.len() == 1 || bits >= counts.len());
        }

        #[test]
        fn any_counts_give_a_code_of_known_symbols_or_none(
            counts in proptest::collection::vec(prop_oneof![Just(0u32), 0u32..4, any::<u32>()], 33),
            window in any::<[u8; 16]>(), symbols in 0usize..40,
        ) {
            if let Some(code) = Code::open(U32s::write(counts).into(), symbols) {
                let symbol = code.read(&mut BitReader::new(&window, 0));
                prop_assert!(symbol.is_none_or(|symbol| (symbol as usize) < symbols));
            }
        }
    }
}
