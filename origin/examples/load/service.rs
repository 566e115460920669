//! The service under load.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const CONFIG: &str = "[serve]\nrequests_per_second = 0\n[log]\nfsync = \"always\"\n";
/// Ticks per second of CPU times in /proc.
const TICKS: f64 = 100.0;

/// A running `verge serve` with an empty data directory, killed on drop.
pub struct Service {
    child: Child,
    dir: PathBuf,
    /// Its address.
    pub address: String,
    /// An API key for events.
    pub key: String,
}

impl Service {
    /// Starts it in `dir`, after emptying it.
    pub fn start(verge: &Path, dir: &Path) -> Result<Self> {
        let dir = dir.join("service");
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("verge.toml"), CONFIG)?;
        let command = |arguments: &[&str]| {
            let mut command = Command::new(verge);
            command.current_dir(&dir).args(arguments).stdin(Stdio::null());
            command
        };
        let output = command(&["keys", "add", "load", "--role", "events"]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let key = String::from_utf8(output.stdout)?.trim().to_owned();
        let mut child = command(&["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no output")?).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(&line).ok()?;
            Some(entry["address"].as_str()?.to_owned())
        });
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let address = address.context("the service did not start")?;
        Ok(Self { child, dir, address, key })
    }

    /// The directory of its event log.
    pub fn log(&self) -> PathBuf {
        origin_log::dir(&self.dir.join("verge-data"))
    }

    /// CPU time used.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().context("no fields")?.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok());
        Ok((ticks(11).context("utime")? + ticks(12).context("stime")?) / TICKS)
    }

    /// Resident memory.
    pub fn resident_mib(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Peak resident memory.
    pub fn peak_mib(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? >> 10)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
