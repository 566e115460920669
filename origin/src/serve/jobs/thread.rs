//! Threads of jobs that run as long as the service.

use crate::serve::state::service::Shared;
use anyhow::{Context, Result};
use std::thread::{self, JoinHandle};

/// Starts a thread. If it panics, its work is no longer done, and `/readyz` reports the service as not ready.
///
/// # Errors
/// The system cannot start a thread.
pub(crate) fn spawn(
    service: &Shared,
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    let guard = PanicGuard { service: Shared::clone(service), name };
    let guarded = move || {
        let _guard = guard;
        work();
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(guarded);
    thread.with_context(|| format!("cannot start the {name} thread"))
}

struct PanicGuard {
    service: Shared,
    name: &'static str,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if thread::panicking() {
            self.service.set_unready(self.name, Some("its thread panicked; restart the service".to_owned()));
        }
    }
}
