//! The state of the service, one for the process: the parts beside this module, the store, and how to reach them.

use crate::config::Config;
use crate::serve::state::{
    body_memory::BodyMemory, feeds::Feeds, history::History, keys::Keys, live_tables::LiveTables, lock,
    metrics::Metrics, order_keys::OrderKeys, publishing::Publishing, sessions::Sessions, tls::Tls,
    traces::Traces,
};
use crate::store::{Change, Store, StoreError, releases};
use crate::stream::checkpoint;
use anyhow::{Context, Result, bail};
use origin_data::clock;
use origin_log::{GroupCommit, Record, Segment};
use snapshots::time::Timestamp;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::{Semaphore, watch};

/// The state of the service.
pub(crate) struct Service {
    /// The configuration that the service was started with.
    pub(crate) config: Config,
    /// The certificate and key; `None` without TLS.
    pub(crate) tls: Option<Tls>,
    /// The keys of order tokens.
    pub(crate) order_keys: OrderKeys,
    /// The metrics.
    pub(crate) metrics: Metrics,
    /// Memory for request bodies.
    pub(crate) body_memory: Arc<BodyMemory>,
    /// Version of the catalogue. It grows with every change of an item, also by other processes. To follow it:
    /// `let mut changes = service.catalogue.subscribe(); while changes.changed().await.is_ok() { … }`. Changes during
    /// an iteration are seen as one. After a restart, compare [`Store::catalogue_version`] with the version that was
    /// published last.
    pub(crate) catalogue: watch::Sender<u64>,
    /// Stores events in the log.
    pub(crate) events: GroupCommit,
    /// The tables that follow the log.
    pub(crate) tables: LiveTables,
    /// Held while closed segments of the log are rewritten.
    pub(crate) rewriting: Mutex<()>,
    /// Requests to the publisher, and its status.
    pub(crate) publishing: Publishing,
    /// True once the service stops; every job subscribes and ends then.
    pub(crate) stop: watch::Sender<bool>,
    /// Sends traces to the collector.
    pub(crate) traces: Traces,
    /// When the service was started.
    pub(crate) started_at: Timestamp,
    /// The points of the plots of `/admin`.
    pub(crate) history: History,
    /// The sessions of `/admin`.
    pub(crate) sessions: Sessions,
    /// The last outcome of each feed.
    pub(crate) feeds: Feeds,
    /// Held while two models are compared.
    pub(crate) comparing: Arc<Semaphore>,
    store: Mutex<Store>,
    keys: RwLock<Arc<Keys>>,
    unready: Mutex<BTreeMap<&'static str, String>>,
}

/// The state as handlers and jobs hold it.
pub(crate) type Shared = Arc<Service>;

