//! `wrangler dev`: the Worker in a local workerd, with its own KV.

use crate::process::Running;
use crate::steps::last_lines;
use crate::tools::npm_program;
use anyhow::{Context, Result, bail};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The id of the local KV namespace: wrangler uses the name of the binding.
pub const NAMESPACE: &str = "SNAPSHOTS";

/// The configuration of the Worker with the demo shop, in the root of the repository.
const DEMO: &str = "wrangler.demo.toml";

/// Options of [`Dev::start`].
pub struct Options<'a> {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The directory of the KV.
    pub persist_to: &'a Path,
    /// The configuration of the Worker, followed by those of further Workers; [`DEMO`] if empty.
    pub configs: &'a [PathBuf],
    /// Variables that override those of the configuration.
    pub vars: &'a [(&'a str, &'a str)],
    /// The file for wrangler's output.
    pub log: PathBuf,
}

/// A running Worker. Dropping it stops it.
pub struct Dev {
    running: Running,
    port: u16,
    log: PathBuf,
}

impl Dev {
    /// Starts `wrangler dev`, which first builds the Worker. Returns before it answers.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(options: Options<'_>) -> Result<Self> {
        let Options { port, persist_to, configs, vars, log } = options;
        fs::create_dir_all(persist_to).with_context(|| format!("cannot create {}", persist_to.display()))?;
        let mut command = npm_program("wrangler");
        command
            .args(["dev", "--local", "--ip", "127.0.0.1", "--inspector-port", "0"])
            .args(["--show-interactive-dev-session=false", "--port", &port.to_string()])
            .arg("--persist-to")
            .arg(persist_to)
            .env("CI", "1")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false");
        if configs.is_empty() {
            // Without a registry of its own, so that Workers that are started beside the demo find it.
            command.args(["--config", DEMO]);
        }
        for config in configs {
            // Workers of concurrent runs have the same names.
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
    /// wrangler exits or does not answer in time; the message contains the end of its output.
    pub fn wait_until_ready(&mut self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        let health = format!("{}/healthz", self.address());
        let agent = agent(Duration::from_secs(2));
        loop {
            if let Some(status) = self.running.exit_status()? {
                bail!("wrangler dev exited ({status}):\n{}", last_lines(&self.log, 40));
            }
            if agent.get(&health).call().is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "no answer from {health} after {} s:\n{}",
                    timeout.as_secs(),
                    last_lines(&self.log, 40)
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until wrangler exits.
    ///
    /// # Errors
    /// Always, with the end of its output: it is not supposed to exit.
    pub fn wait(&mut self) -> Result<()> {
        let status = self.running.wait()?;
        bail!("wrangler dev exited ({status}):\n{}", last_lines(&self.log, 40))
    }

    /// The base URL of the Worker, without a trailing slash.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The URL of its KV, the equivalent of `/client/v4/accounts/{account}` in Cloudflare's API.
    pub fn kv_api(&self) -> String {
        format!("{}/cdn-cgi/local/explorer/api", self.address())
    }

    /// The file with wrangler's output.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

/// An HTTP client for local use. A status of 4xx or 5xx is not an error.
pub fn agent(timeout: Duration) -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build().into()
}

/// A free port on 127.0.0.1. Another process may take it before it is used.
///
/// # Errors
/// No port is free.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
