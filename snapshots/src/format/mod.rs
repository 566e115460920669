//! The snapshot format: the envelope, each section's layout with its reader and writer, the manifest, and shards.
//!
//! May import [`crate::wire`] and [`crate::set`].

pub mod attributes;
mod bits;
pub mod category;
pub mod envelope;
pub(crate) mod error;
pub mod groups;
mod huffman;
pub mod ids;
mod layout;
pub mod manifest;
pub(crate) mod msgpack;
mod permutation;
pub mod popularity;
pub mod rows;
pub mod sales;
pub mod shards;
pub mod signal;
pub mod strategy;
mod text;
