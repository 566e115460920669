//! The last outcome of each feed, for the log, the metrics and `/admin`.

use crate::catalogue::feed::{BadRow, Report};
use crate::serve::state::{lock, metrics::Metrics};
use anyhow::Result;
use origin_data::clock;
use serde::Serialize;
use snapshots::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The name of uploads, in place of that of a watched feed.
pub(crate) const UPLOAD: &str = "upload";

/// The outcome of a feed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// Name of the feed.
    pub(crate) name: String,
    /// When it was read.
    pub(crate) at: Timestamp,
    /// Rows that were items.
    pub(crate) items: usize,
    /// Rows that were rejected.
    pub(crate) rejected: usize,
    /// Items that were removed.
    pub(crate) removed: usize,
    /// Why the feed failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// The last outcome of each feed.
#[derive(Debug, Default)]
pub(crate) struct Feeds(Mutex<BTreeMap<String, Outcome>>);

impl Feeds {
    /// All outcomes, ordered by name.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        lock(&self.0).values().cloned().collect()
    }

    /// Logs an outcome, counts it in the metrics and keeps it. An error is that of the feed's file or address.
    pub(crate) fn record(&self, metrics: &Metrics, name: &str, report: &Result<Report>) {
        let mut outcome = Outcome {
            name: name.to_owned(),
            at: clock::now(),
            items: 0,
            rejected: 0,
            removed: 0,
            problem: None,
        };
        match report {
            Ok(report) => {
                let first =
                    |rows: &[BadRow]| rows.first().map(|bad| format!("line {}: {}", bad.line, bad.wrong));
                tracing::info!(
                    feed = name,
                    items = report.items,
                    changed = report.changed,
                    removed = report.removed,
                    rejected = report.rejected,
                    first_rejected = first(&report.errors),
                    first_warning = first(&report.warnings),
                    "feed imported"
                );
                (outcome.items, outcome.rejected, outcome.removed) =
                    (report.items, report.rejected, report.removed);
                outcome.problem.clone_from(&report.problem);
            }
            Err(error) => outcome.problem = Some(format!("{error:#}")),
        }
        match &outcome.problem {
            None => metrics.record_feed_read(name),
            Some(problem) => {
                tracing::warn!(feed = name, problem, "feed failed");
                metrics.feed_errors.get_or_create(&name.into()).inc();
            }
        }
        lock(&self.0).insert(outcome.name.clone(), outcome);
    }
}
