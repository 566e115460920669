//! Byte layouts shared by the sections. All numbers are little-endian and unaligned. Every read is checked, so that a
//! damaged section gives `None` and never a panic.

use bytes::Bytes;

/// An array of `u32` read in place.
#[derive(Clone, Debug, Default)]
pub(crate) struct U32s(Bytes);

impl U32s {
    pub(crate) fn new(bytes: Bytes) -> Option<Self> {
        bytes.len().is_multiple_of(4).then_some(Self(bytes))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len() / 4
    }

    pub(crate) fn get(&self, index: usize) -> Option<u32> {
        let start = index.checked_mul(4)?;
        let bytes = self.0.get(start..start.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    pub(crate) fn write(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
        values.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

/// A column of numbers of `width` bits each, 0 to 32: the width of the greatest.
///
/// Layout: the width (1 byte), the count (`u32`), the numbers (least significant bit first), and eight zero bytes, so that
/// every read is one load of eight bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    bits: Bytes,
    width: u32,
    count: u32,
}

const PACKED_HEAD: usize = 5;

impl Packed {
    pub(crate) fn open(bytes: Bytes) -> Option<Self> {
        let [width, count @ ..] = *bytes.first_chunk::<PACKED_HEAD>()?;
        let (width, count) = (u32::from(width), u32::from_le_bytes(count));
        let bits = bytes.slice_ref(bytes.get(PACKED_HEAD..)?);
        let needed = (u64::from(count) * u64::from(width)).div_ceil(8) + 8;
        (width <= 32 && bits.len() as u64 == needed).then_some(Self { bits, width, count })
    }

    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    pub(crate) fn width(&self) -> u32 {
        self.width
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<u32> {
        if index >= self.len() {
            return None;
        }
        let bit = index as u64 * u64::from(self.width);
        let word = u64::from_le_bytes(*self.bits.get((bit >> 3) as usize..)?.first_chunk()?);
        Some((word >> (bit & 7) & ((1 << self.width) - 1)) as u32)
    }

    pub(crate) fn write(values: &[u32]) -> Vec<u8> {
        let width = values.iter().max().and_then(|most| most.checked_ilog2()).map_or(0, |log| log + 1);
        let mut out = vec![width as u8];
        out.extend(u32::try_from(values.len()).unwrap_or(u32::MAX).to_le_bytes());
        let (mut pending, mut count) = (0u64, 0);
        for value in values {
            pending |= u64::from(*value) << count;
            count += width;
            while count >= 8 {
                out.push(pending as u8);
                pending >>= 8;
                count -= 8;
            }
        }
        if count > 0 {
            out.push(pending as u8);
        }
        out.extend([0; 8]);
        out
    }
}

/// A column of numbers with few distinct values. Stores indices into their sorted list if that is shorter than the numbers
/// themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    /// Empty if `places` holds the numbers themselves.
    distinct: Packed,
    places: Packed,
}

impl Column {
    pub(crate) fn open(bytes: &Bytes) -> Option<Self> {
        let [distinct, places] = split(bytes)?;
        Some(Self { distinct: Packed::open(distinct)?, places: Packed::open(places)? })
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<u32> {
        let place = self.places.get(index)?;
        if self.distinct.len() == 0 { Some(place) } else { self.distinct.get(place as usize) }
    }

    pub(crate) fn write(values: &[u32]) -> Vec<u8> {
        let mut distinct = values.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let place = |value| distinct.binary_search(value).map_or(0, |place| place as u32);
        let places = Packed::write(&values.iter().map(place).collect::<Vec<_>>());
        let (distinct, plain) = (Packed::write(&distinct), Packed::write(values));
        if distinct.len() + places.len() < plain.len() {
            join(&[&distinct, &places])
        } else {
            join(&[&Packed::write(&[]), &plain])
        }
    }
}

/// A column of strings: `n + 1` packed offsets, then the concatenated text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strings {
    offsets: Packed,
    text: Bytes,
}

impl Strings {
    /// Opens the output of [`Self::write`]. Distinct strings are at most one more than their bytes; a section that claims
    /// more is rejected, so that a short one cannot cause long work.
    pub(crate) fn open(bytes: &Bytes) -> Option<Self> {
        let [offsets, text] = split(bytes)?;
        let offsets = Packed::open(offsets)?;
        (offsets.len() > 0 && offsets.len() <= text.len() + 2).then_some(Self { offsets, text })
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    #[inline]
    pub(crate) fn bytes(&self, index: usize) -> Option<&[u8]> {
        let start = self.offsets.get(index)? as usize;
        self.text.get(start..self.offsets.get(index + 1)? as usize)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        core::str::from_utf8(self.bytes(index)?).ok()
    }

    /// Encodes distinct strings. Text beyond 4 GiB is dropped.
    pub(crate) fn write<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut text = Vec::new();
        let mut offsets = vec![0];
        for value in values {
            if u32::try_from(text.len() + value.len()).is_ok() {
                text.extend_from_slice(value);
            }
            offsets.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        join(&[&Packed::write(&offsets), &text])
    }
}

/// Joins the parts of a section: their lengths as `u32`, then their bytes.
pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = U32s::write(parts.iter().map(|part| u32::try_from(part.len()).unwrap_or(u32::MAX)));
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Splits a section into exactly `N` parts.
pub(crate) fn split<const N: usize>(section: &Bytes) -> Option<[Bytes; N]> {
    let mut parts = [const { Bytes::new() }; N];
    split_into(section, &mut parts)?;
    Some(parts)
}

fn split_into(section: &Bytes, parts: &mut [Bytes]) -> Option<()> {
    let mut start = parts.len() * 4;
    let lengths = U32s::new(section.get(..start).map(|head| section.slice_ref(head))?)?;
    for (index, part) in parts.iter_mut().enumerate() {
        let end = start.checked_add(lengths.get(index)? as usize)?;
        *part = section.slice_ref(section.get(start..end)?);
        start = end;
    }
    (start == section.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers() -> impl Strategy<Value = Vec<u32>> {
        let width = prop_oneof![Just(0u32), Just(1), Just(31), Just(32), 0u32..=32];
        (width, proptest::collection::vec(any::<u32>(), 0..200)).prop_map(|(width, values)| {
            values
                .into_iter()
                .map(|value| u64::from(value) & ((1 << width) - 1))
                .map(|value| value as u32)
                .collect()
        })
    }

    proptest! {
        #[test]
        fn numbers_read_as_they_were_written(values in numbers()) {
            let packed = Packed::open(Packed::write(&values).into()).unwrap();
            let column = Column::open(&Column::write(&values).into()).unwrap();
            prop_assert_eq!((packed.len(), column.len()), (values.len(), values.len()));
            for (index, value) in values.iter().enumerate() {
                prop_assert_eq!((packed.get(index), column.get(index)), (Some(*value), Some(*value)));
            }
            prop_assert_eq!((packed.get(values.len()), column.get(values.len())), (None, None));
        }

        #[test]
        fn any_bytes_open_or_give_none(bytes in proptest::collection::vec(any::<u8>(), 0..60), index in 0usize..99) {
            let bytes = Bytes::from(bytes);
            let _ = Packed::open(bytes.clone()).map(|packed| packed.get(index));
            let _ = Column::open(&bytes).map(|column| column.get(index));
            if let Some(strings) = Strings::open(&bytes) {
                prop_assert!(strings.len() <= bytes.len());
                let _ = strings.bytes(index);
            }
        }
    }

    #[test]
    fn columns_take_the_bits_they_need() {
        assert_eq!(Packed::write(&[0; 1000]).len(), PACKED_HEAD + 8);
        assert_eq!(Packed::write(&[0, 1, 7, 3]).len(), PACKED_HEAD + 2 + 8);
        // A thousand numbers of 32 bits with two distinct values take a bit each.
        let few: Vec<u32> = (0..1000).map(|index| u32::MAX - index % 2).collect();
        assert!(Column::write(&few).len() < 1000 / 8 + 60);
    }
}
