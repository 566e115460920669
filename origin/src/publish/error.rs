//! What can go wrong when publishing.

use origin_data::files::FileError;

/// Why nothing, or not everything, could be published. Regions that were not switched over serve what they served.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A setting of the destination is missing.
    #[error("{0}")]
    Config(&'static str),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The destination's API refused or failed, also when tried again.
    #[error("{url}: {detail}")]
    Api {
        /// The address called.
        url: String,
        /// What it answered.
        detail: String,
    },
    /// A value is larger than the destination takes.
    #[error("{key} has {bytes} bytes; KV takes {limit}; build with fewer neighbours (--k)")]
    TooLarge {
        /// The value's key.
        key: String,
        /// Its size.
        bytes: usize,
        /// The most bytes.
        limit: usize,
    },
    /// A manifest names a blob that is not part of what was built.
    #[error("{0} was not built")]
    Missing(String),
    /// What was written reads back otherwise.
    #[error("{key} reads back damaged from {destination}; nothing was switched over")]
    ReadBack {
        /// The blob's key.
        key: String,
        /// The destination's name.
        destination: String,
    },
    /// A value at the destination is damaged.
    #[error("{key} at {destination} is damaged: {detail}")]
    Damaged {
        /// Its key.
        key: String,
        /// The destination's name.
        destination: String,
        /// What is wrong with it.
        detail: String,
    },
    /// There is nothing to roll back to.
    #[error("{0}")]
    NoWayBack(String),
    /// What was built, the catalogue, the log or the rules cannot be read.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// A result of publishing.
pub type Result<T, E = PublishError> = std::result::Result<T, E>;
