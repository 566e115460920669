//! Errors of the log.

use origin_data::files::FileError;
use std::{io, path::Path, path::PathBuf};

/// Why the log cannot be read or written. The text tells the operator what to do.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A frame before the end of the log is damaged.
    #[error(
        "the log's segment {} is damaged at byte {offset}: restore the file from a backup, or move it away to continue \
         without its events",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the damaged frame begins, in bytes.
        offset: u64,
    },
    /// A frame's checksum is valid, but its records are not in the format of this version.
    #[error(
        "the log's segment {}: this version cannot read the events in the frame at byte {offset}; use the version of \
         verge that wrote it, or restore the file from a backup",
        path.display()
    )]
    Unreadable {
        /// The segment.
        path: PathBuf,
        /// Where the frame begins, in bytes.
        offset: u64,
    },
    /// Another process has the log open for writing.
    #[error(
        "{holder} already writes the log {}; only one process may. Stop it, or send it the events by POST /v1/events",
        dir.display()
    )]
    Locked {
        /// The command and process id that the other process wrote into the lock file.
        holder: String,
        /// The log's directory.
        dir: PathBuf,
    },
    /// The log's visitor hashes were made with another key.
    #[error(
        "the log {} was written with the visitor key of another store: restore the store.sqlite that belongs to it from a \
         backup, or move the log away to start a new one",
        dir.display()
    )]
    OtherKey {
        /// The log's directory.
        dir: PathBuf,
    },
    /// An earlier write left the file in an unknown state; the log has to be reopened.
    #[error("{0}")]
    WriterFailed(String),
    /// The thread that writes the log has ended.
    #[error("the log's writer has stopped; restart the service")]
    Stopped,
}

impl LogError {
    /// Adds the action (`read`, `write`) and the path to an I/O error.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| FileError::new(action, path, source).into()
    }
}

/// A result with [`LogError`].
pub type Result<T, E = LogError> = std::result::Result<T, E>;
