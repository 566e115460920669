//! Verge's origin: ingests events, keeps the catalogue, learns the tables, builds and publishes snapshots.
//!
//! Modules are layers; each imports from those below it only:
//!
//! ```text
//! cli, commands                        arguments and `run` of each command
//! serve                                the service: HTTP, jobs, state
//! models, publish, tune, rules         registry and promotion gate; destinations; search; the document
//! build, evaluate                      training and packing; replay and metrics
//! pack, stream                         snapshot sets; live counters
//! import, generate, catalogue          formats; demo shop; validation of items
//! store, config                        SQLite and the data directory; options
//! origin_learn, origin_log, origin_data   crates of their own: learning; the event log; shared types
//! ```

#![allow(
    clippy::indexing_slicing,
    reason = "indices are those of the tables and catalogue that the same build made"
)]

pub mod audit;
pub mod build;
pub mod catalogue;
pub mod cli;
pub mod commands;
pub mod config;
pub mod evaluate;
pub mod generate;
pub mod import;
pub mod models;
pub mod network;
pub mod pack;
pub mod publish;
pub mod rules;
mod serve;
pub mod store;
pub mod stream;
pub mod tune;
