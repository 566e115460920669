//! Errors of the model registry.

use crate::store::StoreError;
use origin_data::files::FileError;
use std::path::{Path, PathBuf};

/// Why a model cannot be stored, found, compared or promoted.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of the registry is damaged.
    #[error("in {}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error of the JSON parser.
        source: serde_json::Error,
    },
    /// There are no models.
    #[error("there are no models yet; run `verge build` first")]
    Empty,
    /// No model's id begins with the given text.
    #[error("no model '{id}'; the models are: {known}")]
    Unknown {
        /// The id or prefix that was given.
        id: String,
        /// All ids, separated by commas.
        known: String,
    },
    /// The ids of several models begin with the given text.
    #[error("several models begin with '{id}'; the models are: {known}")]
    Ambiguous {
        /// The prefix that was given.
        id: String,
        /// All ids, separated by commas.
        known: String,
    },
    /// The history of promotions has no earlier model.
    #[error("no model was served before the current one")]
    NoPrevious,
    /// The held-out sessions are too few for an evaluation.
    #[error("the last day has {found} clicks to predict; an evaluation needs {needed}")]
    TooFewPredictions {
        /// Number of predictions that they allow.
        found: usize,
        /// Number of predictions required.
        needed: usize,
    },
    /// The log covers less than the day that is held out.
    #[error("the log covers less than a day, so that none can be held out")]
    LogTooShort,
    /// Reading snapshots, training or evaluating failed.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ModelsError {
    /// Adds the action (`read`, `write`) and the path to an I/O error.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| FileError::new(action, path, source).into()
    }
}

/// A result with [`ModelsError`].
pub type Result<T, E = ModelsError> = std::result::Result<T, E>;
