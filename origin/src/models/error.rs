//! What can go wrong with the registry of models.

use origin_data::files::FileError;
use std::path::{Path, PathBuf};

/// Why a model cannot be kept, found, judged or promoted.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of the registry is damaged.
    #[error("in {}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Nothing was built yet.
    #[error("there are no models yet; run `verge build` first")]
    Empty,
    /// No model has an id that begins so.
    #[error("no model '{id}'; one of {known}")]
    Unknown {
        /// What was searched for.
        id: String,
        /// The ids there are.
        known: String,
    },
    /// Several models have ids that begin so.
    #[error("several models begin with '{id}'; one of {known}")]
    Ambiguous {
        /// What was searched for.
        id: String,
        /// The ids there are.
        known: String,
    },
    /// The registry's history of promotions holds no earlier model.
    #[error("no model served before the present one")]
    NothingBefore,
    /// The held-out sessions are too few for a judgement.
    #[error("{found} clicks to predict in the last day; {needed} are needed for a judgement")]
    TooFew {
        /// Predictions that they allow.
        found: usize,
        /// Predictions needed.
        needed: usize,
    },
    /// Reading snapshots, learning or evaluating failed.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl ModelsError {
    /// Adds to an error of the file system what was tried, on which file.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| FileError::new(action, path, source).into()
    }
}

/// A result of the registry.
pub type Result<T, E = ModelsError> = std::result::Result<T, E>;
