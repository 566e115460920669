//! The signals that a score is made of, and the other reasons for which an item is in an answer.

use super::rows;
use serde::Serialize;

/// What chiefly put an item into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Seen together with a recent.
    Coview,
    /// Bought together with a recent.
    Bought,
    /// Like a recent.
    Knn,
    /// Wanted in the region.
    Popularity,
    /// Wanted lately.
    Recency,
    /// A rule put it at its position.
    Pinned,
    /// Shown to learn how it does.
    Exploration,
}

impl Signal {
    /// The table whose rows it sums, one of [`rows::TABLES`].
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Bought => rows::BOUGHT,
            Self::Knn => rows::KNN,
            _ => rows::COVIEW,
        }
    }
}
