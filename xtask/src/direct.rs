//! The Worker on a direct socket into workerd, with a shop's snapshots in its KV, and a baseline Worker that answers a
//! constant.

use crate::process::Running;
use crate::root;
use crate::steps::{Steps, last_lines};
use crate::tools::npm_program;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time limit for the start.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Both Workers. Dropping this stops them.
pub struct Direct {
    /// The port of the Worker on 127.0.0.1.
    pub verge: u16,
    /// The port of the baseline Worker.
    pub constant: u16,
    /// The process id of workerd; 0 if unknown.
    pub pid: u32,
    running: Running,
}

impl Direct {
    /// Starts both with the snapshots of a directory and with `vars` for the Worker. Returns once it answers `path`.
    ///
    /// # Errors
    /// They do not start; the message contains the end of their output.
    pub fn start(snapshots: &Path, vars: &Value, path: &str, steps: &Steps) -> Result<Self> {
        let log = steps.log("workers");
        let mut node = npm_program("node");
        node.arg(root().join("snapshots/bench/js/http.mjs")).arg(snapshots).arg(root().join("target/worker"));
        let mut running = Running::start(node.arg(path).arg(vars.to_string()), Some(&log))?;
        let started_at = Instant::now();
        let started: Value = loop {
            let printed = fs::read_to_string(&log).unwrap_or_default();
            if let Some(started) = printed.lines().find_map(|line| serde_json::from_str(line).ok()) {
                break started;
            }
            if running.exit_status()?.is_some() || started_at.elapsed() > TIMEOUT {
                bail!("the Workers did not start:\n{}", last_lines(&log, 30));
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let number = |name: &str| {
            started.get(name).and_then(Value::as_u64).with_context(|| format!("no {name} in {started}"))
        };
        Ok(Self {
            verge: number("verge")?.try_into()?,
            constant: number("constant")?.try_into()?,
            pid: number("pid")?.try_into()?,
            running,
        })
    }

    /// Whether workerd is still running.
    ///
    /// # Errors
    /// The process cannot be queried.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.running.exit_status()?.is_none())
    }

    /// Resident memory of workerd in bytes, if /proc exists.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
    }
}
