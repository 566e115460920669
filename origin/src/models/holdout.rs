//! Comparison of two models on the same held-out sessions.
//!
//! The *held-out sessions* are those after the training data of both contestants, at most those of the last day. A model
//! that was built before them is evaluated as it was built, from its snapshot, so that an import error in its log shows
//! too. If there are too few such sessions because the log has not grown, the last day is held out, and both contestants
//! are retrained by their recipes on the events before it.
//!
//! A contestant is *significantly worse* if the 95 % confidence interval of its difference in HR@20 or in MRR@20 lies
//! below 0. The interval comes from a paired bootstrap: 500 resamples of the sessions, the same for both. The strategy is
//! `next`, and the item on screen may be recommended. For two equally good models, the false positive rate is at most
//! 5 %: 2.5 % for each metric.

use super::error::{ModelsError, Result};
use crate::{
    build,
    evaluate::{
        measures::MEASURES,
        protocol::{TestSet, Variant, evaluate},
        report::{Measure, VariantResult},
        snapshot::{IndexMapping, SnapshotRecommender},
        split::{Split, SplitAt},
    },
    pack::{PackOptions, regions::Regions},
};
use anyhow::Context;
use origin_data::Dataset;
use origin_learn::{config::Recipe, train::TrainingData};
use serde::{Deserialize, Serialize};
use snapshots::{
    Snapshot,
    manifest::WORLD,
    strategy::NEXT,
    time::{DAY_MS, Timestamp},
};
use std::collections::BTreeMap;

/// Fewest predictions for an evaluation.
const MIN_PREDICTIONS: usize = 200;
/// Seed of the bootstrap.
const SEED: u64 = 1;

/// The result of a model on held-out sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Start of the held-out sessions.
    pub from: Timestamp,
    /// Time of the newest event.
    pub to: Timestamp,
    /// Number of predictions.
    pub predictions: usize,
    /// Metric (`HR@20`, …) → mean and 95 % confidence interval.
    pub measures: BTreeMap<String, Measure>,
}

/// A model in a comparison.
pub struct Contestant<'a> {
    /// The recipe to retrain it by.
    pub recipe: &'a Recipe,
    /// Its snapshot and the time of its newest training event; `None` if it was not built from a log yet.
    pub built: Option<(Snapshot, Timestamp)>,
}

/// The result of a comparison.
pub struct HoldoutComparison {
    /// The evaluation of the first contestant.
    pub first: Evaluation,
    /// First minus second contestant, for HR@20 and MRR@20; `None` without a second contestant.
    pub differences: Option<[Difference; 2]>,
    /// How both were evaluated, as text.
    pub method: &'static str,
}

/// The difference between two models in one metric at 20.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Name of the metric, such as `HR`.
    pub metric: &'static str,
    /// Difference of the means.
    pub mean: f64,
    /// Its 95 % confidence interval.
    pub interval: [f64; 2],
}

impl std::fmt::Display for Difference {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [low, high] = self.interval;
        write!(out, "{}@20 {:+.4} [{low:+.4}, {high:+.4}]", self.metric, self.mean)
    }
}

impl HoldoutComparison {
    /// Whether the first contestant is significantly worse than the second.
    pub fn is_worse(&self) -> bool {
        self.differences.is_some_and(|differences| differences.iter().any(|metric| metric.interval[1] < 0.0))
    }
}

/// Evaluates the first contestant, and compares it with the second if there is one. Takes about as long as the training
/// of each contestant that has to be retrained.
///
/// # Errors
/// The held-out sessions are too few, or training fails.
pub fn compare_on_holdout(
    log: Dataset,
    first: &Contestant<'_>,
    second: Option<&Contestant<'_>>,
) -> Result<HoldoutComparison> {
    let too_few = |found| ModelsError::TooFewPredictions { found, needed: MIN_PREDICTIONS };
    let newest = log.events.last().map(|event| event.at).ok_or(too_few(0))?;
    let day = Timestamp(newest.0 - DAY_MS + 1);
    if log.events.first().is_none_or(|first| first.at >= day) {
        return Err(ModelsError::LogTooShort);
    }
    let trained_until =
        [Some(first), second].into_iter().flatten().filter_map(|model| Some(model.built.as_ref()?.1)).max();
    let after = trained_until.map_or(day, |until| day.max(Timestamp(until.0 + 1)));
    let predictions = |split: &Split| split.test.iter().map(|clicks| clicks.len() - 1).sum::<usize>();
    let mut split = Split::by_time(log, SplitAt::From(after))?;
    let as_built = predictions(&split) >= MIN_PREDICTIONS;
    if !as_built && after > day {
        split.train.events.append(&mut split.later);
        split = Split::by_time(split.train, SplitAt::From(day))?;
    }
    if predictions(&split) < MIN_PREDICTIONS {
        return Err(too_few(predictions(&split)));
    }
    let prepared = TrainingData::new(&split.train)?;
    let test = TestSet::new(&prepared, &split);
    let holdout = Holdout { split: &split, prepared: &prepared, test: &test, as_built };
    let found = holdout.evaluate(first)?;
    let differences = match second {
        // The same recipe gives the same model from the same events.
        Some(second) if !as_built && second.recipe == first.recipe => Some(compare(&found, &found)),
        Some(second) => Some(compare(&found, &holdout.evaluate(second)?)),
        None => None,
    };
    let from = if as_built { after } else { day };
    let first = Evaluation { from, to: newest, predictions: found.predictions, measures: found.measures };
    let method = match (as_built, trained_until) {
        (true, Some(_)) => "evaluated as built, on the sessions since",
        _ => "retrained without the last day and evaluated on it",
    };
    Ok(HoldoutComparison { first, differences, method })
}

fn compare(first: &VariantResult, second: &VariantResult) -> [Difference; 2] {
    [0, 1].map(|measure| {
        let metric = MEASURES[measure];
        let mean = |result: &VariantResult| result.mean(&format!("{metric}@20"));
        Difference { metric, mean: mean(first) - mean(second), interval: first.ahead(second, measure) }
    })
}

/// What all contestants are evaluated on.
struct Holdout<'a> {
    split: &'a Split,
    prepared: &'a TrainingData,
    test: &'a TestSet,
    as_built: bool,
}

impl Holdout<'_> {
    fn evaluate(&self, contestant: &Contestant<'_>) -> Result<VariantResult> {
        let train = &self.split.train;
        let retrained;
        let snapshot = match &contestant.built {
            Some((snapshot, _)) if self.as_built => snapshot,
            _ => {
                let regions = Regions::automatic(&train.events, &train.areas, usize::MAX);
                retrained = build::build(train, &regions, contestant.recipe, PackOptions::quick(), |_| {})?
                    .open(WORLD)?;
                &retrained
            }
        };
        let strategy =
            snapshot.strategy(NEXT).with_context(|| format!("the snapshot has no strategy '{NEXT}'"))?;
        let ids = self.prepared.order.iter().map(|item| &*train.items[*item as usize].id);
        let mapping = IndexMapping::new(snapshot, ids);
        let model = SnapshotRecommender { name: NEXT, snapshot, strategy, mapping: &mapping };
        Ok(VariantResult::new(NEXT.to_owned(), Variant::A, &evaluate(&model, self.test, Variant::A), SEED))
    }
}
