use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

const NOTHING: Changes = Changes { model: false, catalogue: false, rules: false, popularity: false };

fn versions() -> CurrentVersions {
    CurrentVersions {
        model: Some(("2025-01-01-abc".to_owned(), SystemTime::UNIX_EPOCH)),
        catalogue: 3,
        rules: None,
        position: 1_000,
        rebuilds: 0,
    }
}

fn applied(current: &CurrentVersions) -> AppliedVersions {
    AppliedVersions {
        model: current.model.clone(),
        catalogue: Some(current.catalogue),
        rules: current.rules,
        position: current.position,
        rebuilds: current.rebuilds,
    }
}

/// A publisher that is up to date long after its start: everything is published and learned.
fn up_to_date() -> (Instant, Inputs) {
    let start = Instant::now();
    let now = start + 100 * HOUR;
    let intervals = Intervals { publish: SECOND, learn_tables: 60 * SECOND, learn: 6 * HOUR };
    let inputs = Inputs {
        stored: 1_000,
        current: Some(versions()),
        applied: applied(&versions()),
        last_publish: now - 2 * SECOND,
        next_publish: now - SECOND,
        next_refresh: now - SECOND,
        last_learning: Some((now - HOUR, 1_000)),
        learned_position: 1_000,
        ..Inputs::new(intervals, true, start)
    };
    (now, inputs)
}

