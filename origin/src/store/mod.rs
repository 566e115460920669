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
mod error;
mod keys;
mod read;
pub mod recipe;
pub mod releases;
mod sources;
mod write;

use crate::config::ItemsFrom;
use error::Result;
use origin_data::files::{FileError, PRIVATE, create_private_dir};
use origin_log as log;
use origin_log::{LogOptions, Writer};
use rusqlite::Connection;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use catalogue::Change;
pub use error::StoreError;
pub use keys::{Key, KeyHash, Role};
pub use read::{Totals, arrival};
pub use write::AppendSummary;

/// Name of the SQLite file in the data directory.
pub const FILE: &str = "store.sqlite";
/// Version of the schema. A store of an older version from 3 on is migrated; one of any other version is rejected.
pub const SCHEMA_VERSION: i32 = 5;
/// The oldest version that is migrated.
const OLDEST_VERSION: i32 = SCHEMA_VERSION - MIGRATIONS.len() as i32;
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
    hash BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER,
    used_at INTEGER
) STRICT, WITHOUT ROWID;";

/// The migrations to version 4, and so on. Version 3 took dots in categories for separators; they are separators only in the categories of
/// REES46, which are lower-case words without blanks.
const MIGRATIONS: [&str; 2] = [
    "
ALTER TABLE items ADD COLUMN sale_price REAL;
ALTER TABLE items ADD COLUMN sale_from INTEGER;
ALTER TABLE items ADD COLUMN sale_until INTEGER;
ALTER TABLE items ADD COLUMN \"group\" TEXT;
UPDATE items SET category = replace(category, '.', ' > ')
    WHERE category GLOB '[a-z]*.*[a-z_]' AND category NOT GLOB '*[^a-z_.]*';
INSERT INTO meta VALUES ('curated', 0);",
    "
ALTER TABLE keys ADD COLUMN expires_at INTEGER;
ALTER TABLE keys ADD COLUMN used_at INTEGER;",
];

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
    let lock = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(&path);
    let lock = lock.and_then(|file| file.lock().map(|()| file));
    Ok(lock.map_err(|error| FileError::new("lock", &path, error))?)
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
        create_private_dir(dir).map_err(|error| FileError::new("create the data directory", dir, error))?;
        let (path, log) = (dir.join(FILE), log::dir(dir));
        // SQLite's other files get the permissions of this one.
        let file = OpenOptions::new().append(true).create(true).mode(PRIVATE).open(&path);
        file.map_err(|error| FileError::new("open the store", &path, error))?;
        let db = Connection::open(&path).and_then(|db| {
            db.busy_timeout(Duration::from_secs(30))?;
            Ok(db)
        });
        let mut db = db.map_err(StoreError::sqlite("open", &path))?;
        check_or_create(&mut db, &path, &log)?;
        configure(&db).map_err(StoreError::sqlite("open", &path))?;
        let visitor_key = db
            .query_row("SELECT value FROM meta WHERE key = 'visitor_key'", [], |row| row.get(0))
            .map_err(StoreError::sqlite("read the visitor key of", &path))?;
        log::visitor_key::verify(&log, &visitor_key)?;
        Ok(Self { db, path, log, visitor_key, writer: None, items_from: None })
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

fn check_or_create(db: &mut Connection, path: &Path, log: &Path) -> Result<()> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get(0));
    let version: i32 = number("user_version").map_err(StoreError::sqlite("read", path))?;
    let application: i32 = number("application_id").map_err(StoreError::sqlite("read", path))?;
    match (application == APPLICATION_ID, version) {
        (true, SCHEMA_VERSION) => Ok(()),
        (true, OLDEST_VERSION..SCHEMA_VERSION) => migrate(db).map_err(StoreError::sqlite("migrate", path)),
        (true, found) if found != 0 => {
            Err(StoreError::Version { path: path.to_owned(), found, expected: SCHEMA_VERSION })
        }
        _ => create(db, path, log),
    }
}

fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (to, migration) in (OLDEST_VERSION + 1..).zip(MIGRATIONS).filter(|(to, _)| *to > version) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", to)?;
    }
    transaction.commit()
}

fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "wal")?;
    // Acknowledged changes of the catalogue survive a power cut.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "cache_size", -64 * 1024)
}

fn create(db: &mut Connection, path: &Path, log: &Path) -> Result<()> {
    let failed = || StoreError::sqlite("create", path);
    let transaction =
        db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed())?;
    let number = |sql| transaction.query_row(sql, [], |row| row.get(0));
    let version: i32 = number("SELECT user_version FROM pragma_user_version").map_err(failed())?;
    if version == SCHEMA_VERSION {
        return Ok(()); // Another process created it in the meantime.
    }
    let tables: i32 = number("SELECT count(*) FROM sqlite_schema").map_err(failed())?;
    if tables > 0 {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if !log::is_empty(log)? {
        return Err(StoreError::Missing { path: path.to_owned(), log: log.to_owned() });
    }
    let mut key = [0u8; 32];
    getrandom::fill(&mut key)?;
    let create = |transaction: rusqlite::Transaction<'_>| {
        transaction.execute_batch(SCHEMA)?;
        transaction.execute("INSERT INTO meta VALUES ('visitor_key', ?1)", [&key])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()
    };
    create(transaction).map_err(failed())
}

#[cfg(test)]
mod tests;
