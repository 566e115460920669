//! The thread that publishes: what regions want and what is in stock within seconds, what is learnt every few hours.
//!
//! It never stands in the way of events: it looks at the tables for a moment, and all that can take long or fail (the
//! destination, learning) happens here. Learning is `verge build` as a process of its own, so that its memory goes back
//! when it ends, and a service outlives whatever happens to it.

use crate::serve::state::{Service, Shared};
use crate::store::snapshots_dir;
use crate::{
    models::Registry,
    pack::{SnapshotSet, refresh::Refresher},
    publish::{self, destination::Destination},
    rules,
    store::Store,
};
use anyhow::{Context, Result, bail};
use snapshots::{
    manifest::{WORLD, manifest_key},
    rules::Rules,
    time::Timestamp,
};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;

/// How often the thread looks whether there is anything to do, at the least.
const LOOK: Duration = Duration::from_millis(250);
/// A change of the order among so many of a region's most wanted matters at once.
const FAVOURITES: usize = 100;
/// Other changes of popularity wait at most this long.
const SLIGHT: Duration = Duration::from_secs(60);
/// The longest wait before a failing destination is tried again.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Manifests kept a region, to roll back to.
const KEEP: usize = 10;

/// What others may ask of the thread, and see of it.
#[derive(Default)]
pub struct Publishing {
    /// To publish at once, whatever the intervals.
    pub now: Notify,
    /// To learn at once.
    pub learn: Notify,
    status: std::sync::Mutex<Status>,
}

/// How publishing goes.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Status {
    /// When the destination last had all there was.
    pub published_at: Option<Timestamp>,
    /// Time of the newest event that is published.
    pub newest: Option<Timestamp>,
    /// Why publishing failed, when it last did.
    pub failing: Option<String>,
    /// Whether a model is being learnt.
    pub learning: bool,
    /// How learning ended last.
    pub learnt: Option<String>,
}

impl Publishing {
    /// How it goes.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Starts the thread; it ends when the service stops.
///
/// # Errors
/// The destination is not configured fully, or the system gives no thread.
pub fn start(service: &Shared) -> Result<JoinHandle<()>> {
    let config = &service.config;
    let to = config.serve.publish_to.as_ref().map(|to| publish::open(to, &config.kv)).transpose()?;
    let (service, runtime) = (Shared::clone(service), tokio::runtime::Handle::current());
    let work = move || {
        let mut publisher = Publisher::new(&service, to);
        let mut stop = service.stop.subscribe();
        while !*stop.borrow_and_update() {
            publisher.turn();
            runtime.block_on(async {
                tokio::select! {
                    _ = stop.changed() => {}
                    () = service.publishing.now.notified() => publisher.hurry = true,
                    () = service.publishing.learn.notified() => publisher.learn = true,
                    // Events and items may come faster than it is worth looking at them.
                    () = tokio::time::sleep(LOOK) => {}
                }
            });
        }
    };
    thread::Builder::new().name("publisher".to_owned()).spawn(work).context("no thread for the publisher")
}

/// What the destination, or the refreshed model, is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Of {
    position: u64,
    catalogue: Option<u64>,
    rules: Option<SystemTime>,
}

/// Tells what serves: a model's id, and when its files were last changed.
type Version = (String, Option<SystemTime>);

struct Publisher<'a> {
    service: &'a Service,
    to: Option<Box<dyn Destination + Send>>,
    /// The model that serves, by its id, brought up to date.
    model: Option<(Version, Refresher)>,
    of: Of,
    /// The last rules that made sense.
    rules: Rules,
    favourites: Vec<Vec<u32>>,
    /// Since when the destination lacks something.
    waiting: Option<Instant>,
    matters: bool,
    known: BTreeSet<String>,
    /// Nothing is published before.
    due: Instant,
    /// Popularity is not looked at before: that takes a tenth of the thread's time at the most.
    look: Instant,
    published: Instant,
    failures: u32,
    hurry: bool,
    learn: bool,
    learning: Option<(Child, Instant)>,
    learnt: Option<(Instant, u64)>,
    /// When the tables alone may be learnt next, and the position that they are of.
    tables: (Instant, u64),
}

impl<'a> Publisher<'a> {
    fn new(service: &'a Service, to: Option<Box<dyn Destination + Send>>) -> Self {
        let now = Instant::now();
        Self {
            service,
            to,
            model: None,
            of: Of::default(),
            rules: Rules::default(),
            favourites: Vec::new(),
            waiting: None,
            matters: false,
            known: BTreeSet::new(),
            due: now,
            look: now,
            published: now,
            failures: 0,
            hurry: false,
            learn: false,
            learning: None,
            learnt: None,
            tables: (now, 0),
        }
    }

