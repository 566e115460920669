//! The few byte layouts that sections are made of. All numbers are little-endian and unaligned; every read is
//! checked, so that a damaged section gives `None`, not a panic.

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

    pub(crate) fn range(&self, start: usize, end: usize) -> Option<impl Iterator<Item = u32>> {
        let bytes = self.0.get(start.checked_mul(4)?..end.checked_mul(4)?)?;
        Some(bytes.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)))
    }

    pub(crate) fn write(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
        values.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

/// A column of strings: `n + 1` offsets, then the text of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strings {
    offsets: U32s,
    text: Bytes,
}

impl Strings {
    pub(crate) fn new(offsets: Bytes, text: Bytes) -> Option<Self> {
        let offsets = U32s::new(offsets)?;
        (offsets.len() > 0).then_some(Self { offsets, text })
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    pub(crate) fn bytes(&self, index: usize) -> Option<&[u8]> {
        let start = self.offsets.get(index)? as usize;
        self.text.get(start..self.offsets.get(index + 1)? as usize)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        core::str::from_utf8(self.bytes(index)?).ok()
    }

    /// The two parts, offsets and text. Text past 4 GiB is cut.
    pub(crate) fn write<'a>(values: impl IntoIterator<Item = &'a str>) -> [Vec<u8>; 2] {
        let mut text = Vec::new();
        let mut offsets = vec![0];
        for value in values {
            if u32::try_from(text.len() + value.len()).is_ok() {
                text.extend_from_slice(value.as_bytes());
            }
            offsets.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        [U32s::write(offsets), text]
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

/// Takes a section of exactly `N` parts apart.
pub(crate) fn split<const N: usize>(section: &Bytes) -> Option<[Bytes; N]> {
    let lengths = U32s::new(section.get(..N * 4).map(|head| section.slice_ref(head))?)?;
    let mut start = N * 4;
    let mut parts = [const { Bytes::new() }; N];
    for (index, part) in parts.iter_mut().enumerate() {
        let end = start.checked_add(lengths.get(index)? as usize)?;
        *part = section.slice_ref(section.get(start..end)?);
        start = end;
    }
    (start == section.len()).then_some(parts)
}
