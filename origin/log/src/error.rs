//! What can go wrong with the log.

use origin_data::files::FileError;
use std::{io, path::Path, path::PathBuf};

/// Why the log cannot be read or written. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A frame before the end of the log is damaged.
    #[error(
        "the log's segment {} is damaged at byte {offset}: restore the file from a backup, or move it away to go on \
         without its events",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the damaged frame begins, in bytes.
        offset: u64,
    },
    /// A frame is whole but its records are not those of this version.
    #[error(
        "the log's segment {}: the frame at byte {offset} holds no events that this version reads; use the verge that \
         wrote it, or restore the file from a backup",
        path.display()
    )]
    Unreadable {
        /// The segment.
        path: PathBuf,
        /// Where the frame begins, in bytes.
        offset: u64,
    },
    /// Another process writes the log.
    #[error(
        "{holder} writes the log {} already; one process at a time does. Stop it, or send it the events by POST \
         /v1/events",
        dir.display()
    )]
    Locked {
        /// The process, as it wrote itself into the lock.
        holder: String,
        /// The log's directory.
        dir: PathBuf,
    },
    /// An earlier write left the file in a state that only opening it anew can mend.
    #[error("{0}")]
    Broken(String),
    /// The thread that writes the log has ended.
    #[error("the log's writer has stopped; restart the service")]
    Stopped,
}

impl LogError {
    /// Adds to an error of the file system what was tried, on which file.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| FileError::new(action, path, source).into()
    }
}

/// A result of the log.
pub type Result<T, E = LogError> = std::result::Result<T, E>;
