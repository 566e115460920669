//! Live tables: popularity, recents and trends, updated event by event.
//!
//! The tables follow the log up to one position and depend only on the order of the events before it, whatever restarts
//! happened in between. A [`checkpoint`] stores them with their position, so that a restart reads only the rest of the
//! log. Popularity is counted in integers ([`Counts`]) and therefore equals that of an offline build of the same log, bit
//! for bit.
//!
//! What the [`Caps`] hold back is not counted, in either.
//!
//! The co-view table is not maintained here, because each of its weights depends on the time span of the whole log: one
//! event changes every row. Pair counts would take ten times the memory of the sessions, or would be approximate and
//! differ from an offline build. It is relearnt from the log instead.
//!
//! May import: `store`, `config`, `origin_learn`, `origin_log`, `origin_data`.

pub mod checkpoint;
mod recents;
mod trends;

use crate::{config::StreamOptions, store::arrival};
use anyhow::Result;
use origin_data::{Standing, areas};
use origin_learn::{
    caps::{Caps, Release},
    popularity::{Counts, PopularityCounts},
};
use origin_log::{GlobalNames, LocalNames, Reader, Record};
use snapshots::{event::Kind, time::Timestamp};
use std::path::Path;

pub use recents::VisitorRecents;
pub use trends::{Trend, Trends};

/// The tables at one position of the log.
#[derive(Clone, Debug, Default)]
pub struct StreamTables {
    items: GlobalNames,
    areas: GlobalNames,
    newest: Timestamp,
    counts: Counts,
    /// What is held back.
    pub caps: Caps,
    /// Each visitor's latest items.
    pub recents: VisitorRecents,
    /// Event counts of the last hour.
    pub trends: Trends,
    /// Number of events in the tables, by kind.
    pub events: [u64; Kind::ALL.len()],
}

impl StreamTables {
    /// Empty tables, for the beginning of a log.
    pub fn new(options: StreamOptions) -> Self {
        let areas = GlobalNames::new([""].into_iter().collect());
        Self { areas, recents: VisitorRecents::new(options.visitors), ..Self::default() }
    }

    /// The same with items whose surges an operator released.
    #[must_use]
    pub fn with_releases(self, releases: Vec<Release>) -> Self {
        Self { caps: Caps::new(releases), ..self }
    }

    /// Adds an event.
    pub fn add(&mut self, record: &Record<'_>, LocalNames { segment, item, area }: LocalNames) {
        let passes = self.caps.pass(&arrival(record));
        let Some(item) = self.items.resolve(segment, item, record.item, |_| usize::MAX) else { return };
        let area = self.areas.resolve(segment, area, record.area, areas::room).unwrap_or_default();
        self.events[record.kind as usize] += 1;
        self.newest = self.newest.max(record.at);
        if passes {
            self.counts.add(record.at, record.kind, record.standing, item, area as u16);
        }
        if record.kind != Kind::Impression {
            self.recents.add(record.visitor, item, record.at);
        }
        // The event that a confirmation is of was counted.
        if passes && record.kind != Kind::Impression && record.standing != Standing::Confirming {
            self.trends.add(record.at, item);
        }
    }

    /// The popularity counts, as packing takes them.
    pub fn popularity_counts(&self) -> PopularityCounts<'_> {
        let Self { counts, items, areas, newest, .. } = self;
        PopularityCounts { counts, items: items.names(), areas: areas.names(), newest: *newest }
    }

    /// The id of the item with this number; empty if there is none.
    pub fn item_id(&self, number: u32) -> &str {
        self.items.names().name(number).unwrap_or_default()
    }

    /// Builds the tables from a whole log. The reader is at their position.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn rebuild(log: &Path, options: StreamOptions) -> Result<(Self, Reader)> {
        let (mut tables, mut reader) = (Self::new(options), Reader::new(log, 0));
        reader.read(|record, names| tables.add(record, names))?;
        Ok((tables, reader))
    }
}

#[cfg(test)]
mod tests;
