//! Writing the store: whole transactions, each event once.

use super::read::item_of_row;
use super::{Item, Store};
use anyhow::{Context, Result};
use rusqlite::{CachedStatement, OptionalExtension, Transaction, TransactionBehavior, params};
use snapshots::event::Event;
use std::collections::HashMap;

/// Areas are numbered in 16 bits, and their names come from outside: the ones past this many count as unknown.
const MAX_AREAS: u16 = 10_000;

/// What became of a list of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Stored now.
    pub new: usize,
    /// Stored before, under the same id.
    pub duplicates: usize,
}

/// An open transaction; nothing of it is stored before [`Batch::commit`], all of it afterwards.
pub struct Batch<'a> {
    insert: CachedStatement<'a>,
    transaction: &'a Transaction<'a>,
    visitor_key: &'a [u8; 32],
    items: &'a mut HashMap<String, u32>,
    areas: &'a mut HashMap<String, u16>,
}

impl Store {
    /// Stores the events whose ids are not stored yet, all or none of them.
    ///
    /// # Errors
    /// The file cannot be written; nothing of `events` is stored then.
    pub fn append(&mut self, events: &[Event]) -> Result<Appended> {
        self.batch(|batch| {
            let mut appended = Appended::default();
            for event in events {
                if batch.add(event)? {
                    appended.new += 1;
                } else {
                    appended.duplicates += 1;
                }
            }
            Ok(appended)
        })
    }

    /// Adds items to the catalogue, or updates the ones it has by every field that is given. Returns how many
    /// were changed by it.
    ///
    /// # Errors
    /// The file cannot be written; nothing of `items` is stored then.
    pub fn upsert_items(&mut self, items: &[Item]) -> Result<usize> {
        self.batch(|batch| {
            let mut changed = 0;
            for item in items {
                changed += usize::from(batch.upsert(item)?);
            }
            Ok(changed)
        })
    }

    /// Runs `work` in one transaction, which is kept if it succeeds.
    ///
    /// # Errors
    /// Those of `work`, and a file that cannot be written.
    pub fn batch<T>(&mut self, work: impl FnOnce(&mut Batch<'_>) -> Result<T>) -> Result<T> {
        let result = self.run_batch(work);
        if result.is_err() {
            // Numbers given out in a transaction that did not happen.
            self.items.clear();
            self.areas.clear();
        }
        result.with_context(|| format!("cannot write the store {}", self.path.display()))
    }

    fn run_batch<T>(&mut self, work: impl FnOnce(&mut Batch<'_>) -> Result<T>) -> Result<T> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&mut Batch {
            insert: transaction.prepare_cached(
                "INSERT OR IGNORE INTO events
                 (at, kind, item, visitor, session, area, quantity, price, currency, placement, request, id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?,
            transaction: &transaction,
            visitor_key: &self.visitor_key,
            items: &mut self.items,
            areas: &mut self.areas,
        })?;
        transaction.commit()?;
        Ok(done)
    }
}

impl Batch<'_> {
    /// Stores an event, its item and its area; `false` when its id is stored already.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, event: &Event) -> Result<bool> {
        let item = self.item(&event.item)?;
        let area = self.area(event.region.as_deref().unwrap_or_default())?;
        let visitor = event.visitor.as_deref().unwrap_or_default();
        let session = event.session.as_deref().unwrap_or_default();
        let visitor_hash = if visitor.is_empty() { 0 } else { self.hash(&["visitor", visitor]) };
        let session_hash = if session.is_empty() { 0 } else { self.hash(&["session", visitor, session]) };
        let added = self.insert.execute(params![
            event.at.0,
            event.kind as u8,
            item,
            visitor_hash.cast_signed(),
            session_hash.cast_signed(),
            area,
            event.quantity.unwrap_or(1),
            event.price,
            event.currency,
            event.placement,
            event.request,
            event.id,
        ])?;
        Ok(added == 1)
    }

    /// Adds an item or updates it by every field given; whether that changed anything.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn upsert(&mut self, item: &Item) -> Result<bool> {
        let number = self.item(&item.id)?;
        let old = self
            .transaction
            .prepare_cached("SELECT * FROM items WHERE n = ?1")?
            .query_row([number], item_of_row)?;
        let mut new = old.clone();
        new.update(item.clone());
        if new == old {
            return Ok(false);
        }
        let sql =
            "UPDATE items SET name = ?2, category = ?3, brand = ?4, price = ?5, currency = ?6, image = ?7,
                   url = ?8, in_stock = ?9, added_at = ?10 WHERE n = ?1";
        self.transaction.prepare_cached(sql)?.execute(params![
            number,
            new.name,
            new.category,
            new.brand,
            new.price,
            new.currency,
            new.image,
            new.url,
            new.in_stock,
            new.added_at.map(|at| at.0),
        ])?;
        Ok(true)
    }

    fn item(&mut self, id: &str) -> Result<u32> {
        if let Some(&number) = self.items.get(id) {
            return Ok(number);
        }
        let find = "SELECT n FROM items WHERE id = ?1";
        let found = self.transaction.prepare_cached(find)?.query_row([id], |row| row.get(0)).optional()?;
        let number = match found {
            Some(number) => number,
            None => {
                self.transaction.prepare_cached("INSERT INTO items (id) VALUES (?1)")?.execute([id])?;
                u32::try_from(self.transaction.last_insert_rowid())
                    .context("more than 4,294,967,295 items")?
            }
        };
        self.items.insert(id.to_owned(), number);
        Ok(number)
    }

    fn area(&mut self, name: &str) -> Result<u16> {
        if let Some(&number) = self.areas.get(name) {
            return Ok(number);
        }
        let lower = name.trim().to_lowercase();
        let find = "SELECT n FROM areas WHERE name = ?1";
        let found =
            self.transaction.prepare_cached(find)?.query_row([&lower], |row| row.get(0)).optional()?;
        let number = match found {
            Some(number) => number,
            None => {
                let count: u16 =
                    self.transaction.query_row("SELECT count(*) FROM areas", [], |row| row.get(0))?;
                if count < MAX_AREAS {
                    let insert = "INSERT INTO areas (n, name) VALUES (?1, ?2)";
                    self.transaction.execute(insert, params![count, lower])?;
                    count
                } else {
                    return Ok(0); // Not remembered either: memory stays bounded as well.
                }
            }
        };
        if self.areas.len() < usize::from(MAX_AREAS) {
            self.areas.insert(name.to_owned(), number);
        }
        Ok(number)
    }

    /// A hash of `parts` that is never 0, which stands for "unknown".
    fn hash(&self, parts: &[&str]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(self.visitor_key);
        for part in parts {
            hasher.update(part.as_bytes());
            hasher.update(&[0]); // No identifier holds a control character.
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(bytes).max(1)
    }
}
