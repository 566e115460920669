//! `wrangler dev`: the Worker in workerd on this machine, with a KV of its own.

use crate::process::Running;
use crate::steps::last_lines;
use crate::tools::npm_program;
use anyhow::{Context, Result, bail};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The KV namespace's name where the publisher expects an id: wrangler calls a local one by its binding.
pub const NAMESPACE: &str = "SNAPSHOTS";

/// How to run the Worker.
pub struct Options<'a> {
    /// Where to listen on 127.0.0.1.
    pub port: u16,
    /// Where KV is kept.
    pub persist_to: &'a Path,
    /// Its configuration, and those of Workers beside it; `wrangler.toml` where there is none.
    pub configs: &'a [PathBuf],
    /// Variables over those of the configuration.
    pub vars: &'a [(&'a str, &'a str)],
    /// The file that takes wrangler's output.
    pub log: PathBuf,
}

/// A Worker that runs; dropping it stops it.
pub struct Dev {
    running: Running,
    port: u16,
    log: PathBuf,
}

impl Dev {
    /// Starts `wrangler dev`, which builds the Worker first. It does not answer yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(options: Options<'_>) -> Result<Self> {
        let Options { port, persist_to, configs, vars, log } = options;
        fs::create_dir_all(persist_to).with_context(|| format!("cannot make {}", persist_to.display()))?;
        let mut command = npm_program("wrangler");
        command
            .args(["dev", "--local", "--ip", "127.0.0.1", "--inspector-port", "0"])
            .args(["--show-interactive-dev-session=false", "--port", &port.to_string()])
            .arg("--persist-to")
            .arg(persist_to)
            .env("CI", "1")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false");
        for config in configs {
            // Another run's Workers have the same names.
            command.arg("--config").arg(config).env("WRANGLER_REGISTRY_PATH", persist_to.join("registry"));
        }
        for (name, value) in vars {
            command.arg("--var").arg(format!("{name}:{value}"));
        }
        let running = Running::start(&mut command, Some(&log))?;
        Ok(Self { running, port, log })
    }

    /// Waits until the Worker answers.
    ///
    /// # Errors
    /// When wrangler ends, or does not answer in time; the message holds the end of its output.
    pub fn wait_until_ready(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        let health = format!("{}/healthz", self.address());
        let agent = agent(Duration::from_secs(2));
        loop {
            if let Some(status) = self.running.ended()? {
                bail!("wrangler dev ended ({status}):\n{}", last_lines(&self.log, 40));
            }
            if agent.get(&health).call().is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "the Worker does not answer at {health} after {} s:\n{}",
                    patience.as_secs(),
                    last_lines(&self.log, 40)
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until wrangler ends by itself.
    ///
    /// # Errors
    /// Always, with the end of its output: it is not meant to end.
    pub fn wait(&mut self) -> Result<()> {
        let status = self.running.wait()?;
        bail!("wrangler dev ended ({status}):\n{}", last_lines(&self.log, 40))
    }

    /// Where the Worker answers, without a slash at the end.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where its KV takes what Cloudflare's API takes under `/client/v4/accounts/{account}`.
    pub fn kv_api(&self) -> String {
        format!("{}/cdn-cgi/local/explorer/api", self.address())
    }

    /// The file with wrangler's output.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

/// An HTTP client for local use. Statuses that mean an error are answers like others.
pub fn agent(timeout: Duration) -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build().into()
}

/// A port of 127.0.0.1 that was free just now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
