//! Section `popularity`: how much each item is wanted in one region, and how lately.
//!
//! Three parts: the items that had any event in the region, most wanted first; every item's popularity from 0 to
//! 1 (the region's first) as `f32`; and every item's recency as a byte, 255 for an event at build time.

use crate::{
    error::Error,
    layout::{U32s, join, split},
};
use bytes::Bytes;

/// Name of the section.
pub const NAME: &str = "popularity";
/// Version of its layout.
pub const VERSION: u32 = 1;

/// A region's popularity, read in place.
#[derive(Clone, Debug)]
pub struct Popularity {
    order: U32s,
    values: U32s,
    recency: Bytes,
}

impl Popularity {
    /// Opens the section.
    ///
    /// # Errors
    /// [`Error::Section`] when its parts do not fit each other.
    pub fn open(section: &Bytes) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section: NAME, detail };
        let [order, values, recency] = split(section).ok_or(bad("not its three parts"))?;
        let order = U32s::new(order).ok_or(bad("the order is cut"))?;
        let values = U32s::new(values).ok_or(bad("the values are cut"))?;
        if values.len() != recency.len() || order.len() > values.len() {
            return Err(bad("its parts count different items"));
        }
        Ok(Self { order, values, recency })
    }

    /// How many items the values cover.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether nothing happened in the region.
    pub fn is_empty(&self) -> bool {
        self.order.len() == 0
    }

    /// The items of the region, most wanted first.
    pub fn order(&self) -> impl Iterator<Item = u32> {
        (0..self.order.len()).filter_map(|place| self.order.get(place))
    }

    /// The item's popularity, 0 to 1.
    #[inline]
    pub fn of(&self, item: u32) -> f32 {
        let value = self.values.get(item as usize).map_or(0.0, f32::from_bits);
        if (0.0..=1.0).contains(&value) { value } else { 0.0 }
    }

    /// How lately the item had an event, 0 to 1.
    #[inline]
    pub fn recency(&self, item: u32) -> f32 {
        self.recency.get(item as usize).map_or(0.0, |value| f32::from(*value) / 255.0)
    }
}

/// Packs every item's (popularity, recency), both 0 to 1. Ties in popularity go to the lower index.
pub fn write(items: &[(f32, f32)]) -> Vec<u8> {
    let value = |index: &u32| items.get(*index as usize).map_or(0.0, |item| item.0);
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).filter(|index| value(index) > 0.0).collect();
    order.sort_by(|a, b| value(b).total_cmp(&value(a)));
    let values = U32s::write(items.iter().map(|item| item.0.to_bits()));
    let recency: Vec<u8> = items.iter().map(|item| (item.1.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    join(&[&U32s::write(order), &values, &recency])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn most_wanted_first_and_none_that_had_no_event() {
        let section = write(&[(0.5, 1.0), (0.0, 0.0), (1.0, 0.2), (0.5, 0.0)]);
        let popularity = Popularity::open(&section.into()).unwrap();
        assert_eq!(popularity.order().collect::<Vec<_>>(), [2, 0, 3]);
        assert_eq!((popularity.of(2), popularity.of(1), popularity.of(9)), (1.0, 0.0, 0.0));
        assert!((popularity.recency(2) - 0.2).abs() < 0.005);
    }

    proptest! {
        #[test]
        fn any_bytes_open_or_give_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(popularity) = Popularity::open(&bytes.into()) {
                for item in popularity.order() {
                    prop_assert!((0.0..=1.0).contains(&popularity.of(item)));
                }
            }
        }
    }
}
