//! Signals: the components of a score, and the other reasons for an item in an answer.

use super::rows;
use serde::Serialize;

/// The main reason for an item in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Often seen together with a recent.
    Coview,
    /// Often bought together with a recent.
    Bought,
    /// Similar to a recent.
    Knn,
    /// Popular in the region.
    Popularity,
    /// Recently popular.
    Recency,
    /// Pinned by a rule.
    Pinned,
    /// Shown by exploration, to learn how it performs.
    Exploration,
}

impl Signal {
    /// The table of the signal, one of [`rows::TABLES`].
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Bought => rows::BOUGHT,
            Self::Knn => rows::KNN,
            _ => rows::COVIEW,
        }
    }
}
