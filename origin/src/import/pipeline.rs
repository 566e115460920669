//! From lines to the store, the same for every format.

use crate::import::progress::Progress;
use crate::import::rejects::{Folder, Rejects};
use crate::import::report::Report;
use crate::import::table::{self, Columns, Habits, Source};
use crate::import::{Batch, Importer, Parsed, Reading, Row, Watched};
use crate::store::Store;
use anyhow::{Context, Result, bail};
use origin_data::encoding::text;
use origin_data::fields::{Reject, shown};
use origin_data::input::{Input, Line};
use origin_data::price::Decimal;
use origin_data::records::{self, Fields, Found, Records, Splitter};
use origin_data::times::DateOrder;
use snapshots::event::{Event, MAX_AHEAD_MS};
use snapshots::time::Timestamp;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Events in a commit: enough that its cost does not matter, few enough for memory.
const BATCH: usize = 50_000;

/// Most rows that a dry run shows.
const SHOWN: usize = 10;

/// Options for all files of a run.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Name of the format.
    pub format: &'static str,
    /// Area of events without one.
    pub area: Option<String>,
    /// Currency of prices without one.
    pub currency: Option<String>,
    /// Later events are rejected.
    pub now: Timestamp,
    /// The order of day and month, if it is given.
    pub dates: Option<DateOrder>,
    /// The decimal sign of numbers with two readings that the file does not decide.
    pub decimal: Option<Decimal>,
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
        let name = path.display().to_string();
        let kept = Kept::Stored { store: &mut *store, rejects: Box::new(rejects.file_for(path)?) };
        let mut run = FileRun::new(name, importer, defaults, kept, &mut report);
        run.run(path)?;
        if let Kept::Stored { rejects, .. } = run.kept {
            report.rejects.extend(rejects.finish()?);
        }
    }
    let mut items = importer.items();
    for item in items.iter_mut().filter(|item| item.price.is_some() && item.currency.is_none()) {
        item.currency.clone_from(&defaults.currency);
    }
    report.notes.extend(importer.notes());
    let changed = store.upsert_items(&items)?;
    report.finish(changed, store.totals()?, started.elapsed());
    if !report.adds_up() {
        bail!("not every row is accounted for, please report this:\n{report}");
    }
    Ok(report)
}

/// The first rows of the files, as they are understood; nothing is stored.
///
/// # Errors
/// A file cannot be read or is of another format.
pub fn preview(
    files: &[PathBuf],
    importer: &mut dyn Importer,
    defaults: &Defaults,
) -> Result<(Vec<String>, Report)> {
    let mut report = Report::new(defaults.format);
    let mut lines = Vec::new();
    for path in files {
        let kept = Kept::Shown(Vec::new());
        let mut run = FileRun::new(path.display().to_string(), importer, defaults, kept, &mut report);
        run.run(path)?;
        let FileRun { kept, name, .. } = run;
        if let Kept::Shown(shown) = kept {
            lines.extend(shown.into_iter().map(|line| format!("{name}:{line}")));
        }
    }
    report.notes.extend(importer.notes());
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    for item in importer.items() {
        lines.push(format!("item: {}", serde_json::to_string(&item)?));
    }
    Ok((lines, report))
}

/// Where the rows of a file go.
enum Kept<'a> {
    Stored {
        store: &'a mut Store,
        rejects: Box<Rejects>,
    },
    /// A dry run: the first rows are shown.
    Shown(Vec<String>),
}

struct FileRun<'a> {
    name: String,
    importer: &'a mut dyn Importer,
    defaults: &'a Defaults,
    kept: Kept<'a>,
    report: &'a mut Report,
    source: String,
    /// Events of rows that are not stored yet, and where each row's events end.
    batch: Batch<'a>,
    ends: Vec<usize>,
}

impl<'a> FileRun<'a> {
    fn new(
        name: String,
        importer: &'a mut dyn Importer,
        defaults: &'a Defaults,
        kept: Kept<'a>,
        report: &'a mut Report,
    ) -> Self {
        Self {
            name,
            importer,
            defaults,
            kept,
            report,
            source: String::new(),
            batch: Batch::new(defaults),
            ends: Vec::new(),
        }
    }

    fn run(&mut self, path: &Path) -> Result<()> {
        let is_table = !self.importer.names().is_empty();
        let source = Source::new(path, is_table)?;
        if is_table { self.table(path, &source) } else { self.lines(path, &source) }
    }

