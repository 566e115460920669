//! Reading the store: in an order that depends on what was stored, never on chance.

use super::{Item, LogEvent, Store};
use crate::log::{Place, Reader};
use anyhow::{Context, Result};
use rusqlite::{Connection, Row};
use snapshots::time::Timestamp;
use std::collections::HashMap;

/// Areas are numbered in 16 bits, and their names come from outside: the ones past this many count as unknown.
pub const MAX_AREAS: usize = 10_000;

/// The whole log and what its indexes mean, read at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// Ordered by time, then by arrival.
    pub events: Vec<LogEvent>,
    /// The catalogue, ordered by the bytes of the id.
    pub items: Vec<Item>,
    /// Areas, ordered by name; the first is `""`, unknown.
    pub areas: Vec<String>,
}

impl Log {
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

/// What the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Events of any kind.
    pub events: u64,
    /// Items, also those known from events alone.
    pub items: u64,
}

impl Store {
    /// Events, items and areas that belong together, even while another process appends.
    ///
    /// # Errors
    /// A file cannot be read or is damaged.
    pub fn log(&self) -> Result<Log> {
        let catalogue = self.items()?;
        let mut names: HashMap<Box<str>, u32> = HashMap::new();
        names.extend((0u32..).zip(&catalogue).map(|(number, item)| (item.id.as_str().into(), number)));
        let mut items = Numbered { names, ..Numbered::default() };
        let mut areas = Numbered::default();
        areas.number("");
        let mut events = Vec::new();
        Reader::new(&self.log, 0).read(|record, Place { segment, item, area }| {
            let item = items.of((segment, item), record.item);
            let area = areas.of((segment, area), record.area);
            events.push(LogEvent {
                at: record.at,
                kind: record.kind,
                item,
                visitor: record.visitor,
                session: record.session,
                area: if (area as usize) < MAX_AREAS { area as u16 } else { 0 },
                quantity: record.quantity,
            });
        })?;
        let mut known: HashMap<Box<str>, Item> =
            catalogue.into_iter().map(|item| (item.id.as_str().into(), item)).collect();
        // Ordered by the bytes of the name, whatever the order of arrival.
        let (item_ids, item_of) = items.sorted(usize::MAX);
        let (areas, area_of) = areas.sorted(MAX_AREAS);
        for event in &mut events {
            event.item = item_of[event.item as usize];
            event.area = area_of[usize::from(event.area)] as u16;
        }
        let item = |id: String| known.remove(&*id).unwrap_or_else(|| Item { id, ..Item::default() });
        let items = item_ids.into_iter().map(item).collect();
        // Stable: events of one instant stay in the order of arrival.
        events.sort_by_key(|event| event.at);
        Ok(Log { events, items, areas })
    }

    /// The catalogue, ordered by the bytes of the id, whatever the order of import.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn items(&self) -> Result<Vec<Item>> {
        read_items(&self.db).with_context(|| format!("cannot read the store {}", self.path.display()))
    }

    /// Counts what is stored, by reading all of it.
    ///
    /// # Errors
    /// As for [`Store::log`].
    pub fn totals(&self) -> Result<Totals> {
        let mut items = Numbered::default();
        self.items()?.iter().for_each(|item| {
            items.number(&item.id);
        });
        let mut events = 0;
        Reader::new(&self.log, 0).read(|record, Place { segment, item, .. }| {
            items.of((segment, item), record.item);
            events += 1;
        })?;
        Ok(Totals { events, items: items.names.len() as u64 })
    }
}

/// Numbers for names, in the order in which they come, from the numbers that segments of the log gave them.
#[derive(Default)]
struct Numbered {
    names: HashMap<Box<str>, u32>,
    segment: u64,
    /// By the segment's number.
    numbers: Vec<Option<u32>>,
}

impl Numbered {
    fn of(&mut self, (segment, local): (u64, u32), name: &str) -> u32 {
        if self.segment != segment {
            self.segment = segment;
            self.numbers.clear();
        }
        let local = local as usize;
        if let Some(Some(number)) = self.numbers.get(local) {
            return *number;
        }
        let number = self.number(name);
        self.numbers.resize(self.numbers.len().max(local + 1), None);
        self.numbers[local] = Some(number);
        number
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.insert(name.into(), number);
        number
    }

    /// The names of the first `limit` numbers, sorted, and for each of these numbers the place of its name.
    fn sorted(self, limit: usize) -> (Vec<String>, Vec<u32>) {
        let mut names: Vec<(Box<str>, u32)> =
            self.names.into_iter().filter(|(_, number)| (*number as usize) < limit).collect();
        names.sort_unstable();
        let mut places = vec![0; names.len()];
        for (place, (_, number)) in (0u32..).zip(&names) {
            places[*number as usize] = place;
        }
        (names.into_iter().map(|(name, _)| name.into_string()).collect(), places)
    }
}

/// Reads a whole row of the table `items`. A removed item is one that cannot be bought and of which nothing is
/// known: who has seen it is still recommended others.
pub(super) fn item_of_row(row: &Row<'_>) -> rusqlite::Result<Item> {
    if row.get("removed")? {
        return Ok(Item { id: row.get("id")?, in_stock: Some(false), ..Item::default() });
    }
    Ok(Item {
        id: row.get("id")?,
        name: row.get("name")?,
        category: row.get("category")?,
        brand: row.get("brand")?,
        price: row.get("price")?,
        currency: row.get("currency")?,
        image: row.get("image")?,
        url: row.get("url")?,
        in_stock: row.get("in_stock")?,
        added_at: row.get::<_, Option<i64>>("added_at")?.map(Timestamp),
    })
}

fn read_items(db: &Connection) -> Result<Vec<Item>> {
    // The default collation compares bytes.
    let mut query = db.prepare("SELECT * FROM items ORDER BY id")?;
    let items = query.query_map([], item_of_row)?.collect::<rusqlite::Result<_>>()?;
    Ok(items)
}
