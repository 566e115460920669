//! A stream of fields of any width, most significant bit first, as prefix codes need it.

/// Zero bytes after the last field, so that every read loads eight bytes at once.
const PADDING: usize = 8;
/// Bits that one load always yields: it may begin at the last bit of a byte.
pub(crate) const WINDOW: u32 = 57;

/// Reads fields in sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: u64,
    /// The bits from `at` on, left-aligned, and their number.
    word: u64,
    left: u32,
}

impl<'a> BitReader<'a> {
    /// Starts at bit `at`.
    pub(crate) fn new(bytes: &'a [u8], at: u32) -> Self {
        Self { bytes, at: at.into(), word: 0, left: 0 }
    }

    #[inline]
    fn have(&mut self, bits: u32) -> Option<()> {
        if self.left < bits {
            let start = usize::try_from(self.at >> 3).ok()?;
            let word = u64::from_be_bytes(*self.bytes.get(start..)?.first_chunk()?);
            let read = self.at as u32 & 7;
            (self.word, self.left) = (word << read, 64 - read);
        }
        Some(())
    }

    /// The next 32 bits, without advancing.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u32> {
        self.have(32)?;
        Some((self.word >> 32) as u32)
    }

    /// The next [`WINDOW`] bits, without advancing.
    #[inline]
    pub(crate) fn window(&mut self) -> Option<u64> {
        self.have(WINDOW)?;
        Some(self.word >> (64 - WINDOW))
    }

    /// Advances, by no more than was peeked.
    #[inline]
    pub(crate) fn skip(&mut self, bits: u32) {
        self.at += u64::from(bits);
        self.word = self.word.checked_shl(bits).unwrap_or(0);
        self.left = self.left.saturating_sub(bits);
    }

    /// The next field, of up to 32 bits; `None` past the end.
    #[inline]
    pub(crate) fn take(&mut self, width: u32) -> Option<u32> {
        let unused = 32u32.checked_sub(width)?;
        self.have(width)?;
        let field = (self.word >> 32 >> unused) as u32;
        self.skip(width);
        Some(field)
    }
}

/// Writes fields in sequence.
#[derive(Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that do not fill a byte yet, and their number.
    pending: u64,
    count: u32,
}

impl BitWriter {
    /// Appends the low `width` bits, up to 32, of `value`.
    pub(crate) fn put(&mut self, value: u32, width: u32) {
        let mask = (1u64 << width) - 1;
        self.pending = self.pending << width | u64::from(value) & mask;
        self.count += width;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.pending >> self.count) as u8);
        }
    }

    /// The bit at which the next field begins. Saturates at 512 MiB.
    pub(crate) fn at(&self) -> u32 {
        u32::try_from(self.bytes.len() as u64 * 8 + u64::from(self.count)).unwrap_or(u32::MAX)
    }

    /// The bytes with their padding.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
        self.bytes.extend([0; PADDING]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_read_as_they_were_written(fields in proptest::collection::vec((any::<u32>(), 0u32..33), 0..50)) {
            let mut writer = BitWriter::default();
            let starts: Vec<u32> = fields
                .iter()
                .map(|(value, width)| {
                    let at = writer.at();
                    writer.put(*value, *width);
                    at
                })
                .collect();
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes, 0);
            for ((value, width), start) in fields.iter().zip(starts) {
                let expected = (u64::from(*value) & ((1 << width) - 1)) as u32;
                prop_assert_eq!(reader.take(*width), Some(expected));
                prop_assert_eq!(BitReader::new(&bytes, start).take(*width), Some(expected));
            }
        }
    }

    #[test]
    fn reads_past_the_end_give_none() {
        assert_eq!(BitReader::new(&[0; 8], 8).take(1), None);
        assert_eq!(BitReader::new(&[0; 8], u32::MAX).peek(), None);
        assert_eq!(BitReader::new(&[0; 8], 0).take(33), None);
    }
}
