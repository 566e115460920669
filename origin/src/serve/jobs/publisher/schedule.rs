//! What the publisher does next: a pure function of its inputs, and how the outcome of an action changes them.
//!
//! Three schedules run side by side:
//! - *Refresh and publish*: changes of the model, the catalogue, the rules or the order of popular items are published
//!   at the configured interval, slight changes of popularity within [`SLIGHT_CHANGE_WAIT`].
//! - *Learn tables*: co-view and bought-together tables, every minute or so.
//! - *Learn fully*: a new model, every few hours, and more often while the log of a young shop doubles.

use std::time::{Duration, Instant, SystemTime};

/// Slight changes of popularity, which leave the order of the popular items as it is, are published at this interval.
pub(super) const SLIGHT_CHANGE_WAIT: Duration = Duration::from_secs(60);
/// The longest wait before publishing is tried again after failures.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(60);
/// Refreshing popularity pauses for this many times its duration, so that it takes at most a tenth of the time.
const REFRESH_PAUSE: u32 = 9;
/// Learning tables pauses for this many times its duration, so that it takes at most a tenth of the time.
const LEARN_TABLES_PAUSE: u32 = 9;
/// The interval of full learning while the log doubles between two of them.
const DOUBLED_INTERVAL: Duration = Duration::from_secs(300);
/// Popularity is refreshed only if the live tables lack fewer events than this: while the tables are rebuilt from the
/// beginning of the log, they must not be published.
const MAX_TABLE_LAG: u64 = 100_000;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// End the publisher.
    Stop,
    /// Start learning.
    Learn(Scope),
    /// Count the recent model, which an earlier run of the service built, as the last full learning.
    SkipFirstLearning,
    /// Bring the model in memory up to date.
    Refresh(Changes),
    /// Publish the model in memory.
    Publish,
    /// Wait for a request, or for the next check.
    Wait,
}

/// What is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// A new model.
    Full,
    /// The co-view and bought-together tables of the serving model.
    Tables,
}

/// Which parts of the model in memory are out of date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Another model serves, or its files changed.
    pub(super) model: bool,
    /// The catalogue changed.
    pub(super) catalogue: bool,
    /// The rules changed.
    pub(super) rules: bool,
    /// Events were counted.
    pub(super) popularity: bool,
}

/// Identifies the serving model: its id, and when its files last changed.
pub(super) type ModelVersion = (String, SystemTime);

/// The versions of everything that is published, as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CurrentVersions {
    /// The serving model; `None` before the first build.
    pub(super) model: Option<ModelVersion>,
    /// Version of the catalogue.
    pub(super) catalogue: u64,
    /// When the rules were last set; `None` if there are none.
    pub(super) rules: Option<SystemTime>,
    /// Position of the live tables in the log.
    pub(super) position: u64,
    /// How often the live tables were rebuilt.
    pub(super) rebuilds: u64,
}

/// The versions that the model in memory contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AppliedVersions {
    /// The model; `None` until one is loaded.
    pub(super) model: Option<ModelVersion>,
    /// Version of the catalogue; `None` until it is applied.
    pub(super) catalogue: Option<u64>,
    /// When the rules were set; `None` if none are applied.
    pub(super) rules: Option<SystemTime>,
    /// Position of the live tables when popularity was applied; 0 until it is.
    pub(super) position: u64,
    /// How often they had been rebuilt by then.
    pub(super) rebuilds: u64,
}

/// The configured intervals; zero disables learning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intervals {
    /// The shortest interval between two publishes.
    pub(super) publish: Duration,
    /// The interval of learning tables.
    pub(super) learn_tables: Duration,
    /// The interval of full learning.
    pub(super) learn: Duration,
}

/// Changes in memory that the destination lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unpublished {
    /// When the first of them was applied.
    pub(super) since: Instant,
    /// Whether they are more than a slight change of popularity.
    pub(super) is_urgent: bool,
}

