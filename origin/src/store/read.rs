//! Reading the store: in an order that depends on what was stored, never on chance.

use crate::store::Store;
use anyhow::{Context, Result};
use origin_data::{Dataset, MAX_AREAS};
use origin_data::{Item, LogEvent};
use origin_log::{Place, Reader, SegmentNames};
use rusqlite::{Connection, Row};
use snapshots::time::Timestamp;
use std::collections::HashMap;

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
    pub fn log(&self) -> Result<Dataset> {
        let catalogue = self.items()?;
        let mut items = SegmentNames::new(catalogue.iter().map(|item| &item.id).collect());
        let mut areas = SegmentNames::new([""].into_iter().collect());
        let mut events = Vec::new();
        Reader::new(&self.log, 0).read(|record, Place { segment, item, area }| {
            let Some(item) = items.number(segment, item, record.item, usize::MAX) else { return };
            let area = areas.number(segment, area, record.area, MAX_AREAS).unwrap_or_default();
            events.push(LogEvent {
                at: record.at,
                kind: record.kind,
                item,
                visitor: record.visitor,
                session: record.session,
                area: area as u16,
                quantity: record.quantity,
            });
        })?;
        let mut known: HashMap<Box<str>, Item> =
            catalogue.into_iter().map(|item| (item.id.as_str().into(), item)).collect();
        // Ordered by the bytes of the name, whatever the order of arrival.
        let (item_ids, item_of) = items.into_names().into_sorted();
        let (areas, area_of) = areas.into_names().into_sorted();
        for event in &mut events {
            event.item = item_of[event.item as usize];
            event.area = area_of[usize::from(event.area)] as u16;
        }
        let item = |id: String| known.remove(&*id).unwrap_or_else(|| Item { id, ..Item::default() });
        let items = item_ids.into_iter().map(item).collect();
        // Stable: events of one instant stay in the order of arrival.
        events.sort_by_key(|event| event.at);
        Ok(Dataset { events, items, areas })
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
        let mut items = SegmentNames::new(self.items()?.iter().map(|item| &item.id).collect());
        let mut events = 0;
        Reader::new(&self.log, 0).read(|record, Place { segment, item, .. }| {
            items.number(segment, item, record.item, usize::MAX);
            events += 1;
        })?;
        Ok(Totals { events, items: items.names().len() as u64 })
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
