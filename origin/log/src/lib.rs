//! The event log: where every event is kept, once, in the order of arrival.
//!
//! ```text
//! log/lock                       held by the one process that writes
//! log/00000000000000000000.log   segments, named by the position of their first event
//! ```
//! A *position* counts events from 0 and is never given to another event. A segment is a run of frames, each with its
//! length and checksum ([`frame`]); what one group of events was made durable by is one frame, or a few. A frame that
//! a kill left unfinished at the end is cut off when the log is next opened for writing: nothing in it was acknowledged.
//! A damaged frame anywhere else is an error that names segment and offset.
//!
//! One process writes ([`Writer`]), any number read meanwhile ([`Reader`]): whole frames only, and an old segment
//! that is rewritten, to erase or to forget, is replaced by renaming.

mod commit;
mod error;
pub mod frame;
mod ids;
mod names;
mod read;
mod rewrite;
mod write;

use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

pub use commit::{Ingest, QUEUE, Refused, Stored};
pub use error::{LogError, Result};
pub use frame::Record;
use ids::Ids;
pub use names::SegmentNames;
pub use read::{Place, Reader};
pub use rewrite::rewrite;
pub use write::{Cut, Writer, visitor_hash};

/// When an event counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// When the disk has it (`fdatasync`): what was acknowledged survives a power cut.
    #[default]
    Always,
    /// When the system has it: what was acknowledged survives a kill of the process, but a power cut loses what was
    /// written in the last half minute or so.
    Os,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// When an event counts as stored.
    pub fsync: Fsync,
    /// An event whose id is among this many last ones is not stored again. A million take 10 to 40 MB.
    pub ids: usize,
    /// Bytes after which a segment is closed.
    pub segment: u64,
    /// Days after which events are removed; absent, they are kept.
    pub retention_days: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { fsync: Fsync::Always, ids: 3_500_000, segment: 64 << 20, retention_days: None }
    }
}

impl Options {
    /// Knows every id there is: for imports, which may come again after any time.
    pub fn of_imports() -> Self {
        Self { ids: usize::MAX, ..Self::default() }
    }
}

/// A file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Position of its first event.
    pub first: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// The log's directory in a data directory.
pub fn dir(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}

/// The segments, oldest first; none where there is no log yet.
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

fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.log"))
}

#[cfg(test)]
mod tests;
