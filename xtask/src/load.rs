//! `cargo xtask load`: what the service takes, beside PostgreSQL.

use anyhow::{Context, Result, bail};
use std::fs;
use xtask::process::{self, Running};
use xtask::root;
use xtask::shop::{Profile, build_verge};
use xtask::steps::Steps;
use xtask::tools::cargo;

/// Seconds of each load, unless told otherwise.
pub const SECONDS: u32 = 10;

/// Runs it with `--seconds N`.
pub fn run(arguments: &[String]) -> Result<()> {
    let seconds = match arguments {
        [] => SECONDS,
        [flag, number] if flag == "--seconds" => number
            .parse()
            .ok()
            .filter(|seconds| *seconds > 0)
            .context("--seconds takes a whole number above 0")?,
        _ => bail!("`cargo xtask load` takes --seconds N, and nothing else"),
    };
    process::stop_all_on_signal("stopped", 130)?;
    let dir = root().join("target/load");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let verge = build_verge(&Steps::new(&dir.join("log"))?, Profile::Release)?;
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "--package", "origin", "--example", "load", "--"]);
    let status = Running::start(command.arg(verge).arg(dir).arg(seconds.to_string()), None)?.wait()?;
    if !status.success() {
        bail!("the load test failed ({status})");
    }
    Ok(())
}