/// What is decided in each situation; each row changes the inputs of a publisher that is up to date.
#[test]
fn next_action_by_situation() {
    type Change = fn(&mut Inputs, Instant);
    let full = Action::Learn(Scope::Full);
    let tables = Action::Learn(Scope::Tables);
    let rows: &[(&str, Change, Action)] = &[
        ("nothing to do", |_, _| {}, Action::Wait),
        ("stop", |inputs, _| inputs.stopping = true, Action::Stop),
        (
            "stop comes before everything else",
            |inputs, _| {
                (inputs.stopping, inputs.publish_requested, inputs.learn_requested) = (true, true, true);
            },
            Action::Stop,
        ),
        // Refresh.
        (
            "before the first build there is nothing to refresh or publish",
            |inputs, now| {
                inputs.current = Some(CurrentVersions { model: None, ..versions() });
                inputs.applied = AppliedVersions::default();
                inputs.record_change(now, true);
            },
            Action::Wait,
        ),
        (
            "the first model: everything that there is has to be applied",
            |inputs, _| inputs.applied = AppliedVersions::default(),
            Action::Refresh(Changes { model: true, catalogue: true, popularity: true, ..NOTHING }),
        ),
        (
            "a model was promoted or rolled back to",
            |inputs, _| {
                let model = Some(("2024-12-31-def".to_owned(), SystemTime::UNIX_EPOCH));
                inputs.current = Some(CurrentVersions { model, ..versions() });
                inputs.publish_requested = true;
            },
            Action::Refresh(Changes { model: true, catalogue: true, popularity: true, ..NOTHING }),
        ),
        (
            "the files of the serving model changed",
            |inputs, _| {
                let model = Some(("2025-01-01-abc".to_owned(), SystemTime::UNIX_EPOCH + SECOND));
                inputs.current = Some(CurrentVersions { model, ..versions() });
            },
            Action::Refresh(Changes { model: true, catalogue: true, popularity: true, ..NOTHING }),
        ),
        (
            "the catalogue changed",
            |inputs, _| inputs.current = Some(CurrentVersions { catalogue: 4, ..versions() }),
            Action::Refresh(Changes { catalogue: true, ..NOTHING }),
        ),
        (
            "rules were set",
            |inputs, _| {
                inputs.current = Some(CurrentVersions { rules: Some(SystemTime::UNIX_EPOCH), ..versions() });
            },
            Action::Refresh(Changes { rules: true, ..NOTHING }),
        ),
        (
            "rules were removed",
            |inputs, _| inputs.applied.rules = Some(SystemTime::UNIX_EPOCH),
            Action::Refresh(Changes { rules: true, ..NOTHING }),
        ),
        (
            "popularity is due",
            |inputs, _| {
                (inputs.stored, inputs.learned_position) = (1_010, 1_010);
                inputs.current = Some(CurrentVersions { position: 1_010, ..versions() });
            },
            Action::Refresh(Changes { popularity: true, ..NOTHING }),
        ),
        (
            "the live tables are being rebuilt and lack too many events",
            |inputs, _| {
                (inputs.stored, inputs.learned_position) = (1_000_000, 1_000_000);
                inputs.last_learning = inputs.last_learning.map(|(at, _)| (at, 1_000_000));
                inputs.current = Some(CurrentVersions { position: 500_000, ..versions() });
            },
            Action::Wait,
        ),
        (
            "popularity took long to refresh: pause",
            |inputs, now| {
                inputs.current = Some(CurrentVersions { catalogue: 4, ..versions() });
                inputs.record_popularity_refresh(now, SECOND);
            },
            Action::Wait,
        ),
        (
            "a requested publish refreshes in spite of the pause",
            |inputs, now| {
                inputs.current = Some(CurrentVersions { catalogue: 4, ..versions() });
                inputs.record_popularity_refresh(now, SECOND);
                inputs.publish_requested = true;
            },
            Action::Refresh(Changes { catalogue: true, ..NOTHING }),
        ),
        // Publish.
        ("an urgent change", |inputs, now| inputs.record_change(now, true), Action::Publish),
        (
            "an urgent change, but the interval has not passed",
            |inputs, now| {
                inputs.record_change(now, true);
                inputs.next_publish = now + Duration::from_millis(1);
            },
            Action::Wait,
        ),
        ("a slight change waits", |inputs, now| inputs.record_change(now, false), Action::Wait),
        (
            "a slight change has waited long enough",
            |inputs, now| {
                inputs.record_change(now, false);
                inputs.last_publish = now - SLIGHT_CHANGE_WAIT;
            },
            Action::Publish,
        ),
        (
            "no change, however long ago the last publish",
            |inputs, now| inputs.last_publish = now - HOUR,
            Action::Wait,
        ),
        (
            "a slight change that became urgent",
            |inputs, now| {
                inputs.record_change(now, false);
                inputs.record_change(now, true);
                inputs.record_change(now, false);
            },
            Action::Publish,
        ),
        (
            "a requested publish, with nothing changed",
            |inputs, _| inputs.publish_requested = true,
            Action::Publish,
        ),
        (
            "a requested publish before the first build stays pending",
            |inputs, _| {
                inputs.publish_requested = true;
                inputs.current = Some(CurrentVersions { model: None, ..versions() });
                inputs.applied = AppliedVersions::default();
            },
            Action::Wait,
        ),
        (
            "no destination",
            |inputs, now| {
                inputs.has_destination = false;
                inputs.record_change(now, true);
                inputs.publish_requested = true;
            },
            Action::Wait,
        ),
        (
            "back-off after a failure",
            |inputs, now| {
                inputs.record_change(now, true);
                inputs.record_failure(now);
            },
            Action::Wait,
        ),
        (
            "a requested publish that failed backs off too",
            |inputs, now| {
                inputs.publish_requested = true;
                inputs.record_failure(now);
            },
            Action::Wait,
        ),
        // Learning.
        (
            "full learning is due",
            |inputs, now| {
                inputs.stored = 1_001;
                inputs.last_learning = Some((now - 6 * HOUR, 1_000));
            },
            full,
        ),
        (
            "full learning comes before a publish",
            |inputs, now| {
                inputs.learn_requested = true;
                inputs.record_change(now, true);
            },
            full,
        ),
        (
            "no events since the last full learning",
            |inputs, now| inputs.last_learning = Some((now - 60 * HOUR, 1_000)),
            Action::Wait,
        ),
        (
            "the log has doubled since the last full learning",
            |inputs, now| {
                inputs.stored = 2_000;
                inputs.last_learning = Some((now - DOUBLED_INTERVAL, 1_000));
            },
            full,
        ),
        (
            "the log has doubled, but too soon: the tables only",
            |inputs, now| {
                inputs.stored = 2_000;
                inputs.last_learning = Some((now - DOUBLED_INTERVAL + SECOND, 1_000));
            },
            tables,
        ),
        (
            "full learning is disabled",
            |inputs, now| {
                (inputs.intervals.learn, inputs.intervals.learn_tables) = (Duration::ZERO, Duration::ZERO);
                inputs.stored = 5_000;
                inputs.last_learning = Some((now - 60 * HOUR, 1_000));
            },
            Action::Wait,
        ),
        (
            "learning was requested, although it is disabled and nothing changed",
            |inputs, _| {
                (inputs.intervals.learn, inputs.learn_requested) = (Duration::ZERO, true);
            },
            full,
        ),
        (
            "a request waits while learning runs",
            |inputs, _| (inputs.is_learning, inputs.learn_requested) = (true, true),
            Action::Wait,
        ),
        (
            "publishing continues while learning runs",
            |inputs, now| {
                inputs.is_learning = true;
                inputs.record_change(now, true);
            },
            Action::Publish,
        ),
        (
            "the first start, with events and no recent model",
            |inputs, _| (inputs.last_learning, inputs.has_recent_model) = (None, Some(false)),
            full,
        ),
        (
            "a restart with a recent model",
            |inputs, _| (inputs.last_learning, inputs.has_recent_model) = (None, Some(true)),
            Action::SkipFirstLearning,
        ),
        (
            "a start, not knowing whether there is a recent model",
            |inputs, _| (inputs.last_learning, inputs.has_recent_model) = (None, None),
            Action::Wait,
        ),
        (
            "a start without events",
            |inputs, _| {
                (inputs.last_learning, inputs.has_recent_model) = (None, Some(false));
                (inputs.stored, inputs.learned_position) = (0, 0);
                inputs.current = None;
            },
            Action::Wait,
        ),
        ("tables are due", |inputs, _| inputs.stored = 1_001, tables),
        (
            "tables are learned from no new events",
            |inputs, _| inputs.learned_position = inputs.stored,
            Action::Wait,
        ),
        (
            "learning tables pauses after it took long",
            |inputs, now| {
                inputs.stored = 1_001;
                inputs.record_learning_end(now - 80 * SECOND, 10 * SECOND);
            },
            Action::Wait,
        ),
        (
            "learning tables continues after its pause",
            |inputs, now| {
                inputs.stored = 1_001;
                inputs.record_learning_end(now - 90 * SECOND, 10 * SECOND);
            },
            tables,
        ),
        (
            "learning tables is disabled",
            |inputs, _| {
                inputs.stored = 1_001;
                inputs.intervals.learn_tables = Duration::ZERO;
            },
            Action::Wait,
        ),
        (
            "tables without a model",
            |inputs, _| {
                inputs.stored = 1_001;
                inputs.current = None;
                inputs.applied = AppliedVersions::default();
            },
            Action::Wait,
        ),
    ];
    for (situation, change, expected) in rows {
        let (now, mut inputs) = up_to_date();
        change(&mut inputs, now);
        assert_eq!(next_action(now, &inputs), *expected, "{situation}");
    }
}

