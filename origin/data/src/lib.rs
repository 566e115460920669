//! Types that all layers of the origin share: events and items, the interner, text fields, input streams, the clock, and
//! atomic file replacement.
//!
//! May import: `snapshots` only.

#![allow(clippy::indexing_slicing, reason = "indices of a dataset are those of its own items and areas")]

pub mod clock;
pub mod fields;
pub mod files;
pub mod hex;
pub mod input;
mod interner;

pub use interner::Interner;

use serde::{Deserialize, Serialize};
use snapshots::{event::Kind, time::Timestamp};

/// Most distinct areas of a dataset. Area names come from clients and are numbered in 16 bits; events of further areas
/// count as events of an unknown area.
pub const MAX_AREAS: usize = 10_000;

/// The events of a log, with the items and areas that they refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// Events, ordered by time, then by arrival.
    pub events: Vec<LogEvent>,
    /// All items, ordered by the bytes of the id.
    pub items: Vec<Item>,
    /// Area names, sorted; the first is `""`, unknown.
    pub areas: Vec<String>,
}

impl Dataset {
    /// Keeps the items at these indices, in this order, and their events.
    pub fn retain_items(&mut self, items: &[u32]) {
        let mut new_index = vec![None; self.items.len()];
        for (new, old) in (0u32..).zip(items) {
            new_index[*old as usize] = Some(new);
        }
        self.items = items.iter().map(|old| std::mem::take(&mut self.items[*old as usize])).collect();
        self.events.retain_mut(|event| new_index[event.item as usize].map(|new| event.item = new).is_some());
    }
}

/// An event as learning reads it: 40 bytes, with indices in place of names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogEvent {
    /// Time of the event.
    pub at: Timestamp,
    /// Kind of the event.
    pub kind: Kind,
    /// Index into [`Dataset::items`].
    pub item: u32,
    /// Keyed hash of the visitor's id; 0 if unknown.
    pub visitor: u64,
    /// Keyed hash of visitor and session id; 0 if the event has no session.
    pub session: u64,
    /// Index into [`Dataset::areas`].
    pub area: u16,
    /// Quantity, at least 1.
    pub quantity: u32,
}

/// An item. One that occurs in events but not in the catalogue has only an id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The shop's id, 1 to 128 printable bytes.
    pub id: String,
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path from the widest category to the narrowest, `a > b` or `a.b` as the shop has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Brand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// Price of one, in units of `currency` (2.55).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// ISO 4217 code of the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// URL of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// URL of the item's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether it can be bought; absent counts as yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_stock: Option<bool>,
    /// When the item was added to the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Timestamp>,
}

impl Item {
    /// Replaces each field that is present in `newer`.
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
