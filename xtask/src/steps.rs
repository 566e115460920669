//! Steps of a command: reports each step and its duration, and on failure an excerpt of its output.

use crate::process::{Running, stop_all};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Number of lines shown of a failed step's output, from its beginning and from its end.
const SHOWN_LINES: (usize, usize) = (20, 30);

/// The start time of a command and the directory of its steps' output.
#[derive(Clone)]
pub struct Steps {
    logs: PathBuf,
    started_at: Instant,
}

impl Steps {
    /// Steps whose output goes to files in the directory `logs`, which is created.
    ///
    /// # Errors
    /// `logs` cannot be created.
    pub fn new(logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs).with_context(|| format!("cannot create {}", logs.display()))?;
        Ok(Self { logs: logs.to_owned(), started_at: Instant::now() })
    }

    /// The time since the start of the command.
    pub fn elapsed(&self) -> Duration {
        self.started_at.elapsed()
    }

    /// Prints a line that begins with the time since the start.
    pub fn say(&self, text: &str) {
        println!("{:>6.1} s  {text}", self.elapsed().as_secs_f64());
    }

    /// The output file of the step `name`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{}.log", name.replace(' ', "-")))
    }

    /// Runs `command`, reports its duration and returns its output.
    ///
    /// # Errors
    /// It cannot be started or fails; the message contains an excerpt of its output.
    pub fn run(&self, name: &str, command: &mut Command) -> Result<String> {
        let log = self.log(name);
        let started_at = Instant::now();
        let status = {
            let mut running = Running::start(command, Some(&log)).with_context(|| name.to_owned())?;
            let mut next_report = Duration::from_secs(30);
            loop {
                if let Some(status) = running.exit_status()? {
                    break status;
                }
                if started_at.elapsed() > next_report {
                    next_report += Duration::from_secs(30);
                    let last = last_lines(&log, 1);
                    self.say(&format!("… {name}: {}", last.trim()));
                }
                thread::sleep(Duration::from_millis(20));
            }
        };
        if !status.success() {
            bail!("{name} failed ({status}). Its output, from {}:\n{}", log.display(), excerpt(&log));
        }
        self.say(&format!("✓ {name} ({:.1} s)", started_at.elapsed().as_secs_f64()));
        Ok(fs::read_to_string(&log).unwrap_or_default())
    }
}

/// The non-empty lines of a file. Of a progress line that overwrites itself with `\r`, only the last state.
fn lines(file: &Path) -> Vec<String> {
    let text = String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
    let shown = text.lines().filter_map(|line| line.rsplit('\r').find(|part| !part.trim().is_empty()));
    shown.map(str::to_owned).collect()
}

/// The last `count` non-empty lines of a file.
pub fn last_lines(file: &Path, count: usize) -> String {
    let lines = lines(file);
    lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect::<Vec<_>>().join("\n")
}

/// The beginning and the end of a file: tools report errors at either.
fn excerpt(file: &Path) -> String {
    let (first, last) = SHOWN_LINES;
    let mut lines = lines(file);
    if let Some(omitted) = lines.len().checked_sub(first + last).filter(|count| *count > 0) {
        lines.splice(first..first + omitted, [format!("… {omitted} lines …")]);
    }
    lines.join("\n")
}

/// A job of [`together`].
pub type Job<'a> = Box<dyn FnOnce() -> Result<()> + Send + 'a>;

/// Runs all jobs concurrently. If one fails, the processes of the others are stopped.
///
/// # Errors
/// The first failure.
pub fn together<const N: usize>(jobs: [Job<'_>; N]) -> Result<()> {
    thread::scope(|scope| {
        let (done, results) = mpsc::channel();
        for job in jobs {
            let done = done.clone();
            scope.spawn(move || done.send(job()));
        }
        drop(done);
        let mut first = Ok(());
        for result in results {
            if result.is_err() && first.is_ok() {
                first = result;
                stop_all();
            }
        }
        first
    })
}
