//! The progress of an import: a bar on a terminal, otherwise a line from time to time.

use crate::import::report::grouped;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two lines without a terminal.
const EVERY: Duration = Duration::from_secs(5);

/// Progress through one log, on standard error.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    name: String,
    size: Option<u64>,
    started: Instant,
    told: Instant,
}

impl Progress {
    /// Starts with a log of `size` bytes.
    pub(super) fn new(name: String, size: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template = match size {
                Some(_) => "{prefix} {wide_bar} {percent:>3} % · {msg} · {eta} left",
                None => "{prefix} {spinner} {msg}",
            };
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(size.unwrap_or(0)).with_style(style).with_prefix(name.clone())
        });
        let now = Instant::now();
        Self { bar, name, size, started: now, told: now }
    }

    /// Updates the position: bytes of the file, rows.
    pub(super) fn at(&mut self, bytes: u64, rows: u64) {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = rows as f64 / seconds.max(0.001);
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} rows · {}/s", grouped(rows), grouped(rate as u64)));
            bar.set_position(bytes);
            return;
        }
        if self.told.elapsed() < EVERY {
            return;
        }
        self.told = Instant::now();
        let share = self.size.filter(|size| *size > 0).map(|size| bytes as f64 / size as f64);
        let percent = share.map(|share| format!(" {:.0} %,", share * 100.0)).unwrap_or_default();
        let left = share.filter(|share| *share > 0.0).map(|share| seconds * (1.0 - share) / share);
        let left = left.map(|left| format!(", {left:.0} s left")).unwrap_or_default();
        eprintln!("{}:{percent} {} rows, {} rows/s{left}", self.name, grouped(rows), grouped(rate as u64));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
