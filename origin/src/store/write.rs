//! Writing events.

use crate::store::{Store, error::Result};
use snapshots::event::Event;

/// Result of [`Store::append`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendSummary {
    /// Number of events stored now.
    pub new: usize,
    /// Number of events whose id was stored already.
    pub duplicates: usize,
}

impl Store {
    /// Stores the events whose ids are new, all of them or none.
    ///
    /// # Errors
    /// Another process writes the log, or the log cannot be written. Then no event is stored.
    pub fn append(&mut self, events: &[Event]) -> Result<AppendSummary> {
        let writer = self.writer()?;
        let new = events.iter().filter(|event| writer.add(event)).count();
        writer.commit()?;
        Ok(AppendSummary { new, duplicates: events.len() - new })
    }
}
