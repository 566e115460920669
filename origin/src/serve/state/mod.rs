//! State that handlers and jobs share: one module for each part, and [`service`], which combines them.
//!
//! May import: `config`, `store`, `stream` and the crates below `origin`; not `http`, not `jobs`. A part does not import
//! [`service`], so that it can be tested alone.

pub(crate) mod body_memory;
pub(crate) mod edge_counters;
pub(crate) mod feeds;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod live_tables;
pub(crate) mod metrics;
pub(crate) mod order_keys;
pub(crate) mod publishing;
pub(crate) mod rate_limit;
pub(crate) mod service;
pub(crate) mod sessions;
pub(crate) mod tls;
pub(crate) mod traces;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex whose content is consistent after every statement: a panic of another holder does not matter.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