#[test]
fn the_wait_doubles_with_each_failure_up_to_a_minute_and_a_publish_ends_it() {
    let (now, mut inputs) = up_to_date();
    let waits: Vec<u64> = (0..8).map(|_| inputs.record_failure(now).as_secs()).collect();
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
    inputs.record_publish(now, now + SECOND);
    assert_eq!(inputs.record_failure(now).as_secs(), 2);
}

#[test]
fn after_a_failure_the_same_changes_are_published_when_the_wait_is_over() {
    let (now, mut inputs) = up_to_date();
    inputs.record_change(now, true);
    let wait = inputs.record_failure(now);
    assert!(!inputs.may_check(now) && inputs.may_check(now + wait));
    assert_eq!(next_action(now + wait - Duration::from_millis(1), &inputs), Action::Wait);
    assert_eq!(next_action(now + wait, &inputs), Action::Publish);
}

#[test]
fn a_requested_publish_that_failed_is_tried_again_although_nothing_changed() {
    let (now, mut inputs) = up_to_date();
    inputs.publish_requested = true;
    assert_eq!(next_action(now, &inputs), Action::Publish);
    let wait = inputs.record_failure(now);
    assert_eq!(next_action(now + wait, &inputs), Action::Publish);
    inputs.record_publish(now + wait, now + wait);
    assert_eq!(next_action(now + HOUR, &inputs), Action::Wait);
}

