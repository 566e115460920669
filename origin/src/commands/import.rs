//! `verge import`: a shop's log into the store.

use crate::{
    config::Config,
    import::{Format, ImporterOptions, importer, mapped::Mapping, pipeline, rejects},
    store::Store,
};
use anyhow::{Result, bail};
use clap::Args;
use origin_data::{
    clock::now,
    fields::{parse_area, parse_currency, parse_time},
    price::Decimal,
    times::DateOrder,
};
use snapshots::time::Timestamp;
use std::{io::Write, path::PathBuf};

const FORMATS: &str = "\
FORMATS
  online-retail  InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
                 (UCI Online Retail I and II). Each line is a purchase, each invoice a session. Rejected:
                   return         invoice C…, or a quantity below 1
                   adjustment     invoice A… (bad debt)
                   not a product  a code other than 5 digits and letters, or DCGS…: postage, carriage,
                                  manual lines, samples, discounts, bank and marketplace fees, vouchers
                   no price       unit price 0: stock corrections
                 Lines without a customer are kept. 85123a is 85123A. The name of a product is the most
                 frequent description of its code, the price the median of its prices. The currency is
                 GBP; times are UTC; there are no categories.
  rees46         event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
                 remove_from_cart is rejected: learning has no events that take an interest back.
  retailrocket   events.csv, item_properties*.csv and category_tree.csv, recognized by their headers; give
                 all of them in one command. Learning ends visits after 30 minutes without events.
  alibaba        tab separated: user item kind(1 click, 2 collect, 3 cart, 4 buy) yyyymmdd, and
                 item top-category category brand price. There are no times: a visitor's day is a session.
  sessions       one session a line, item ids separated by white space, oldest first. There are no times:
                 sessions are set --every seconds apart from --since on, clicks a second apart.
  jsonl          one event a line, as for POST /v1/events but of any age, or one item a line:
                   {\"id\":\"e1\",\"kind\":\"view\",\"item\":\"85123A\",\"visitor\":\"v1\",\"at\":\"2026-11-20T10:15:30Z\"}
                   {\"id\":\"85123A\",\"name\":\"Heart holder\",\"category\":\"Home > Candles\",\"price\":2.55}
  csv            any table with a header. --map names the columns:
                   --map item=sku,at=timestamp,kind=action,visitor=user
                 Fields: item, at, kind, visitor, session, quantity, price, currency, area, id (of the
                 event), name, category, brand, image, url. FIELD='VALUE' sets a field for all rows, such
                 as kind='purchase'. Without at and kind, rows are items.

  parquet        the same as csv, for a Parquet file. Every format that is a table reads Parquet files, if verge was
                 built with the feature `parquet`. Structs, lists and maps in it are left out.

TABLES (online-retail, rees46, retailrocket, csv): columns are found by the header, in any order; others are
ignored. The delimiter is a comma, semicolon, tab or |. nan, NULL, None, \\N and empty fields are absent;
ids written as 101.0 are 101. Times: RFC 3339 with or without a zone (then UTC), RFC 2822, seconds,
milliseconds, microseconds or nanoseconds since 1970, and dates such as 1.12.2010, 1/12/2010 or 12/1/2010,
whose order of day and month all dates of the file decide, else --dates. Numbers with two readings such as
1.299 are decided by the currency, the other prices of the file, then --decimal, and are otherwise rejected.

FILES are plain, gzip or zstd, recognized by their content; - is standard input. Text is UTF-8, UTF-16, or
else windows-1252.

IMPORTING TWICE changes nothing: the same file again, also one that has grown at its end, adds only what is
new, and an interrupted import is completed by repeating it.

REJECTED rows are counted by reason and kept unchanged, with visitors' ids, in
DATA_DIR/rejects/NAME.csv (line, reason, row). Nothing is learned from them. A run that imports nothing ends
with an error.

VISITORS and sessions are stored as keyed hashes only.

EXAMPLES
  verge import --format online-retail online_retail.csv.zst
  verge import --format rees46 --area us --currency USD 2019-Oct.csv.gz 2019-Nov.csv.gz
  verge import --format csv --map item=sku,at=time,kind='purchase',visitor=customer --dry-run orders.csv
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

    /// csv: which column holds which field, as FIELD=COLUMN or FIELD='VALUE', with commas between
    #[arg(long, value_name = "FIELD=COLUMN,...", default_value = "", hide_default_value = true)]
    map: Mapping,

    /// The order of day and month in dates by number: dmy or mdy
    #[arg(long, value_name = "ORDER", value_parser = parse_order)]
    dates: Option<DateOrder>,

    /// The decimal sign, "." or ",", of prices and quantities that can be two numbers
    #[arg(long, value_name = "SIGN")]
    decimal: Option<Decimal>,

    /// Show the first ten rows of each file as they are understood; store nothing
    #[arg(long)]
    dry_run: bool,

    /// Report as JSON on standard output
    #[arg(long)]
    json: bool,
}

fn parse_order(text: &str) -> Result<DateOrder, String> {
    match text {
        "dmy" => Ok(DateOrder::DayFirst),
        "mdy" => Ok(DateOrder::MonthFirst),
        _ => Err("expected dmy or mdy".to_owned()),
    }
}

impl ImportArgs {
    /// The command's name for the audit log, unless it stores nothing.
    pub fn audited(&self) -> Option<(&'static str, Option<String>)> {
        (!self.dry_run).then_some(("verge import", None))
    }
}

/// Runs `verge import`.
///
/// # Errors
/// A file that cannot be read, is damaged, or is of another format, a store that cannot be written, or nothing that could
/// be imported. What was read before stays stored; repeating the import adds the rest.
pub fn run(args: &ImportArgs, config: &Config) -> Result<()> {
    if args.format != Format::Csv && !args.map.is_empty() {
        bail!("--map goes with --format csv only");
    }
    let options = ImporterOptions {
        since: args.since,
        every: args.every,
        now: now(),
        map: args.map.clone(),
        decimal: args.decimal,
    };
    let mut importer = importer(args.format, options);
    let defaults = pipeline::Defaults {
        format: args.format.name(),
        area: args.area.clone(),
        currency: args.currency.clone(),
        now: now(),
        dates: args.dates,
        decimal: args.decimal,
    };
    let mut out = std::io::stdout().lock();
    let report = if args.dry_run {
        let (lines, report) = pipeline::preview(&args.files, &mut *importer, &defaults)?;
        for line in lines {
            writeln!(out, "{line}")?;
        }
        if report.rows == report.rejected {
            bail!("no row was understood");
        }
        return Ok(());
    } else {
        let mut store = Store::open(&config.data_dir)?;
        let rejects = rejects::Folder::open(&config.data_dir)?;
        pipeline::run(&args.files, &mut *importer, &defaults, &mut store, rejects)?
    };
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    if report.rows == 0 {
        bail!("there is no row in {}", if args.files.len() == 1 { "the file" } else { "the files" });
    }
    if report.rejected == report.rows {
        bail!("no row was imported; the report says why");
    }
    Ok(())
}
