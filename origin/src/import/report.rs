//! The report of an import. Each row is counted exactly once.

use crate::store::Totals;
use origin_data::fields::Reject;
use serde::Serialize;
use snapshots::event::Event;
use snapshots::time::Timestamp;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

/// The counts of all files of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    format: &'static str,
    /// Lines that were neither empty nor a header.
    pub rows: u64,
    /// Rows with at least one new event.
    pub imported: u64,
    /// Rows whose events were all stored before.
    pub already_there: u64,
    /// Rows with data of items.
    pub catalogue: u64,
    /// Rejected rows.
    pub rejected: u64,
    /// Rejected rows by reason.
    pub reasons: BTreeMap<&'static str, Reason>,
    /// Events stored now; a row may hold several.
    pub events_new: u64,
    /// Items that this run added or changed.
    pub items_changed: usize,
    /// Distinct items in accepted rows.
    pub items: usize,
    /// Distinct visitors in them.
    pub visitors: usize,
    /// Time of the earliest event in them.
    pub first: Option<Timestamp>,
    /// Time of the latest.
    pub last: Option<Timestamp>,
    /// What was found about the files, such as the order of day and month, and what was changed or left out in
    /// accepted rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Files with the rejected rows.
    pub rejects: Vec<PathBuf>,
    /// Seconds the run took.
    pub seconds: f64,
    /// Rows in a second.
    pub rows_per_second: u64,
    /// What the store holds now.
    pub store: Totals,
    #[serde(skip)]
    seen_items: HashSet<u64>,
    #[serde(skip)]
    seen_visitors: HashSet<u64>,
}

/// The rows rejected for one reason.
#[derive(Debug, Serialize)]
pub struct Reason {
    /// How many.
    pub rows: u64,
    /// The first of them, `file:line`.
    pub first: String,
    /// Its error.
    pub detail: String,
    /// How it begins.
    pub excerpt: String,
}

impl Report {
    /// An empty report.
    pub fn new(format: &'static str) -> Self {
        Self { format, ..Self::default() }
    }

    /// Counts the events of an accepted row.
    pub fn saw(&mut self, events: &[Event]) {
        for event in events {
            self.seen_items.insert(digest(&event.item));
            if let Some(visitor) = &event.visitor {
                self.seen_visitors.insert(digest(visitor));
            }
            self.first = Some(self.first.map_or(event.at, |first| first.min(event.at)));
            self.last = Some(self.last.map_or(event.at, |last| last.max(event.at)));
        }
    }

    /// Counts a rejected row.
    pub fn reject(&mut self, reject: &Reject, file: &str, line: u64, row: &str) {
        self.rejected += 1;
        let first = || Reason {
            rows: 0,
            first: format!("{file}:{line}"),
            detail: reject.detail.clone(),
            excerpt: row.chars().take(70).flat_map(char::escape_debug).collect(),
        };
        self.reasons.entry(reject.reason).or_insert_with(first).rows += 1;
    }

    /// Completes the report.
    pub fn finish(&mut self, items_changed: usize, store: Totals, took: Duration) {
        self.items = self.seen_items.len();
        self.visitors = self.seen_visitors.len();
        self.items_changed = items_changed;
        self.store = store;
        self.seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
        self.rows_per_second = (self.rows as f64 / took.as_secs_f64().max(0.001)) as u64;
    }

    /// Whether every row is counted once.
    pub fn adds_up(&self) -> bool {
        let reasons: u64 = self.reasons.values().map(|reason| reason.rows).sum();
        reasons == self.rejected && self.accounted() == self.rows
    }

    fn accounted(&self) -> u64 {
        self.imported + self.already_there + self.catalogue + self.rejected
    }
}

/// Distinct names are counted without keeping them.
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A number as people read it: 541,909.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, count: u64| writeln!(out, "{label:<22}{:>12}", grouped(count));
        line("rows", self.rows)?;
        line("  imported", self.imported)?;
        line("  already there", self.already_there)?;
        if self.catalogue > 0 {
            line("  about items", self.catalogue)?;
        }
        line("  rejected", self.rejected)?;
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(name, reason)| (std::cmp::Reverse(reason.rows), **name));
        for (name, reason) in reasons {
            let Reason { rows, first, detail, excerpt } = reason;
            let label = format!("    {name}");
            writeln!(out, "{label:<22}{:>12}   first {first}: {detail}: {excerpt}", grouped(*rows))?;
        }
        let about = if self.catalogue > 0 { " + about items" } else { "" };
        writeln!(
            out,
            "imported + already there{about} + rejected = {}: {}\n",
            grouped(self.accounted()),
            if self.adds_up() {
                "every row is accounted for"
            } else {
                "ROWS ARE MISSING, please report this"
            }
        )?;
        writeln!(
            out,
            "{} new events; {} items, {} visitors in the rows; details stored for {} items",
            grouped(self.events_new),
            grouped(self.items as u64),
            grouped(self.visitors as u64),
            grouped(self.items_changed as u64)
        )?;
        if let (Some(first), Some(last)) = (self.first, self.last) {
            writeln!(out, "from {first} to {last}")?;
        }
        writeln!(out, "{:.1} s, {} rows/s", self.seconds, grouped(self.rows_per_second))?;
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        for path in &self.rejects {
            writeln!(out, "rejected rows: {}", path.display())?;
        }
        let Totals { events, items } = self.store;
        writeln!(out, "the store holds {} events, {} items", grouped(events), grouped(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(
            [0, 999, 1_000, 541_909, 12_345_678].map(grouped).join(" "),
            "0 999 1,000 541,909 12,345,678"
        );
    }

    #[test]
    fn a_missing_row_shows() {
        let mut report = Report::new("jsonl");
        report.rows = 2;
        report.imported = 1;
        assert!(!report.adds_up() && report.to_string().contains("MISSING"));
        report.reject(&Reject::new("why", "so"), "log", 2, "x");
        assert!(report.adds_up() && report.to_string().contains("every row is accounted for"));
    }
}
