//! `verge import`: a shop's log into the store.
//!
//! A log is read line by line and never held whole. Every format is one small module that turns a line into
//! events, an addition to the catalogue, or a [`Reject`]; all else is shared: decompression ([`input`]),
//! transactions and identity ([`pipeline`]), accounting ([`report`]).
//!
//! **Importing twice.** An event without an id of its own is named by its source and line. A source is known
//! by how its content begins (its first KiB), not by the file's name: the same file again, moved, compressed
//! otherwise, or grown by lines at its end, adds only what is new. An import that was interrupted is completed
//! by running it again. A file whose *earlier* lines were changed is another matter: import it into a new
//! store.

mod alibaba;
mod countries;
pub(crate) mod fields;
pub(crate) mod input;
mod jsonl;
mod online_retail;
mod pipeline;
mod progress;
mod rees46;
mod rejects;
mod report;
mod retailrocket;
mod sessions;

use crate::config::Config;
use crate::store::{Item, Store};
use anyhow::Result;
use clap::{Args, ValueEnum};
use snapshots::event::{Event, Kind, MAX_FIELD, MAX_ITEM_ID, is_printable};
use snapshots::time::Timestamp;
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

const FORMATS: &str = "\
FORMATS
  online-retail  InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
                 (UCI Online Retail I and II). Every line is a purchase, an invoice a session. Rejected:
                   return         invoice C…, or a quantity below 1
                   adjustment     invoice A… (bad debt)
                   not a product  a code other than 5 digits and letters, or DCGS…: postage, carriage,
                                  manual lines, samples, discounts, bank and marketplace fees, vouchers
                   no price       unit price 0: stock corrections
                 Lines without customer are kept: a basket is a basket. 85123a is 85123A. Of several
                 descriptions of a code the most frequent is its name, of several prices the median is
                 its price. Currency GBP; times are taken as UTC; categories: the file has none.
  rees46         event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
                 remove_from_cart is rejected: it takes back an interest, which no table can hold.
  retailrocket   events.csv, item_properties*.csv and category_tree.csv, told apart by their headers; give
                 all of them in one command. Visits are cut at 30 minutes of silence when learning.
  alibaba        tab separated: user item kind(1 click, 2 collect, 3 cart, 4 buy) yyyymmdd, and
                 item top-category category brand price. Days, no times: a visitor's day is a session.
  sessions       one session a line, item ids separated by white space, oldest first. There are no times in
                 it: sessions are set --every seconds apart from --since on, clicks a second apart.
  jsonl          one event a line, as POST /v1/events takes them but of any age, or one item a line:
                   {\"id\":\"e1\",\"kind\":\"view\",\"item\":\"85123A\",\"visitor\":\"v1\",\"at\":\"2026-11-20T10:15:30Z\"}
                   {\"id\":\"85123A\",\"name\":\"Heart holder\",\"category\":\"Home > Candles\",\"price\":2.55}

FILES are plain, gzip or zstd, told by their content; - is standard input. Lines are UTF-8, else taken as
Latin-1. A quoted field must end on its line.

IMPORTING TWICE changes nothing: the same file again, also one that has grown at its end, adds only what is
new, and an interrupted import is completed by repeating it.

REJECTED lines are counted by reason and all kept as they are, visitors' ids included, in
DATA_DIR/rejects/NAME.csv (line, reason, row).

VISITORS and sessions go into the store as keyed hashes only.

EXAMPLES
  verge import --format online-retail online_retail.csv.zst
  verge import --format rees46 --area us --currency USD 2019-Oct.csv.gz 2019-Nov.csv.gz
  verge generate --items 1000 --sessions 10000 | verge import --format jsonl -";

/// Read a shop's log into the store
#[derive(Debug, Args)]
#[command(after_long_help = FORMATS)]
pub struct ImportArgs {
    /// What the files hold
    #[arg(long, value_enum)]
    format: Format,

    /// Logs, plain or compressed; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Country code or region of events that name none
    #[arg(long, value_parser = parse_area)]
    area: Option<String>,

    /// ISO 4217 code of prices that name none
    #[arg(long, value_parser = parse_currency)]
    currency: Option<String>,

    /// sessions: time of the first session
    #[arg(long, value_parser = parse_time, default_value = "2024-01-01T00:00:00Z", value_name = "RFC3339")]
    since: Timestamp,

    /// sessions: seconds from one session to the next
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,

    /// Report as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// A log's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
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
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::OnlineRetail => "online-retail",
            Self::Rees46 => "rees46",
            Self::Retailrocket => "retailrocket",
            Self::Alibaba => "alibaba",
            Self::Sessions => "sessions",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Why a line was not taken: a reason to count by, and what was wrong in this line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    reason: &'static str,
    detail: String,
}

impl Reject {
    fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// A line of a log and where it stands.
#[derive(Clone, Copy, Debug)]
struct Row<'a> {
    /// Short name of the source, the same at every import of it.
    source: &'a str,
    /// From 1.
    line: u64,
    /// Without the line's end.
    text: &'a str,
}

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parsed {
    /// One event or more, which were pushed.
    Events,
    /// Something about items, kept until [`Importer::items`].
    Catalogue,
}

/// One format. An importer sees all lines of all files of a run, in order.
trait Importer {
    /// Told the first line of each file; whether it is a header and so no row.
    ///
    /// # Errors
    /// The file is not of this format; what was expected instead.
    fn start_file(&mut self, first: &str) -> Result<bool> {
        let _ = first;
        Ok(false)
    }

    /// Reads a line. Events with an empty id are named by the caller; all of a refused line are dropped.
    fn row(&mut self, row: Row<'_>, events: &mut Vec<Event>) -> Result<Parsed, Reject>;

    /// The items of all lines read.
    fn items(&mut self) -> Vec<Item>;
}

fn importer(args: &ImportArgs) -> Box<dyn Importer> {
    match args.format {
        Format::OnlineRetail => Box::new(online_retail::OnlineRetail::default()),
        Format::Rees46 => Box::new(rees46::Rees46::default()),
        Format::Retailrocket => Box::new(retailrocket::RetailRocket::default()),
        Format::Alibaba => Box::new(alibaba::Alibaba::default()),
        Format::Sessions => Box::new(sessions::Sessions::new(args.since, args.every)),
        Format::Jsonl => Box::new(jsonl::Jsonl::new(now())),
    }
}

/// Runs `verge import`.
///
/// # Errors
/// A file that cannot be read or is damaged, a store that cannot be written. What was read before stays
/// stored; repeating the import adds the rest.
pub fn run(args: &ImportArgs, config: &Config) -> Result<()> {
    let mut store = Store::open(&config.data_dir)?;
    let mut importer = importer(args);
    let defaults = pipeline::Defaults {
        format: args.format.name(),
        area: args.area.clone(),
        currency: args.currency.clone(),
        now: now(),
    };
    let rejects = rejects::Folder::open(&config.data_dir)?;
    let report = pipeline::run(&args.files, &mut *importer, &defaults, &mut store, rejects)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
}

fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "expected RFC 3339, such as 2026-11-20T10:15:30Z".to_owned())
}

fn parse_area(text: &str) -> Result<String, String> {
    match text.trim().to_lowercase() {
        area if is_printable(&area, MAX_FIELD) => Ok(area),
        _ => Err("expected a country code or a region's name, such as gb".to_owned()),
    }
}

pub(crate) fn parse_currency(text: &str) -> Result<String, String> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Ok(text.to_ascii_uppercase());
    }
    Err("expected an ISO 4217 code, such as GBP".to_owned())
}

/// An event with nothing but the necessary; the caller of [`Importer::row`] supplies the id.
fn event(kind: Kind, item: &str, at: Timestamp) -> Result<Event, Reject> {
    Ok(Event {
        id: String::new(),
        kind,
        item: item_id(item)?.to_owned(),
        visitor: None,
        session: None,
        at,
        quantity: None,
        price: None,
        currency: None,
        region: None,
        placement: None,
        request: None,
    })
}

fn item_id(text: &str) -> Result<&str, Reject> {
    if is_printable(text, MAX_ITEM_ID) {
        return Ok(text);
    }
    Err(Reject::new("bad item id", format!("expected 1 to {MAX_ITEM_ID} printable bytes")))
}

/// What is known of each item so far, the latest last.
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
