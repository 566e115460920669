//! `verge feed`: a feed of items into the catalogue.

use crate::{
    catalogue::feed::{self, Report},
    config::{Config, MAX_REMOVED},
    store::Store,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use origin_data::{fields::parse_currency, price::Decimal};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// Read a feed of items into the catalogue
#[derive(Debug, Args)]
pub struct FeedArgs {
    /// CSV, TSV, JSONL, Google Merchant XML, or the product export of Shopify or WooCommerce; plain, gzip or zstd; - for
    /// standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The feed names every item: remove the others
    #[arg(long)]
    full: bool,

    /// Show what would change; store nothing
    #[arg(long)]
    dry_run: bool,

    /// The largest share of the catalogue that a full feed may remove
    #[arg(long, value_name = "SHARE", default_value_t = MAX_REMOVED)]
    max_removed: f64,

    /// The decimal sign, "." or ",", of prices that can be two numbers
    #[arg(long, value_name = "SIGN")]
    decimal: Option<Decimal>,

    /// ISO 4217 code of prices that name none
    #[arg(long, value_parser = parse_currency)]
    currency: Option<String>,

    /// The column that holds the ids, where it is not `id`
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
}

impl FeedArgs {
    /// The command's name for the audit log, unless it stores nothing.
    pub fn audited(&self) -> Option<(&'static str, Option<String>)> {
        (!self.dry_run).then_some(("verge feed", None))
    }
}

/// Runs `verge feed`.
///
/// # Errors
/// The feed cannot be read, was cut, has no items or would remove too many; the store cannot be written.
pub fn run(args: &FeedArgs, config: &Config) -> Result<()> {
    if !(0.0..=1.0).contains(&args.max_removed) {
        bail!("--max-removed is {}, expected a share from 0 to 1", args.max_removed);
    }
    let file = open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let mut store = Store::open(&config.data_dir)?;
    let options = feed::Options {
        full: args.full,
        dry_run: args.dry_run,
        max_removed: args.max_removed,
        decimal: args.decimal,
        currency: args.currency.clone(),
        id: args.id.clone(),
    };
    let again = || -> Result<Box<dyn Read>> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        Ok(Box::new(file))
    };
    let report: Report = feed::take(&mut store, again, &options)?;
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &report)?;
    writeln!(out)?;
    match report.problem {
        Some(problem) => bail!("the feed failed: {problem}"),
        None => Ok(()),
    }
}

/// A file that can be read twice.
fn open(path: &Path) -> io::Result<File> {
    if path != Path::new("-") {
        return File::open(path);
    }
    let mut file = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    Ok(file)
}
