//! The catalogue: items by their ids, and a version that grows with every change of one.

use crate::store::{Store, StoreError, error::Result, read::item_of_row};
use origin_data::Item;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use std::{collections::HashSet, path::Path};

/// An open change of the catalogue: all of it is stored, or nothing.
pub struct Change<'a> {
    transaction: Transaction<'a>,
    path: &'a Path,
    changed: usize,
    /// Items that are new, less those removed.
    grown: i64,
}

impl Store {
    /// The catalogue's version: it grows with every change of items, whichever process made it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn catalogue_version(&self) -> Result<u64> {
        self.number("catalogue")
    }

    /// How many items the catalogue holds.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn count_items(&self) -> Result<u64> {
        self.number("items")
    }

    pub(super) fn number(&self, key: &str) -> Result<u64> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        let read = || self.db.prepare_cached(sql)?.query_row([key], |row| row.get(0));
        read().map_err(StoreError::sqlite("read", &self.path))
    }

    /// The item of the catalogue that has this id.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn item(&self, id: &str) -> Result<Option<Item>> {
        let sql = "SELECT * FROM items WHERE id = ?1 AND NOT removed";
        let read = || self.db.prepare_cached(sql)?.query_row([id], item_of_row).optional();
        read().map_err(StoreError::sqlite("read", &self.path))
    }

    /// Adds items to the catalogue, or updates the ones it has by every field that is given. Returns how many
    /// were changed by it.
    ///
    /// # Errors
    /// The file cannot be written; nothing of `items` is stored then.
    pub fn upsert_items(&mut self, items: &[Item]) -> Result<usize> {
        self.change_catalogue(|change| {
            items.iter().try_for_each(|item| change.update(item).map(|_| ()))?;
            Ok(change.changed)
        })
    }

    /// Runs `work` in one transaction, which is kept if it succeeds.
    ///
    /// # Errors
    /// Those of `work`, and a file that cannot be written.
    pub fn change_catalogue<T>(&mut self, work: impl FnOnce(&mut Change<'_>) -> Result<T>) -> Result<T> {
        let path = &*self.path;
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(StoreError::sqlite("write", path))?;
        let mut change = Change { transaction, path, changed: 0, grown: 0 };
        let done = work(&mut change)?;
        change.commit().map_err(StoreError::sqlite("write", path))?;
        Ok(done)
    }
}

