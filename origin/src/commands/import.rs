//! `verge import`: a shop's log into the store.

use crate::{
    config::Config,
    import::{Format, ImporterOptions, importer, pipeline, rejects},
    store::Store,
};
use anyhow::Result;
use clap::Args;
use origin_data::{
    clock::now,
    fields::{parse_area, parse_currency, parse_time},
};
use snapshots::time::Timestamp;
use std::{io::Write, path::PathBuf};

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

/// Runs `verge import`.
///
/// # Errors
/// A file that cannot be read or is damaged, a store that cannot be written. What was read before stays
/// stored; repeating the import adds the rest.
pub fn run(args: &ImportArgs, config: &Config) -> Result<()> {
    let mut store = Store::open(&config.data_dir)?;
    let options = ImporterOptions { since: args.since, every: args.every, now: now() };
    let mut importer = importer(args.format, options);
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
