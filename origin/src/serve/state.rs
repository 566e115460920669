//! What all requests share.

use crate::serve::{
    auth::Keys,
    feeds::Outcomes,
    history::History,
    metrics::Metrics,
    page::Sessions,
    problem::{Problem, Result},
    publisher::Publishing,
    tables::Current,
    traces::Traces,
};
use crate::{
    config::Config,
    store::{Change, Store},
};
use origin_data::clock::now;
use origin_log::Ingest;
use snapshots::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::{Semaphore, watch};

/// Bytes of request bodies that are held at a time; beyond it requests are told to come again.
const BODIES: usize = 256 << 20;

/// The service's state, one for the process.
pub struct Service {
    /// As the service was started with.
    pub config: Config,
    /// What /metrics tells.
    pub metrics: Metrics,
    /// Room for request bodies, in KiB.
    pub bodies: Arc<Semaphore>,
    /// Version of the catalogue: it grows with every change of an item, whoever made it. To follow it:
    /// `let mut changes = service.catalogue.subscribe(); while changes.changed().await.is_ok() { … }`. Changes
    /// that come while one is being worked on are seen as one. After a restart, compare
    /// [`Store::catalogue_version`] with the version last published.
    pub catalogue: watch::Sender<u64>,
    /// The way to the event log.
    pub events: Ingest,
    /// The tables that follow it.
    pub tables: Current,
    /// Held while closed segments of the log are rewritten.
    pub rewriting: Mutex<()>,
    /// What is published, and when.
    pub publishing: Publishing,
    /// True once the service is to stop; whoever loops subscribes and ends.
    pub stop: watch::Sender<bool>,
    /// The way to the collector of traces.
    pub traces: Traces,
    /// When the service was started.
    pub started_at: Timestamp,
    /// The last minutes, for the operators' page.
    pub history: History,
    /// Who is logged in there.
    pub sessions: Sessions,
    /// How feeds were taken last.
    pub feeds: Outcomes,
    /// Held while two models are compared.
    pub comparing: Arc<Semaphore>,
    store: Mutex<Store>,
    keys: RwLock<Arc<Keys>>,
    unready: Mutex<BTreeMap<&'static str, String>>,
}

/// The state as handlers get it.
pub type Shared = Arc<Service>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// Opens the data directory.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn open(config: Config) -> anyhow::Result<Shared> {
        let store = Store::open(&config.data_dir)?;
        let keys = Keys::new(store.keys()?, None);
        let version = store.catalogue_version()?;
        let metrics = Metrics::default();
        let writer = store.service_writer(config.log)?;
        if let Some(cut) = writer.cut() {
            let (segment, bytes) = (cut.path.display().to_string(), cut.bytes);
            tracing::warn!(
                segment,
                bytes,
                "cut an unfinished group off the log's end: nothing of it was acknowledged"
            );
        }
        let commits = metrics.log_commit.clone();
        let events = Ingest::start(writer, move |took, _| commits.observe(took.as_secs_f64()))?;
        let tables = Current::open(&config)?;
        let traces = Traces::start(config.serve.traces_to.as_deref(), &metrics)?;
        Ok(Arc::new(Self {
            traces,
            config,
            metrics,
            events,
            tables,
            rewriting: Mutex::default(),
            publishing: Publishing::default(),
            bodies: Arc::new(Semaphore::new(BODIES >> 10)),
            catalogue: watch::Sender::new(version),
            stop: watch::Sender::new(false),
            started_at: now(),
            history: History::default(),
            sessions: Sessions::default(),
            feeds: Outcomes::default(),
            comparing: Arc::new(Semaphore::new(1)),
            store: Mutex::new(store),
            keys: RwLock::new(Arc::new(keys)),
            unready: Mutex::default(),
        }))
    }

    /// Runs `work` with the store on a thread that may block.
    ///
    /// # Errors
    /// Those of `work`; a panic in it is an internal error.
    pub async fn with_store<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store) -> std::result::Result<T, E> + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let service = Arc::clone(self);
        self.blocking(move || work(&mut lock(&service.store))).await
    }

    /// Runs `work` on a thread that may block.
    ///
    /// # Errors
    /// Those of `work`; a panic in it is an internal error.
    pub async fn blocking<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce() -> std::result::Result<T, E> + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(error) => Err(Problem::internal(&error.into())),
        }
    }

    /// The keys as they are now.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what changed in the store by another hand: keys, and items that `verge import` brought.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn refresh(&self) -> anyhow::Result<()> {
        let (keys, version, items) = {
            let store = lock(&self.store);
            (store.keys()?, store.catalogue_version()?, store.count_items()?)
        };
        let before = self.keys();
        if !before.are(&keys) {
            let keys = Arc::new(Keys::new(keys, Some(&before)));
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
            tracing::info!("keys changed");
        }
        self.catalogue_is_at(version, items);
        Ok(())
    }

    /// Tells who follows the catalogue that it has this version, and so many items.
    fn catalogue_is_at(&self, version: u64, items: u64) {
        self.metrics.catalogue_items.set(items.cast_signed());
        self.catalogue.send_if_modified(|before| std::mem::replace(before, version) != version);
    }

    /// Changes the catalogue on a thread that may block, and tells who follows it.
    ///
    /// # Errors
    /// Those of `work`; a panic in it is an internal error.
    pub async fn change_catalogue<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Change<'_>) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (done, version, items) = self
            .with_store(move |store| {
                let done = store.change_catalogue(work)?;
                anyhow::Ok((done, store.catalogue_version()?, store.count_items()?))
            })
            .await?;
        self.catalogue_is_at(version, items);
        Ok(done)
    }

    /// Says that a part of the service cannot do its work, and why; or, by `None`, that it can again.
    pub fn set_unready(&self, part: &'static str, why: Option<String>) {
        let mut unready = lock(&self.unready);
        match why {
            Some(why) => unready.insert(part, why),
            None => unready.remove(part),
        };
    }

    /// Parts that cannot do their work, and why.
    pub fn unready(&self) -> BTreeMap<&'static str, String> {
        lock(&self.unready).clone()
    }
}
