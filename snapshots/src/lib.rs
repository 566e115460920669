//! What a Verge snapshot is, and everything that is computed from it.
//!
//! This crate has no I/O, no clock and no randomness of its own: bytes, the time and random ids are passed in,
//! so that the edge Worker, the browser, the origin and the tests run the very same code.
//!
//! The way of a request: [`query`] and [`recents`] say what is asked; [`snapshot`] holds the opened tables;
//! [`score`] ranks; [`answer`] filters, fills and pages.

pub mod answer;
pub mod attributes;
mod bits;
pub mod category;
pub mod cursor;
pub mod envelope;
mod error;
pub mod event;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod golden;
mod huffman;
pub mod ids;
pub mod json;
mod layout;
pub mod manifest;
mod msgpack;
mod permutation;
pub mod popularity;
pub mod query;
pub mod recents;
pub mod report;
pub mod rows;
pub mod rules;
pub mod score;
mod set;
pub mod shards;
pub mod signal;
mod snapshot;
pub mod strategy;
mod text;
pub mod time;

pub use bytes::Bytes;
pub use error::Error;
pub use snapshot::{Shard, Snapshot};