#[test]
fn the_interval_between_publishes_counts_from_their_start() {
    let (now, mut inputs) = up_to_date();
    inputs.record_publish(now, now + SECOND / 2);
    inputs.record_change(now + SECOND / 2, true);
    assert_eq!(next_action(now + SECOND / 2, &inputs), Action::Wait);
    assert_eq!(next_action(now + SECOND, &inputs), Action::Publish);
}

#[test]
fn learning_that_started_is_not_started_again() {
    for is_started in [true, false] {
        let (now, mut inputs) = up_to_date();
        (inputs.stored, inputs.learn_requested) = (1_500, true);
        assert_eq!(next_action(now, &inputs), Action::Learn(Scope::Full));
        inputs.record_learning_start(now, Scope::Full, is_started);
        inputs.current = None;
        assert_eq!(next_action(now, &inputs), Action::Wait, "started: {is_started}");
        inputs.record_learning_end(now, SECOND);
        assert_eq!(next_action(now + HOUR, &inputs), Action::Wait, "no new events");
        inputs.stored = 1_600;
        assert_eq!(next_action(now + HOUR, &inputs), Action::Learn(Scope::Tables));
        inputs.record_learning_start(now + HOUR, Scope::Tables, true);
        inputs.record_learning_end(now + HOUR, SECOND);
        assert_eq!(
            next_action(now + 6 * HOUR, &inputs),
            Action::Learn(Scope::Full),
            "counted from the full one"
        );
    }
}

#[test]
fn a_recent_model_delays_the_first_full_learning_by_its_interval() {
    let (now, mut inputs) = up_to_date();
    (inputs.last_learning, inputs.has_recent_model) = (None, None);
    assert!(inputs.needs_recent_model(now));
    inputs.has_recent_model = Some(true);
    assert!(!inputs.needs_recent_model(now));
    assert_eq!(next_action(now, &inputs), Action::SkipFirstLearning);
    inputs.record_skipped_learning(now);
    inputs.current = None;
    assert_eq!(next_action(now, &inputs), Action::Wait);
    (inputs.stored, inputs.learned_position) = (1_001, 1_001);
    assert_eq!(next_action(now + 6 * HOUR - SECOND, &inputs), Action::Wait);
    assert_eq!(next_action(now + 6 * HOUR, &inputs), Action::Learn(Scope::Full));
}

#[test]
fn whether_there_is_a_recent_model_is_not_looked_up_in_vain() {
    let (now, mut inputs) = up_to_date();
    assert!(!inputs.needs_recent_model(now), "learned since the start");
    inputs.last_learning = None;
    assert!(inputs.needs_recent_model(now));
    inputs.record_failure(now);
    assert!(!inputs.needs_recent_model(now), "backing off");
    inputs.next_publish = now;
    inputs.stored = 0;
    assert!(!inputs.needs_recent_model(now), "no events");
    (inputs.stored, inputs.intervals.learn) = (1, Duration::ZERO);
    assert!(!inputs.needs_recent_model(now), "disabled");
}
