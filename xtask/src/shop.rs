//! A shop: an imported or generated log, the snapshots built from it, and publishing them to a local KV.

use crate::root;
use crate::steps::Steps;
use crate::tools::cargo;
use crate::wrangler::{Dev, NAMESPACE, Options};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};
use std::{env, fs};

/// Sessions per item of a generated shop.
const SESSIONS_PER_ITEM: u32 = 10;
/// Items of the shop that the tests share.
const TEST_ITEMS: u32 = 500;
/// Time limit for the start of `wrangler dev`, which may have to compile the Worker.
const START_TIMEOUT: Duration = Duration::from_secs(600);

/// The source of a shop's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Logs to import.
    Files(Vec<Log>),
    /// A generated log of a shop with this number of items.
    Generated(u32),
}

/// A log file and its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A format of `verge import`, such as `online-retail`.
    pub format: String,
    /// The absolute path.
    pub file: PathBuf,
}

impl Log {
    /// Parses `FORMAT:FILE`; a relative path is resolved against the working directory.
    ///
    /// # Errors
    /// The colon or the file is missing.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((format, file)) = text.split_once(':') else {
            bail!("'{text}' is not FORMAT:FILE, as in online-retail:online_retail.csv.zst");
        };
        let file = env::current_dir()?.join(file);
        fs::metadata(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { format: format.to_owned(), file })
    }
}

/// A shop in its own directory, which is kept from one run to the next.
pub struct Shop {
    source: Source,
    dir: PathBuf,
    verge: PathBuf,
    build: &'static [&'static str],
}

impl Shop {
    /// A shop in a subdirectory of `parent`, managed with the binary `verge`.
    pub fn new(source: Source, parent: &Path, verge: PathBuf) -> Self {
        let name = match &source {
            Source::Generated(items) => format!("generated-{items}"),
            Source::Files(logs) => {
                let names = logs.iter().map(|log| {
                    let file = log.file.file_name().unwrap_or_default().to_string_lossy();
                    format!("{}-{file}", log.format)
                });
                names.collect::<Vec<_>>().join("+")
            }
        };
        Self { source, dir: parent.join(name), verge, build: &["build"] }
    }

    /// The generated shop of the tests, with built snapshots. It is kept from one run to the next.
    ///
    /// # Errors
    /// `verge` does not compile, or a command of it fails.
    pub fn for_tests(steps: &Steps) -> Result<Self> {
        let verge = build_verge(steps, Profile::Debug)?;
        let shop = Self::new(Source::Generated(TEST_ITEMS), &root().join("target/test"), verge);
        shop.prepare(steps)?;
        Ok(shop)
    }

    /// Uses these arguments instead of `build` to build the snapshots.
    #[must_use]
    pub fn built_by(self, build: &'static [&'static str]) -> Self {
        Self { build, ..self }
    }

    /// The directory of its KV.
    pub fn kv_dir(&self) -> PathBuf {
        self.dir.join("kv")
    }

    /// The directory of its snapshots; file names are the keys in KV.
    pub fn snapshots(&self) -> PathBuf {
        self.data_dir().join("snapshots")
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn verge(&self, arguments: &[&str]) -> Command {
        self.verge_at(&self.data_dir(), arguments)
    }

    /// A `verge` command on another data directory.
    pub fn verge_at(&self, data_dir: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.verge);
        // Variables for production must not affect this.
        command.current_dir(&self.dir).env_remove("VERGE_CONFIG").env_remove("VERGE_KV_TOKEN");
        command.arg("--data-dir").arg(data_dir).args(arguments);
        command
    }

    /// Builds the snapshots, unless they exist already and neither the source nor the program has changed.
    ///
    /// # Errors
    /// A `verge` command fails.
    pub fn prepare(&self, steps: &Steps) -> Result<()> {
        let built_from = self.dir.join("made-from.txt");
        let fingerprint = self.fingerprint()?;
        if fs::read_to_string(&built_from).is_ok_and(|before| before == fingerprint) {
            steps.say("✓ snapshots (up to date)");
            return Ok(());
        }
        let data = self.data_dir();
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        }
        fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        match &self.source {
            Source::Files(logs) => {
                for log in logs {
                    let name = format!("import of {}", log.file.file_name().unwrap_or_default().display());
                    let mut command = self.verge(&["import", "--format", &log.format]);
                    let report = steps.run(&name, command.arg(&log.file))?;
                    print_indented(&report);
                }
            }
            Source::Generated(items) => {
                let sessions = items.saturating_mul(SESSIONS_PER_ITEM).to_string();
                let items = items.to_string();
                let arguments = ["generate", "--items", &items, "--sessions", &sessions, "--into-store"];
                steps.run(&format!("generated shop of {items} items"), &mut self.verge(&arguments))?;
            }
        }
        steps.run("tables and snapshots", &mut self.verge(self.build))?;
        fs::write(built_from, fingerprint)?;
        Ok(())
    }

    fn fingerprint(&self) -> Result<String> {
        let state = |file: &Path| -> Result<String> {
            let meta = fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
            let changed = meta.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
            Ok(format!("{} {} {changed}\n", file.display(), meta.len()))
        };
        let mut fingerprint = format!("{}{}\n", state(&self.verge)?, self.build.join(" "));
        match &self.source {
            Source::Generated(items) => fingerprint.push_str(&format!("generated {items}\n")),
            Source::Files(logs) => {
                for log in logs {
                    fingerprint.push_str(&format!("{} {}", log.format, state(&log.file)?));
                }
            }
        }
        Ok(fingerprint)
    }

    /// Publishes the snapshots to the KV of a running Worker.
    ///
    /// # Errors
    /// `verge publish` fails.
    pub fn publish(&self, steps: &Steps, dev: &Dev) -> Result<()> {
        let mut command = self.verge(&["publish", "--to", "kv", "--prune"]);
        command.env("VERGE_KV_BASE", dev.kv_api()).env("VERGE_KV_NAMESPACE", NAMESPACE);
        steps.run("publishing", &mut command).map(drop)
    }

    /// Starts the Worker on a port of 127.0.0.1 and publishes the snapshots to it.
    ///
    /// # Errors
    /// The Worker does not start, or publishing fails.
    pub fn serve(&self, steps: &Steps, port: u16) -> Result<Dev> {
        let log = steps.log("wrangler");
        let vars = [("MANIFEST_TTL_S", "1")];
        let mut dev =
            Dev::start(Options { port, persist_to: &self.kv_dir(), configs: &[], vars: &vars, log })?;
        dev.wait_until_ready(START_TIMEOUT)?;
        steps.say("✓ wrangler dev");
        self.publish(steps, &dev)?;
        Ok(dev)
    }

    /// The regions with a snapshot.
    pub fn regions(&self) -> Vec<String> {
        let entries = fs::read_dir(self.snapshots().join("manifest")).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

fn print_indented(text: &str) {
    for line in text.lines().map(|line| line.rsplit('\r').next().unwrap_or(line)) {
        println!("           {line}");
    }
}

/// Builds the binary `verge` and returns its path.
///
/// # Errors
/// It does not compile.
pub fn build_verge(steps: &Steps, profile: Profile) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--package", "origin", "--bin", "verge"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    steps.run("verge", &mut command)?;
    let folder = if profile == Profile::Release { "release" } else { "debug" };
    Ok(root().join("target").join(folder).join("verge"))
}

/// The cargo profile of a build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Optimised.
    Release,
    /// Quick to compile; the profile of the tests.
    Debug,
}
