//! The tables that follow the event log, and the position they have reached.

use crate::config::StreamOptions;
use crate::serve::state::lock;
use crate::stream::{StreamTables, checkpoint};
use anyhow::Result;
use origin_log::Reader;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::watch;

/// The current tables. One job updates them; others read them.
pub(crate) struct LiveTables {
    tables: Mutex<StreamTables>,
    /// Position in the log up to which events are in the tables.
    pub(crate) position: watch::Sender<u64>,
    /// How often they were rebuilt from the whole log, which may change them without changing their position.
    pub(crate) rebuilds: AtomicU64,
    rebuild: AtomicBool,
    reader: Mutex<Option<Reader>>,
    log: PathBuf,
}

impl LiveTables {
    /// Loads the checkpoint if it is usable; otherwise the tables start empty, at the beginning of the log.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn open(data_dir: &Path, limits: StreamOptions) -> Result<Self> {
        let log = origin_log::dir(data_dir);
        let (tables, reader, reason) = checkpoint::load(data_dir, &log, limits)?;
        if let Some(reason) = reason
            && !origin_log::segments(&log)?.is_empty()
        {
            tracing::info!(reason, "no usable checkpoint: the tables are rebuilt from the whole log");
        }
        Ok(Self {
            tables: Mutex::new(tables),
            position: watch::Sender::new(reader.position()),
            rebuilds: AtomicU64::new(0),
            rebuild: AtomicBool::new(false),
            reader: Mutex::new(Some(reader)),
            log,
        })
    }

    /// Locks the tables. Hold the lock briefly: events are stored meanwhile, but not counted.
    pub(crate) fn lock(&self) -> MutexGuard<'_, StreamTables> {
        lock(&self.tables)
    }

    /// The directory of the log that the tables follow.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The reader at the tables' position, for the one job that follows the log; at the beginning of the log if it was
    /// taken before.
    pub(crate) fn take_reader(&self) -> Reader {
        lock(&self.reader).take().unwrap_or_else(|| Reader::new(&self.log, 0))
    }

    /// Requests that the tables are rebuilt from the whole log, because earlier events changed.
    pub(crate) fn request_rebuild(&self) {
        self.rebuild.store(true, Ordering::Release);
    }

    /// Whether a rebuild was requested since the last call.
    pub(crate) fn take_rebuild_request(&self) -> bool {
        self.rebuild.swap(false, Ordering::AcqRel)
    }
}
