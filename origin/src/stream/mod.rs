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

use anyhow::Result;
use origin_data::MAX_AREAS;
use origin_learn::popularity::{Counts, PopularityCounts};
use origin_log::{Place, Reader, Record, SegmentNames};
use serde::Deserialize;
use snapshots::{event::Kind, time::Timestamp};
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

/// The tables, as of one position of the log.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    items: SegmentNames,
    areas: SegmentNames,
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
        let areas = SegmentNames::new([""].into_iter().collect());
        Self { areas, recents: Recents::new(limits.visitors), ..Self::default() }
    }

    /// Takes an event in.
    pub fn add(&mut self, record: &Record<'_>, Place { segment, item, area }: Place) {
        let Some(item) = self.items.number(segment, item, record.item, usize::MAX) else { return };
        let area = self.areas.number(segment, area, record.area, MAX_AREAS).unwrap_or_default();
        self.events[record.kind as usize] += 1;
        self.newest = self.newest.max(record.at);
        self.counts.add(record.at, record.kind, item, area as u16);
        if record.kind != Kind::Impression {
            self.recents.add(record.visitor, item, record.at);
            self.trends.add(record.at, item);
        }
    }

    /// What was counted.
    pub fn counted(&self) -> PopularityCounts<'_> {
        let Self { counts, items, areas, newest, .. } = self;
        PopularityCounts { counts, items: items.names(), areas: areas.names(), newest: *newest }
    }

    /// The id of an item.
    pub fn item(&self, number: u32) -> &str {
        self.items.names().name(number).unwrap_or_default()
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
