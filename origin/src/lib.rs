//! Verge's origin: imports and keeps events, learns the tables, builds and publishes snapshots.
//!
//! The data's way is [`import`] or [`generate`] → [`store`]. The binary `verge` is [`cli`] and nothing else.

pub mod cli;
pub mod config;
pub mod import;
pub mod store;
