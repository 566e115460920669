//! A table: all rows, or those of the loaded shards.

use super::Rows;
use crate::format::error::Error;
use bytes::Bytes;

/// Rows by item. A row is empty while its shard is not loaded.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Sorted by first row, not overlapping.
    shards: Vec<Rows>,
}

impl Table {
    /// Opens the sections of one table, in any order.
    ///
    /// # Errors
    /// [`Error::Section`] if a section is damaged or two of them hold the same row.
    pub fn open<'b>(section: &'static str, parts: impl Iterator<Item = &'b Bytes>) -> Result<Self, Error> {
        let mut table = Self::default();
        for part in parts {
            table.insert(section, Rows::open(section, part)?)?;
        }
        Ok(table)
    }

    /// Adds a shard.
    ///
    /// # Errors
    /// [`Error::Section`] if the table has some of its rows already.
    pub fn insert(&mut self, section: &'static str, rows: Rows) -> Result<(), Error> {
        let place = self.shards.partition_point(|shard| shard.first() < rows.first());
        let before = place.checked_sub(1).and_then(|before| self.shards.get(before));
        let overlaps = before.is_some_and(|shard| shard.end() > rows.first())
            || self.shards.get(place).is_some_and(|shard| shard.first() < rows.end());
        if overlaps {
            return Err(Error::Section { section, detail: "two shards hold the same row" });
        }
        self.shards.insert(place, rows);
        Ok(())
    }

    fn shard(&self, item: u32) -> Option<&Rows> {
        if let [whole] = self.shards.as_slice() {
            return Some(whole);
        }
        let place = self.shards.partition_point(|shard| shard.first() <= item);
        self.shards.get(place.checked_sub(1)?).filter(|shard| item < shard.end())
    }

    /// One past the last loaded row.
    pub fn end(&self) -> u32 {
        self.shards.last().map_or(0, Rows::end)
    }

    /// The number of neighbours in the loaded rows.
    pub fn neighbours(&self) -> usize {
        self.shards.iter().map(Rows::neighbours).sum()
    }

    /// Whether no loaded row has a neighbour.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(Rows::is_empty)
    }

    /// Calls [`Rows::for_each`] of the shard that holds the item's row.
    #[inline]
    pub fn for_each(&self, item: u32, each: impl FnMut(u32, f32)) {
        if let Some(shard) = self.shard(item) {
            shard.for_each(item, each);
        }
    }
}
