//! What the layers of the origin share: events and items as learning reads them, interning, fields of text, input
//! streams, the clock, and replacing files.
//!
//! May import: `snapshots` only.

pub mod clock;
pub mod fields;
pub mod files;
pub mod input;
mod interner;

pub use interner::Interner;

use serde::{Deserialize, Serialize};
use snapshots::{event::Kind, time::Timestamp};

/// Areas are numbered in 16 bits, and their names come from outside: the ones past this many count as unknown.
pub const MAX_AREAS: usize = 10_000;

/// The events of a log and the items and areas that their indices name, read at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// Ordered by time, then by arrival.
    pub events: Vec<LogEvent>,
    /// The catalogue, ordered by the bytes of the id.
    pub items: Vec<Item>,
    /// Areas, ordered by name; the first is `""`, unknown.
    pub areas: Vec<String>,
}

impl Dataset {
    /// Keeps these items, in this order, and the events of them.
    pub fn keep(&mut self, items: &[u32]) {
        let mut index = vec![None; self.items.len()];
        for (new, old) in (0u32..).zip(items) {
            index[*old as usize] = Some(new);
        }
        self.items = items.iter().map(|old| std::mem::take(&mut self.items[*old as usize])).collect();
        self.events.retain_mut(|event| index[event.item as usize].map(|new| event.item = new).is_some());
    }
}

/// One event as learning reads it: 40 bytes, indexes instead of names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogEvent {
    /// When it happened.
    pub at: Timestamp,
    /// What was done.
    pub kind: Kind,
    /// Index into [`Dataset::items`].
    pub item: u32,
    /// Who did it, as a hash; 0 when unknown.
    pub visitor: u64,
    /// The visit, as a hash scoped to its visitor; 0 when the event named none.
    pub session: u64,
    /// Index into [`Dataset::areas`].
    pub area: u16,
    /// How many of the item, at least 1.
    pub quantity: u32,
}

/// One item of the catalogue. An item known from events alone has an id and nothing else, and is in the log alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The shop's id, 1 to 128 printable bytes.
    pub id: String,
    /// Name, as a person would read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path from the widest category to the narrowest, `a > b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Maker or label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// Price of one, in units of `currency` (2.55).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// ISO 4217 code of the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Address of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Address of the item's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether it can be bought now; unknown counts as yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_stock: Option<bool>,
    /// When it came into the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Timestamp>,
}

impl Item {
    /// Takes over every field that `newer` knows.
    pub fn update(&mut self, newer: Self) {
        fn take<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        take(&mut self.name, newer.name);
        take(&mut self.category, newer.category);
        take(&mut self.brand, newer.brand);
        take(&mut self.price, newer.price);
        take(&mut self.currency, newer.currency);
        take(&mut self.image, newer.image);
        take(&mut self.url, newer.url);
        take(&mut self.in_stock, newer.in_stock);
        take(&mut self.added_at, newer.added_at);
    }
}
