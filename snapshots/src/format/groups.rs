//! Section `groups`: which items are variants of one product, such as its sizes. A snapshot without groups does not have it.
//!
//! The shop's ids of the groups, sorted, and by item the index of its group plus one, or 0.

use super::{
    error::Error,
    layout::{Column, Strings, join, split},
};
use bytes::Bytes;

/// Name of the section.
pub const NAME: &str = "groups";
/// Version of its layout.
pub const VERSION: u32 = 1;

/// The groups of all items, read in place. The default has none.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    names: Strings,
    group: Column,
}

impl Groups {
    /// Opens the section of a catalogue of so many items.
    ///
    /// # Errors
    /// [`Error::Section`] if its columns are inconsistent, and [`Error::Mixed`] if it is of another catalogue.
    pub fn open(section: &Bytes, items: usize) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section: NAME, detail };
        let [names, group] = split(section).ok_or(bad("it does not have its two columns"))?;
        let names = Strings::open(&names).ok_or(bad("the list of texts is truncated"))?;
        let group = Column::open(&group).ok_or(bad("the column of numbers is truncated"))?;
        if group.len() == items { Ok(Self { names, group }) } else { Err(Error::Mixed { section: NAME }) }
    }

    /// Whether no item has a group.
    pub fn is_empty(&self) -> bool {
        self.group.len() == 0
    }

    /// The index of an item's group.
    #[inline]
    pub fn group(&self, item: u32) -> Option<u32> {
        self.group.get(item as usize)?.checked_sub(1)
    }

    /// The shop's id of the group at an index.
    pub fn name(&self, group: u32) -> Option<&str> {
        self.names.get(group as usize)
    }
}

/// Encodes the shop's id of each item's group, in index order; an empty one stands for no group. `None` if there are none.
pub fn write(groups: &[&str]) -> Option<Vec<u8>> {
    let mut names: Vec<&str> = groups.iter().copied().filter(|group| !group.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    let place = |group: &&str| names.binary_search(group).map_or(0, |place| place as u32 + 1);
    let group = Column::write(&groups.iter().map(place).collect::<Vec<_>>());
    (!names.is_empty()).then(|| join(&[&Strings::write(names.iter().map(|name| name.as_bytes())), &group]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn section(groups: &[String]) -> Option<Vec<u8>> {
        write(&groups.iter().map(String::as_str).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn groups_read_as_they_were_written(groups in proptest::collection::vec("[a-c]{0,2}|\\PC{0,9}", 0..40)) {
            let written = section(&groups);
            prop_assert_eq!(written.is_none(), groups.iter().all(String::is_empty));
            let Some(section) = written else { return Ok(()) };
            let section = Bytes::from(section);
            let opened = Groups::open(&section, groups.len()).unwrap();
            for (item, name) in (0u32..).zip(&groups) {
                let group = opened.group(item).and_then(|group| opened.name(group));
                prop_assert_eq!(group.unwrap_or(""), name);
            }
            prop_assert_eq!(opened.group(groups.len() as u32), None);
            prop_assert!(Groups::open(&section, groups.len() + 1).is_err());
        }

        #[test]
        fn any_bytes_open_or_give_an_error(
            groups in proptest::collection::vec("[a-c]{1,2}", 1..9), at in any::<prop::sample::Index>(), to in any::<u8>(),
            cut in any::<bool>(),
        ) {
            let mut section = section(&groups).unwrap();
            let at = at.index(section.len());
            if cut { section.truncate(at) } else { section[at] = to }
            if let Ok(opened) = Groups::open(&section.into(), groups.len()) {
                prop_assert!(!cut);
                let _ = (opened.group(0).and_then(|group| opened.name(group)), opened.group(u32::MAX), opened.name(u32::MAX));
            }
        }
    }
}