impl Service {
    /// Opens the data directory.
    ///
    /// # Errors
    /// The store or the log cannot be used, or a key is too short.
    pub(crate) fn open(config: Config) -> Result<Shared> {
        let order_keys = OrderKeys::new(config.serve.order_key.as_ref())?;
        let tls = match (&config.serve.tls_certificate, &config.serve.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls::open(certificate, key)?),
            (None, None) => None,
            _ => bail!("tls_certificate and tls_key go together; one of them is missing under [serve]"),
        };
        let store = Store::open(&config.data_dir)?;
        let keys = Keys::new(store.keys()?, None);
        let version = store.catalogue_version()?;
        let metrics = Metrics::default();
        let writer = store.service_writer(config.log)?;
        if let Some(cut) = writer.truncated_tail() {
            let (segment, bytes) = (cut.path.display().to_string(), cut.bytes);
            tracing::warn!(
                segment,
                bytes,
                "removed an unfinished group from the end of the log; none of its events was acknowledged"
            );
        }
        let log_commit = metrics.log_commit.clone();
        let events =
            GroupCommit::start(writer, move |duration, _| log_commit.observe(duration.as_secs_f64()))?;
        let tables = LiveTables::open(&config.data_dir, config.stream)?;
        let traces = Traces::start(config.serve.traces_to.as_deref(), metrics.trace_spans_lost.clone())?;
        Ok(Arc::new(Self {
            traces,
            tls,
            order_keys,
            config,
            metrics,
            events,
            tables,
            rewriting: Mutex::default(),
            publishing: Publishing::default(),
            body_memory: Arc::default(),
            catalogue: watch::Sender::new(version),
            stop: watch::Sender::new(false),
            started_at: clock::now(),
            history: History::default(),
            sessions: Sessions::default(),
            feeds: Feeds::default(),
            comparing: Arc::new(Semaphore::new(1)),
            store: Mutex::new(store),
            keys: RwLock::new(Arc::new(keys)),
            unready: Mutex::default(),
        }))
    }

    /// Runs `work` with the store on a thread that may block.
    ///
    /// # Errors
    /// Those of `work`, or that it panicked.
    pub(crate) async fn with_store<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<anyhow::Error> + Send + 'static,
    {
        let service = Arc::clone(self);
        self.blocking(move || work(&mut lock(&service.store))).await
    }

    /// Runs `work` on a thread that may block.
    ///
    /// # Errors
    /// Those of `work`, or that it panicked.
    pub(crate) async fn blocking<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<anyhow::Error> + Send + 'static,
    {
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => Err(anyhow::Error::from(error).into()),
        }
    }

    /// The valid keys.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what other processes changed in the store: keys (`verge keys`), items (`verge import`) and releases of surges.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn refresh(&self) -> Result<()> {
        let (keys, version, items) = {
            let store = lock(&self.store);
            (store.keys()?, store.catalogue_version()?, store.count_items()?)
        };
        let before = self.keys();
        if !before.matches(&keys) {
            let keys = Arc::new(Keys::new(keys, Some(&before)));
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
            tracing::info!("keys changed");
        }
        self.set_catalogue_version(version, items);
        if self.tables.lock().caps.releases() != releases::load(&self.config.data_dir)? {
            tracing::info!("a surge was released: the tables are rebuilt");
            self.tables.request_rebuild();
        }
        Ok(())
    }

    /// Whether clients reach the service over TLS: its own, or that of a proxy.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_some() || !self.config.serve.behind_proxy.is_empty()
    }

    /// Publishes the version and the size of the catalogue to subscribers and metrics.
    fn set_catalogue_version(&self, version: u64, items: u64) {
        self.metrics.catalogue_items.set(items.cast_signed());
        self.catalogue.send_if_modified(|before| std::mem::replace(before, version) != version);
    }

    /// Changes the catalogue on a thread that may block, and notifies subscribers.
    ///
    /// # Errors
    /// Those of `work`, or that it panicked.
    pub(crate) async fn change_catalogue<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Change<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        let (done, version, items) = self
            .with_store(move |store| {
                let done = store.change_catalogue(work)?;
                anyhow::Ok((done, store.catalogue_version()?, store.count_items()?))
            })
            .await?;
        self.set_catalogue_version(version, items);
        Ok(done)
    }

    /// Removes the events that `is_removed` selects from the log, among all that are stored by now; returns their number.
    /// The checkpoint, which still counts them, is deleted, and the tables are rebuilt in the background.
    ///
    /// # Errors
    /// The log cannot be rewritten. Some events may be left then, and the call has to be repeated.
    pub(crate) async fn remove_events(
        self: &Arc<Self>,
        is_removed: impl Fn(&Record<'_>) -> bool + Send + 'static,
    ) -> Result<u64> {
        let closed = self.events.rotate().await?;
        let service = Arc::clone(self);
        self.blocking(move || {
            // Concurrent rewrites would overwrite each other.
            let rewriting = lock(&service.rewriting);
            let mut removed = 0;
            let outcome = rewrite(&closed, is_removed, &mut removed);
            drop(rewriting);
            // Also after an error: the tables count events that are no longer in the log.
            if removed > 0 {
                remove_checkpoint(&service.config.data_dir)?;
                service.tables.request_rebuild();
            }
            outcome.map(|()| removed)
        })
        .await
    }

    /// Records that a part of the service cannot work, and why; `None` records that it can again.
    pub(crate) fn set_unready(&self, part: &'static str, reason: Option<String>) {
        let mut unready = lock(&self.unready);
        match reason {
            Some(reason) => unready.insert(part, reason),
            None => unready.remove(part),
        };
    }

    /// The parts that cannot work, and why.
    pub(crate) fn unready(&self) -> BTreeMap<&'static str, String> {
        lock(&self.unready).clone()
    }
}

fn rewrite(segments: &[Segment], is_removed: impl Fn(&Record<'_>) -> bool, removed: &mut u64) -> Result<()> {
    for segment in segments {
        // Another rewrite may have removed the whole segment since.
        let exists = segment.path.try_exists();
        if exists.with_context(|| format!("cannot read {}", segment.path.display()))? {
            *removed += origin_log::rewrite(segment, |record| !is_removed(record))?;
        }
    }
    Ok(())
}

fn remove_checkpoint(data_dir: &Path) -> Result<()> {
    let path = data_dir.join(checkpoint::FILE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
