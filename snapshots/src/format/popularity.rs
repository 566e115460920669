//! Section `popularity`: the popularity and recency of items in one region.
//!
//! Four parts: the distinct popularities, at most 255 `f32` values; for every item one byte, the index of its popularity
//! from 1, or 0 for an item without events; for every item its recency as a byte, 255 for an event at build time; and
//! the items with events in descending order of popularity, `⌈log2 n⌉` bits each.
//!
//! Up to 255 distinct popularities are exact. More are rounded to the scale `(b/255)⁴`. Its error is at most 0.8 % of the
//! greatest value and falls with popularity, to 0.00005 at 0.001; a logarithmic scale would be less exact for popular
//! items. The order is exact, and ends after [`MAX_ORDER`] items, more than any request examines. An item takes 16 bits,
//! and `⌈log2 n⌉` more in the order.

use super::{
    error::Error,
    layout::{Packed, U32s, join, split},
};
use bytes::Bytes;

/// Name of the section.
pub const NAME: &str = "popularity";
/// Version of its layout.
pub const VERSION: u32 = 1;
/// Most items in the order.
pub const MAX_ORDER: usize = 1 << 16;
/// Most distinct popularities.
const MAX_VALUES: usize = 255;

/// A region's popularity, read in place.
#[derive(Clone, Debug)]
pub struct Popularity {
    /// Popularity by an item's byte; the first is 0.
    values: [f32; MAX_VALUES + 1],
    places: Bytes,
    recency: Bytes,
    order: Packed,
}

impl Popularity {
    /// Opens the section.
    ///
    /// # Errors
    /// [`Error::Section`] if its parts are inconsistent.
    pub fn open(section: &Bytes) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section: NAME, detail };
        let [values, places, recency, order] =
            split(section).ok_or(bad("it does not have its four parts"))?;
        let order = Packed::open(order).ok_or(bad("the order is truncated"))?;
        if places.len() != recency.len() || order.len() > places.len().min(MAX_ORDER) {
            return Err(bad("its parts have different lengths"));
        }
        let known =
            U32s::new(values).filter(|known| known.len() <= MAX_VALUES).ok_or(bad("too many values"))?;
        let mut values = [0.0; MAX_VALUES + 1];
        for (place, value) in values.iter_mut().skip(1).enumerate() {
            *value = known.get(place).map_or(0.0, f32::from_bits);
            if !(0.0..=1.0).contains(value) {
                return Err(bad("a value is not between 0 and 1"));
            }
        }
        Ok(Self { values, places, recency, order })
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether the region had no events.
    pub fn is_empty(&self) -> bool {
        self.order.len() == 0
    }

    /// The indices of items with events in descending order of popularity, at most [`MAX_ORDER`].
    pub fn order(&self) -> impl Iterator<Item = u32> {
        (0..self.order.len()).filter_map(|place| self.order.get(place))
    }

    /// The item's popularity, 0 to 1.
    #[inline]
    pub fn of(&self, item: u32) -> f32 {
        let place = self.places.get(item as usize).copied().unwrap_or(0);
        self.values.get(usize::from(place)).copied().unwrap_or(0.0)
    }

    /// How recent the item's last events are, 0 to 1.
    #[inline]
    pub fn recency(&self, item: u32) -> f32 {
        self.recency.get(item as usize).map_or(0.0, |value| f32::from(*value) / 255.0)
    }
}

/// Encodes every item's (popularity, recency), both 0 to 1. Of equal popularities, the lower index comes first.
pub fn write(items: &[(f32, f32)]) -> Vec<u8> {
    let value = |index: &u32| items.get(*index as usize).map_or(0.0, |item| item.0);
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).filter(|index| value(index) > 0.0).collect();
    order.sort_by(|a, b| value(b).total_cmp(&value(a)));
    write_ordered(items, order)
}

