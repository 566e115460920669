//! Writing events: whole groups, each event once.

use crate::store::Store;
use anyhow::Result;
use snapshots::event::Event;

/// What became of a list of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Stored now.
    pub new: usize,
    /// Stored before, under the same id.
    pub duplicates: usize,
}

impl Store {
    /// Stores the events whose ids are not stored yet, all or none of them.
    ///
    /// # Errors
    /// Another process writes the log, or it cannot be written; nothing of `events` is stored then.
    pub fn append(&mut self, events: &[Event]) -> Result<Appended> {
        let writer = self.writer()?;
        let new = events.iter().filter(|event| writer.add(event)).count();
        writer.commit()?;
        Ok(Appended { new, duplicates: events.len() - new })
    }
}
