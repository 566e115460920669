//! Sections `coview` and `knn`: a row of neighbours an item, each with a weight.
//!
//! Three parts: `n + 1` offsets, the neighbours' indices, and their weights as `f32`.

use crate::{
    error::Error,
    layout::{U32s, join, split},
};
use bytes::Bytes;

/// Name of the co-view table's section.
pub const COVIEW: &str = "coview";
/// Name of the KNN table's section.
pub const KNN: &str = "knn";
/// Version of their layout.
pub const VERSION: u32 = 1;
/// The most neighbours a row holds.
pub const MAX_ROW: usize = 255;
/// The greatest weight: sums of it stay finite.
const MAX_WEIGHT: f32 = 1e9;

/// A table of rows, read in place.
#[derive(Clone, Debug)]
pub struct Rows {
    offsets: U32s,
    items: U32s,
    weights: U32s,
}

impl Rows {
    /// Opens the section named `section`.
    ///
    /// # Errors
    /// [`Error::Section`] when its parts do not fit each other.
    pub fn open(section: &'static str, bytes: &Bytes) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section, detail };
        let [offsets, items, weights] = split(bytes).ok_or(bad("not the three parts of a table"))?;
        let part = |part| U32s::new(part).ok_or(bad("a part is cut"));
        let (offsets, items, weights) = (part(offsets)?, part(items)?, part(weights)?);
        if offsets.len() == 0 || items.len() != weights.len() {
            return Err(bad("neighbours and weights differ in number"));
        }
        Ok(Self { offsets, items, weights })
    }

    /// How many rows there are: one an item.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether no row has a neighbour.
    pub fn is_empty(&self) -> bool {
        self.items.len() == 0
    }

    /// How many neighbours all rows hold.
    pub fn neighbours(&self) -> usize {
        self.items.len()
    }

    /// Calls `each` with every neighbour of `item` and its weight, heaviest first. Weights are from 0 to
    /// 1e9; what is damaged is passed over.
    #[inline]
    pub fn for_each(&self, item: u32, mut each: impl FnMut(u32, f32)) {
        let row = || {
            let start = self.offsets.get(item as usize)? as usize;
            let end = (self.offsets.get(item as usize + 1)? as usize).min(start.saturating_add(MAX_ROW));
            self.items.range(start, end).zip(self.weights.range(start, end))
        };
        let Some((items, weights)) = row() else { return };
        for (neighbour, weight) in items.zip(weights) {
            let weight = f32::from_bits(weight);
            if (0.0..=MAX_WEIGHT).contains(&weight) {
                each(neighbour, weight);
            }
        }
    }
}

/// Packs one row an item, each heaviest first, of at most [`MAX_ROW`] neighbours.
pub fn write(rows: &[Vec<(u32, f32)>]) -> Vec<u8> {
    let mut offsets = vec![0];
    let (mut items, mut weights) = (Vec::new(), Vec::new());
    for row in rows {
        items.extend(row.iter().take(MAX_ROW).map(|(item, _)| *item));
        weights.extend(row.iter().take(MAX_ROW).map(|(_, weight)| weight.to_bits()));
        offsets.push(u32::try_from(items.len()).unwrap_or(u32::MAX));
    }
    join(&[&U32s::write(offsets), &U32s::write(items), &U32s::write(weights)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_read_as_they_were_written(
            rows in proptest::collection::vec(proptest::collection::vec((0u32..99, 0.0..9f32), 0..9), 0..9),
        ) {
            let table = Rows::open(COVIEW, &write(&rows).into()).unwrap();
            prop_assert_eq!(table.len(), rows.len());
            for (item, row) in rows.iter().enumerate() {
                let mut read = Vec::new();
                table.for_each(item as u32, |neighbour, weight| read.push((neighbour, weight)));
                prop_assert_eq!(&read, row);
            }
        }

        #[test]
        fn any_bytes_open_or_give_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..120), item in 0u32..9,
        ) {
            if let Ok(rows) = Rows::open(KNN, &bytes.into()) {
                rows.for_each(item, |_, _| {});
            }
        }
    }
}