    /// Imports a file of a format that is read by lines.
    fn lines(&mut self, path: &Path, source: &Source) -> Result<()> {
        let mut input = source.open()?;
        let mut progress = Progress::new(short_name(path), input.size);
        let (mut buffer, mut number) = (Vec::new(), 0);
        loop {
            let found = input.next_line(&mut buffer);
            let found = self.undamaged(found, number)?;
            number += 1;
            let text = text(&buffer);
            match found {
                Line::End => break,
                Line::Full if text.trim().is_empty() => continue,
                Line::Full => {
                    if self.source.is_empty() {
                        self.check_format(&text)?;
                        self.name_source(&input)?;
                    }
                    self.row(number, &text, Fields::NONE, Reading::default())?;
                }
                Line::TooLong => {
                    self.report.rows += 1;
                    self.reject(number, &text, &Reject::new("line too long", "more than 4 MiB"))?;
                }
            }
            if self.go_on(&mut progress, &input, number)? {
                break;
            }
        }
        self.store_rows()
    }

    /// Imports a table.
    fn table(&mut self, path: &Path, source: &Source) -> Result<()> {
        let mut input = source.open()?;
        let mut progress = Progress::new(short_name(path), input.size);
        let first = records::first_line(&mut input);
        let Some((header, number, named)) = self.undamaged(first, 0)? else { return Ok(()) };
        let names: Vec<String> = self.importer.names().iter().map(|name| (*name).to_owned()).collect();
        let known = |name: &str| names.contains(&table::plain(name));
        let delimiter = named.unwrap_or_else(|| records::delimiter_of(&header, known));
        let mut splitter = Splitter::new(delimiter);
        let columns = Columns::new(&splitter.split(&header));
        let place = format!("{}:{number}", self.name);
        let watched = match self.importer.header(&columns) {
            Ok(watched) => watched.unwrap_or_default(),
            Err(error) => {
                self.check_format(&header)?;
                return Err(error).context(place);
            }
        };
        let width = columns.len();
        let mut records = Records::new(input, delimiter, number);
        let (mut record, mut habits, mut line) = (String::new(), Habits::default(), number);
        loop {
            let found = records.next(&mut record);
            let found = self.undamaged(found, line)?;
            let bad = match found {
                Found::End => break,
                Found::Record(at) => {
                    line = at;
                    None
                }
                Found::Bad(at, error) => {
                    line = at;
                    Some(error)
                }
                Found::Cut(at) => {
                    line = at;
                    Some("a quoted field does not end")
                }
            };
            // Not before: sources with the same header differ in their rows only.
            if self.source.is_empty() {
                self.name_source(records.input())?;
            }
            let fields = splitter.split(&record);
            if let Some(error) = bad {
                self.report.rows += 1;
                self.reject(line, &record, &Reject::new("bad quotes", error))?;
            } else if fields.len() != width {
                self.report.rows += 1;
                let detail = format!("{} fields where the header has {width}", fields.len());
                self.reject(line, &record, &Reject::new("wrong columns", detail))?;
            } else {
                let reading = self.reading(&mut habits, &fields, watched, source, delimiter)?;
                self.row(line, &record, fields, reading)?;
            }
            if self.go_on(&mut progress, records.input(), line)? {
                break;
            }
        }
        self.store_rows()
    }

    fn reading(
        &mut self,
        habits: &mut Habits,
        fields: &Fields<'_>,
        watched: Watched,
        source: &Source,
        delimiter: u8,
    ) -> Result<Reading> {
        let mut told = Vec::new();
        let survey = || table::survey(source, delimiter, watched, self.defaults.dates, &mut told);
        let mut reading = habits.reading(fields, watched, survey).with_context(|| self.name.clone())?;
        reading.decimal = reading.decimal.or(self.defaults.decimal);
        self.report.notes.extend(told.into_iter().map(|note| format!("{}: {note}", self.name)));
        Ok(reading)
    }

    /// Stores what was read before an input turned out to be damaged.
    fn undamaged<T>(&mut self, read: Result<T, impl Into<anyhow::Error>>, line: u64) -> Result<T> {
        match read {
            Ok(found) => Ok(found),
            Err(error) => {
                self.store_rows()?;
                Err(error.into()).with_context(|| {
                    format!(
                        "{}: damaged after line {line}; the rows before it are stored, repair the file and import it again",
                        self.name
                    )
                })
            }
        }
    }

    /// Fails if a file looks like another format than it is read as.
    fn check_format(&self, first: &str) -> Result<()> {
        match table::recognise(first) {
            Some(format) if format.name() != self.defaults.format => bail!(
                "{}:1: this looks like {name}; import it with --format {name}",
                self.name,
                name = format.name()
            ),
            _ => Ok(()),
        }
    }

    fn name_source(&mut self, input: &Input<'_>) -> Result<()> {
        self.source = match &mut self.kept {
            Kept::Stored { store, .. } => store.source(self.defaults.format, &input.prefix)?,
            Kept::Shown(_) => "dry-run".to_owned(),
        };
        Ok(())
    }