/// Everything that [`next_action`] depends on.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    /// The configured intervals.
    pub(super) intervals: Intervals,
    /// Whether a destination is configured.
    pub(super) has_destination: bool,
    /// Whether the service stops.
    pub(super) stopping: bool,
    /// An operator requested a publish: after a promotion or a rollback, or by hand.
    pub(super) publish_requested: bool,
    /// An operator requested full learning.
    pub(super) learn_requested: bool,

    /// Position after the last durable event: the number of events ever stored.
    pub(super) stored: u64,
    /// The current versions; `None` while it is too early to check them, and after they were applied.
    pub(super) current: Option<CurrentVersions>,
    /// The versions that the model in memory contains.
    pub(super) applied: AppliedVersions,
    /// What the destination lacks.
    pub(super) unpublished: Option<Unpublished>,

    /// Nothing is refreshed or published earlier, except on request: the interval after a publish, the back-off after a
    /// failure.
    pub(super) next_publish: Instant,
    /// Nothing is refreshed earlier, except on request.
    pub(super) next_refresh: Instant,
    /// When the last publish ended; when the publisher started, before the first.
    pub(super) last_publish: Instant,
    /// Failures since the last publish.
    pub(super) failures: u32,

    /// Whether a learning process runs.
    pub(super) is_learning: bool,
    /// When full learning last started, and `stored` then.
    pub(super) last_learning: Option<(Instant, u64)>,
    /// Whether the newest model is younger than the interval of full learning; `None` if unknown.
    pub(super) has_recent_model: Option<bool>,
    /// Tables are not learned earlier.
    pub(super) next_table_learning: Instant,
    /// `stored` when learning last started.
    pub(super) learned_position: u64,
}

/// Decides what to do at `now`. The caller performs the action, records its outcome in the inputs, and calls this
/// function again until it returns [`Action::Wait`].
pub(super) fn next_action(now: Instant, inputs: &Inputs) -> Action {
    if inputs.stopping {
        return Action::Stop;
    }
    if let Some(action) = learning_action(now, inputs) {
        return action;
    }
    let changes = inputs.changes();
    if changes != Changes::default() && inputs.may_check(now) {
        return Action::Refresh(changes);
    }
    if is_publish_due(now, inputs) { Action::Publish } else { Action::Wait }
}

fn learning_action(now: Instant, inputs: &Inputs) -> Option<Action> {
    if inputs.is_learning {
        return None;
    }
    if inputs.learn_requested {
        return Some(Action::Learn(Scope::Full));
    }
    if inputs.may_learn_fully() {
        match (inputs.last_learning, inputs.has_recent_model) {
            (Some((at, position)), _) => {
                let interval = full_interval(inputs.intervals.learn, position, inputs.stored);
                if position != inputs.stored && now.duration_since(at) >= interval {
                    return Some(Action::Learn(Scope::Full));
                }
            }
            (None, Some(true)) => return Some(Action::SkipFirstLearning),
            (None, Some(false)) => return Some(Action::Learn(Scope::Full)),
            (None, None) => {}
        }
    }
    let is_tables_due = !inputs.intervals.learn_tables.is_zero()
        && now >= inputs.next_table_learning
        && inputs.stored != inputs.learned_position
        && inputs.applied.model.is_some();
    is_tables_due.then_some(Action::Learn(Scope::Tables))
}

/// The interval of full learning: shorter if the log has doubled since `position`.
fn full_interval(configured: Duration, position: u64, stored: u64) -> Duration {
    if stored / 2 >= position.max(1) { configured.min(DOUBLED_INTERVAL) } else { configured }
}

fn is_publish_due(now: Instant, inputs: &Inputs) -> bool {
    if !inputs.has_destination || inputs.applied.model.is_none() {
        return false;
    }
    let is_worth_it = |unpublished: Unpublished| {
        unpublished.is_urgent || now.duration_since(inputs.last_publish) >= SLIGHT_CHANGE_WAIT
    };
    inputs.publish_requested || (now >= inputs.next_publish && inputs.unpublished.is_some_and(is_worth_it))
}

/// The wait after `failures` in a row.
fn retry_wait(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(10)).min(MAX_RETRY_WAIT)
}

