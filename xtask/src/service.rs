//! A running `verge serve` on a copy of a shop's data directory.

use crate::process::Running;
use crate::root;
use crate::shop::Shop;
use crate::steps::{Steps, last_lines};
use crate::wrangler::free_port;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time limit for the start.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The service. Dropping it stops it.
pub struct Service {
    address: String,
    key: String,
    _running: Running,
}

impl Service {
    /// Starts the service on a fresh copy of the shop's data and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time; the message contains the end of its log.
    pub fn start(shop: &Shop, steps: &Steps) -> Result<Self> {
        let data = root().join("target/test/service");
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        }
        copy(&shop.data_dir(), &data)?;
        let key = steps.run("key", &mut shop.verge_at(&data, &["keys", "add", "test", "--role", "admin"]))?;
        let key = key.trim().to_owned();
        let listen = format!("127.0.0.1:{}", free_port()?);
        let log = steps.log("serve");
        let mut running =
            Running::start(&mut shop.verge_at(&data, &["serve", "--listen", &listen]), Some(&log))?;
        let (started_at, address) = (Instant::now(), format!("http://{listen}"));
        while ureq::get(format!("{address}/readyz")).call().is_err() {
            if running.exit_status()?.is_some() || started_at.elapsed() > TIMEOUT {
                bail!("`verge serve` is not ready; its log ends with\n{}", last_lines(&log, 10));
            }
            sleep(Duration::from_millis(20));
        }
        steps.say(&format!("✓ verge serve on {address}"));
        Ok(Self { address, key, _running: running })
    }

    /// Its base URL.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A key with the role `admin`.
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
