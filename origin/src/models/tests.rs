use super::*;
use crate::{
    build,
    pack::{PackOptions, regions::Regions},
};
use origin_data::{Item, LogEvent};
use snapshots::{event::Kind, time::DAY_MS};

/// `days` days of 100 sessions with four clicks each. A session walks along a ring of items, so that the next item is
/// predictable.
fn log(days: i64) -> Dataset {
    let click = |session: i64, step: i64| {
        LogEvent::new(
            Timestamp(session * DAY_MS / 100 + step * 1_000),
            Kind::View,
            ((session * 17 + step) % 40) as u32,
            session.cast_unsigned() + 1,
        )
    };
    let item = |number: u32| Item { id: format!("item-{number:02}"), ..Item::default() };
    Dataset {
        events: (0..days * 100).flat_map(|session| (0..4).map(move |step| click(session, step))).collect(),
        items: (0..40).map(item).collect(),
        areas: vec![String::new()],
    }
}

fn recipe(k: u8) -> Recipe {
    let mut recipe = Recipe { k, ..Recipe::default() };
    recipe.embedding.epochs = 0;
    recipe
}

fn built(log: &Dataset, recipe: &Recipe) -> SnapshotSet {
    let regions = Regions::automatic(&log.events, &log.areas, usize::MAX);
    build::build(log, &regions, recipe, PackOptions::quick(), |_| {}).unwrap()
}

fn registry(dir: &tempfile::TempDir) -> Registry {
    Registry::new(dir.path())
}

/// Stores a model of the log, built at `now`.
fn add(registry: &Registry, log: &Dataset, k: u8, now: i64) -> Model {
    let built = built(log, &recipe(k));
    let model = Model::describe(&built, log, &recipe(k), Timestamp(now)).unwrap();
    registry.add(&model, &built).unwrap();
    model
}

/// A recipe whose strategy `next` recommends popular items, which predicts nothing in this log.
fn poor() -> Recipe {
    let strategies = origin_learn::config::strategies(&origin_learn::choose::Hyperparameters::default());
    let mut poor = Recipe { strategies, ..recipe(20) };
    for strategy in &mut poor.strategies {
        strategy.weights =
            snapshots::strategy::Weights { coview: 0.0, knn: 0.0, popularity: 1.0, ..strategy.weights };
    }
    poor
}

#[test]
fn promotes_unless_significantly_worse() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    let Decision { evaluation, promote, reason } = judge_and_decide(&registry, log(4), &recipe(20)).unwrap();
    assert!(promote && reason.contains("no model is serving"), "{reason}");
    assert!(evaluation.unwrap().measures["HR@20"].mean > 0.9);
    let model = add(&registry, &log(4), 20, 1);
    registry.promote(&model.id).unwrap();
    // On the same log both are retrained; a day later, the serving model is evaluated as built.
    for (days, method) in [(4, "retrained"), (5, "as built")] {
        let Decision { promote, reason, .. } = judge_and_decide(&registry, log(days), &poor()).unwrap();
        assert!(!promote && reason.contains(": significantly worse") && reason.contains(method), "{reason}");
        let Decision { promote, reason, .. } = judge_and_decide(&registry, log(days), &recipe(21)).unwrap();
        assert!(promote && reason.contains("not significantly worse") && reason.contains(method), "{reason}");
    }
    let Decision { evaluation, promote, reason } = judge_and_decide(&registry, log(1), &recipe(20)).unwrap();
    assert!(promote && evaluation.is_none() && reason.contains("without evaluation"), "{reason}");
}

#[test]
fn models_are_found_promoted_rolled_back_and_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&dir);
    assert!(registry.serving().unwrap().is_none() && registry.roll_back().is_err());
    let log = log(2);
    let models: Vec<Model> =
        (0..4).map(|number| add(&registry, &log, 10 + number, i64::from(number))).collect();
    assert_eq!(registry.list().unwrap(), models);
    assert_eq!(add(&registry, &log, 10, 9).id, models[0].id, "equal models have equal ids");
    let id = |at: usize| &*models[at].id;
    registry.promote(id(0)).unwrap();
    registry.promote(id(1)).unwrap();
    registry.promote(id(1)).unwrap();
    let version = || SnapshotSet::load(&snapshots_dir(dir.path())).unwrap().manifests[0].version.clone();
    let second = version();
    assert_eq!(
        (registry.serving().unwrap().unwrap().id, registry.roll_back().unwrap()),
        (id(1).to_owned(), id(0).to_owned())
    );
    assert_ne!(version(), second);
    assert!(registry.roll_back().is_err(), "there is no earlier promotion");
    assert_eq!(registry.serving().unwrap().unwrap().id, id(0), "a failed rollback changes nothing");
    assert_eq!(registry.find(&id(2)[..16]).unwrap(), models[2]);
    for (prefix, expected) in [("1970", "several"), ("x", "no model 'x'")] {
        let error = format!("{:#}", registry.find(prefix).unwrap_err());
        assert!(error.contains(expected) && error.contains(id(3)), "{error}");
    }
    // The first model was built again, so it is among the newest two.
    assert_eq!(registry.prune(2).unwrap(), [id(1), id(2)]);
    assert_eq!(registry.prune(0).unwrap(), [id(3)], "the serving model is kept");
    // A build that was killed leaves a directory without a description.
    std::fs::create_dir(dir.path().join("models/2020-01-01-00000000")).unwrap();
    assert_eq!(registry.list().unwrap().len(), 1);
}

#[test]
fn recipe_differences_name_their_path() {
    let (a, mut b) = (recipe(10), recipe(12));
    b.coview.lambda = 1.0;
    b.strategies.push(snapshots::strategy::Strategy::default());
    let mut found = Vec::new();
    let value = |recipe: &Recipe| serde_json::to_value(recipe).unwrap();
    diff_json(&value(&a), &value(&b), "", &mut found);
    assert!(
        found.contains(&"k: 10 → 12".to_owned()) && found.contains(&"coview.lambda: 10.0 → 1.0".to_owned())
    );
    assert!(found.len() == 3 && found[2].starts_with("strategies.0: null → "), "{found:?}");
}
