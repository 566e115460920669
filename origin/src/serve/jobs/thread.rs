//! Threads of jobs that run as long as the service. One that panics is started again.

use crate::serve::state::service::{Service, Shared};
use anyhow::{Context, Result};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The pause before the first restart; each further one waits twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before a restart.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// A part that ran for this long has recovered.
const RECOVERED: Duration = Duration::from_secs(600);

/// Starts a thread that runs `work` until it returns. If `work` panics, it is run again after a pause; during the pause,
/// `/readyz` reports the part as not ready.
///
/// # Errors
/// The system cannot start a thread.
pub(crate) fn spawn(
    service: &Shared,
    name: &'static str,
    work: impl Fn() + Send + 'static,
) -> Result<JoinHandle<()>> {
    let service = Shared::clone(service);
    let supervised = move || {
        supervise(&work, |pause| {
            report_panic(&service, name, pause);
            let end = Instant::now() + pause;
            while Instant::now() < end && !*service.stop.borrow() {
                thread::sleep(FIRST_PAUSE / 10);
            }
            service.set_unready(name, None);
            !*service.stop.borrow()
        });
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(supervised);
    thread.with_context(|| format!("cannot start the {name} thread"))
}

/// Records that a part panicked and is started again after `pause`.
pub(crate) fn report_panic(service: &Service, name: &'static str, pause: Duration) {
    tracing::error!(part = name, pause_s = pause.as_secs(), "a part panicked; it is started again");
    service.metrics.record_restart(name);
    service.set_unready(name, Some("it panicked and is started again".to_owned()));
}

/// Runs `work` until it returns. After each panic, `restart` waits for the given pause; false ends it.
fn supervise(work: &impl Fn(), restart: impl Fn(Duration) -> bool) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        // The work keeps nothing across a panic; what it shares with the service is behind locks that ignore poison.
        if catch_unwind(AssertUnwindSafe(work)).is_ok() {
            return;
        }
        if started.elapsed() >= RECOVERED {
            pause = FIRST_PAUSE;
        }
        if !restart(pause) {
            return;
        }
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// The pause before a task that panicked for the `count`th time is started again.
pub(crate) fn pause(count: u32) -> Duration {
    (FIRST_PAUSE * 2u32.saturating_pow(count.saturating_sub(1).min(6))).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    #[test]
    fn a_part_that_panics_is_started_again_ever_more_slowly_until_it_ends() {
        let (runs, pauses) = (Cell::new(0), RefCell::new(Vec::new()));
        let work = || {
            runs.set(runs.get() + 1);
            assert!(runs.get() == 9, "an injected panic");
        };
        supervise(&work, |pause| {
            pauses.borrow_mut().push(pause.as_secs());
            true
        });
        assert_eq!((runs.get(), pauses.into_inner()), (9, vec![1, 2, 4, 8, 16, 32, 60, 60]));
        let stopped = Cell::new(0);
        supervise(&|| panic!("an injected panic"), |_| {
            stopped.set(stopped.get() + 1);
            stopped.get() < 3
        });
        assert_eq!(stopped.get(), 3);
        assert_eq!([1, 2, 7, 99].map(|count| pause(count).as_secs()), [1, 2, 60, 60]);
    }
}
