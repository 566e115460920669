//! The store: the catalogue, API keys and import sources in one SQLite file, and the events in the [`log`] next to it.
//!
//! SQLite needs no server, survives a kill at any moment (write-ahead log), and its file opens in any SQLite tool. Events
//! are in an append-only log instead, because it takes them as fast as the disk writes. One process writes events at a
//! time; any number read.
//!
//! Visitors and sessions are stored as 64-bit keyed hashes, never in clear text. The key is random, created with the
//! store and kept in it. A hash therefore has no meaning outside its store, differs between two stores of the same log,
//! and may only be compared for equality.
//!
//! May import: `origin_learn`, `origin_log`, `origin_data`.

mod catalogue;
mod keys;
mod read;
pub mod recipe;
mod sources;
mod write;

use crate::config::ItemsFrom;
use anyhow::{Context, Result, bail};
use origin_log as log;
use origin_log::{LogOptions, Writer};
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use catalogue::Change;
pub use keys::{Key, KeyHash, Role};
pub use read::Totals;
pub use write::AppendSummary;

/// Name of the SQLite file in the data directory.
pub const FILE: &str = "store.sqlite";
/// Version of the schema. A store of version 3 is migrated; one of any other version is rejected.
pub const SCHEMA_VERSION: i32 = 4;
/// SQLite application id of a store: "VRGE".
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

/// Migrates version 3 to 4. Version 3 took dots in categories for separators; they are separators only in the categories of
/// REES46, which are lower-case words without blanks.
const MIGRATION: &str = "
ALTER TABLE items ADD COLUMN sale_price REAL;
ALTER TABLE items ADD COLUMN sale_from INTEGER;
ALTER TABLE items ADD COLUMN sale_until INTEGER;
ALTER TABLE items ADD COLUMN \"group\" TEXT;
UPDATE items SET category = replace(category, '.', ' > ')
    WHERE category GLOB '[a-z]*.*[a-z_]' AND category NOT GLOB '*[^a-z_.]*';
INSERT INTO meta VALUES ('curated', 0);";

/// Directory of the snapshots of the serving model.
pub fn snapshots_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("snapshots")
}

/// Waits for the lock file `name` in a data directory. The lock is released when the file is dropped or the process ends.
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
    /// Opens the store in `dir`. Creates the directory and the store if they are missing.
    ///
    /// # Errors
    /// The directory cannot be written, or its `store.sqlite` is not a store of Verge or has another version.
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
        configure(&db).with_context(|| format!("cannot use the store {}", path.display()))?;
        let visitor_key = db
            .query_row("SELECT value FROM meta WHERE key = 'visitor_key'", [], |row| row.get(0))
            .with_context(|| format!("cannot read the visitor key of the store {}", path.display()))?;
        Ok(Self { db, path, log: log::dir(dir), visitor_key, writer: None, items_from: None })
    }

    /// With the configuration's choice of items.
    #[must_use]
    pub fn with_items_from(mut self, items: Option<ItemsFrom>) -> Self {
        self.items_from = items;
        self
    }

    /// Path of the SQLite file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log's writer for imports, opened on first use. It deduplicates against the whole log.
    ///
    /// # Errors
    /// As for [`Writer::open`].
    pub fn writer(&mut self) -> Result<&mut Writer> {
        match &mut self.writer {
            Some(writer) => Ok(writer),
            none => Ok(none.insert(Writer::open(&self.log, self.visitor_key, LogOptions::for_import())?)),
        }
    }

    /// The hash that stands for a visitor's id in this store's log.
    pub fn visitor_hash(&self, id: &str) -> u64 {
        log::visitor_hash(&self.visitor_key, id)
    }

    /// Opens the log's writer for a service, which deduplicates against the latest `options.ids` events.
    ///
    /// # Errors
    /// As for [`Writer::open`].
    pub fn service_writer(&self, options: LogOptions) -> Result<Writer> {
        Ok(Writer::open(&self.log, self.visitor_key, options)?)
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
            "it has schema version {version}, and this version of verge reads {SCHEMA_VERSION}; use the version of \
             verge that created it, or import the logs again into another --data-dir"
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

fn configure(db: &Connection) -> Result<()> {
    db.pragma_update(None, "journal_mode", "wal")?;
    // Acknowledged changes of the catalogue survive a power cut.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "cache_size", -64 * 1024)?;
    Ok(())
}

fn create(db: &mut Connection) -> Result<()> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == SCHEMA_VERSION {
        return Ok(()); // Another process created it in the meantime.
    }
    let tables: u32 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 {
        bail!("it is an SQLite file of another program; choose another --data-dir");
    }
    let mut key = [0u8; 32];
    getrandom::fill(&mut key).context("cannot get random bytes for the visitor key from the system")?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO meta VALUES ('visitor_key', ?1)", [&key])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;
