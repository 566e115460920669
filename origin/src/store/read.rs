//! Reading the store: in an order that depends on what was stored, never on chance.

use super::{Item, LogEvent, Store};
use anyhow::{Context, Result};
use rusqlite::{Connection, Row};
use snapshots::event::Kind;
use snapshots::time::Timestamp;

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
    /// The file cannot be read, or holds a row that this version never writes.
    pub fn log(&self) -> Result<Log> {
        self.read_whole().with_context(|| format!("cannot read the store {}", self.path.display()))
    }

    /// The events of [`Store::log`]. Where another process may be appending, use that: the indexes of two
    /// calls only fit together while nothing new is stored.
    ///
    /// # Errors
    /// As for [`Store::log`].
    pub fn events(&self) -> Result<Vec<LogEvent>> {
        Ok(self.log()?.events)
    }

    /// The catalogue, ordered by the bytes of the id, whatever the order of import.
    ///
    /// # Errors
    /// As for [`Store::log`].
    pub fn items(&self) -> Result<Vec<Item>> {
        let read = || -> Result<_> { Ok(read_items(&self.db)?.0) };
        read().with_context(|| format!("cannot read the store {}", self.path.display()))
    }

    /// The areas, ordered by name; the first is `""`, unknown.
    ///
    /// # Errors
    /// As for [`Store::log`].
    pub fn areas(&self) -> Result<Vec<String>> {
        let read = || -> Result<_> { Ok(read_areas(&self.db)?.0) };
        read().with_context(|| format!("cannot read the store {}", self.path.display()))
    }

    /// Counts what is stored.
    ///
    /// # Errors
    /// As for [`Store::log`].
    pub fn totals(&self) -> Result<Totals> {
        let sql = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM items)";
        self.db
            .query_row(sql, [], |row| Ok(Totals { events: row.get(0)?, items: row.get(1)? }))
            .with_context(|| format!("cannot read the store {}", self.path.display()))
    }

    fn read_whole(&self) -> Result<Log> {
        let transaction = self.db.unchecked_transaction()?;
        let (items, item_of) = read_items(&transaction)?;
        let (areas, area_of) = read_areas(&transaction)?;
        let events = read_events(&transaction, &item_of, &area_of)?;
        Ok(Log { events, items, areas })
    }
}

/// Turns a stored row number into the index of the list that is handed out.
struct Index<T>(Vec<Option<T>>);

impl<T: Copy + TryFrom<usize>> Index<T> {
    /// `rows[i]` is the stored row number of what is handed out at `i`.
    fn new(rows: &[i64]) -> Result<Self> {
        let mut index = Vec::new();
        for (position, &row) in rows.iter().enumerate() {
            let row = usize::try_from(row)?;
            if row >= index.len() {
                index.resize(row + 1, None);
            }
            index[row] = T::try_from(position).ok();
        }
        Ok(Self(index))
    }

    fn get(&self, row: i64) -> Result<T> {
        let found = usize::try_from(row).ok().and_then(|row| *self.0.get(row)?);
        found.with_context(|| format!("an event names row {row}, which does not exist: the file is damaged"))
    }
}

/// Reads a whole row of the table `items`.
pub(super) fn item_of_row(row: &Row<'_>) -> rusqlite::Result<Item> {
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

fn read_items(db: &Connection) -> Result<(Vec<Item>, Index<u32>)> {
    // The default collation compares bytes.
    let mut query = db.prepare("SELECT * FROM items ORDER BY id")?;
    let mut rows = query.query([])?;
    let (mut items, mut numbers) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        numbers.push(row.get("n")?);
        items.push(item_of_row(row)?);
    }
    Ok((items, Index::new(&numbers)?))
}

fn read_areas(db: &Connection) -> Result<(Vec<String>, Index<u16>)> {
    let mut query = db.prepare("SELECT n, name FROM areas ORDER BY name")?;
    let mut rows = query.query([])?;
    let (mut areas, mut numbers) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        numbers.push(row.get(0)?);
        areas.push(row.get(1)?);
    }
    Ok((areas, Index::new(&numbers)?))
}

fn read_events(db: &Connection, items: &Index<u32>, areas: &Index<u16>) -> Result<Vec<LogEvent>> {
    let count: usize = db.query_row("SELECT count(*) FROM events", [], |row| row.get(0))?;
    let mut events = Vec::with_capacity(count);
    let mut query =
        db.prepare("SELECT at, kind, item, visitor, session, area, quantity, seq FROM events ORDER BY seq")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let kind: u8 = row.get(1)?;
        events.push(LogEvent {
            at: Timestamp(row.get(0)?),
            kind: Kind::from_u8(kind)
                .with_context(|| format!("an event is of unknown kind {kind}: the file is damaged"))?,
            item: items.get(row.get(2)?)?,
            visitor: row.get::<_, i64>(3)?.cast_unsigned(),
            session: row.get::<_, i64>(4)?.cast_unsigned(),
            area: areas.get(row.get(5)?)?,
            quantity: row.get(6)?,
        });
    }
    // Stable: events of one instant stay in the order of arrival.
    events.sort_by_key(|event| event.at);
    Ok(events)
}
