//! Verge's snapshot format, and everything that is computed from a snapshot.
//!
//! The crate has no I/O, clock or randomness of its own: callers pass in bytes, the time and random numbers. So the edge
//! Worker, the browser, the origin and the tests run the same code.
//!
//! A request passes these modules: [`query`] and [`recents`] parse it; [`Snapshot`] holds the opened tables; [`score`]
//! ranks candidates; [`answer`] filters them and fills a page.
//!
//! Imports go down only: `answer` → `score` → `snapshot` → `rules` → `format` → `wire` → `set`.

pub mod answer;
#[cfg(test)]
mod fixture;
mod format;
#[cfg(test)]
mod golden;
pub mod rules;
pub mod score;
mod set;
mod snapshot;
mod wire;

pub use bytes::Bytes;
pub use format::{
    attributes, category, envelope, error::Error, groups, ids, manifest, popularity, rows, sales, shards,
    shards::Shard, signal, strategy,
};
pub use snapshot::Snapshot;
pub use wire::{cursor, event, json, price, query, recents, report, time};
