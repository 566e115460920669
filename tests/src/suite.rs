//! Runs a suite of tests that share fixtures.

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use std::sync::{Arc, OnceLock};
use xtask::process::stop_all_on_signal;

/// The name of a test and its function.
pub type Test<F> = (&'static str, fn(&F) -> Result<()>);

/// The value of a fixture, which the first test that uses it starts.
///
/// # Errors
/// Those of `start`; the next test tries again.
pub fn get_or_start<T>(cell: &OnceLock<T>, start: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = start()?;
    Ok(cell.get_or_init(|| value))
}

/// Runs the tests that the command line selects, one after the other, stops the fixtures, and exits.
pub fn run<F: Default + Send + Sync + 'static>(tests: &[Test<F>]) {
    // Without a handler, Ctrl-C would leave the Workers running.
    if let Err(error) = stop_all_on_signal("stopped", 130) {
        eprintln!("{error:#}");
    }
    let mut arguments = Arguments::from_args();
    // The tests share Workers.
    arguments.test_threads = Some(1);
    let fixtures = Arc::new(F::default());
    let trials = tests.iter().map(|&(name, test)| {
        let fixtures = Arc::clone(&fixtures);
        Trial::test(name, move || test(&fixtures).map_err(|error| Failed::from(format!("{error:#}"))))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    // `exit` does not run destructors, which stop the Workers.
    drop(fixtures);
    conclusion.exit();
}