impl Inputs {
    /// The inputs of a publisher that starts at `now`.
    pub(super) fn new(intervals: Intervals, has_destination: bool, now: Instant) -> Self {
        Self {
            intervals,
            has_destination,
            stopping: false,
            publish_requested: false,
            learn_requested: false,
            stored: 0,
            current: None,
            applied: AppliedVersions::default(),
            unpublished: None,
            next_publish: now,
            next_refresh: now,
            last_publish: now,
            failures: 0,
            is_learning: false,
            last_learning: None,
            has_recent_model: None,
            next_table_learning: now,
            learned_position: 0,
        }
    }

    /// Whether it is time to check the current versions.
    pub(super) fn may_check(&self, now: Instant) -> bool {
        self.publish_requested || now >= self.next_refresh.max(self.next_publish)
    }

    /// Whether `has_recent_model` is needed for the next decision, and it is time to find out.
    pub(super) fn needs_recent_model(&self, now: Instant) -> bool {
        let is_unknown = self.last_learning.is_none() && self.has_recent_model.is_none();
        is_unknown && self.may_learn_fully() && now >= self.next_publish
    }

    fn may_learn_fully(&self) -> bool {
        !self.intervals.learn.is_zero() && self.stored > 0
    }

    /// What differs between the current and the applied versions. Of another model, everything has to be applied again.
    pub(super) fn changes(&self) -> Changes {
        let Some(current) = self.current.as_ref().filter(|current| current.model.is_some()) else {
            return Changes::default();
        };
        let is_other_model = current.model != self.applied.model;
        let none = AppliedVersions::default();
        let applied = if is_other_model { &none } else { &self.applied };
        Changes {
            model: is_other_model,
            catalogue: applied.catalogue != Some(current.catalogue),
            rules: applied.rules != current.rules,
            popularity: (applied.position, applied.rebuilds) != (current.position, current.rebuilds)
                && current.position.saturating_add(MAX_TABLE_LAG) >= self.stored,
        }
    }

    /// Records a change in memory that the destination lacks.
    pub(super) fn record_change(&mut self, now: Instant, is_urgent: bool) {
        let unpublished = self.unpublished.get_or_insert(Unpublished { since: now, is_urgent });
        unpublished.is_urgent |= is_urgent;
    }

    /// Records that popularity was refreshed, which took `duration`.
    pub(super) fn record_popularity_refresh(&mut self, now: Instant, duration: Duration) {
        self.next_refresh = now + duration * REFRESH_PAUSE;
    }

    /// Records a publish.
    pub(super) fn record_publish(&mut self, start: Instant, end: Instant) {
        (self.unpublished, self.publish_requested, self.failures) = (None, false, 0);
        self.last_publish = end;
        self.next_publish = start + self.intervals.publish;
    }

    /// Records that a refresh or a publish failed; returns the wait before the next attempt. A requested publish is tried
    /// again after that wait too.
    pub(super) fn record_failure(&mut self, now: Instant) -> Duration {
        self.failures += 1;
        let wait = retry_wait(self.failures);
        self.next_publish = now + wait;
        self.current = None;
        if std::mem::take(&mut self.publish_requested) {
            self.record_change(now, true);
        }
        wait
    }

    /// Records that learning started, or could not be started.
    pub(super) fn record_learning_start(&mut self, now: Instant, scope: Scope, is_started: bool) {
        self.is_learning = is_started;
        self.learned_position = self.stored;
        if scope == Scope::Full {
            self.learn_requested = false;
            self.last_learning = Some((now, self.stored));
        }
    }

    /// Records that learning ended, whatever its outcome.
    pub(super) fn record_learning_end(&mut self, now: Instant, duration: Duration) {
        self.is_learning = false;
        self.next_table_learning = now + self.intervals.learn_tables.max(duration * LEARN_TABLES_PAUSE);
    }

    /// Records that the recent model counts as the last full learning.
    pub(super) fn record_skipped_learning(&mut self, now: Instant) {
        self.last_learning = Some((now, self.stored));
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
