//! Evaluation: learns from the older part of a log and replays the later part, through a packed snapshot and the edge's own
//! scorer, next to baselines that work without Verge's tables.
//!
//! May import: `origin_learn`, `origin_data`, `snapshots`.

pub mod baselines;
pub mod measures;
pub mod plot;
pub mod protocol;
pub mod report;
pub mod snapshot;
pub mod split;
pub mod vmis;
