//! Reading the store, in a deterministic order.

use crate::{
    config::ItemsFrom,
    store::{Store, StoreError, error::Result, releases},
};
use origin_data::{Dataset, Item, LogEvent, areas};
use origin_learn::caps::{Arrival, Caps};
use origin_log::{GlobalNames, LocalNames, Reader, Record, Sender};
use rusqlite::{Connection, Row};
use snapshots::{event::Trust, time::Timestamp};
use std::{collections::HashMap, path::Path};

/// The most items that are read from the log; events of further ones are ignored.
const MAX_ITEMS: usize = 4_000_000;

/// Counts of what is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Number of events of all kinds.
    pub events: u64,
    /// Number of items, including those that occur in events only.
    pub items: u64,
}

/// An event of the log as the caps see it.
pub fn arrival<'a>(record: &Record<'a>) -> Arrival<'a> {
    Arrival {
        at: record.at,
        kind: record.kind,
        standing: record.standing,
        is_public: Sender::trust_of(record.sender) == Trust::Public,
        bucket: record.bucket,
        visitor: record.visitor,
        session: record.session,
        item: record.item,
        area: record.area,
    }
}

impl Store {
    /// Reads all events, items and areas. They are consistent with each other, even while another process appends.
    ///
    /// # Errors
    /// A file cannot be read or is damaged.
    pub fn log(&self) -> Result<Dataset> {
        let catalogue = self.items()?;
        let mut items = GlobalNames::new(catalogue.iter().map(|item| &item.id).collect());
        let mut area_names = GlobalNames::new([""].into_iter().collect());
        let mut events = Vec::new();
        let mut caps = Caps::new(releases::load(self.path.parent().unwrap_or(Path::new(".")))?);
        Reader::new(&self.log, 0).read(|record, LocalNames { segment, item, area }| {
            let held = !caps.pass(&arrival(record));
            let Some(item) = items.resolve(segment, item, record.item, |_| MAX_ITEMS) else { return };
            let area = area_names.resolve(segment, area, record.area, areas::room).unwrap_or_default();
            events.push(LogEvent {
                at: record.at,
                kind: record.kind,
                item,
                visitor: record.visitor,
                session: record.session,
                area: area as u16,
                quantity: record.quantity,
                standing: record.standing,
                held,
            });
        })?;
        let mut known: HashMap<Box<str>, Item> =
            catalogue.into_iter().map(|item| (item.id.as_str().into(), item)).collect();
        // Sort by the bytes of the name, so that the order of arrival does not matter.
        let (item_ids, item_index) = items.into_names().into_sorted();
        let (areas, area_index) = area_names.into_names().into_sorted();
        for event in &mut events {
            event.item = item_index[event.item as usize];
            event.area = area_index[usize::from(event.area)] as u16;
        }
        let others = self.others_in_stock()?;
        let item = |id: String| known.remove(&*id).unwrap_or_else(|| Item::of_events(id, others));
        let items = item_ids.into_iter().map(item).collect();
        // A stable sort: simultaneous events stay in order of arrival.
        events.sort_by_key(|event| event.at);
        Ok(Dataset { events, items, areas })
    }

    /// The catalogue, ordered by the bytes of the id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn items(&self) -> Result<Vec<Item>> {
        read_items(&self.db).map_err(StoreError::sqlite("read", &self.path))
    }

    /// Whether items that only events know can be bought: they cannot where the catalogue names the items.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn others_in_stock(&self) -> Result<Option<bool>> {
        let from_catalogue = match self.items_from {
            Some(from) => from == ItemsFrom::Catalogue,
            None => self.number("curated")? > 0,
        };
        Ok(from_catalogue.then_some(false))
    }

    /// Counts events and items by reading the whole log.
    ///
    /// # Errors
    /// As for [`Store::log`].
    pub fn totals(&self) -> Result<Totals> {
        let mut items = GlobalNames::new(self.items()?.iter().map(|item| &item.id).collect());
        let mut events = 0;
        Reader::new(&self.log, 0).read(|record, LocalNames { segment, item, .. }| {
            items.resolve(segment, item, record.item, |_| usize::MAX);
            events += 1;
        })?;
        Ok(Totals { events, items: items.names().len() as u64 })
    }
}

/// Reads a row of the table `items`. A removed item becomes an out-of-stock item without attributes, so that it still
/// leads its visitors to other items.
pub(super) fn item_of_row(row: &Row<'_>) -> rusqlite::Result<Item> {
    if row.get("removed")? {
        return Ok(Item { id: row.get("id")?, in_stock: Some(false), ..Item::default() });
    }
    let time = |name: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(name)?.map(Timestamp));
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
        added_at: time("added_at")?,
        sale_price: row.get("sale_price")?,
        sale_from: time("sale_from")?,
        sale_until: time("sale_until")?,
        group: row.get("group")?,
    })
}

fn read_items(db: &Connection) -> rusqlite::Result<Vec<Item>> {
    // The default collation compares bytes.
    let mut query = db.prepare("SELECT * FROM items ORDER BY id")?;
    query.query_map([], item_of_row)?.collect()
}
