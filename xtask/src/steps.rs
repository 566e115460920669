//! Steps of a longer command: what runs, how long it took, and on failure the end of its output.

use crate::process::{Running, stop_all};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Lines of a failed step's output that are shown from its beginning, and from its end.
const SHOWN_LINES: (usize, usize) = (20, 30);

/// Where steps report, and where they leave their output.
#[derive(Clone)]
pub struct Steps {
    logs: PathBuf,
    began: Instant,
}

impl Steps {
    /// Steps whose output goes to files in `logs`, which is made.
    ///
    /// # Errors
    /// When `logs` cannot be made.
    pub fn new(logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self { logs: logs.to_owned(), began: Instant::now() })
    }

    /// The time since the first step.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Prints one line with the time since the start before it.
    pub fn say(&self, text: &str) {
        println!("{:>6.1} s  {text}", self.elapsed().as_secs_f64());
    }

    /// The file that takes the output of the step `name`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{}.log", name.replace(' ', "-")))
    }

    /// Runs `command` to its end, reports how long it took, and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be started or fails; the message holds the end of its output.
    pub fn run(&self, name: &str, command: &mut Command) -> Result<String> {
        let log = self.log(name);
        let began = Instant::now();
        let status = {
            let mut running = Running::start(command, Some(&log)).with_context(|| name.to_owned())?;
            let mut next_sign = Duration::from_secs(30);
            loop {
                if let Some(status) = running.ended()? {
                    break status;
                }
                if began.elapsed() > next_sign {
                    next_sign += Duration::from_secs(30);
                    let last = last_lines(&log, 1);
                    self.say(&format!("… {name}: {}", last.trim()));
                }
                thread::sleep(Duration::from_millis(20));
            }
        };
        if !status.success() {
            bail!("{name} failed ({status}). Its output, from {}:\n{}", log.display(), excerpt(&log));
        }
        self.say(&format!("✓ {name} ({:.1} s)", began.elapsed().as_secs_f64()));
        Ok(fs::read_to_string(&log).unwrap_or_default())
    }
}

/// The lines of a file that have text; progress that was drawn over itself counts as one line.
fn lines(file: &Path) -> Vec<String> {
    let text = String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
    let shown = text.lines().filter_map(|line| line.rsplit('\r').find(|part| !part.trim().is_empty()));
    shown.map(str::to_owned).collect()
}

/// The last `count` lines of a file that have text.
pub fn last_lines(file: &Path, count: usize) -> String {
    let lines = lines(file);
    lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect::<Vec<_>>().join("\n")
}

/// The beginning and the end of a file: a tool may say what is wrong at either.
fn excerpt(file: &Path) -> String {
    let (first, last) = SHOWN_LINES;
    let mut lines = lines(file);
    if let Some(left_out) = lines.len().checked_sub(first + last).filter(|count| *count > 0) {
        lines.splice(first..first + left_out, [format!("… {left_out} lines …")]);
    }
    lines.join("\n")
}

/// Work that [`together`] does beside other work.
pub type Job<'a> = Box<dyn FnOnce() -> Result<()> + Send + 'a>;

/// Does all jobs at the same time. When one fails, the processes of the others are stopped.
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
