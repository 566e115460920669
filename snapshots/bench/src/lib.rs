//! Benchmarks of opening, reading and scoring snapshots.
//!
//! [`inputs`] are generated once, natively. [`cases`] lists the benchmarks that run on them, and [`measure`] is the timing
//! loop. The native program and the exports of `wasm` share this loop, each with the clock of its host.
#![allow(
    clippy::indexing_slicing,
    reason = "benchmarks index inputs that they generated; a panic only fails the run"
)]

pub mod baseline;
pub mod cache;
pub mod cases;
pub mod inputs;
pub mod measure;
#[cfg(target_arch = "wasm32")]
mod wasm;
