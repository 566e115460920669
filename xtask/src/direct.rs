//! The Worker on a direct socket into workerd, with a shop's snapshots in its KV, and a constant Worker beside it.

use crate::process::Running;
use crate::root;
use crate::steps::{Steps, last_lines};
use crate::tools::npm_program;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long they may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The Workers; dropping them stops them.
pub struct Direct {
    /// The Worker's port of 127.0.0.1.
    pub verge: u16,
    /// The port of one that answers a constant.
    pub constant: u16,
    /// workerd's process id; 0 where it cannot be known.
    pub pid: u32,
    running: Running,
}

impl Direct {
    /// Starts them, the Worker with the snapshots of a directory and with these variables, once it answers `path`.
    ///
    /// # Errors
    /// They do not start; the text holds the end of their output.
    pub fn start(snapshots: &Path, vars: &Value, path: &str, steps: &Steps) -> Result<Self> {
        let log = steps.log("workers");
        let mut node = npm_program("node");
        node.arg(root().join("snapshots/bench/js/http.mjs")).arg(snapshots).arg(root().join("target/worker"));
        let mut running = Running::start(node.arg(path).arg(vars.to_string()), Some(&log))?;
        let began = Instant::now();
        let started: Value = loop {
            let printed = fs::read_to_string(&log).unwrap_or_default();
            if let Some(started) = printed.lines().find_map(|line| serde_json::from_str(line).ok()) {
                break started;
            }
            if running.ended()?.is_some() || began.elapsed() > PATIENCE {
                bail!("the Workers did not start:\n{}", last_lines(&log, 30));
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let number = |name: &str| started[name].as_u64().with_context(|| format!("no {name} in {started}"));
        Ok(Self {
            verge: number("verge")?.try_into()?,
            constant: number("constant")?.try_into()?,
            pid: number("pid")?.try_into()?,
            running,
        })
    }

    /// Whether workerd is still there.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.running.ended()?.is_none())
    }

    /// Bytes of memory that workerd holds, where /proc tells.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
    }
}
