//! Keeps the destination up to date: popularity, stock and rules within seconds, learned tables within minutes, and a new
//! model every few hours.
//!
//! [`schedule`] decides what to do; this module does it, on a thread of its own, because a slow or failing destination must
//! not delay events. It locks the live tables only while it reads popularity from them.

mod learning;
mod schedule;

use crate::serve::jobs::thread;
use crate::serve::state::service::{Service, Shared};
use crate::{
    models::Registry,
    pack::{SnapshotSet, refresh::Refresher},
    publish::{self, destination::Destination},
    rules,
    store::{Store, snapshots_dir},
};
use anyhow::{Context, Result};
use learning::LearningProcess;
use origin_data::clock;
use schedule::{Action, AppliedVersions, Changes, CurrentVersions, Inputs, Intervals, Scope, next_action};
use snapshots::{
    manifest::{WORLD, manifest_key},
    rules::Rules,
};
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The interval at which the inputs are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// A change of the order of this many most popular items of a region is urgent.
const TOP_ITEMS: usize = 100;
/// Manifests kept for each region, to roll back to.
const KEPT_MANIFESTS: usize = 10;

/// Publishing that has failed for this long makes the service not ready.
const UNREADY_AFTER: Duration = Duration::from_secs(600);

/// Starts the thread. It ends when the service stops.
///
/// # Errors
/// The destination is not fully configured, or the system cannot start a thread.
pub(crate) fn start(service: &Shared) -> Result<JoinHandle<()>> {
    destination(service)?;
    let (shared, runtime) = (Shared::clone(service), tokio::runtime::Handle::current());
    let work = move || {
        let service = &*shared;
        let destination = match destination(service) {
            Ok(destination) => destination,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the destination cannot be opened");
                return;
            }
        };
        let mut publisher = Publisher::new(service, destination);
        let mut stop = service.stop.subscribe();
        loop {
            publisher.inputs.stopping = *stop.borrow_and_update();
            if !publisher.run_until_idle() {
                return;
            }
            runtime.block_on(async {
                tokio::select! {
                    _ = stop.changed() => {}
                    () = service.publishing.publish_requested.notified() => publisher.request_publish(),
                    () = service.publishing.learn_requested.notified() => publisher.inputs.learn_requested = true,
                    // Not at every event or item: they may come faster than they are worth a check.
                    () = tokio::time::sleep(CHECK_INTERVAL) => {}
                }
            });
        }
    };
    thread::spawn(service, "publisher", work)
}

fn destination(service: &Service) -> Result<Option<Box<dyn Destination + Send>>> {
    let config = &service.config;
    Ok(config.serve.publish_to.as_ref().map(|to| publish::open(to, &config.kv)).transpose()?)
}

struct Publisher<'a> {
    service: &'a Service,
    destination: Option<Box<dyn Destination + Send>>,
    inputs: Inputs,
    /// The serving model in memory, as of `inputs.applied`.
    model: Option<Refresher>,
    /// The last valid rules.
    rules: Rules,
    /// Why the rules that are set now are invalid.
    rules_error: Option<String>,
    /// The most popular items of each region, in order.
    top_items: Vec<Vec<u32>>,
    /// Hashes of blobs that are at the destination.
    published_blobs: BTreeSet<String>,
    learning: Option<LearningProcess>,
    /// When publishing failed first since it last worked.
    failing_since: Option<Instant>,
}

impl<'a> Publisher<'a> {
    fn new(service: &'a Service, destination: Option<Box<dyn Destination + Send>>) -> Self {
        let config = &service.config.serve;
        let intervals = Intervals {
            publish: Duration::from_millis(config.popularity_every_ms),
            learn_tables: Duration::from_secs(config.tables_every_s),
            learn: Duration::from_secs(config.learn_every_s),
        };
        Self {
            service,
            inputs: Inputs::new(intervals, destination.is_some(), Instant::now()),
            destination,
            model: None,
            rules: Rules::default(),
            rules_error: None,
            top_items: Vec::new(),
            published_blobs: BTreeSet::new(),
            learning: None,
            failing_since: None,
        }
    }