/// Like [`write()`], with an `order` that is more exact than the values.
pub fn write_ordered(items: &[(f32, f32)], mut order: Vec<u32>) -> Vec<u8> {
    let value = |index: &u32| items.get(*index as usize).map_or(0.0, |item| item.0);
    let mut values: Vec<f32> = order.iter().rev().map(|index| value(index).min(1.0)).collect();
    values.dedup();
    if values.len() > MAX_VALUES {
        values = (1..=MAX_VALUES).map(|step| (step as f32 / MAX_VALUES as f32).powi(4)).collect();
    }
    let place = |wanted: f32| {
        if wanted <= 0.0 {
            return 0;
        }
        let above = values.partition_point(|value| *value < wanted).min(values.len().saturating_sub(1));
        let nearer = |below: &usize| match (values.get(*below), values.get(above)) {
            (Some(below), Some(above)) => (wanted - below).abs() < (above - wanted).abs(),
            _ => false,
        };
        above.checked_sub(1).filter(nearer).unwrap_or(above) as u8 + 1
    };
    let places: Vec<u8> = items.iter().map(|item| place(item.0)).collect();
    let recency: Vec<u8> = items.iter().map(|item| (item.1.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    order.truncate(MAX_ORDER);
    let values = U32s::write(values.iter().map(|value| value.to_bits()));
    join(&[&values, &places, &recency, &Packed::write(&order)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_order_descends_and_omits_items_without_events() {
        let section = write(&[(0.5, 1.0), (0.0, 0.0), (1.0, 0.2), (0.5, 0.0)]);
        let popularity = Popularity::open(&section.into()).unwrap();
        assert_eq!(popularity.order().collect::<Vec<_>>(), [2, 0, 3]);
        assert_eq!((popularity.of(2), popularity.of(1), popularity.of(9)), (1.0, 0.0, 0.0));
        assert!((popularity.recency(2) - 0.2).abs() < 0.005);
    }

    #[test]
    fn empty_and_single() {
        let nothing = Popularity::open(&write(&[]).into()).unwrap();
        assert!(nothing.is_empty() && nothing.of(0) == 0.0);
        let one = Popularity::open(&write(&[(f32::MIN_POSITIVE, 1.0)]).into()).unwrap();
        assert_eq!((one.of(0), one.order().collect::<Vec<_>>()), (f32::MIN_POSITIVE, vec![0]));
    }

    #[test]
    fn many_values_are_rounded_within_the_documented_error() {
        let items: Vec<(f32, f32)> =
            (0..70_000).map(|place| (((place + 1) as f32).powf(-0.9), 1.0 / (place + 1) as f32)).collect();
        let popularity = Popularity::open(&write(&items).into()).unwrap();
        assert_eq!(popularity.order().collect::<Vec<_>>(), (0..MAX_ORDER as u32).collect::<Vec<_>>());
        assert_eq!(popularity.of(0), 1.0);
        for (index, (value, recency)) in (0..).zip(&items) {
            let error = (popularity.of(index) - value).abs();
            // Half a step of the scale (b/255)⁴ at the value, 4/255 · value^(3/4) / 2, and a margin for its curvature.
            assert!(error <= 0.0079 * value.powf(0.75) + 1e-6, "{index}: {value} off by {error}");
            assert!(popularity.of(index) > 0.0);
            assert!((popularity.recency(index) - recency).abs() <= 0.5 / 255.0 + f32::EPSILON);
        }
    }

    proptest! {
        #[test]
        fn few_values_are_exact(items in proptest::collection::vec((0.0..=1f32, 0.0..=1f32), 0..255)) {
            let popularity = Popularity::open(&write(&items).into()).unwrap();
            for (index, (value, _)) in (0..).zip(&items) {
                prop_assert_eq!(popularity.of(index), *value);
            }
            let order: Vec<u32> = popularity.order().collect();
            prop_assert_eq!(order.len(), items.iter().filter(|item| item.0 > 0.0).count());
            prop_assert!(order.windows(2).all(|pair| popularity.of(pair[0]) >= popularity.of(pair[1])));
        }

        #[test]
        fn any_flip_is_bounded(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let items: Vec<(f32, f32)> = (0..40).map(|item| (item as f32 / 40.0, 1.0)).collect();
            let mut bytes = write(&items);
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(popularity) = Popularity::open(&bytes.into()) {
                prop_assert!(popularity.order().count() <= 40);
                prop_assert!((0..50).all(|item| (0.0..=1.0).contains(&popularity.of(item))));
            }
        }

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
