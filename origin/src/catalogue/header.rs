//! The header of a table, and what a row of it can be.

use crate::catalogue::draft::Draft;

/// The header of a table, and which of its columns are read.
pub(super) struct Header {
    names: Vec<String>,
    used: Vec<bool>,
}

impl Header {
    /// A header with these names.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { used: vec![false; names.len()], names }
    }

    /// The names of all columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Sets for each column whether it is read.
    pub(super) fn set_used(&mut self, used: impl Iterator<Item = bool>) {
        self.used = used.collect();
    }

    /// The index of the first column with one of these names in lower case.
    pub(super) fn find(&mut self, names: &[&str]) -> Option<usize> {
        let is = |name: &&str| self.names.iter().position(|known| known.trim().to_lowercase() == **name);
        let place = names.iter().find_map(is)?;
        self.used[place] = true;
        Some(place)
    }

    /// Whether there is a column with this name in lower case.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.trim().to_lowercase() == name)
    }

    /// The names of columns that are not read.
    pub(super) fn unread(&self) -> impl Iterator<Item = &str> {
        self.names.iter().zip(&self.used).filter(|(_, used)| !**used).map(|(name, _)| name.trim())
    }
}

/// A row of a shop system's export.
pub(super) enum Shaped {
    /// An item.
    Item(Box<Draft>),
    /// Not an item: an image, a draft, a product that only groups variants.
    Nothing,
}