    fn request_publish(&mut self) {
        // Without a destination the request could never be fulfilled.
        self.inputs.publish_requested = self.destination.is_some();
    }

    /// Performs actions until there is nothing to do; false when the publisher has to stop.
    fn run_until_idle(&mut self) -> bool {
        if !self.inputs.stopping
            && let Err(error) = self.read_inputs()
        {
            self.fail(&error);
        }
        loop {
            let outcome = match next_action(Instant::now(), &self.inputs) {
                Action::Stop => return false,
                Action::Wait => break,
                Action::Learn(scope) => {
                    self.start_learning(scope);
                    Ok(())
                }
                Action::SkipFirstLearning => {
                    self.inputs.record_skipped_learning(Instant::now());
                    Ok(())
                }
                Action::Refresh(changes) => {
                    self.refresh(changes).context("the model cannot be brought up to date")
                }
                Action::Publish => self.publish(),
            };
            if let Err(error) = outcome {
                self.fail(&error);
            }
        }
        self.export_metrics();
        true
    }

    fn read_inputs(&mut self) -> Result<()> {
        self.poll_learning();
        self.inputs.stored = *self.service.events.position().borrow();
        self.inputs.current = None;
        let now = Instant::now();
        if self.inputs.needs_recent_model(now) {
            self.inputs.has_recent_model = Some(self.has_recent_model()?);
        }
        if self.inputs.may_check(now) {
            self.inputs.current = Some(self.current_versions()?);
        }
        Ok(())
    }

    fn has_recent_model(&self) -> Result<bool> {
        let models = Registry::new(&self.service.config.data_dir).list()?;
        let age_ms = models.last().map(|model| clock::now().0 - model.built_at.0);
        let interval_ms = i64::try_from(self.inputs.intervals.learn.as_millis()).unwrap_or(i64::MAX);
        Ok(age_ms.is_some_and(|age| age < interval_ms))
    }

    fn current_versions(&self) -> Result<CurrentVersions> {
        let data_dir = &self.service.config.data_dir;
        let model = match Registry::new(data_dir).serving()? {
            Some(model) => {
                let manifest = snapshots_dir(data_dir).join(manifest_key(WORLD));
                let modified = fs::metadata(&manifest).and_then(|metadata| metadata.modified());
                Some((model.id, modified.with_context(|| format!("cannot read {}", manifest.display()))?))
            }
            None => None,
        };
        Ok(CurrentVersions {
            model,
            catalogue: *self.service.catalogue.borrow(),
            rules: rules::version(data_dir)?,
            position: *self.service.tables.position.borrow(),
            rebuilds: self.service.tables.rebuilds.load(Ordering::Acquire),
        })
    }

    /// Brings the model in memory up to date.
    fn refresh(&mut self, changes: Changes) -> Result<()> {
        let start = Instant::now();
        let Some(current) = self.inputs.current.take() else { return Ok(()) };
        let (service, data_dir) = (self.service, &self.service.config.data_dir);
        if changes.model {
            self.model = Some(Refresher::new(SnapshotSet::load(&snapshots_dir(data_dir))?)?);
            self.inputs.applied = AppliedVersions { model: current.model, ..AppliedVersions::default() };
            self.top_items = Vec::new();
            self.inputs.record_change(Instant::now(), true);
        }
        let Some(model) = &mut self.model else { return Ok(()) };
        if changes.catalogue {
            let store = Store::open(data_dir)?.with_items_from(service.config.items);
            model.attributes(&store.items()?, store.others_in_stock()?)?;
            self.inputs.applied.catalogue = Some(current.catalogue);
            self.inputs.record_change(Instant::now(), true);
        }
        if changes.rules {
            // Invalid rules are reported once and leave the last valid ones in force; other changes are still published.
            self.inputs.applied.rules = current.rules;
            let loaded = rules::load(data_dir).map(|rules| self.rules = rules);
            self.rules_error = loaded.as_ref().err().map(|error| format!("{error:#}"));
            model.rules(&self.rules)?;
            self.inputs.record_change(Instant::now(), true);
            loaded?;
        }
        if changes.popularity {
            let tables = service.tables.lock();
            model.popularity(&tables.popularity_counts())?;
            drop(tables);
            (self.inputs.applied.position, self.inputs.applied.rebuilds) =
                (current.position, current.rebuilds);
            let top_items = model.favourites(TOP_ITEMS)?;
            self.inputs.record_change(Instant::now(), top_items != self.top_items);
            self.top_items = top_items;
            self.inputs.record_popularity_refresh(Instant::now(), start.elapsed());
        }
        Ok(())
    }

