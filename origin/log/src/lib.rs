//! The event log: append-only segments that hold every event once, in order of arrival.
//!
//! ```text
//! log/lock                       held by the process that writes
//! log/visitor-key                fingerprint of the key of the visitor hashes
//! log/00000000000000000000.log   segments, named by the position of their first event
//! ```
//! A *position* numbers events from 0 and is never reused. A segment is a sequence of frames, each with its length and
//! checksum ([`frame`]). A group commit writes one or more frames. If the process is killed while it writes, the last
//! frame is incomplete; opening the log for writing truncates it, because none of its events was acknowledged. Damage
//! anywhere else is an error that names the segment and the offset.
//!
//! One process writes ([`Writer`]); any number of readers follow ([`Reader`]) and see whole frames only. Erasure and
//! retention [`rewrite`] closed segments, which are replaced by a rename.
//!
//! May import: `origin_data` and `snapshots`.

#![allow(
    clippy::indexing_slicing,
    reason = "offsets are checked against lengths first; frames are read by a cursor that cannot pass their end"
)]

mod error;
pub mod frame;
mod global_names;
mod group_commit;
mod order_lines;
mod read;
mod recent_ids;
mod rewrite;
mod sender;
pub mod visitor_key;
mod write;

use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

pub use error::{LogError, Result};
pub use frame::Record;
pub use global_names::GlobalNames;
pub use group_commit::{AppendCounts, AppendError, GroupCommit};
pub use read::{LocalNames, Reader};
use recent_ids::RecentIds;
pub use rewrite::rewrite;
pub use sender::Sender;
pub use write::{TruncatedTail, Writer, visitor_hash};

/// When an event counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// After `fdatasync`: acknowledged events survive a power cut.
    #[default]
    Always,
    /// After `write`: acknowledged events survive a kill of the process, but a power cut loses those of the last 30
    /// seconds or so.
    Os,
}

/// Settings of the log: `[log]` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogOptions {
    /// When an event counts as stored.
    pub fsync: Fsync,
    /// Number of latest events among which a repeated id is dropped as a duplicate. A million ids take 10 to 40 MB.
    pub ids: usize,
    /// Size in bytes at which a segment is closed.
    pub segment: u64,
    /// Days after which events are removed; absent, they are kept forever.
    pub retention_days: Option<u32>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { fsync: Fsync::Always, ids: 3_500_000, segment: 64 << 20, retention_days: None }
    }
}

impl LogOptions {
    /// Options that deduplicate against the whole log, because a file may be imported again at any time.
    pub fn for_import() -> Self {
        Self { ids: usize::MAX, ..Self::default() }
    }
}

/// A file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Position of its first event.
    pub first: u64,
    /// Path of the file.
    pub path: PathBuf,
}

/// The log's directory inside a data directory.
pub fn dir(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}

/// The segments, oldest first; empty if there is no log yet.
///
/// # Errors
/// The directory cannot be read.
pub fn segments(dir: &Path) -> Result<Vec<Segment>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LogError::file("read the log", dir)(error)),
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.map_err(LogError::file("read the log", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(first) = name.strip_suffix(".log").and_then(|number| number.parse().ok()) {
            segments.push(Segment { first, path });
        }
    }
    segments.sort_unstable_by_key(|segment| segment.first);
    Ok(segments)
}

/// Whether the log holds no events.
///
/// # Errors
/// The directory or a file of it cannot be read.
pub fn is_empty(dir: &Path) -> Result<bool> {
    for Segment { path, .. } in segments(dir)? {
        if fs::metadata(&path).map_err(LogError::file("read the log's segment", &path))?.len() > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.log"))
}

#[cfg(test)]
mod tests;
