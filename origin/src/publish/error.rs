//! Errors of publishing.

use crate::store::StoreError;
use origin_data::files::FileError;

/// Why publishing failed. Regions whose manifest was not written yet keep serving their previous snapshot.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A setting of the destination is missing.
    #[error("{0}")]
    Config(&'static str),
    /// A destination's name is unknown.
    #[error("'{0}' is no destination; the destinations are `kv` (Workers KV) and `dir:PATH` (a directory)")]
    UnknownDestination(String),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The destination's API rejected a request, or failed after all retries.
    #[error("{url}: {detail}")]
    Api {
        /// URL of the request.
        url: String,
        /// The error, or the status and the beginning of the response.
        detail: String,
    },
    /// A value exceeds the destination's limit.
    #[error("{key} has {bytes} bytes; the limit of KV is {limit}; build with fewer neighbours (--k)")]
    TooLarge {
        /// Key of the value.
        key: String,
        /// Size of the value in bytes.
        bytes: usize,
        /// Largest size in bytes.
        limit: usize,
    },
    /// A manifest names a blob that is not in the snapshot set.
    #[error("a manifest names {0}, which was not built")]
    Missing(String),
    /// A blob differs when it is read back.
    #[error("{key} was damaged when it was read back from {destination}; no manifest was changed")]
    ReadBack {
        /// The blob's key.
        key: String,
        /// The destination's name.
        destination: String,
    },
    /// A value at the destination is damaged.
    #[error("{key} at {destination} is damaged: {detail}")]
    Damaged {
        /// The value's key.
        key: String,
        /// The destination's name.
        destination: String,
        /// The decoding error.
        detail: String,
    },
    /// There is no earlier snapshot, or it is incomplete; the text says which.
    #[error("{0}")]
    NoRollback(String),
    /// The snapshots, the catalogue, the log or the rules cannot be read.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A result with [`PublishError`].
pub type Result<T, E = PublishError> = std::result::Result<T, E>;
