//! `verge generate`: a believable shop of any size, for demonstrations, tests and measuring at scale.
//!
//! The same options give the same bytes. Memory grows with the items, not with the events: these are made in
//! the order of time as they are written.

mod catalogue;
pub(crate) mod random;
mod visits;
mod words;

use crate::config::Config;
use crate::import::parse_time;
use crate::store::Store;
use anyhow::{Context, Result};
use catalogue::{CURRENCY, Catalogue};
use clap::Args;
use snapshots::event::{Event, Kind};
use snapshots::time::{DAY_MS, Timestamp};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use visits::{Draft, Visits};
use words::COUNTRIES;

/// Events that are made durable together.
const BATCH: usize = 100_000;

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

/// Runs `verge generate`.
///
/// # Errors
/// The output or the store cannot be written.
pub fn run(args: &GenerateArgs, config: &Config) -> Result<()> {
    let started = Instant::now();
    let events = if args.into_store {
        store(args, &mut Store::open(&config.data_dir)?)?
    } else if args.output == Path::new("-") {
        write(args, io::stdout().lock()).context("cannot write to standard output")?
    } else {
        let create = || write(args, File::create(&args.output)?);
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

/// Writes items, then events, a JSON object a line; how many events there were.
fn write(args: &GenerateArgs, out: impl Write) -> Result<u64> {
    let mut out = BufWriter::with_capacity(256 << 10, out);
    let catalogue = catalogue(args);
    let mut line = |value: &dyn Fn(&mut BufWriter<_>) -> serde_json::Result<()>| -> io::Result<()> {
        // serde_json wraps the writer's error; a closed pipe must be seen as one.
        value(&mut out).map_err(io::Error::from)?;
        out.write_all(b"\n")
    };
    for number in 0..args.items {
        let item = catalogue.item(number);
        line(&|out| serde_json::to_writer(out, &item))?;
    }
    let mut spelling = Spelling::new(args, &catalogue);
    for draft in visits(args, &catalogue) {
        let event = spelling.event(draft);
        line(&|out| serde_json::to_writer(out, event))?;
    }
    out.flush()?;
    Ok(spelling.count)
}

fn store(args: &GenerateArgs, store: &mut Store) -> Result<u64> {
    let catalogue = catalogue(args);
    let numbers: Vec<u32> = (0..args.items).collect();
    for numbers in numbers.chunks(BATCH) {
        let items: Vec<_> = numbers.iter().map(|number| catalogue.item(*number)).collect();
        store.upsert_items(&items)?;
    }
    let mut spelling = Spelling::new(args, &catalogue);
    let mut visits = visits(args, &catalogue).peekable();
    let writer = store.writer()?;
    while visits.peek().is_some() {
        for draft in visits.by_ref().take(BATCH) {
            writer.add(spelling.event(draft));
        }
        writer.commit()?;
    }
    Ok(spelling.count)
}

fn start(args: &GenerateArgs) -> Timestamp {
    Timestamp(args.until.0 - i64::from(args.days) * DAY_MS)
}

fn catalogue(args: &GenerateArgs) -> Catalogue {
    Catalogue::new(args.items as usize, args.seed, start(args), args.until)
}

fn visits<'a>(args: &GenerateArgs, catalogue: &'a Catalogue) -> Visits<'a> {
    Visits::new(catalogue, args.sessions, args.seed, start(args), args.days)
}

/// Spells drafts out as events, in one buffer.
struct Spelling<'a> {
    catalogue: &'a Catalogue,
    /// Begins every identifier, so that two shops in one store do not share any.
    tag: String,
    event: Event,
    count: u64,
}

impl<'a> Spelling<'a> {
    fn new(args: &GenerateArgs, catalogue: &'a Catalogue) -> Self {
        let GenerateArgs { items, sessions, seed, days, until, .. } = args;
        let options = format!("{items} {sessions} {seed} {days} {until}");
        let tag = format!("g{}", &blake3::hash(options.as_bytes()).to_hex()[..7]);
        let event = Event {
            id: String::new(),
            kind: Kind::View,
            item: String::new(),
            visitor: Some(String::new()),
            session: Some(String::new()),
            at: Timestamp(0),
            quantity: None,
            price: None,
            currency: None,
            region: Some(String::new()),
            placement: None,
            request: None,
        };
        Self { catalogue, tag, event, count: 0 }
    }

    fn event(&mut self, draft: Draft) -> &Event {
        self.count += 1;
        let (event, tag) = (&mut self.event, &self.tag);
        event.id.clear();
        // Writing to a String does not fail.
        let _ = write!(event.id, "{tag}-{:012}", self.count);
        for (field, letter, number) in
            [(&mut event.visitor, 'v', draft.visitor), (&mut event.session, 's', draft.session)]
        {
            let text = field.get_or_insert_default();
            text.clear();
            let _ = write!(text, "{tag}-{letter}{number}");
        }
        self.catalogue.code(draft.item, &mut event.item);
        let region = event.region.get_or_insert_default();
        region.clear();
        region.push_str(COUNTRIES[usize::from(draft.country)].0);
        event.kind = draft.kind;
        event.at = draft.at;
        event.quantity = (draft.quantity > 1).then_some(draft.quantity);
        let paid = draft.kind >= Kind::Cart;
        event.price = paid.then(|| f64::from(self.catalogue.goods[draft.item as usize].cents) / 100.0);
        event.currency = paid.then(|| CURRENCY.to_owned());
        event
    }
}

#[cfg(test)]
mod tests;
