//! Durability tests of the `verge` binary: it is killed, or its disk fails, and acknowledged events must survive.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod disk;
mod kill;
mod service;