    /// Publishes the model in memory.
    fn publish(&mut self) -> Result<()> {
        let (Some(destination), Some(model)) = (&self.destination, &self.model) else { return Ok(()) };
        let (service, start, now) = (self.service, Instant::now(), clock::now());
        let lock = publish::lock_publishing(&service.config.data_dir)?;
        let blobs = &mut self.published_blobs;
        let outcome =
            publish::publish(model.built(), &**destination, now, KEPT_MANIFESTS, false, blobs, |_| {});
        drop(lock);
        let duration = start.elapsed();
        let outcome = outcome.map_err(anyhow::Error::from);
        let error = outcome.as_ref().err().map(|error| format!("{error:#}"));
        service.traces.send_job("publish", duration, error);
        let outcome = outcome?;
        if outcome.keys_written > 0 {
            let seconds = duration.as_secs_f64();
            tracing::info!(keys = outcome.keys_written, bytes = outcome.bytes_written, seconds, "published");
        }
        service.metrics.publish_duration.observe(duration.as_secs_f64());
        let newest = model.built().manifests.iter().map(|manifest| manifest.built_at).max();
        service.publishing.update(|status| {
            (status.published_at, status.newest) = (Some(now), newest);
            status.failing.clone_from(&self.rules_error);
        });
        self.inputs.record_publish(start, Instant::now());
        self.failing_since = None;
        self.service.set_unready("publishing", None);
        Ok(())
    }

    /// Reports a failure and backs off.
    fn fail(&mut self, error: &anyhow::Error) {
        let wait = self.inputs.record_failure(Instant::now());
        let error = format!("{error:#}");
        tracing::warn!(error, retry_in_s = wait.as_secs(), "publishing failed");
        self.service.metrics.publish_failures.inc();
        let failing_since = *self.failing_since.get_or_insert_with(Instant::now);
        if failing_since.elapsed() >= UNREADY_AFTER {
            self.service.set_unready("publishing", Some(error.clone()));
        }
        self.service.publishing.update(|status| status.failing = Some(error));
    }

    fn start_learning(&mut self, scope: Scope) {
        let started = LearningProcess::start(&self.service.config, scope);
        self.inputs.record_learning_start(Instant::now(), scope, started.is_ok());
        match started {
            Ok(process) => {
                self.learning = Some(process);
                self.service.publishing.update(|status| status.learning = true);
            }
            Err(error) => {
                let error = format!("failed to start: {error:#}");
                tracing::error!(error, "learning cannot start");
                self.service.publishing.update(|status| status.learnt = Some(error));
            }
        }
    }

    fn poll_learning(&mut self) {
        let Some(outcome) = self.learning.as_mut().and_then(LearningProcess::poll) else { return };
        self.learning = None;
        self.inputs.record_learning_end(Instant::now(), outcome.duration);
        self.service.traces.send_job("learn", outcome.duration, outcome.error.clone());
        let ended = outcome.error.unwrap_or_else(|| "succeeded".to_owned());
        tracing::info!(outcome = ended, seconds = outcome.duration.as_secs_f64(), "learning ended");
        self.service.publishing.update(|status| (status.learning, status.learnt) = (false, Some(ended)));
    }

    fn export_metrics(&self) {
        let metrics = &self.service.metrics;
        let unpublished = self.inputs.unpublished.filter(|_| self.destination.is_some());
        let lag = unpublished.map_or(0.0, |unpublished| unpublished.since.elapsed().as_secs_f64());
        metrics.publish_lag.set(lag);
        if let Some(newest) = self.service.publishing.status().newest {
            metrics.snapshot_age.set((clock::now().0 - newest.0) as f64 / 1e3);
        }
    }
}
