//! From lines to the store, the same for every format.

use crate::import::progress::Progress;
use crate::import::rejects::{Folder, Rejects};
use crate::import::report::Report;
use crate::import::{Importer, Parsed, Row};
use crate::store::Store;
use anyhow::{Context, Result, bail};
use origin_data::fields::Reject;
use origin_data::input::{Input, Line, text};
use snapshots::event::{Event, MAX_AHEAD_MS};
use snapshots::time::Timestamp;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Events that are made durable together: enough that committing costs nothing, few enough to be no burden.
const BATCH: usize = 50_000;

/// What holds for all files of a run.
pub struct Defaults {
    /// Name of the format.
    pub format: &'static str,
    /// Area of events without one.
    pub area: Option<String>,
    /// Currency of prices without one.
    pub currency: Option<String>,
    /// Later events are refused.
    pub now: Timestamp,
}

/// Imports `files` in order.
pub fn run(
    files: &[PathBuf],
    importer: &mut dyn Importer,
    defaults: &Defaults,
    store: &mut Store,
    mut rejects: Folder,
) -> Result<Report> {
    let started = Instant::now();
    let mut report = Report::new(defaults.format);
    for path in files {
        let mut run = FileRun {
            name: path.display().to_string(),
            rejects: rejects.file_for(path)?,
            importer,
            defaults,
            store,
            report: &mut report,
            source: String::new(),
            events: Vec::new(),
            ends: Vec::new(),
        };
        run.run(path)?;
        let file = run.rejects.finish()?;
        report.rejects.extend(file);
    }
    let mut items = importer.items();
    for item in items.iter_mut().filter(|item| item.price.is_some() && item.currency.is_none()) {
        item.currency.clone_from(&defaults.currency);
    }
    report.notes = importer.notes();
    let changed = store.upsert_items(&items)?;
    report.finish(changed, store.totals()?, started.elapsed());
    if !report.adds_up() {
        bail!("not every row is accounted for, please report this:\n{report}");
    }
    Ok(report)
}

struct FileRun<'a> {
    name: String,
    rejects: Rejects,
    importer: &'a mut dyn Importer,
    defaults: &'a Defaults,
    store: &'a mut Store,
    report: &'a mut Report,
    source: String,
    /// Events of rows that are not stored yet, and where each row's events end.
    events: Vec<Event>,
    ends: Vec<usize>,
}

impl FileRun<'_> {
    fn run(&mut self, path: &Path) -> Result<()> {
        let mut input = Input::open(path)?;
        let mut progress = Progress::new(short_name(path), input.size);
        let mut buffer = Vec::new();
        let mut number = 0;
        let mut started = false;
        loop {
            let found = match input.next_line(&mut buffer) {
                Ok(found) => found,
                Err(error) => {
                    self.store_rows()?;
                    return Err(error).with_context(|| {
                        format!(
                            "{}: damaged after line {number}; what came before is stored, mend the file and \
                             import it again",
                            self.name
                        )
                    });
                }
            };
            number += 1;
            let text = text(&buffer);
            match found {
                Line::End => break,
                Line::Full if text.trim().is_empty() => continue,
                Line::Full => {
                    let header = !started && self.start(&text)?;
                    started = true;
                    if !header {
                        // Not sooner: a header alone does not tell one log from another.
                        if self.source.is_empty() {
                            self.source = self.store.source(self.defaults.format, &input.prefix)?;
                        }
                        self.row(number, &text)?;
                    }
                }
                Line::TooLong => {
                    self.report.rows += 1;
                    self.reject(number, &text, &Reject::new("line too long", "more than 4 MiB"))?;
                }
            }
            if number % 4096 == 0 {
                progress.at(input.position(), number);
            }
            if self.events.len() >= BATCH {
                self.store_rows()?;
            }
        }
        self.store_rows()
    }

    fn start(&mut self, first: &str) -> Result<bool> {
        self.importer.start_file(first).with_context(|| format!("{}:1", self.name))
    }

    fn row(&mut self, line: u64, text: &str) -> Result<()> {
        self.report.rows += 1;
        let before = self.events.len();
        let row = Row { source: &self.source, line, text };
        let parsed = self.importer.row(row, &mut self.events);
        let checked = parsed.and_then(|parsed| {
            self.events[before..].iter_mut().try_for_each(|event| complete(event, self.defaults))?;
            Ok(parsed)
        });
        match checked {
            Ok(Parsed::Events) => {
                for (position, event) in self.events[before..].iter_mut().enumerate() {
                    if event.id.is_empty() {
                        name(event, &self.source, line, position);
                    }
                }
                self.report.saw(&self.events[before..]);
                self.ends.push(self.events.len());
                Ok(())
            }
            Ok(Parsed::Catalogue) => {
                self.report.catalogue += 1;
                Ok(())
            }
            Err(reject) => {
                self.events.truncate(before);
                self.reject(line, text, &reject)
            }
        }
    }

    fn reject(&mut self, line: u64, text: &str, reject: &Reject) -> Result<()> {
        self.report.reject(reject, &self.name, line, text);
        self.rejects.add(line, &format!("{}: {}", reject.reason, reject.detail), text)
    }

    fn store_rows(&mut self) -> Result<()> {
        let writer = self.store.writer()?;
        let (mut new_rows, mut new_events, mut start) = (0, 0, 0);
        for &end in &self.ends {
            let new = self.events[start..end].iter().filter(|event| writer.add(event)).count() as u64;
            new_rows += u64::from(new > 0);
            new_events += new;
            start = end;
        }
        writer.commit()?;
        self.report.imported += new_rows;
        self.report.already_there += self.ends.len() as u64 - new_rows;
        self.report.events_new += new_events;
        self.events.clear();
        self.ends.clear();
        Ok(())
    }
}

/// The file's own name, which leaves room for the bar.
fn short_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Ids of a source rise with its lines, so that the store's index grows at its end.
fn name(event: &mut Event, source: &str, line: u64, position: usize) {
    event.id.reserve(source.len() + 14);
    // Writing to a String does not fail.
    let _ = write!(event.id, "{source}-{line:010}");
    if position > 0 {
        let _ = write!(event.id, ".{position:04}");
    }
}

/// Fills in the defaults, and refuses times that cannot be.
fn complete(event: &mut Event, defaults: &Defaults) -> Result<(), Reject> {
    if event.at.0 < 0 {
        return Err(Reject::new("bad date", format!("{} is before 1970", event.at)));
    }
    if event.at.0 > defaults.now.0.saturating_add(MAX_AHEAD_MS) {
        return Err(Reject::new("in the future", format!("{}; it is {} now", event.at, defaults.now)));
    }
    if event.region.is_none() {
        event.region.clone_from(&defaults.area);
    }
    if event.currency.is_none() && event.price.is_some() {
        event.currency.clone_from(&defaults.currency);
    }
    Ok(())
}
