//! Two models judged on the same held-out sessions.
//!
//! *Held out* are the sessions after everything that either side learnt from, at most the last day. A model that was
//! built before them is judged as it is, bytes and all, so that a log that was imported wrongly shows too. Where there
//! are too few such sessions (the log has not grown since), the last day is held out and both sides learn anew, by
//! their recipes, from what comes before it.
//!
//! *Worse beyond noise*: the sessions are drawn again 500 times, the same ones for both (paired bootstrap); a side is
//! worse when the whole 95 % interval of its difference in HR@20 or in MRR@20 (strategy `next`, the item on screen may
//! be recommended) lies below 0. Of two equal models one is called worse in at most 5 of 100 contests, 2.5 for each
//! measure.

use super::error::{ModelsError, Result};
use crate::{
    build,
    evaluate::{
        measures::MEASURES,
        protocol::{Test, Variant, judge},
        report::{Measure, Result as Judgement},
        split::{Cut, Split},
        tables::{Numbering, Tables},
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

/// Predictions below which held-out sessions say nothing.
const ENOUGH: usize = 200;
/// Draws the sessions for the intervals.
const SEED: u64 = 1;

/// How a model did on held-out sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// When the held-out sessions begin.
    pub from: Timestamp,
    /// Time of the newest event.
    pub to: Timestamp,
    /// Predictions made.
    pub predictions: usize,
    /// `HR@20` and so on → mean and 95 % interval.
    pub measures: BTreeMap<String, Measure>,
}

/// One side of a contest.
pub struct Side<'a> {
    /// What it learns by.
    pub recipe: &'a Recipe,
    /// What it is, where it was learnt already, and the newest event it was learnt from.
    pub built: Option<(Snapshot, Timestamp)>,
}

/// What a contest found.
pub struct Outcome {
    /// How the first side did.
    pub first: Evaluation,
    /// What it is ahead of the second, by measure: the difference and 95 % of it. `None` where there is no second side.
    pub ahead: Option<[Ahead; 2]>,
    /// How it was judged, for people.
    pub how: &'static str,
}

/// A difference in one measure at 20.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ahead {
    /// The measure.
    pub name: &'static str,
    /// The difference of the means.
    pub gain: f64,
    /// 95 % of it.
    pub interval: [f64; 2],
}

impl std::fmt::Display for Ahead {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [low, high] = self.interval;
        write!(out, "{}@20 {:+.4} [{low:+.4}, {high:+.4}]", self.name, self.gain)
    }
}

impl Outcome {
    /// Whether the first side is worse beyond noise.
    pub fn is_worse(&self) -> bool {
        self.ahead.is_some_and(|ahead| ahead.iter().any(|measure| measure.interval[1] < 0.0))
    }
}

/// Judges the first side, beside the second if there is one. Takes about as long as learning does, for each side that
/// must learn anew.
///
/// # Errors
/// The log is too short to hold out a day, or a side cannot be learnt.
pub fn compare_on_holdout(log: Dataset, first: &Side<'_>, second: Option<&Side<'_>>) -> Result<Outcome> {
    let too_few = |found| ModelsError::TooFew { found, needed: ENOUGH };
    let newest = log.events.last().map(|event| event.at).ok_or(too_few(0))?;
    let day = Timestamp(newest.0 - DAY_MS + 1);
    let known =
        [Some(first), second].into_iter().flatten().filter_map(|side| Some(side.built.as_ref()?.1)).max();
    let after = known.map_or(day, |known| day.max(Timestamp(known.0 + 1)));
    let predictions = |split: &Split| split.test.iter().map(|clicks| clicks.len() - 1).sum::<usize>();
    let mut split = Split::by_time(log, Cut::From(after))?;
    let as_built = predictions(&split) >= ENOUGH;
    if !as_built && after > day {
        split.train.events.append(&mut split.later);
        split = Split::by_time(split.train, Cut::From(day))?;
    }
    if predictions(&split) < ENOUGH {
        return Err(too_few(predictions(&split)));
    }
    let prepared = TrainingData::new(&split.train)?;
    let test = Test::new(&prepared, &split);
    let stage = Stage { split: &split, prepared: &prepared, test: &test, as_built };
    let found = stage.judge(first)?;
    let ahead = match second {
        // The same recipe learns the same tables from the same events.
        Some(second) if !as_built && second.recipe == first.recipe => Some(compare(&found, &found)),
        Some(second) => Some(compare(&found, &stage.judge(second)?)),
        None => None,
    };
    let from = if as_built { after } else { day };
    let judged = Evaluation { from, to: newest, predictions: found.predictions, measures: found.measures };
    let how = match (as_built, known) {
        (true, Some(_)) => "as built, on what happened since",
        _ => "learnt anew without the last day, on that day",
    };
    Ok(Outcome { first: judged, ahead, how })
}

fn compare(first: &Judgement, second: &Judgement) -> [Ahead; 2] {
    [0, 1].map(|measure| {
        let name = MEASURES[measure];
        let mean = |side: &Judgement| side.mean(&format!("{name}@20"));
        Ahead { name, gain: mean(first) - mean(second), interval: first.ahead(second, measure) }
    })
}

/// What both sides are judged on.
struct Stage<'a> {
    split: &'a Split,
    prepared: &'a TrainingData,
    test: &'a Test,
    as_built: bool,
}

impl Stage<'_> {
    fn judge(&self, side: &Side<'_>) -> Result<Judgement> {
        let train = &self.split.train;
        let learnt;
        let snapshot = match &side.built {
            Some((snapshot, _)) if self.as_built => snapshot,
            _ => {
                let regions = Regions::automatic(&train.events, &train.areas, usize::MAX);
                learnt =
                    build::build(train, &regions, side.recipe, PackOptions::quick(), |_| {})?.open(WORLD)?;
                &learnt
            }
        };
        let strategy =
            snapshot.strategy(NEXT).with_context(|| format!("there is no strategy '{NEXT}' to judge"))?;
        let ids = self.prepared.order.iter().map(|item| &*train.items[*item as usize].id);
        let numbering = Numbering::new(snapshot, ids);
        let model = Tables { name: NEXT, snapshot, strategy, numbering: &numbering };
        Ok(Judgement::new(NEXT.to_owned(), Variant::A, &judge(&model, self.test, Variant::A), SEED))
    }
}
