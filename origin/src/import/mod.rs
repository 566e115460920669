//! `verge import`: a shop's log into the store.
//!
//! A log is read row by row. Each format is a module that turns a row into events, an addition to the catalogue, or a
//! [`Reject`]. The rest is shared: decompression and encodings ([`origin_data::input`]),
//! delimiters, quotes and columns ([`table`]), transactions and identity ([`pipeline`]), accounting ([`report`]).
//!
//! **Importing twice.** The id of an event without one is made of its source and line. A source is identified by its
//! first KiB of content, not by the name of the file, so that the same file, also renamed, compressed or with lines
//! added at its end, adds only the new events. An interrupted import is completed by running it again. A file whose
//! *earlier* lines changed is another source: import it into a new store.

mod alibaba;
mod countries;
mod jsonl;
pub mod mapped;
mod online_retail;
mod parquet;
pub mod pipeline;
mod progress;
mod rees46;
pub mod rejects;
mod report;
mod retailrocket;
mod sessions;
mod table;

use anyhow::Result;
use clap::ValueEnum;
use origin_data::Item;
use origin_data::fields::{Reject, is_placeholder, shown};
use origin_data::price::Decimal;
use origin_data::records::Fields;
use origin_data::times::DateOrder;
use pipeline::Defaults;
use snapshots::event::{Event, Kind, MAX_ITEM_ID, is_printable};
use snapshots::time::Timestamp;
use std::collections::HashMap;
use table::Columns;

/// A log's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// UCI Online Retail: a gift shop's invoices
    OnlineRetail,
    /// REES46: a multi-category store's clicks, carts and purchases
    Rees46,
    /// RetailRocket: events, item properties and category tree
    Retailrocket,
    /// Alibaba: clicks, collects, carts, purchases by the day
    Alibaba,
    /// Item ids of a session a line
    Sessions,
    /// Verge's own events and items, one JSON object a line
    Jsonl,
    /// Any table with a header; --map names its columns
    #[value(alias = "parquet")]
    Csv,
}

impl Format {
    /// Its name in `--format`.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnlineRetail => "online-retail",
            Self::Rees46 => "rees46",
            Self::Retailrocket => "retailrocket",
            Self::Alibaba => "alibaba",
            Self::Sessions => "sessions",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// A row of a log and its position.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Short name of the source, the same at every import of it.
    pub source: &'a str,
    /// Number of its first line, from 1.
    pub line: u64,
    /// Without the line's end.
    pub text: &'a str,
    /// Of a table, its fields.
    pub fields: Fields<'a>,
    /// Of a table, how its file writes dates and prices.
    pub reading: Reading,
}

impl<'a> Row<'a> {
    /// Of a format that is read by lines.
    pub fn of_line(source: &'a str, line: u64, text: &'a str) -> Self {
        Self { source, line, text, fields: Fields::NONE, reading: Reading::default() }
    }
}

/// How a file writes dates and numbers that have two readings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// The order of day and month.
    pub dates: Option<DateOrder>,
    /// The decimal sign.
    pub decimal: Option<Decimal>,
}

/// The content of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// One event or more, which were added to the batch.
    Events,
    /// Data of items, kept until [`Importer::items`].
    Catalogue,
}

/// The events of rows that are not stored yet. An invalid event is rejected when it is pushed, before the importer
/// keeps anything of its row.
pub struct Batch<'a> {
    events: Vec<Event>,
    defaults: &'a Defaults,
}

impl<'a> Batch<'a> {
    /// An empty one.
    pub fn new(defaults: &'a Defaults) -> Self {
        Self { events: Vec::new(), defaults }
    }

    /// Adds an event, and completes it by the defaults.
    ///
    /// # Errors
    /// It is from before 1970 or from the future.
    pub fn push(&mut self, mut event: Event) -> Result<(), Reject> {
        pipeline::complete(&mut event, self.defaults)?;
        self.events.push(event);
        Ok(())
    }
}

/// The columns of a table that the pipeline reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched {
    /// Times: dates by number have an order that the whole file decides.
    pub time: Option<usize>,
    /// Prices: their decimal sign is that of the whole file.
    pub price: Option<usize>,
    /// The order of day and month if no date of the file shows it.
    pub default_order: Option<DateOrder>,
}

/// One format. An importer sees all rows of all files of a run, in order.
pub trait Importer {
    /// Receives the header of each file of a table, and returns the columns that the pipeline reads. `None` if the
    /// format is read by lines.
    ///
    /// # Errors
    /// The file is not of this format; the error says what was expected.
    fn header(&mut self, columns: &Columns) -> Result<Option<Watched>> {
        let _ = columns;
        Ok(None)
    }

    /// Names of columns, of letters and digits in lower case, by which the delimiter is found. Empty if the format is
    /// read by lines.
    fn names(&self) -> &[&str] {
        &[]
    }

    /// Reads a row. The caller sets ids that are empty. It drops the events of a rejected row, of which the importer
    /// must not have kept anything.
    fn row(&mut self, row: Row<'_>, events: &mut Batch<'_>) -> Result<Parsed, Reject>;

    /// The items of all rows read.
    fn items(&mut self) -> Vec<Item>;

    /// Notes for the report on accepted rows, such as fields that were left out.
    fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Options of importers.
#[derive(Clone, Debug, Default)]
pub struct ImporterOptions {
    /// `sessions`: time of the first session.
    pub since: Timestamp,
    /// `sessions`: seconds from one session to the next.
    pub every: u32,
    /// Later events are rejected.
    pub now: Timestamp,
    /// `csv`: the mapping of its columns.
    pub map: mapped::Mapping,
    /// The decimal sign of prices of items that can be two numbers.
    pub decimal: Option<Decimal>,
}

/// The importer of a format.
pub fn importer(format: Format, options: ImporterOptions) -> Box<dyn Importer> {
    match format {
        Format::OnlineRetail => Box::new(online_retail::OnlineRetail::default()),
        Format::Rees46 => Box::new(rees46::Rees46::default()),
        Format::Retailrocket => Box::new(retailrocket::RetailRocket::default()),
        Format::Alibaba => Box::new(alibaba::Alibaba::default()),
        Format::Sessions => Box::new(sessions::Sessions::new(options.since, options.every)),
        Format::Jsonl => Box::new(jsonl::Jsonl::new(options.now, options.decimal)),
        Format::Csv => Box::new(mapped::Mapped::new(options.map)),
    }
}

/// An event with the required fields only. The caller of [`Importer::row`] sets the id.
fn event(kind: Kind, item: &str, at: Timestamp) -> Result<Event, Reject> {
    Ok(Event::new(kind, item_id(item)?.to_owned(), at))
}

fn item_id(text: &str) -> Result<&str, Reject> {
    if is_placeholder(text) {
        return Err(Reject::new("bad item id", format!("'{}' is a placeholder, not an id", shown(text))));
    }
    if is_printable(text, MAX_ITEM_ID) {
        return Ok(text);
    }
    Err(Reject::new("bad item id", format!("expected 1 to {MAX_ITEM_ID} printable bytes")))
}

/// The latest known fields of each item.
#[derive(Default)]
struct Catalogue(HashMap<String, Item>);

impl Catalogue {
    fn update(&mut self, item: Item) {
        match self.0.get_mut(&item.id) {
            Some(known) => known.update(item),
            None => {
                self.0.insert(item.id.clone(), item);
            }
        }
    }

    fn take(&mut self) -> Vec<Item> {
        let mut items: Vec<_> = std::mem::take(&mut self.0).into_values().collect();
        items.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        items
    }
}
