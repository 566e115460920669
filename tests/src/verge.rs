//! The `verge` binary with its own data directory.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;
use xtask::shop::{Profile, build_verge};
use xtask::steps::Steps;
use xtask::wrangler::{NAMESPACE, agent};

/// Compiles the binary if necessary and returns its path.
///
/// # Errors
/// It does not compile.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = BINARY.get() {
        return Ok(path);
    }
    let steps = Steps::new(&xtask::root().join("target/test/log"))?;
    let path = build_verge(&steps, Profile::Debug)?;
    Ok(BINARY.get_or_init(|| path))
}

/// The data directory of a shop.
pub struct Verge {
    dir: TempDir,
}

impl Verge {
    /// Generates and builds a shop. Each seed gives another shop.
    ///
    /// # Errors
    /// A command fails.
    pub fn shop(seed: u32) -> Result<Self> {
        Self::shop_built(seed, &[])
    }

    /// The same with additional arguments to `verge build`.
    ///
    /// # Errors
    /// A command fails.
    pub fn shop_built(seed: u32, arguments: &[&str]) -> Result<Self> {
        let shop = Self { dir: TempDir::new()? };
        let seed = seed.to_string();
        shop.run(&["generate", "--items", "300", "--sessions", "4000", "--seed", &seed, "--into-store"])?;
        shop.run(&[&["build"], arguments].concat())?;
        Ok(shop)
    }

    /// The command `verge ARGUMENTS`, not started.
    ///
    /// # Errors
    /// The binary does not compile.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.arg("--data-dir").arg(self.dir.path()).args(arguments).current_dir(self.dir.path());
        command.env_remove("VERGE_CONFIG").env_remove("VERGE_KV_TOKEN").stdin(Stdio::null());
        Ok(command)
    }

    /// The same with KV at the URL `base`.
    ///
    /// # Errors
    /// The binary does not compile.
    pub fn kv_command(&self, arguments: &[&str], base: &str) -> Result<Command> {
        let mut command = self.command(arguments)?;
        command.env("VERGE_KV_BASE", base).env("VERGE_KV_NAMESPACE", NAMESPACE);
        Ok(command)
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        finish(&mut self.command(arguments)?)
    }

    /// Publishes to the KV at `base` and returns the output.
    ///
    /// # Errors
    /// The command fails.
    pub fn publish(&self, base: &str) -> Result<String> {
        finish(&mut self.kv_command(&["publish", "--to", "kv"], base)?)
    }

    /// Publishes to a directory; file names are the keys in KV.
    ///
    /// # Errors
    /// The command fails.
    pub fn publish_into(&self, directory: &Path) -> Result<()> {
        self.run(&["publish", "--to", &directory.to_string_lossy()]).map(drop)
    }

    /// Sets the rules document and returns the output.
    ///
    /// # Errors
    /// The document is invalid.
    pub fn set_rules(&self, rules: &Value) -> Result<String> {
        let path = self.dir.path().join("new-rules.json");
        std::fs::write(&path, rules.to_string())?;
        self.run(&["rules", "set", &path.to_string_lossy()])
    }

    /// The query parameter that forces a variant, signed with the key of the testers.
    ///
    /// # Errors
    /// There is no such variant.
    pub fn force(&self, experiment: &str, variant: &str, key: &str) -> Result<String> {
        Ok(self.run(&["rules", "force", experiment, variant, "--key", key])?.trim().to_owned())
    }

    /// Builds again.
    ///
    /// # Errors
    /// The command fails.
    pub fn rebuild(&self) -> Result<()> {
        self.run(&["build", "--no-judge"]).map(drop)
    }

    /// Sets the regions and their areas, and rebuilds.
    ///
    /// # Errors
    /// The configuration is invalid.
    pub fn set_regions(&self, toml: &str) -> Result<()> {
        std::fs::write(self.dir.path().join("verge.toml"), toml)?;
        self.rebuild()
    }

    /// Rolls back a region of the KV at `base` and returns the output.
    ///
    /// # Errors
    /// The command fails.
    pub fn roll_back(&self, base: &str, region: &str) -> Result<String> {
        finish(&mut self.kv_command(&["rollback", "--to", "kv", "--region", region], base)?)
    }

    /// Starts `verge serve`, which publishes to the KV at `base`, and creates a key with a role.
    ///
    /// # Errors
    /// It does not start.
    pub fn serve(&self, base: &str, role: &str) -> Result<Service> {
        self.serve_with(base, role, &[])
    }

    /// The same with these environment variables.
    ///
    /// # Errors
    /// It does not start.
    pub fn serve_with(&self, base: &str, role: &str, variables: &[(&str, &str)]) -> Result<Service> {
        let key = self.run(&["keys", "add", role, "--role", role])?.trim().to_owned();
        let mut command = self.kv_command(&["serve", "--listen", "127.0.0.1:0"], base)?;
        let mut child = command
            .env("VERGE_PUBLISH_TO", "kv")
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no output")?).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let entry: Value = serde_json::from_str(&line).ok()?;
            (entry["message"] == "listening").then(|| entry["address"].as_str().map(str::to_owned))?
        });
        let service = Service { child, address: address.unwrap_or_default(), key };
        // A full pipe would block the service.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        if service.address.is_empty() { bail!("`verge serve` did not start") } else { Ok(service) }
    }

    /// The bytes that were built for a key.
    ///
    /// # Errors
    /// There is no such key.
    pub fn built(&self, key: &str) -> Result<Vec<u8>> {
        let path = self.dir.path().join("snapshots").join(key);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// A running `verge serve`. Dropping it kills it.
pub struct Service {
    child: Child,
    address: String,
    key: String,
}

impl Service {
    /// Its URL, without a trailing slash.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The value of a `Authorization` header that it accepts.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.key)
    }

    /// The value of a metric, by its name and labels as printed; 0 if it is absent.
    ///
    /// # Errors
    /// There is no answer.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let request = agent(Duration::from_secs(30)).get(format!("{}/metrics", self.address()));
        let text =
            request.header("authorization", self.authorization()).call()?.body_mut().read_to_string()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.map_or(Ok(0.0), str::parse)?)
    }

    /// Sends JSON to a path and returns the status of the answer.
    ///
    /// # Errors
    /// There is no answer.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Result<u16> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(serde_json::to_vec(body)?)?;
        Ok(agent(Duration::from_secs(30)).run(request)?.status().as_u16())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn finish(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed ({}): {printed}{errors}", output.status);
    }
    Ok(printed)
}
