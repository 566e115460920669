//! Types that cross the network and their text formats: events, queries, cookies, cursors, reports.
//!
//! May import [`crate::set`] only.

pub mod cursor;
pub mod event;
pub(crate) mod hash;
pub mod json;
mod parameters;
pub mod price;
pub mod query;
pub mod recents;
pub(crate) mod region;
pub mod report;
pub mod time;
