//! Types that all layers of the origin share: events and items, the interner, text fields, input streams, the clock, and
//! atomic file replacement.
//!
//! May import: `snapshots` only.

#![allow(clippy::indexing_slicing, reason = "indices of a dataset are those of its own items and areas")]

pub mod areas;
pub mod clock;
pub mod encoding;
pub mod fields;
pub mod files;
pub mod hex;
pub mod input;
mod interner;
pub mod price;
pub mod records;
pub mod times;

pub use interner::Interner;

use serde::{Deserialize, Serialize};
use snapshots::{event::Kind, time::Timestamp};

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

/// What an event counts for in learning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Standing {
    /// What its kind counts for: a sender with a key sent it, it was imported, or its order has a valid token.
    #[default]
    Confirmed = 0,
    /// Anyone may have sent it: a cart or a purchase counts as a view.
    Unconfirmed = 1,
    /// It confirms a purchase that is in the log as unconfirmed, and adds what that does not count for.
    Confirming = 2,
}

impl Standing {
    /// What an event of a kind shows of its visitor's interest.
    pub fn counts_as(self, kind: Kind) -> Kind {
        if self == Self::Unconfirmed && kind >= Kind::Cart { Kind::View } else { kind }
    }

    /// The standing with this numeric value.
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Confirmed),
            1 => Some(Self::Unconfirmed),
            2 => Some(Self::Confirming),
            _ => None,
        }
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
    /// What it counts for.
    pub standing: Standing,
    /// Whether it is held back: it is beyond what its visitor, place or minute may add, and teaches nothing.
    pub held: bool,
}

const _: () = assert!(size_of::<LogEvent>() == 40);

impl LogEvent {
    /// A confirmed event about one piece of an item, in the first area and without a session.
    pub fn new(at: Timestamp, kind: Kind, item: u32, visitor: u64) -> Self {
        let standing = Standing::Confirmed;
        Self { at, kind, item, visitor, session: 0, area: 0, quantity: 1, standing, held: false }
    }
}

/// An item. One that occurs in events but not in the catalogue has only an id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The shop's id, 1 to 128 printable bytes.
    pub id: String,
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path from the widest category to the narrowest, `a > b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Brand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// Regular price of one, in units of `currency` (2.55).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// Price of one in a sale, which holds from `sale_from` until `sale_until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale_price: Option<f64>,
    /// When the sale begins; unknown, it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale_from: Option<Timestamp>,
    /// When the sale is over; unknown, it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale_until: Option<Timestamp>,
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
    /// Id that it shares with its other variants, such as other sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Item {
    /// An item that only events know. `in_stock` is what holds for all such items; a placeholder of an id is none.
    pub fn of_events(id: String, in_stock: Option<bool>) -> Self {
        let in_stock = if fields::is_placeholder(&id) { Some(false) } else { in_stock };
        Self { id, in_stock, ..Self::default() }
    }

    /// What one costs at an instant: the sale price during the sale, else the regular price.
    pub fn price_at(&self, now: Timestamp) -> Option<f64> {
        let begun = self.sale_from.is_none_or(|from| from <= now);
        let over = self.sale_until.is_some_and(|until| until <= now);
        self.sale_price.filter(|_| begun && !over).or(self.price)
    }

    /// Takes over every field that `newer` knows. A price says that there is no sale unless a sale is named with it, and a
    /// category that is only a number does not replace one in words.
    pub fn update(&mut self, mut newer: Self) {
        fn take<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        if newer.price.is_some() || newer.sale_price.is_some() {
            (self.sale_price, self.sale_from, self.sale_until) =
                (newer.sale_price, newer.sale_from, newer.sale_until);
        } else {
            take(&mut self.sale_from, newer.sale_from);
            take(&mut self.sale_until, newer.sale_until);
        }
        let is_number = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
        if self.category.as_ref().is_some_and(|known| !is_number(known)) {
            newer.category = newer.category.filter(|category| !is_number(category));
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
        take(&mut self.group, newer.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_has_its_time_and_ends_with_a_price_that_names_none() {
        let mut item = Item {
            price: Some(20.0),
            sale_price: Some(15.0),
            sale_from: Some(Timestamp(10)),
            sale_until: Some(Timestamp(20)),
            ..Item::default()
        };
        let at = |item: &Item, at| item.price_at(Timestamp(at)).unwrap();
        assert_eq!([9, 10, 19, 20].map(|now| at(&item, now)), [20.0, 15.0, 15.0, 20.0]);
        item.update(Item { name: Some("Cup".to_owned()), ..Item::default() });
        assert_eq!(at(&item, 10), 15.0);
        item.update(Item { price: Some(21.0), ..Item::default() });
        assert_eq!((at(&item, 10), item.sale_from), (21.0, None));
    }

    #[test]
    fn a_category_in_words_is_not_replaced_by_a_number() {
        let with = |category: &str| Item { category: Some(category.to_owned()), ..Item::default() };
        let mut item = with("77");
        item.update(with("Tools > Saws"));
        item.update(with("78"));
        assert_eq!(item, with("Tools > Saws"));
    }
}
