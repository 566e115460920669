//! `verge generate`: a demo shop's catalogue and log.

use crate::{
    config::Config,
    generate::{ShopOptions, write, write_into_store},
    store::Store,
};
use anyhow::{Context, Result};
use clap::Args;
use origin_data::fields::parse_time;
use snapshots::time::Timestamp;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Instant,
};

const EXPLAINED: &str = "\
The shop has 12 departments, two levels of categories, makers, collections and prices in GBP. Items are
wanted by Zipf's law and differently from country to country; some are new, some are sold out. Visitors
from 12 countries come back, look at similar items and at items that go together, put some into the cart
and buy some of these. The same options give the same bytes.

EXAMPLES
  verge generate --items 10000 --sessions 100000 --into-store
  verge generate --items 500 --sessions 2000 --seed 7 | head
  verge generate --items 1000000 --sessions 10000000 -o big.jsonl";

/// Make a shop up: its catalogue and the log of its visits
#[derive(Debug, Args)]
#[command(after_long_help = EXPLAINED)]
pub struct GenerateArgs {
    /// Items in the catalogue
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    items: u32,

    /// Visits, of eight events each on average
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    sessions: u64,

    /// Another seed is another shop
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Days that the log covers
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,

    /// When the last visit begins at the latest
    #[arg(long, value_parser = parse_time, default_value = "2025-01-01T00:00:00Z", value_name = "RFC3339")]
    until: Timestamp,

    /// Where the jsonl goes, items first, then events; - is standard output
    #[arg(short, long, default_value = "-", value_name = "FILE", conflicts_with = "into_store")]
    output: PathBuf,

    /// Straight into the store instead
    #[arg(long)]
    into_store: bool,
}

impl GenerateArgs {
    pub(crate) fn options(&self) -> ShopOptions {
        let &Self { items, sessions, seed, days, until, .. } = self;
        ShopOptions { items, sessions, seed, days, until }
    }
}

/// Runs `verge generate`.
///
/// # Errors
/// The output or the store cannot be written.
pub fn run(args: &GenerateArgs, config: &Config) -> Result<()> {
    let started = Instant::now();
    let options = args.options();
    let events = if args.into_store {
        write_into_store(&options, &mut Store::open(&config.data_dir)?)?
    } else if args.output == Path::new("-") {
        write(&options, io::stdout().lock()).context("cannot write to standard output")?
    } else {
        let create = || write(&options, File::create(&args.output)?);
        create().with_context(|| format!("cannot write {}", args.output.display()))?
    };
    let seconds = started.elapsed().as_secs_f64();
    let rate = events as f64 / seconds.max(0.001);
    eprintln!(
        "{} items, {} visits, {events} events in {seconds:.1} s ({rate:.0} events/s)",
        args.items, args.sessions
    );
    Ok(())
}