impl Change<'_> {
    fn commit(self) -> rusqlite::Result<()> {
        if self.changed > 0 {
            let count = "UPDATE meta SET value = value + ?2 WHERE key = ?1";
            self.transaction.execute(count, params!["catalogue", 1])?;
            self.transaction.execute(count, params!["items", self.grown])?;
        }
        self.transaction.commit()
    }

    /// How many items were changed so far.
    pub fn changed(&self) -> usize {
        self.changed
    }

    /// Adds an item, or takes over every field that is given; whether that changed anything.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn update(&mut self, item: &Item) -> Result<bool> {
        let Some(Some(old)) = self.row(&item.id)? else {
            self.write(item, false, 1)?;
            return Ok(true);
        };
        let mut new = old.clone();
        new.update(item.clone());
        if new == old {
            return Ok(false);
        }
        self.write(&new, false, 0)?;
        Ok(true)
    }

    /// Sets an item, whatever was known of it; whether it was not there before.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replace(&mut self, item: &Item) -> Result<bool> {
        let is_new = match self.row(&item.id)? {
            Some(Some(old)) if old == *item => return Ok(false),
            known => !matches!(known, Some(Some(_))),
        };
        self.write(item, false, i64::from(is_new))?;
        Ok(is_new)
    }

    /// Removes an item, also one that is known from events alone: it is recommended no more until it is added
    /// again. Whether the catalogue held it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remove(&mut self, id: &str) -> Result<bool> {
        let was_there = match self.row(id)? {
            Some(None) => return Ok(false),
            known => known.is_some(),
        };
        self.write(&Item { id: id.to_owned(), ..Item::default() }, true, -i64::from(was_there))?;
        Ok(was_there)
    }

    /// The ids of the items but these, sorted, and how many items there are.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn all_but(&self, present: &HashSet<String>) -> Result<Vec<String>> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut query = self.transaction.prepare("SELECT id FROM items WHERE NOT removed ORDER BY id")?;
            query.query_map([], |row| row.get(0))?.collect()
        };
        let mut ids = read().map_err(StoreError::sqlite("read", self.path))?;
        ids.retain(|id| !present.contains(id));
        Ok(ids)
    }

    /// Notes that the shop names its items itself, by a feed or one by one: from now on, what only events name is not one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn curate(&mut self) -> Result<()> {
        let sql = "UPDATE meta SET value = 1 WHERE key = 'curated' AND value = 0";
        self.changed += self.transaction.execute(sql, []).map_err(StoreError::sqlite("write", self.path))?;
        Ok(())
    }

    /// The item of this id.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn item(&self, id: &str) -> Result<Option<Item>> {
        Ok(self.row(id)?.flatten())
    }

    /// The row of an id, if there is one, and its item, if that was not removed.
    fn row(&self, id: &str) -> Result<Option<Option<Item>>> {
        let read = || {
            let mut query = self.transaction.prepare_cached("SELECT * FROM items WHERE id = ?1")?;
            query.query_row([id], |row| Ok((row.get::<_, bool>("removed")?, item_of_row(row)?))).optional()
        };
        let found = read().map_err(StoreError::sqlite("read", self.path))?;
        Ok(found.map(|(removed, item)| (!removed).then_some(item)))
    }

    fn write(&mut self, item: &Item, removed: bool, grown: i64) -> Result<()> {
        let sql = "INSERT INTO items
                   (id, name, category, brand, price, currency, image, url, in_stock, added_at, removed,
                    sale_price, sale_from, sale_until, \"group\")
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                   ON CONFLICT (id) DO UPDATE SET name = ?2, category = ?3, brand = ?4, price = ?5,
                       currency = ?6, image = ?7, url = ?8, in_stock = ?9, added_at = ?10, removed = ?11,
                       sale_price = ?12, sale_from = ?13, sale_until = ?14, \"group\" = ?15";
        let values = params![
            item.id,
            item.name,
            item.category,
            item.brand,
            item.price,
            item.currency,
            item.image,
            item.url,
            item.in_stock,
            item.added_at.map(|at| at.0),
            removed,
            item.sale_price,
            item.sale_from.map(|at| at.0),
            item.sale_until.map(|at| at.0),
            item.group,
        ];
        let written = self.transaction.prepare_cached(sql).and_then(|mut insert| insert.execute(values));
        written.map_err(StoreError::sqlite("write", self.path))?;
        self.changed += 1;
        self.grown += grown;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, name: &str) -> Item {
        Item { id: id.to_owned(), name: Some(name.to_owned()), ..Item::default() }
    }

    #[test]
    fn a_removed_item_is_out_of_stock_and_unknown_until_it_is_added_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let remove =
            |store: &mut Store, id: &str| store.change_catalogue(|change| change.remove(id)).unwrap();
        store.upsert_items(&[item("a", "Cup"), item("b", "Jug")]).unwrap();
        assert!(remove(&mut store, "a") && !remove(&mut store, "a"));
        assert!(!remove(&mut store, "known-from-events"));
        assert_eq!((store.item("a").unwrap(), store.count_items().unwrap()), (None, 1));
        let sql = "SELECT count(*) FROM items WHERE NOT removed";
        let counted = |store: &Store| store.db.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
        assert_eq!(counted(&store), 1);
        let gone = |id: &str| Item { id: id.to_owned(), in_stock: Some(false), ..Item::default() };
        assert_eq!(store.items().unwrap(), [gone("a"), item("b", "Jug"), gone("known-from-events")]);
        store.upsert_items(&[Item { id: "a".to_owned(), ..Item::default() }]).unwrap();
        assert_eq!(store.item("a").unwrap(), Some(Item { id: "a".to_owned(), ..Item::default() }));
        assert_eq!((store.count_items().unwrap(), counted(&store)), (2, 2));
    }

    #[test]
    fn the_version_grows_with_every_change_and_with_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut other = Store::open(dir.path()).unwrap();
        let mut versions = vec![store.catalogue_version().unwrap()];
        other.upsert_items(&[item("a", "Cup"), item("b", "Jug")]).unwrap();
        versions.push(store.catalogue_version().unwrap());
        other.upsert_items(&[item("a", "Cup")]).unwrap();
        assert_eq!(store.catalogue_version().unwrap(), versions[1], "nothing was new");
        store.change_catalogue(|change| change.replace(&item("a", "Mug"))).unwrap();
        versions.push(store.catalogue_version().unwrap());
        let failed: Result<()> = store.change_catalogue(|change| {
            change.remove("a")?;
            Err(StoreError::NoSuchKey("no".to_owned()))
        });
        assert!(failed.is_err() && store.item("a").unwrap().is_some());
        assert_eq!(store.catalogue_version().unwrap(), versions[2]);
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    }

    #[test]
    fn replacing_forgets_and_absent_items_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.upsert_items(&[Item { price: Some(1.0), ..item("a", "Cup") }, item("b", "Jug")]).unwrap();
        let replaced =
            |store: &mut Store, item: &Item| store.change_catalogue(|change| change.replace(item)).unwrap();
        assert!(!replaced(&mut store, &item("a", "Cup")) && replaced(&mut store, &item("c", "Pot")));
        assert_eq!(store.item("a").unwrap(), Some(item("a", "Cup")));
        let present = HashSet::from(["c".to_owned()]);
        let absent = store.change_catalogue(|change| change.all_but(&present)).unwrap();
        assert_eq!(absent, ["a", "b"]);
    }
}
