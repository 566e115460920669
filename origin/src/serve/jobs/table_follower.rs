//! Keeps the tables current: follows the event log, and saves a checkpoint now and then.

use crate::serve::jobs::thread;
use crate::serve::state::service::{Service, Shared};
use crate::{
    config::Config,
    store::releases,
    stream::{StreamTables, checkpoint},
};
use anyhow::Result;
use origin_data::clock;
use origin_learn::caps::{Caps, Surge};
use origin_log::Reader;
use snapshots::event::Kind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest sleep while no events come.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// The delay before a log that cannot be read is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(30);

/// A surge whose last event is this old is not told when tables are rebuilt, in milliseconds.
const TOLD_MS: i64 = 60 * 60_000;

/// Starts the thread. It ends when the service stops, after counting all events.
///
/// # Errors
/// The system cannot start a thread.
pub(crate) fn start(service: &Shared) -> Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Handle::current();
    let shared = Shared::clone(service);
    let restarting = AtomicBool::new(false);
    let work = move || {
        let service = &*shared;
        if restarting.swap(true, Ordering::Relaxed) {
            // Part of a frame may have been counted when the thread panicked.
            service.tables.request_rebuild();
        }
        let mut follower = Follower::new(service);
        let (mut stored, mut stop) = (service.events.position().clone(), service.stop.subscribe());
        loop {
            let stopping = *stop.borrow_and_update();
            stored.borrow_and_update();
            if let Err(error) = follower.catch_up() {
                let error = format!("{error:#}");
                tracing::error!(error, "cannot follow the log");
                service.set_unready("tables", Some(error));
                // Part of a frame may have been counted.
                service.tables.request_rebuild();
                let stopped = async { stop.wait_for(|stop| *stop).await.map(|_| ()) };
                let _ = runtime.block_on(async { tokio::time::timeout(RETRY_DELAY, stopped).await });
            } else {
                service.set_unready("tables", None);
            }
            follower.save_checkpoint_if_due(stopping);
            if stopping {
                break;
            }
            runtime.block_on(async {
                let changed = async {
                    tokio::select! {
                        _ = stored.changed() => {}
                        _ = stop.changed() => {}
                    }
                };
                let _ = tokio::time::timeout(IDLE_WAIT, changed).await;
            });
        }
    };
    thread::spawn(service, "tables", work)
}

/// Whether to save a checkpoint: the tables changed since the last one, and its interval has passed or the service stops.
fn is_checkpoint_due(
    position: u64,
    saved_position: u64,
    since_saved: Duration,
    interval: Duration,
    stopping: bool,
) -> bool {
    position != saved_position && (stopping || since_saved >= interval)
}

struct Follower<'a> {
    service: &'a Service,
    reader: Reader,
    saved_at: Instant,
    saved_position: u64,
    /// Events by kind that the metrics include.
    processed: [u64; Kind::ALL.len()],
    /// Surges that were told.
    surges: u64,
}

/// The surges after the first `told`, but none of which the last event is long ago: those were told before a restart.
fn new_surges(caps: &Caps, told: &mut u64) -> Vec<Surge> {
    let new = usize::try_from(caps.surge_count() - *told).unwrap_or(usize::MAX);
    *told = caps.surge_count();
    let since = clock::now().0 - TOLD_MS;
    caps.surges().iter().rev().take(new).filter(|surge| surge.to.0 > since).cloned().collect()
}

impl<'a> Follower<'a> {
    fn new(service: &'a Service) -> Self {
        let reader = service.tables.take_reader();
        let saved_position = reader.position();
        let (processed, surges) = {
            let tables = service.tables.lock();
            (tables.events, tables.caps.surge_count())
        };
        Self { service, reader, saved_at: Instant::now(), saved_position, processed, surges }
    }

    /// Counts the events that the log holds by now.
    fn catch_up(&mut self) -> Result<()> {
        let tables = &self.service.tables;
        let rebuilding = tables.take_rebuild_request();
        if rebuilding {
            let Config { data_dir, stream, .. } = &self.service.config;
            let rebuilt = releases::load(data_dir).map(|of| StreamTables::new(*stream).with_releases(of));
            *tables.lock() = rebuilt.inspect_err(|_| tables.request_rebuild())?;
            self.reader = Reader::new(tables.log(), 0);
            (self.processed, self.saved_position, self.surges) = ([0; 5], 0, 0);
        }
        loop {
            let mut current = tables.lock();
            let more = self.reader.read_some(|record, place| current.add(record, place));
            let events = current.events;
            let surges = new_surges(&current.caps, &mut self.surges);
            drop(current);
            for surge in surges {
                self.service.metrics.surges_held.inc();
                let Surge { item, area, bound, .. } = surge;
                tracing::warn!(
                    item,
                    area,
                    bound,
                    "an item has more events than its history makes likely and is held; if they are honest, run verge \
                     surge release"
                );
            }
            for ((kind, now), before) in Kind::ALL.into_iter().zip(events).zip(self.processed) {
                let processed = self.service.metrics.events_processed.get_or_create(&kind.into());
                processed.inc_by(now.saturating_sub(before));
            }
            self.processed = events;
            tables.position.send_replace(self.reader.position());
            if !more? {
                tables.rebuilds.fetch_add(u64::from(rebuilding), Ordering::Release);
                return Ok(());
            }
        }
    }

    fn save_checkpoint_if_due(&mut self, stopping: bool) {
        let interval = Duration::from_secs(self.service.config.stream.checkpoint_s);
        let (position, since_saved) = (self.reader.position(), self.saved_at.elapsed());
        if !is_checkpoint_due(position, self.saved_position, since_saved, interval, stopping) {
            return;
        }
        let start = Instant::now();
        let (config, tables) = (&self.service.config, &self.service.tables);
        let bytes = checkpoint::write(&tables.lock(), &self.reader, tables.log(), config.stream);
        match bytes.and_then(|bytes| checkpoint::save(&bytes, &config.data_dir).map(|()| bytes.len())) {
            Ok(bytes) => tracing::debug!(bytes, seconds = start.elapsed().as_secs_f64(), "checkpoint saved"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "cannot save a checkpoint"),
        }
        (self.saved_at, self.saved_position) = (Instant::now(), position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_saved_after_changes_at_its_interval_and_when_stopping() {
        let minute = Duration::from_secs(60);
        let due =
            |position, since_saved, stopping| is_checkpoint_due(position, 7, since_saved, minute, stopping);
        assert!(!due(7, minute * 9, true), "nothing changed");
        assert!(!due(8, minute / 2, false), "too early");
        assert!(due(8, minute, false) && due(8, Duration::ZERO, true));
    }
}
