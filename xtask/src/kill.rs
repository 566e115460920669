//! `cargo xtask kill`: kills the service at random moments, more often than `cargo xtask test` does.

use anyhow::{Result, bail};
use clap::value_parser;
use xtask::process::{self, Running};
use xtask::tools::cargo;

/// Kills the service at random while clients send events
///
/// Fails if an acknowledged event is missing or counted twice, or if the tables differ from those of an offline build.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Number of kills
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = value_parser!(u32).range(1..))]
    times: u32,
}

/// Runs the kill test of `origin`.
pub(crate) fn run(args: &Args) -> Result<()> {
    process::stop_all_on_signal("stopped", 130)?;
    let mut command = cargo();
    command.args(["test", "--package", "origin", "--test", "durable", "kill", "--", "--nocapture"]);
    let status = Running::start(command.env("VERGE_KILL_TIMES", args.times.to_string()), None)?.wait()?;
    if !status.success() {
        bail!("the kill test failed ({status})");
    }
    Ok(())
}
