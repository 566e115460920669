//! Learning in a child process: `verge build`.
//!
//! A process of its own returns its memory when it ends, and a crash of it does not stop the service.

use crate::config::Config;
use crate::serve::jobs::publisher::schedule::Scope;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running `verge build`, killed when it is dropped.
pub(super) struct LearningProcess {
    child: Child,
    start: Instant,
}

/// How learning ended.
pub(super) struct Outcome {
    /// Why it failed; `None` if it succeeded.
    pub(super) error: Option<String>,
    /// How long it took.
    pub(super) duration: Duration,
}

impl LearningProcess {
    /// Starts learning. What the process prints to standard error is logged.
    ///
    /// # Errors
    /// The process cannot be started.
    pub(super) fn start(config: &Config, scope: Scope) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let mut command = Command::new(program);
        if let Some(file) = &config.file {
            command.arg("--config").arg(file);
        }
        command.arg("--data-dir").arg(&config.data_dir).arg("build");
        if scope == Scope::Tables {
            command.arg("--tables");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
                    tracing::info!(line = line.trim(), "learning");
                }
            });
        }
        Ok(Self { child, start: Instant::now() })
    }

    /// The outcome, once the process has ended.
    pub(super) fn poll(&mut self) -> Option<Outcome> {
        let error = match self.child.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) if status.success() => None,
            Ok(Some(status)) => Some(format!("failed: {status}")),
            Err(error) => Some(format!("failed: {error}")),
        };
        Some(Outcome { error, duration: self.start.elapsed() })
    }
}

impl Drop for LearningProcess {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
