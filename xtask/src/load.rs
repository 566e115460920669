//! `cargo xtask load`: measures the event throughput of the service, compared with PostgreSQL.

use anyhow::{Context, Result, bail};
use clap::value_parser;
use std::fs;
use xtask::process::{self, Running};
use xtask::root;
use xtask::shop::{Profile, build_verge};
use xtask::steps::Steps;
use xtask::tools::cargo;

/// Measures how many events a second the service accepts
///
/// Sends events one by one, in batches, and at ten times the rate it accepts. Measures PostgreSQL too if it is installed
/// (apt-get install postgresql).
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each load
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u32).range(1..))]
    seconds: u32,
}

/// Runs the example `load` of `origin`.
pub(crate) fn run(args: &Args) -> Result<()> {
    process::stop_all_on_signal("stopped", 130)?;
    let dir = root().join("target/load");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let verge = build_verge(&Steps::new(&dir.join("log"))?, Profile::Release)?;
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "--package", "origin", "--example", "load", "--"]);
    let status = Running::start(command.arg(verge).arg(dir).arg(args.seconds.to_string()), None)?.wait()?;
    if !status.success() {
        bail!("the load test failed ({status})");
    }
    Ok(())
}
