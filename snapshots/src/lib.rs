//! What a Verge snapshot is, and everything that is computed from it.
//!
//! This crate has no I/O, no clock and no randomness of its own: bytes, the time and random ids are passed in,
//! so that the edge Worker, the browser, the origin and the tests run the very same code.
//!
//! The way of a request: [`query`] and [`recents`] say what is asked; [`snapshot`] holds the opened tables;
//! [`score`] ranks; [`answer`] filters, fills and pages.

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
    attributes, envelope, error::Error, ids, manifest, popularity, rows, shards, shards::Shard, signal,
    strategy,
};
pub use snapshot::Snapshot;
pub use wire::{cursor, event, json, query, recents, report, time};
