//! `cargo xtask kill`: the service killed at random moments, more often than the tests do it.

use anyhow::{Context, Result, bail};
use xtask::process::{self, Running};
use xtask::tools::cargo;

/// How often, unless told otherwise.
pub const TIMES: u32 = 200;

/// Runs the test with `--times N`.
pub fn run(arguments: &[String]) -> Result<()> {
    let times = match arguments {
        [] => TIMES,
        [flag, number] if flag == "--times" => {
            number.parse().ok().filter(|times| *times > 0).context("--times takes a whole number above 0")?
        }
        _ => bail!("`cargo xtask kill` takes --times N, and nothing else"),
    };
    process::stop_all_on_signal("stopped", 130)?;
    let mut command = cargo();
    command.args(["test", "--package", "origin", "--test", "durable", "kill", "--", "--nocapture"]);
    let status = Running::start(command.env("VERGE_KILL_TIMES", times.to_string()), None)?.wait()?;
    if !status.success() {
        bail!("the kill test failed ({status})");
    }
    Ok(())
}
