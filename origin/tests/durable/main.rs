//! Durability tests of the `verge` binary: it is killed, or its disk fails, and acknowledged events must survive.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod disk;
mod kill;
mod service;