    /// Updates progress and stores a full batch after a row. Returns whether to stop.
    fn go_on(&mut self, progress: &mut Progress, input: &Input<'_>, number: u64) -> Result<bool> {
        if number.is_multiple_of(4096) {
            progress.at(input.position(), number);
        }
        if let Kept::Shown(shown) = &self.kept {
            return Ok(shown.len() >= SHOWN);
        }
        if self.batch.events.len() >= BATCH {
            self.store_rows()?;
        }
        Ok(false)
    }

    fn row(&mut self, line: u64, text: &str, fields: Fields<'_>, reading: Reading) -> Result<()> {
        self.report.rows += 1;
        let before = self.batch.events.len();
        let row = Row { source: &self.source, line, text, fields, reading };
        match self.importer.row(row, &mut self.batch) {
            Ok(Parsed::Events) => {
                for (position, event) in self.batch.events[before..].iter_mut().enumerate() {
                    if event.id.is_empty() {
                        name(event, &self.source, line, position);
                    }
                }
                self.report.saw(&self.batch.events[before..]);
                self.ends.push(self.batch.events.len());
                if let Kept::Shown(shown) = &mut self.kept {
                    for event in &self.batch.events[before..] {
                        shown.push(format!("{line}: {}", serde_json::to_string(event)?));
                    }
                }
                Ok(())
            }
            Ok(Parsed::Catalogue) => {
                self.report.catalogue += 1;
                if let Kept::Shown(shown) = &mut self.kept {
                    shown.push(format!("{line}: about an item"));
                }
                Ok(())
            }
            Err(reject) => {
                self.batch.events.truncate(before);
                self.reject(line, text, &reject)
            }
        }
    }

    fn reject(&mut self, line: u64, text: &str, reject: &Reject) -> Result<()> {
        self.report.reject(reject, &self.name, line, text);
        let reason = format!("{}: {}", reject.reason, reject.detail);
        match &mut self.kept {
            Kept::Stored { rejects, .. } => rejects.add(line, &reason, text),
            Kept::Shown(lines) => {
                lines.push(format!("{line}: rejected, {reason}: {}", shown(text)));
                Ok(())
            }
        }
    }

    fn store_rows(&mut self) -> Result<()> {
        let Kept::Stored { store, .. } = &mut self.kept else { return Ok(()) };
        let writer = store.writer()?;
        let (mut new_rows, mut new_events, mut start) = (0, 0, 0);
        for &end in &self.ends {
            let new = self.batch.events[start..end].iter().filter(|event| writer.add(event)).count() as u64;
            new_rows += u64::from(new > 0);
            new_events += new;
            start = end;
        }
        writer.commit()?;
        self.report.imported += new_rows;
        self.report.already_there += self.ends.len() as u64 - new_rows;
        self.report.events_new += new_events;
        self.batch.events.clear();
        self.ends.clear();
        Ok(())
    }
}

/// The name of the file without its folder, short enough for the progress bar.
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

/// Fills in the defaults, and rejects impossible times.
pub fn complete(event: &mut Event, defaults: &Defaults) -> Result<(), Reject> {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use origin_data::Item;

    /// The events of a table, and the reasons of rejected rows.
    pub(crate) fn read_table(importer: &mut dyn Importer, text: &str) -> (Vec<Event>, Vec<&'static str>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.csv");
        std::fs::write(&path, text).unwrap();
        let defaults = Defaults { now: Timestamp(1_800_000_000_000), format: "test", ..Defaults::default() };
        let source = Source::new(&path, true).unwrap();
        let mut input = source.open().unwrap();
        let (header, number, named) = records::first_line(&mut input).unwrap().unwrap();
        let names: Vec<String> = importer.names().iter().map(|name| (*name).to_owned()).collect();
        let delimiter = named
            .unwrap_or_else(|| records::delimiter_of(&header, |name| names.contains(&table::plain(name))));
        let mut splitter = Splitter::new(delimiter);
        let columns = Columns::new(&splitter.split(&header));
        let watched = importer.header(&columns).unwrap().unwrap();
        let (mut records, mut record) = (Records::new(input, delimiter, number), String::new());
        let (mut batch, mut refused, mut habits) = (Batch::new(&defaults), Vec::new(), Habits::default());
        while let Found::Record(line) = records.next(&mut record).unwrap() {
            let fields = splitter.split(&record);
            if fields.len() != columns.len() {
                refused.push("wrong columns");
                continue;
            }
            let survey = || table::survey(&source, delimiter, watched, None, &mut Vec::new());
            let reading = habits.reading(&fields, watched, survey).unwrap();
            if let Err(reject) =
                importer.row(Row { source: "s", line, text: &record, fields, reading }, &mut batch)
            {
                refused.push(reject.reason);
            }
        }
        (batch.events, refused)
    }

    /// The same, with the items of all of it.
    pub(crate) fn import_table(
        importer: &mut dyn Importer,
        text: &str,
    ) -> (Vec<Event>, Vec<&'static str>, Vec<Item>) {
        let (events, refused) = read_table(importer, text);
        (events, refused, importer.items())
    }
}
