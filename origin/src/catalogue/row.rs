//! What the readers of all formats pass on: the rows of a feed, and what is true of it as a whole.

use crate::catalogue::{Wrong, draft::Draft};
use std::collections::BTreeSet;

/// Most names of columns that a report lists, and the longest one, in characters.
const MAX_NAMES: usize = 100;
const MAX_NAME: usize = 60;

/// Properties of a feed other than its rows.
#[derive(Debug, Default)]
pub(super) struct About {
    /// Its format, as in a report.
    pub(super) format: &'static str,
    /// Number of rows that are not items, as in a report.
    pub(super) skipped: usize,
    ignored: BTreeSet<String>,
}

impl About {
    /// Records the name of a column that is not read.
    pub(super) fn ignore(&mut self, name: &str) {
        if self.ignored.len() < MAX_NAMES && !name.is_empty() && !self.ignored.contains(name) {
            self.ignored.insert(name.chars().filter(|sign| !sign.is_control()).take(MAX_NAME).collect());
        }
    }

    /// The names of columns that are not read, sorted.
    pub(super) fn into_ignored(self) -> impl Iterator<Item = String> {
        self.ignored.into_iter()
    }
}

/// A row of a feed.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// From 1.
    pub(super) line: u64,
    /// The fields that could be read.
    pub(super) draft: Draft,
    /// What is wrong with the whole row.
    pub(super) fault: Option<Wrong>,
    /// Whether the file ends after it without a line end.
    pub(super) is_unended: bool,
}
