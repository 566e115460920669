//! Errors of the store.

use origin_data::files::FileError;
use origin_log::LogError;
use std::path::{Path, PathBuf};

/// Why the store could not be used. A change that failed stored nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder beside the SQLite file cannot be read, written or locked.
    #[error(transparent)]
    File(#[from] FileError),
    /// The event log cannot be opened, read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// SQLite failed.
    #[error("cannot {action} the store {}", path.display())]
    Sqlite {
        /// A verb: open, read or write.
        action: &'static str,
        /// Path of the SQLite file.
        path: PathBuf,
        /// The error.
        source: rusqlite::Error,
    },
    /// The SQLite file has another schema version.
    #[error(
        "cannot use the store {}: it has schema version {found}, and this version of verge reads {expected}; use the \
         version of verge that created it, or import the logs again into another --data-dir", path.display()
    )]
    Version {
        /// Path of the SQLite file.
        path: PathBuf,
        /// Its schema version.
        found: i32,
        /// The version that is read.
        expected: i32,
    },
    /// The SQLite file is not a store.
    #[error(
        "cannot use the store {}: it is an SQLite file of another program; choose another --data-dir", path.display()
    )]
    Foreign {
        /// Path of the SQLite file.
        path: PathBuf,
    },
    /// The SQLite file is missing or empty, but there is a log.
    #[error(
        "the store {} is missing, but the log {} has events: restore the store from a backup; only with its visitor key can \
         events be exported and erased. To start anew, move the log away, or choose another --data-dir",
        path.display(), log.display()
    )]
    Missing {
        /// Path of the SQLite file.
        path: PathBuf,
        /// Path of the log.
        log: PathBuf,
    },
    /// The system returns no random bytes, which keys need.
    #[error("cannot get random bytes for a key from the system")]
    Random(#[from] getrandom::Error),
    /// No API key matches a name or id, or several do; the text lists the keys.
    #[error("{0}")]
    NoSuchKey(String),
    /// The recipe is not TOML, or has an unknown key or a wrong type.
    #[error("in the recipe {}", path.display())]
    Recipe {
        /// Path of the file.
        path: PathBuf,
        /// The error, which names line and key.
        source: toml::de::Error,
    },
    /// The releases of surges are not JSON, or not of this form.
    #[error("in the releases {}", path.display())]
    Releases {
        /// Path of the file.
        path: PathBuf,
        /// The error, which names the line.
        source: serde_json::Error,
    },
    /// A recipe cannot be written as TOML.
    #[error("cannot write the recipe")]
    UnwritableRecipe(#[from] toml::ser::Error),
    /// The thread that used the store panicked.
    #[error(transparent)]
    Panicked(#[from] anyhow::Error),
}

impl StoreError {
    /// Wraps an error of SQLite. `action` completes "cannot … the store PATH".
    pub(super) fn sqlite(action: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Sqlite { action, path, source }
    }
}

/// A result whose error is [`StoreError`].
pub(super) type Result<T> = std::result::Result<T, StoreError>;
