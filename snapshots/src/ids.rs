//! Section `ids`: the item dictionary, both ways. An item's index is its place in the tables.
//!
//! Three parts: `n + 1` offsets, the text of all ids in index order, and the `n` indices in byte order of their
//! ids for the look-up by binary search.

use crate::{
    error::Error,
    event::MAX_ITEM_ID,
    layout::{Strings, U32s, join, split},
};
use bytes::Bytes;
use core::ops::Deref;

/// Name of the section.
pub const NAME: &str = "ids";
/// Version of its layout.
pub const VERSION: u32 = 1;
/// The most items a snapshot holds.
pub const MAX_ITEMS: usize = 1 << 24;

/// An item's id, held by value so that a look-up allocates nothing.
#[derive(Clone, Copy)]
pub struct ItemId {
    bytes: [u8; MAX_ITEM_ID],
    length: u8,
}

impl Deref for ItemId {
    type Target = str;
    fn deref(&self) -> &str {
        self.bytes.get(..usize::from(self.length)).and_then(|id| core::str::from_utf8(id).ok()).unwrap_or("")
    }
}

impl core::fmt::Debug for ItemId {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&**self, out)
    }
}

impl ItemId {
    fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_ITEM_ID];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        core::str::from_utf8(id).ok()?;
        Some(Self { bytes, length: u8::try_from(id.len()).ok()? })
    }
}

/// The dictionary, read in place.
#[derive(Clone, Debug)]
pub struct Ids {
    ids: Strings,
    sorted: U32s,
}

impl Ids {
    /// Opens the section.
    ///
    /// # Errors
    /// [`Error::Section`] when its parts do not fit each other.
    pub fn open(section: &Bytes) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section: NAME, detail };
        let [offsets, text, sorted] = split(section).ok_or(bad("not the three parts of a dictionary"))?;
        let ids = Strings::new(offsets, text).ok_or(bad("no offsets"))?;
        let sorted = U32s::new(sorted).ok_or(bad("the order is cut"))?;
        if ids.len() != sorted.len() || ids.len() > MAX_ITEMS {
            return Err(bad("offsets and order count different items"));
        }
        Ok(Self { ids, sorted })
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id at an index; `None` past the end.
    pub fn id(&self, index: u32) -> Option<ItemId> {
        ItemId::new(self.ids.bytes(index as usize)?)
    }

    /// The index of an id.
    pub fn index(&self, id: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.sorted.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let index = self.sorted.get(middle)?;
            match self.ids.bytes(index as usize)?.cmp(id.as_bytes()) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
                core::cmp::Ordering::Equal => return Some(index),
            }
        }
        None
    }
}

/// Packs distinct ids of 1 to 128 bytes, in index order.
pub fn write(ids: &[&str]) -> Vec<u8> {
    let mut sorted: Vec<u32> = (0..u32::try_from(ids.len()).unwrap_or(u32::MAX)).collect();
    sorted.sort_unstable_by_key(|index| ids.get(*index as usize));
    let [offsets, text] = Strings::write(ids.iter().copied());
    join(&[&offsets, &text, &U32s::write(sorted)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_id_is_found_both_ways(
            ids in proptest::collection::hash_set("\\PC{1,12}", 0..40), other in "[a-z]{1,4}",
        ) {
            let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
            let opened = Ids::open(&write(&ids).into()).unwrap();
            for (index, id) in ids.iter().enumerate() {
                prop_assert_eq!(opened.index(id), Some(index as u32));
                prop_assert_eq!(&*opened.id(index as u32).unwrap(), *id);
            }
            prop_assert_eq!(opened.index(&other).is_some(), ids.contains(&&*other));
            prop_assert!(opened.id(ids.len() as u32).is_none());
        }

        #[test]
        fn any_bytes_open_or_give_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..120), id in "[a-z]{1,4}", index in 0u32..9,
        ) {
            if let Ok(ids) = Ids::open(&bytes.into()) {
                let _ = (ids.index(&id), ids.id(index).map(|id| id.len()));
            }
        }
    }
}
