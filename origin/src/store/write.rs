//! Writing the store: whole transactions, each event once.

use super::read::item_of_row;
use super::{Item, Store};
use anyhow::{Context, Result};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use snapshots::event::Event;

/// What became of a list of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Stored now.
    pub new: usize,
    /// Stored before, under the same id.
    pub duplicates: usize,
}

impl Store {
    /// Stores the events whose ids are not stored yet, all or none of them.
    ///
    /// # Errors
    /// Another process writes the log, or it cannot be written; nothing of `events` is stored then.
    pub fn append(&mut self, events: &[Event]) -> Result<Appended> {
        let writer = self.writer()?;
        let new = events.iter().filter(|event| writer.add(event)).count();
        writer.commit()?;
        Ok(Appended { new, duplicates: events.len() - new })
    }

    /// Adds items to the catalogue, or updates the ones it has by every field that is given. Returns how many
    /// were changed by it.
    ///
    /// # Errors
    /// The file cannot be written; nothing of `items` is stored then.
    pub fn upsert_items(&mut self, items: &[Item]) -> Result<usize> {
        let mut upsert = || -> Result<usize> {
            let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut changed = 0;
            for item in items {
                changed += usize::from(upsert(&transaction, item)?);
            }
            transaction.commit()?;
            Ok(changed)
        };
        upsert().with_context(|| format!("cannot write the store {}", self.path.display()))
    }
}

/// Adds an item or updates it by every field given; whether that changed anything.
fn upsert(transaction: &Transaction<'_>, item: &Item) -> Result<bool> {
    let find = "SELECT * FROM items WHERE id = ?1";
    let old = transaction.prepare_cached(find)?.query_row([&item.id], item_of_row).optional()?;
    let mut new = old.clone().unwrap_or_default();
    new.update(item.clone());
    new.id.clone_from(&item.id);
    if old.as_ref() == Some(&new) {
        return Ok(false);
    }
    let sql = "INSERT INTO items (id, name, category, brand, price, currency, image, url, in_stock, added_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
               ON CONFLICT (id) DO UPDATE SET name = ?2, category = ?3, brand = ?4, price = ?5, currency = ?6,
                   image = ?7, url = ?8, in_stock = ?9, added_at = ?10";
    transaction.prepare_cached(sql)?.execute(params![
        new.id,
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
