//! A permutation of `0..n` with its inverse, in 1.2 times the bits of the permutation alone.
//!
//! The images are packed. The inverse follows the cycle of a number. On cycles longer than eight, every eighth number is
//! marked and has a pointer eight steps back, so that it takes at most 16 steps (J. I. Munro, R. Raman, V. Raman, S. S.
//! Rao, "Succinct representations of permutations", ICALP 2003). The rank of a mark, with a count per 64 numbers, gives
//! its pointer. With `w = ⌈log2 n⌉`, a number takes `w + w/8 + 1 + w/64` bits, where two packed columns take `2w`.

use super::layout::{Packed, join, split};
use bytes::Bytes;

/// Steps of a cycle between two marks.
const STEP: usize = 8;

/// The permutation, read in place.
#[derive(Clone, Debug)]
pub(crate) struct Permutation {
    images: Packed,
    /// One bit per number, in words of 64.
    marks: Bytes,
    /// Marks before each word.
    counts: Packed,
    back: Packed,
}

impl Permutation {
    /// Opens the output of [`write`]; `None` if its parts are inconsistent.
    pub(crate) fn open(bytes: &Bytes) -> Option<Self> {
        let [images, marks, counts, back] = split(bytes)?;
        let opened = Self {
            images: Packed::open(images)?,
            marks,
            counts: Packed::open(counts)?,
            back: Packed::open(back)?,
        };
        let words = opened.len().div_ceil(64);
        // Narrower images cannot be distinct. This also bounds the length by the bytes present.
        let width = opened.len().saturating_sub(1).checked_ilog2().map_or(0, |log| log + 1);
        let fits = opened.marks.len() == words * 8 && opened.counts.len() == words;
        (fits && opened.images.width() == width).then_some(opened)
    }

    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.images.len()
    }

    /// The image of `number`.
    pub(crate) fn image(&self, number: u32) -> Option<u32> {
        self.images.get(number as usize)
    }

    fn mark_before(&self, number: u32) -> Option<u32> {
        let (word, bit) = (number as usize / 64, number % 64);
        let marks = u64::from_le_bytes(*self.marks.get(word * 8..)?.first_chunk()?);
        if marks >> bit & 1 == 0 {
            return None;
        }
        let before = (marks & ((1 << bit) - 1)).count_ones();
        self.back.get(self.counts.get(word)?.checked_add(before)? as usize)
    }

    /// The number with this image.
    pub(crate) fn number(&self, image: u32) -> Option<u32> {
        let (mut at, mut jumped) = (image, false);
        for _ in 0..=2 * STEP {
            let next = self.image(at)?;
            if next == image {
                return Some(at);
            }
            match self.mark_before(at).filter(|_| !jumped) {
                Some(back) => (at, jumped) = (back, true),
                None => at = next,
            }
        }
        None
    }
}

/// Encodes the images of `0..n`.
pub(crate) fn write(images: &[u32]) -> Vec<u8> {
    let mut back = vec![None; images.len()];
    let mut visited = vec![false; images.len()];
    let mut cycle = Vec::new();
    for start in 0u32.. {
        let Some(known) = visited.get(start as usize) else { break };
        if *known {
            continue;
        }
        cycle.clear();
        let mut at = start;
        while let Some(known) = visited.get_mut(at as usize).filter(|known| !**known) {
            *known = true;
            cycle.push(at);
            at = images.get(at as usize).copied().unwrap_or(at);
        }
        if cycle.len() <= STEP {
            continue;
        }
        let mut before = cycle.get((cycle.len() - 1) / STEP * STEP).copied();
        for mark in cycle.iter().step_by(STEP) {
            if let Some(pointer) = back.get_mut(*mark as usize) {
                *pointer = before;
            }
            before = Some(*mark);
        }
    }
    let (mut marks, mut counts, mut known) = (Vec::new(), Vec::new(), 0);
    for word in back.chunks(64) {
        counts.push(known);
        let bits = word.iter().rev().fold(0u64, |bits, pointer| bits << 1 | u64::from(pointer.is_some()));
        known += bits.count_ones();
        marks.extend(bits.to_le_bytes());
    }
    let back: Vec<u32> = back.into_iter().flatten().collect();
    join(&[&Packed::write(images), &marks, &Packed::write(&counts), &Packed::write(&back)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both_ways(images: &[u32]) {
        let opened = Permutation::open(&write(images).into()).unwrap();
        for (number, image) in (0..).zip(images) {
            assert_eq!(opened.image(number), Some(*image));
            assert_eq!(opened.number(*image), Some(number));
        }
        assert_eq!(opened.number(images.len() as u32), None);
    }

    #[test]
    fn one_long_cycle_and_none() {
        for length in [0, 1, 2, 7, 8, 9, 15, 16, 17, 24, 64, 65, 1000] {
            both_ways(&(0..length).map(|number| (number + 1) % length).collect::<Vec<_>>());
            both_ways(&(0..length).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn every_number_is_found_both_ways(images in Just((0..300).collect::<Vec<u32>>()).prop_shuffle()) {
            both_ways(&images);
        }

        #[test]
        fn any_flip_is_bounded(
            images in Just((0..90).collect::<Vec<u32>>()).prop_shuffle(), at in any::<prop::sample::Index>(),
            to in any::<u8>(), number in 0u32..100,
        ) {
            let mut bytes = write(&images);
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Some(opened) = Permutation::open(&bytes.into()) {
                let _ = (opened.image(number), opened.number(number));
            }
        }
    }
}
