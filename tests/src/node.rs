//! Programs for Node.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use xtask::tools::npm_program;

/// A server that runs on Node. Dropping it stops it.
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts `script`, a path from the root of the repository, on a free port and with these variables. The script prints its
    /// URL on the first line.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(script: &str, vars: &[(&str, &str)]) -> Result<Self> {
        let mut command = npm_program("node");
        command.arg(script).env("PORT", "0").envs(vars.iter().copied());
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start node")?;
        let mut address = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut address)?;
        }
        let server = Self { child, address: address.trim().to_owned() };
        if server.address.is_empty() { bail!("{script} did not start") } else { Ok(server) }
    }

    /// Its base URL, without a trailing slash.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a Node test file, a path from the root of the repository, with these variables.
///
/// # Errors
/// A test fails; the message contains the output.
pub fn node_tests(file: &str, vars: &[(&str, &str)]) -> Result<()> {
    let output = npm_program("node").args(["--test", file]).envs(vars.iter().copied()).output()?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{file}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
