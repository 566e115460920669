//! Generates a demo shop of any size, for demonstrations, tests and load tests.
//!
//! The same options give the same bytes. Memory grows with the items, not with the events, which are generated in order of
//! time while they are written.
//!
//! May import: `store`, `origin_learn`, `origin_data`, `snapshots`.

mod catalogue;
mod visits;
mod words;

use crate::store::Store;
use anyhow::Result;
use catalogue::{CURRENCY, DemoCatalogue};
use snapshots::event::{Event, Kind};
use snapshots::time::{DAY_MS, Timestamp};
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use visits::{DraftEvent, Visits};
use words::COUNTRIES;

/// Events per commit.
const BATCH: usize = 100_000;

/// Options of a generated shop.
#[derive(Clone, Copy, Debug)]
pub struct ShopOptions {
    /// Items in the catalogue.
    pub items: u32,
    /// Visits, of eight events each on average.
    pub sessions: u64,
    /// Seed of the random generator.
    pub seed: u64,
    /// Days that the log covers.
    pub days: u32,
    /// Latest start of a visit.
    pub until: Timestamp,
}

/// Writes items, then events, one JSON object per line; returns the number of events.
///
/// # Errors
/// The output cannot be written.
pub fn write(options: &ShopOptions, out: impl Write) -> Result<u64> {
    let mut out = BufWriter::with_capacity(256 << 10, out);
    let catalogue = catalogue(options);
    let mut line = |value: &dyn Fn(&mut BufWriter<_>) -> serde_json::Result<()>| -> io::Result<()> {
        // Unwraps the writer's error, so that a closed pipe is recognised.
        value(&mut out).map_err(io::Error::from)?;
        out.write_all(b"\n")
    };
    for number in 0..options.items {
        let item = catalogue.item(number);
        line(&|out| serde_json::to_writer(out, &item))?;
    }
    let mut builder = EventBuilder::new(options, &catalogue);
    for draft in visits(options, &catalogue) {
        let event = builder.event(draft);
        line(&|out| serde_json::to_writer(out, event))?;
    }
    out.flush()?;
    Ok(builder.count)
}

/// Writes items, then events, into the store; returns the number of events.
///
/// # Errors
/// The store cannot be written.
pub fn write_into_store(options: &ShopOptions, store: &mut Store) -> Result<u64> {
    let catalogue = catalogue(options);
    let numbers: Vec<u32> = (0..options.items).collect();
    for numbers in numbers.chunks(BATCH) {
        let items: Vec<_> = numbers.iter().map(|number| catalogue.item(*number)).collect();
        store.upsert_items(&items)?;
    }
    let mut builder = EventBuilder::new(options, &catalogue);
    let mut visits = visits(options, &catalogue).peekable();
    let writer = store.writer()?;
    while visits.peek().is_some() {
        for draft in visits.by_ref().take(BATCH) {
            writer.add(builder.event(draft));
        }
        writer.commit()?;
    }
    Ok(builder.count)
}

fn start(options: &ShopOptions) -> Timestamp {
    Timestamp(options.until.0 - i64::from(options.days) * DAY_MS)
}

fn catalogue(options: &ShopOptions) -> DemoCatalogue {
    DemoCatalogue::new(options.items as usize, options.seed, start(options), options.until)
}

fn visits<'a>(options: &ShopOptions, catalogue: &'a DemoCatalogue) -> Visits<'a> {
    Visits::new(catalogue, options.sessions, options.seed, start(options), options.days)
}

/// Turns drafts into events, in one buffer.
struct EventBuilder<'a> {
    catalogue: &'a DemoCatalogue,
    /// Prefix of every identifier, so that two shops in one store share none.
    tag: String,
    event: Event,
    count: u64,
}

impl<'a> EventBuilder<'a> {
    fn new(options: &ShopOptions, catalogue: &'a DemoCatalogue) -> Self {
        let ShopOptions { items, sessions, seed, days, until } = options;
        let name = format!("{items} {sessions} {seed} {days} {until}");
        let tag = format!("g{}", &blake3::hash(name.as_bytes()).to_hex()[..7]);
        let event = Event {
            visitor: Some(String::new()),
            session: Some(String::new()),
            region: Some(String::new()),
            ..Event::new(Kind::View, String::new(), Timestamp(0))
        };
        Self { catalogue, tag, event, count: 0 }
    }

    fn event(&mut self, draft: DraftEvent) -> &Event {
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
