//! What a Verge snapshot is, and everything that is computed from it.
//!
//! This crate has no I/O, no clock and no randomness of its own: bytes, the time and random ids are passed in,
//! so that the edge Worker, the browser, the origin and the tests run the very same code.

pub mod event;
pub mod time;
