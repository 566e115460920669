//! The tables that a service keeps current, event by event.
//!
//! They follow the log: what has been read of it is one position, and the tables are a function of the events before that
//! position in their order, whatever was restarted in between. A [`checkpoint`] holds them with their position, so that
//! a restart reads the tail of the log alone. Popularity is counted in integers ([`Counts`]): it is what an offline
//! build counts of the same log, to the bit.
//!
//! The co-view table is not here. Every weight in it depends on the span of the whole log, so that one event changes
//! all rows; counts of pairs would take ten times the memory of the sessions they are counted from, or be cut short and
//! differ from a build's. It is learnt anew from the log instead.

pub mod checkpoint;
mod recents;
mod trends;

use crate::{
    learn::popularity::Counts,
    log::{Place, Reader, Record},
    refresh::Counted,
    store::MAX_AREAS,
};
use anyhow::Result;
use serde::Deserialize;
use snapshots::{event::Kind, time::Timestamp};
use std::collections::HashMap;
use std::path::Path;

pub use recents::Recents;
pub use trends::{Trend, Trends};

/// How much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Visitors whose recents are held: those seen last. A million with ten items each take some 250 MB.
    pub visitors: usize,
    /// Seconds between checkpoints. After a restart, what came since the last one is counted again.
    pub checkpoint_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { visitors: 200_000, checkpoint_s: 60 }
    }
}

/// Texts by number, in the order in which they came.
#[derive(Clone, Debug, Default)]
struct Numbered {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
    /// The numbers of the log's segment that was read last.
    segment: u64,
    local: Vec<Option<u32>>,
}

impl Numbered {
    fn of(texts: Vec<String>) -> Self {
        let numbers = (0u32..).zip(&texts).map(|(number, text)| (text.clone(), number)).collect();
        Self { texts, numbers, ..Self::default() }
    }

    /// The number of a text that has the number `local` in a segment; `None` when it would be beyond `limit`.
    fn number(&mut self, (segment, local): (u64, u32), text: &str, limit: usize) -> Option<u32> {
        if self.segment != segment {
            (self.segment, self.local) = (segment, Vec::new());
        }
        let local = local as usize;
        if let Some(Some(number)) = self.local.get(local) {
            return Some(*number);
        }
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None if self.texts.len() >= limit => return None,
            None => {
                let number = self.texts.len() as u32;
                self.texts.push(text.to_owned());
                self.numbers.insert(text.to_owned(), number);
                number
            }
        };
        self.local.resize(self.local.len().max(local + 1), None);
        self.local[local] = Some(number);
        Some(number)
    }
}

/// The tables, as of one position of the log.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    items: Numbered,
    areas: Numbered,
    newest: Timestamp,
    counts: Counts,
    /// What visitors met lately.
    pub recents: Recents,
    /// What is wanted more than before.
    pub trends: Trends,
    /// Events in the tables, by kind.
    pub events: [u64; Kind::ALL.len()],
}

impl Tables {
    /// Empty, at the beginning of a log.
    pub fn new(limits: Limits) -> Self {
        let mut areas = Numbered::of(vec![String::new()]);
        areas.segment = u64::MAX;
        let recents = Recents::new(limits.visitors);
        Self {
            areas,
            items: Numbered { segment: u64::MAX, ..Numbered::default() },
            recents,
            ..Self::default()
        }
    }

    /// Takes an event in.
    pub fn add(&mut self, record: &Record<'_>, Place { segment, item, area }: Place) {
        let Some(item) = self.items.number((segment, item), record.item, usize::MAX) else { return };
        let area = self.areas.number((segment, area), record.area, MAX_AREAS).unwrap_or_default();
        self.events[record.kind as usize] += 1;
        self.newest = self.newest.max(record.at);
        self.counts.add(record.at, record.kind, item, area as u16);
        if record.kind != Kind::Impression {
            self.recents.add(record.visitor, item, record.at);
            self.trends.add(record.at, item);
        }
    }

    /// What was counted.
    pub fn counted(&self) -> Counted<'_> {
        let Self { counts, items, areas, newest, .. } = self;
        Counted { counts, items: &items.texts, areas: &areas.texts, newest: *newest }
    }

    /// The id of an item.
    pub fn item(&self, number: u32) -> &str {
        self.items.texts.get(number as usize).map_or("", String::as_str)
    }

    /// Reads a whole log.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn rebuild(log: &Path, limits: Limits) -> Result<(Self, Reader)> {
        let (mut tables, mut reader) = (Self::new(limits), Reader::new(log, 0));
        reader.read(|record, place| tables.add(record, place))?;
        Ok((tables, reader))
    }
}

#[cfg(test)]
mod tests;
