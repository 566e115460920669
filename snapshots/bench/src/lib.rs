//! How fast snapshots are opened, read and scored.
//!
//! [`inputs`] are made once, natively; [`cases`] are what is measured over them, and [`measure`] how. The native
//! program and the exports of `wasm` run the very same loop with a clock of their host.
#![allow(
    clippy::indexing_slicing,
    reason = "benchmarks index inputs that they generated; a panic only fails the run"
)]

pub mod cache;
pub mod cases;
pub mod inputs;
pub mod measure;
pub mod obvious;
#[cfg(target_arch = "wasm32")]
mod wasm;
