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
mod jsonl;
mod online_retail;
pub mod pipeline;
mod progress;
mod rees46;
pub mod rejects;
mod report;
mod retailrocket;
mod sessions;

use anyhow::Result;
use clap::ValueEnum;
use origin_data::Item;
use origin_data::fields::Reject;
use snapshots::event::{Event, Kind, MAX_ITEM_ID, is_printable};
use snapshots::time::Timestamp;
use std::collections::HashMap;

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
}

impl Format {
    /// Its name, as `--format` takes it.
    pub fn name(self) -> &'static str {
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

/// A line of a log and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Short name of the source, the same at every import of it.
    pub source: &'a str,
    /// From 1.
    pub line: u64,
    /// Without the line's end.
    pub text: &'a str,
}

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// One event or more, which were pushed.
    Events,
    /// Something about items, kept until [`Importer::items`].
    Catalogue,
}

/// One format. An importer sees all lines of all files of a run, in order.
pub trait Importer {
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

    /// What the report should say of the lines that were taken, for example which fields were left out.
    fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// What an importer of a format needs beside the files.
#[derive(Clone, Copy, Debug)]
pub struct ImporterOptions {
    /// `sessions`: time of the first session.
    pub since: Timestamp,
    /// `sessions`: seconds from one session to the next.
    pub every: u32,
    /// Events from later than this are refused.
    pub now: Timestamp,
}

/// The importer of a format.
pub fn importer(format: Format, options: ImporterOptions) -> Box<dyn Importer> {
    match format {
        Format::OnlineRetail => Box::new(online_retail::OnlineRetail::default()),
        Format::Rees46 => Box::new(rees46::Rees46::default()),
        Format::Retailrocket => Box::new(retailrocket::RetailRocket::default()),
        Format::Alibaba => Box::new(alibaba::Alibaba::default()),
        Format::Sessions => Box::new(sessions::Sessions::new(options.since, options.every)),
        Format::Jsonl => Box::new(jsonl::Jsonl::new(options.now)),
    }
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
