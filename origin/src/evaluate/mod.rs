//! `verge evaluate`: learns from the older part of a log and judges on the later, through a packed snapshot and the
//! very scorer of the edge, beside what a shop could have without it.

pub mod baselines;
pub mod measures;
pub mod plot;
pub mod protocol;
pub mod report;
pub mod split;
pub mod tables;
pub mod vmis;
