//! The thread that keeps the tables current: it follows the log, and leaves a checkpoint now and then.

use crate::serve::state::{Service, Shared};
use crate::stream::{StreamTables, checkpoint};
use anyhow::{Context, Result};
use origin_log as log;
use origin_log::Reader;
use snapshots::event::Kind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long the thread sleeps when nothing comes, at the most.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// How long it waits before it tries a log again that cannot be read.
const RETRY: Duration = Duration::from_secs(30);

/// The tables of the service, and how far they are.
pub struct Current {
    tables: Mutex<StreamTables>,
    /// The position of the log that the tables are of.
    pub position: watch::Sender<u64>,
    /// Set when the log's past was changed: the tables are counted anew.
    pub changed: AtomicBool,
    start: Mutex<Option<Reader>>,
    log: PathBuf,
}

impl Current {
    /// By the checkpoint, as far as it goes.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn open(config: &crate::config::Config) -> Result<Self> {
        let log = log::dir(&config.data_dir);
        let (tables, reader, why) = checkpoint::load(&config.data_dir, &log, config.stream)?;
        if let Some(why) = why.filter(|_| !log::segments(&log).is_ok_and(|all| all.is_empty())) {
            tracing::info!(why, "the tables are counted from the beginning of the log");
        }
        let position = watch::Sender::new(reader.position());
        Ok(Self {
            tables: Mutex::new(tables),
            position,
            changed: AtomicBool::new(false),
            start: Mutex::new(Some(reader)),
            log,
        })
    }

    /// The tables, for a short look: events wait meanwhile to be counted, though not to be stored.
    pub fn lock(&self) -> MutexGuard<'_, StreamTables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread; it ends when the service stops, once all events are counted.
///
/// # Errors
/// The system gives no thread.
pub fn follow(service: &Shared) -> Result<JoinHandle<()>> {
    let (service, runtime) = (Shared::clone(service), tokio::runtime::Handle::current());
    let start = service.tables.start.lock().unwrap_or_else(PoisonError::into_inner).take();
    let reader = start.unwrap_or_else(|| Reader::new(&service.tables.log, 0));
    let work = move || {
        let saved = Instant::now();
        let mut follower = Follower { service: &service, reader, saved, saved_at: 0, processed: [0; 5] };
        follower.processed = service.tables.lock().events;
        follower.saved_at = follower.reader.position();
        let (mut stored, mut stop) = (service.events.position().clone(), service.stop.subscribe());
        loop {
            let stopping = *stop.borrow_and_update();
            stored.borrow_and_update();
            if let Err(error) = follower.catch_up() {
                tracing::error!(error = format!("{error:#}"), "the log cannot be followed");
                service.set_unready("tables", Some(format!("{error:#}")));
                // Part of a frame may have been counted.
                service.tables.changed.store(true, Ordering::Release);
                thread::sleep(RETRY);
            } else {
                service.set_unready("tables", None);
            }
            follower.checkpoint(stopping);
            if stopping {
                break;
            }
            runtime.block_on(async {
                let _ = tokio::time::timeout(IDLE_WAIT, async {
                    tokio::select! {
                        _ = stored.changed() => {}
                        _ = stop.changed() => {}
                    }
                })
                .await;
            });
        }
    };
    thread::Builder::new().name("tables".to_owned()).spawn(work).context("no thread for the tables")
}

struct Follower<'a> {
    service: &'a Service,
    reader: Reader,
    saved: Instant,
    saved_at: u64,
    /// Events by kind that the metrics know of.
    processed: [u64; Kind::ALL.len()],
}

impl Follower<'_> {
    /// Counts what the log holds by now.
    fn catch_up(&mut self) -> Result<()> {
        let tables = &self.service.tables;
        if tables.changed.swap(false, Ordering::AcqRel) {
            *tables.lock() = StreamTables::new(self.service.config.stream);
            self.reader = Reader::new(&tables.log, 0);
            (self.processed, self.saved_at) = ([0; 5], 0);
        }
        loop {
            let mut current = tables.lock();
            let more = self.reader.read_some(|record, place| current.add(record, place));
            let events = current.events;
            drop(current);
            for ((kind, now), before) in Kind::ALL.into_iter().zip(events).zip(self.processed) {
                let processed = self.service.metrics.events_processed.get_or_create(&kind.into());
                processed.inc_by(now.saturating_sub(before));
            }
            self.processed = events;
            tables.position.send_replace(self.reader.position());
            if !more? {
                return Ok(());
            }
        }
    }

    /// Saves the tables if it is time to, or `now`.
    fn checkpoint(&mut self, now: bool) {
        let every = Duration::from_secs(self.service.config.stream.checkpoint_s);
        if self.reader.position() == self.saved_at || !(now || self.saved.elapsed() >= every) {
            return;
        }
        let began = Instant::now();
        let (config, tables) = (&self.service.config, &self.service.tables);
        let bytes = checkpoint::write(&tables.lock(), &self.reader, &tables.log, config.stream);
        match bytes.and_then(|bytes| checkpoint::save(&bytes, &config.data_dir).map(|()| bytes.len())) {
            Ok(bytes) => tracing::debug!(bytes, seconds = began.elapsed().as_secs_f64(), "checkpoint"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "no checkpoint could be left"),
        }
        (self.saved, self.saved_at) = (Instant::now(), self.reader.position());
    }
}