    fn turn(&mut self) {
        self.learning();
        let outcome =
            self.refresh().context("the model cannot be brought up to date").and_then(|()| self.publish());
        match outcome {
            Ok(()) => {}
            Err(error) => {
                self.failures += 1;
                let wait = Duration::from_secs(1 << self.failures.min(10)).min(MAX_WAIT);
                self.due = Instant::now() + wait;
                let error = format!("{error:#}");
                tracing::warn!(error, again_in_s = wait.as_secs(), "publishing failed");
                self.service.metrics.publish_failures.inc();
                self.service.publishing.set(|status| status.failing = Some(error));
            }
        }
        let metrics = &self.service.metrics;
        let waiting = self.waiting.filter(|_| self.to.is_some());
        metrics.publish_lag.set(waiting.map_or(0.0, |since| since.elapsed().as_secs_f64()));
        if let Some(newest) = self.service.publishing.status().newest {
            let now = jiff::Timestamp::now().as_millisecond();
            metrics.snapshot_age.set((now - newest.0) as f64 / 1e3);
        }
    }

    /// Brings the model up to date with the tables and the catalogue.
    fn refresh(&mut self) -> Result<()> {
        let service = self.service;
        let config = &service.config;
        let began = Instant::now();
        if began < self.look.max(self.due) && !self.hurry {
            return Ok(());
        }
        let Some(serving) = Registry::new(&config.data_dir).serving()? else { return Ok(()) };
        let manifest = snapshots_dir(&config.data_dir).join(manifest_key(WORLD));
        let version = (serving.id, manifest.metadata().and_then(|file| file.modified()).ok());
        if self.model.as_ref().is_none_or(|(known, _)| *known != version) {
            let refresher = Refresher::new(SnapshotSet::load(&snapshots_dir(&config.data_dir))?)?;
            self.model = Some((version, refresher));
            (self.of, self.favourites) = (Of::default(), Vec::new());
            (self.matters, self.waiting) = (true, self.waiting.or(Some(Instant::now())));
        }
        let Some((_, refresher)) = &mut self.model else { return Ok(()) };
        let catalogue = Some(*service.catalogue.borrow());
        if self.of.catalogue != catalogue {
            let store = Store::open(&config.data_dir)?.with_items_from(config.items);
            refresher.attributes(&store.items()?, store.others_in_stock()?)?;
            self.of.catalogue = catalogue;
            (self.matters, self.waiting) = (true, self.waiting.or(Some(Instant::now())));
        }
        let set = rules::version(&config.data_dir);
        if self.of.rules != set {
            // Rules that make no sense leave those before in force, and are told once.
            self.of.rules = set;
            let read = rules::load(&config.data_dir).map(|rules| self.rules = rules);
            refresher.rules(&self.rules)?;
            (self.matters, self.waiting) = (true, self.waiting.or(Some(Instant::now())));
            read?;
        }
        let position = *service.tables.position.borrow();
        // While the log is read from its beginning, half of it is no basis.
        let is_current = position + LAG >= *service.events.position().borrow();
        if self.of.position != position && is_current {
            let tables = service.tables.lock();
            refresher.popularity(&tables.counted())?;
            drop(tables);
            self.of.position = position;
            let favourites = refresher.favourites(FAVOURITES)?;
            self.matters |= favourites != self.favourites;
            self.favourites = favourites;
            self.look = Instant::now() + began.elapsed() * 9;
            self.waiting = self.waiting.or(Some(Instant::now()));
        }
        Ok(())
    }

