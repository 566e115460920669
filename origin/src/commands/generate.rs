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

const LONG_HELP: &str = "\
The shop has 12 departments, two levels of categories, brands, collections and prices in GBP. The
popularity of items follows Zipf's law and differs by country; some items are new, some are out of
stock. Visitors from 12 countries return, view similar and complementary items, put some into the cart
and buy some of those. The same options give the same bytes.

EXAMPLES
  verge generate --items 10000 --sessions 100000 --into-store
  verge generate --items 500 --sessions 2000 --seed 7 | head
  verge generate --items 1000000 --sessions 10000000 -o big.jsonl";

/// Generate a demo shop: a catalogue and an event log
#[derive(Debug, Args)]
#[command(after_long_help = LONG_HELP)]
pub struct GenerateArgs {
    /// Items in the catalogue
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    items: u32,

    /// Sessions, with eight events each on average
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    sessions: u64,

    /// Random seed; each seed gives another shop
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Days that the log covers
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,

    /// Latest start of a session
    #[arg(long, value_parser = parse_time, default_value = "2025-01-01T00:00:00Z", value_name = "RFC3339")]
    until: Timestamp,

    /// File to write as JSONL, items first, then events; - is standard output
    #[arg(short, long, default_value = "-", value_name = "FILE", conflicts_with = "into_store")]
    output: PathBuf,

    /// Write into the store instead of a file
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
        "{} items, {} sessions, {events} events in {seconds:.1} s ({rate:.0} events/s)",
        args.items, args.sessions
    );
    Ok(())
}
