//! The `verge` binary with a data directory of its own.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;
use xtask::shop::{Profile, build_verge};
use xtask::steps::Steps;
use xtask::wrangler::NAMESPACE;

/// The path of the binary, which is compiled when that is due.
///
/// # Errors
/// When it does not compile.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = BINARY.get() {
        return Ok(path);
    }
    let steps = Steps::new(&xtask::root().join("target/test/log"))?;
    let path = build_verge(&steps, Profile::Debug)?;
    Ok(BINARY.get_or_init(|| path))
}

/// A shop's data directory.
pub struct Verge {
    dir: TempDir,
}

impl Verge {
    /// A made-up shop, learnt and built. Another seed is another shop.
    ///
    /// # Errors
    /// When a command fails.
    pub fn shop(seed: u32) -> Result<Self> {
        Self::shop_built(seed, &[])
    }

    /// The same, with more arguments to `verge build`.
    ///
    /// # Errors
    /// When a command fails.
    pub fn shop_built(seed: u32, arguments: &[&str]) -> Result<Self> {
        let shop = Self { dir: TempDir::new()? };
        let seed = seed.to_string();
        shop.run(&["generate", "--items", "300", "--sessions", "4000", "--seed", &seed, "--into-store"])?;
        shop.run(&[&["build"], arguments].concat())?;
        Ok(shop)
    }

    /// The command `verge ARGUMENTS`, not run yet.
    ///
    /// # Errors
    /// When the binary does not compile.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.arg("--data-dir").arg(self.dir.path()).args(arguments).current_dir(self.dir.path());
        command.env_remove("VERGE_CONFIG").env_remove("VERGE_KV_TOKEN").stdin(Stdio::null());
        Ok(command)
    }

    /// The command with KV at `base`.
    ///
    /// # Errors
    /// When the binary does not compile.
    pub fn kv_command(&self, arguments: &[&str], base: &str) -> Result<Command> {
        let mut command = self.command(arguments)?;
        command.env("VERGE_KV_BASE", base).env("VERGE_KV_NAMESPACE", NAMESPACE);
        Ok(command)
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        finish(&mut self.command(arguments)?)
    }

    /// Publishes to the KV at `base`; what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn publish(&self, base: &str) -> Result<String> {
        finish(&mut self.kv_command(&["publish", "--to", "kv"], base)?)
    }

    /// Rolls one region of the KV at `base` back; what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn roll_back(&self, base: &str, region: &str) -> Result<String> {
        finish(&mut self.kv_command(&["rollback", "--to", "kv", "--region", region], base)?)
    }

    /// The bytes of a key as they were built.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn built(&self, key: &str) -> Result<Vec<u8>> {
        let path = self.dir.path().join("snapshots").join(key);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

fn finish(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed ({}): {printed}{complaint}", output.status);
    }
    Ok(printed)
}
