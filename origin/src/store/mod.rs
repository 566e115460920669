//! The store: the shop's catalogue in one SQLite file, and its events in the [`log`] beside it.
//!
//! SQLite because it is one file without a server, survives a kill at any moment (write-ahead log), and can be
//! opened with any SQLite tool. Events are not in it: a log that is only ever appended to takes them as fast as a disk
//! does. One process writes at a time, any number read meanwhile.
//!
//! Visitors and sessions are kept as 64-bit keyed hashes, never in clear; the key is made at random when the
//! store is created and lives in it. So a hash means nothing outside its store, differs between two stores of
//! the same log, and must only ever be compared for equality.

mod catalogue;
mod keys;
mod read;
pub mod recipe;
mod sources;
mod write;

use crate::config::ItemsFrom;
use anyhow::{Context, Result, bail};
use origin_log as log;
use origin_log::{Options, Writer};
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use catalogue::Change;
pub use keys::{Key, KeyHash, Role};
pub use read::Totals;
pub use write::Appended;

/// The store's file inside the data directory.
pub const FILE: &str = "store.sqlite";
/// Written into every store. One of version 3 is migrated; any other is refused.
pub const SCHEMA_VERSION: i32 = 4;
/// "VRGE": tells a store from any other SQLite file.
const APPLICATION_ID: i32 = 0x5652_4745;

const SCHEMA: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('catalogue', 0), ('items', 0), ('curated', 0);
CREATE TABLE sources (
    name TEXT PRIMARY KEY, format TEXT NOT NULL, length INTEGER NOT NULL, hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE items (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT, category TEXT, brand TEXT, price REAL,
    currency TEXT, image TEXT, url TEXT, in_stock INTEGER, added_at INTEGER, removed INTEGER NOT NULL DEFAULT 0,
    sale_price REAL, sale_from INTEGER, sale_until INTEGER, \"group\" TEXT
) STRICT;
CREATE TABLE keys (
    hash BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;";

/// From version 3 to 4. Dots between categories, which version 3 took for separators wherever there was no `>`, are such
/// in the categories of REES46 only: lower-case words without blanks.
const MIGRATION: &str = "
ALTER TABLE items ADD COLUMN sale_price REAL;
ALTER TABLE items ADD COLUMN sale_from INTEGER;
ALTER TABLE items ADD COLUMN sale_until INTEGER;
ALTER TABLE items ADD COLUMN \"group\" TEXT;
UPDATE items SET category = replace(category, '.', ' > ')
    WHERE category GLOB '[a-z]*.*[a-z_]' AND category NOT GLOB '*[^a-z_.]*';
INSERT INTO meta VALUES ('curated', 0);";

/// Where the snapshots of the serving model are.
pub fn snapshots_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("snapshots")
}

/// Waits for the lock of that name in a data directory. It is released when the file is dropped, or its holder ends.
///
/// # Errors
/// The data directory cannot be written.
pub fn lock(data_dir: &Path, name: &str) -> Result<File> {
    let path = data_dir.join(name);
    let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
    lock.with_context(|| format!("cannot lock {}", path.display()))
}

/// An open store.
pub struct Store {
    db: Connection,
    path: PathBuf,
    log: PathBuf,
    visitor_key: [u8; 32],
    writer: Option<Writer>,
    items_from: Option<ItemsFrom>,
}

impl Store {
    /// Opens the store in `dir`, creating both when they are missing.
    ///
    /// # Errors
    /// The directory cannot be written, or its `store.sqlite` is no store of Verge or of another version.
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("cannot create the data directory {}", dir.display()))?;
        let path = dir.join(FILE);
        let db = Connection::open(&path).and_then(|db| {
            db.busy_timeout(Duration::from_secs(30))?;
            Ok(db)
        });
        let mut db = db.with_context(|| format!("cannot open the store {}", path.display()))?;
        check_or_create(&mut db).with_context(|| format!("cannot use the store {}", path.display()))?;
        tune(&db).with_context(|| format!("cannot use the store {}", path.display()))?;
        let visitor_key = db
            .query_row("SELECT value FROM meta WHERE key = 'visitor_key'", [], |row| row.get(0))
            .with_context(|| format!("the store {} has lost its visitor key", path.display()))?;
        Ok(Self { db, path, log: log::dir(dir), visitor_key, writer: None, items_from: None })
    }

    /// With the configuration's choice of items.
    #[must_use]
    pub fn with_items_from(mut self, items: Option<ItemsFrom>) -> Self {
        self.items_from = items;
        self
    }

    /// The store's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The one writer of the log, which knows the ids of all events that are stored already.
    ///
    /// # Errors
    /// As for [`Writer::open`].
    pub fn writer(&mut self) -> Result<&mut Writer> {
        match &mut self.writer {
            Some(writer) => Ok(writer),
            none => Ok(none.insert(Writer::open(&self.log, self.visitor_key, Options::of_imports())?)),
        }
    }

    /// What a visitor's id is in the log; it means nothing outside this store.
    pub fn visitor(&self, id: &str) -> u64 {
        log::visitor_hash(&self.visitor_key, id)
    }

    /// Opens the log for a service, with a window of ids.
    ///
    /// # Errors
    /// As for [`Writer::open`].
    pub fn service_writer(&self, options: Options) -> Result<Writer> {
        Writer::open(&self.log, self.visitor_key, options)
    }
}

fn check_or_create(db: &mut Connection) -> Result<()> {
    let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application == APPLICATION_ID && version == SCHEMA_VERSION {
        return Ok(());
    }
    if application == APPLICATION_ID && version == SCHEMA_VERSION - 1 {
        return migrate(db);
    }
    if application == APPLICATION_ID && version != 0 {
        bail!(
            "it has schema version {version}, this verge reads version {SCHEMA_VERSION}; use the verge that \
             made it, or import the logs again into another --data-dir"
        );
    }
    create(db)
}

fn migrate(db: &mut Connection) -> Result<()> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == SCHEMA_VERSION - 1 {
        transaction.execute_batch(MIGRATION)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

fn tune(db: &Connection) -> Result<()> {
    db.pragma_update(None, "journal_mode", "wal")?;
    // A change of the catalogue that was acknowledged survives a power cut.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "cache_size", -64 * 1024)?;
    Ok(())
}

fn create(db: &mut Connection) -> Result<()> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == SCHEMA_VERSION {
        return Ok(()); // Another process was quicker.
    }
    let tables: u32 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 {
        bail!("it is an SQLite file of something else; choose another --data-dir");
    }
    let mut key = [0u8; 32];
    getrandom::fill(&mut key).context("the system gives no random bytes for the visitor key")?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO meta VALUES ('visitor_key', ?1)", [&key])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;
