//! Benchmarks of opening, reading and scoring snapshots.
//!
//! [`inputs`] prepares the data once, natively; [`cases`] defines the benchmarks; [`measure`] times them. The native program
//! and the exports of `wasm` run the same loop with their host's clock.

pub mod cache;
pub mod cases;
pub mod inputs;
pub mod measure;
pub mod obvious;
#[cfg(target_arch = "wasm32")]
mod wasm;