    /// Sends what changed, if it matters, or has waited long enough.
    fn publish(&mut self) -> Result<()> {
        // Nobody waits for what goes nowhere.
        self.hurry &= self.to.is_some();
        let (Some(to), Some((_, refresher))) = (&self.to, &self.model) else { return Ok(()) };
        let worth = self.matters || self.published.elapsed() >= SLIGHT;
        let due = Instant::now() >= self.due && worth;
        if !(self.waiting.is_some() && due || self.hurry) {
            return Ok(());
        }
        let (config, began) = (&self.service.config, Instant::now());
        let now = Timestamp(jiff::Timestamp::now().as_millisecond());
        let alone = publish::lock_publishing(&config.data_dir)?;
        let outcome = publish::publish(refresher.built(), &**to, now, KEEP, false, &mut self.known, |_| {});
        drop(alone);
        let took = began.elapsed();
        let failed = outcome.as_ref().err().map(|error| format!("{error:#}"));
        self.service.traces.job("publish", took, failed, &self.service.metrics);
        let outcome = outcome?;
        if outcome.wrote > 0 {
            tracing::info!(
                keys = outcome.wrote,
                bytes = outcome.bytes,
                seconds = took.as_secs_f64(),
                "published"
            );
        }
        self.service.metrics.publish_duration.observe(took.as_secs_f64());
        let newest = refresher.built().manifests.iter().map(|manifest| manifest.built_at).max();
        self.service.publishing.set(|status| {
            (status.published_at, status.newest, status.failing) = (Some(now), newest, None);
        });
        (self.waiting, self.matters, self.hurry, self.failures) = (None, false, false, 0);
        self.published = Instant::now();
        self.due = began + Duration::from_millis(config.serve.popularity_every_ms);
        Ok(())
    }

    /// Starts learning when it is time to, and sees how it ended.
    fn learning(&mut self) {
        let service = self.service;
        let stored = *service.events.position().borrow();
        if let Some((child, since)) = &mut self.learning {
            let failed = match child.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) if status.success() => None,
                Ok(Some(status)) => Some(format!("failed: {status}")),
                Err(error) => Some(format!("failed: {error}")),
            };
            let took = since.elapsed();
            service.traces.job("learn", took, failed.clone(), &service.metrics);
            let ended = failed.unwrap_or_else(|| "succeeded".to_owned());
            tracing::info!(outcome = ended, seconds = took.as_secs_f64(), "learning ended");
            self.learning = None;
            let pause = Duration::from_secs(service.config.serve.tables_every_s).max(took * SHARE);
            self.tables = (Instant::now() + pause, self.tables.1);
            service.publishing.set(|status| (status.learning, status.learnt) = (false, Some(ended)));
        }
        let every = Duration::from_secs(service.config.serve.learn_every_s);
        // A young shop learns as it grows.
        let (soon, twice) = (every.min(DOUBLED), |position: u64| stored / 2 >= position.max(1));
        let is_due = !every.is_zero()
            && stored > 0
            && self.learnt.is_none_or(|(at, position)| {
                at.elapsed() >= if twice(position) { soon } else { every } && position != stored
            });
        // A service that was only restarted need not learn again what it has learnt.
        if is_due && self.learnt.is_none() && self.has_recent_model(every) {
            self.learnt = Some((Instant::now(), stored));
            return;
        }
        let whole = is_due || self.learn;
        let (due, position) = self.tables;
        let tables = service.config.serve.tables_every_s > 0 && Instant::now() >= due && stored != position;
        if whole || (tables && self.model.is_some()) {
            self.tables.1 = stored;
            if whole {
                self.learn = false;
                self.learnt = Some((Instant::now(), stored));
            }
            match learn(service, whole) {
                Ok(child) => {
                    self.learning = Some((child, Instant::now()));
                    service.publishing.set(|status| status.learning = true);
                }
                Err(error) => tracing::error!(error = format!("{error:#}"), "learning cannot start"),
            }
        }
    }

    fn has_recent_model(&self, within: Duration) -> bool {
        let now = jiff::Timestamp::now().as_millisecond();
        let models = Registry::new(&self.service.config.data_dir).list().unwrap_or_default();
        models.last().is_some_and(|model| now - model.built_at.0 < within.as_millis() as i64)
    }
}

/// The tables alone are learnt a part in so many of the time, however long it takes.
const SHARE: u32 = 9;
/// How soon learning may follow learning where the log has doubled since.
const DOUBLED: Duration = Duration::from_secs(300);
/// Events that may be missing in the tables when they are published.
const LAG: u64 = 100_000;

/// Runs `verge build` in a process of its own; what it says goes into the log.
fn learn(service: &Service, whole: bool) -> Result<Child> {
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    let mut command = Command::new(program);
    if let Some(file) = &service.config.file {
        command.arg("--config").arg(file);
    }
    command.arg("--data-dir").arg(&service.config.data_dir).arg("build");
    if !whole {
        command.arg("--tables");
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let Some(said) = child.stderr.take() else { bail!("its output is lost") };
    thread::spawn(move || {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            tracing::info!(line = line.trim(), "learning");
        }
    });
    Ok(child)
}

impl Drop for Publisher<'_> {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.learning {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
