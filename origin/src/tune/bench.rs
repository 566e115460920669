//! A trial: tables learned by a recipe, packed, and evaluated on held-out sessions.

use crate::{
    evaluate::{protocol::TestSet, snapshot::IndexMapping, split::Split},
    pack::{PackOptions, pack, regions::Regions},
};
use anyhow::{Context, Result};
use origin_data::Dataset;
use origin_learn::{
    Table,
    config::Recipe,
    replay::{HitSums, replay},
    train::{self, LearnedTables, TrainingData},
};
use rayon::prelude::*;
use serde::Serialize;
use snapshots::{
    Snapshot,
    manifest::WORLD,
    score::Scratch,
    strategy::{NEXT, Strategy},
};

/// HR and MRR at 20 of a trial, in both variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TrialScores {
    /// Hit rate where the item on screen may be recommended.
    pub hr_a: f64,
    /// MRR there.
    pub mrr_a: f64,
    /// Hit rate where the item on screen is never recommended.
    pub hr_b: f64,
    /// MRR there.
    pub mrr_b: f64,
}

impl TrialScores {
    /// The objective: the geometric mean, so that equal relative gains count alike.
    pub fn objective(&self) -> f64 {
        (self.hr_a * self.mrr_a * self.hr_b * self.mrr_b).powf(0.25)
    }
}

/// What all trials share.
pub struct Bench<'a> {
    log: &'a Dataset,
    prepared: TrainingData,
    regions: Regions,
    neighbours: Table,
    sessions: Vec<Vec<u32>>,
    /// Predictions per trial.
    pub predictions: usize,
}

/// A snapshot on which strategies are evaluated.
pub struct TrialTables {
    snapshot: Snapshot,
    mapping: IndexMapping,
}

impl<'a> Bench<'a> {
    /// Learns what no trial changes, and picks test sessions evenly, so that a trial makes at most about `limit`
    /// predictions.
    ///
    /// # Errors
    /// The log holds no event or too many items.
    pub fn new(
        split: &'a Split,
        recipe: &Recipe,
        limit: usize,
        report: &mut impl FnMut(&str),
    ) -> Result<Self> {
        let log = &split.train;
        let prepared = TrainingData::new(log)?;
        let TestSet { sessions, events, .. } = TestSet::new(&prepared, split);
        let known = |session: Vec<u32>| -> Vec<u32> {
            session.into_iter().filter(|item| events[*item as usize] > 0).collect()
        };
        let sessions: Vec<Vec<u32>> =
            sessions.into_iter().map(known).filter(|session| session.len() > 1).collect();
        let all: usize = sessions.iter().map(|session| session.len() - 1).sum();
        let every = all.div_ceil(limit).max(1);
        let sessions: Vec<Vec<u32>> = sessions.into_iter().step_by(every).collect();
        let predictions = sessions.iter().map(|session| session.len() - 1).sum();
        let neighbours = train::learn_neighbours(&prepared, recipe, report);
        let regions = Regions::automatic(&log.events, &log.areas, usize::MAX);
        Ok(Self { log, prepared, regions, neighbours, sessions, predictions })
    }

    /// The recipe to start from, with strategies where it names none.
    pub fn start(&self, recipe: &Recipe, report: &mut impl FnMut(&str)) -> Recipe {
        train::settle(&self.prepared, recipe, report)
    }

    /// Learns and packs the tables of a recipe.
    ///
    /// # Errors
    /// They cannot be packed.
    pub fn tables(&self, recipe: &Recipe) -> Result<TrialTables> {
        let coview = train::fold_coview(&self.prepared, &self.neighbours, recipe);
        // Strategy `next` reads co-view alone.
        let none = vec![Vec::new(); coview.len()];
        let tables = LearnedTables { coview, knn: none.clone(), bought: none };
        let built = pack(self.log, &self.prepared, &self.regions, recipe, tables, PackOptions::quick())?;
        let snapshot = built.open(WORLD)?;
        let ids = self.prepared.order.iter().map(|item| &*self.log.items[*item as usize].id);
        let mapping = IndexMapping::new(&snapshot, ids);
        Ok(TrialTables { snapshot, mapping })
    }

    /// Evaluates strategy `next` of a recipe.
    ///
    /// # Errors
    /// The recipe lacks it.
    pub fn evaluate(&self, tables: &TrialTables, recipe: &Recipe) -> Result<TrialScores> {
        let strategy = recipe.strategies.iter().find(|strategy| strategy.name == NEXT);
        let strategy = strategy.context("the recipe has no strategy 'next'")?;
        let size = self.sessions.len().div_ceil(4 * rayon::current_num_threads()).max(1);
        let part = |sessions: &[Vec<u32>]| replay_all(tables, strategy, sessions);
        let parts: Vec<HitSums> = self.sessions.par_chunks(size).map(part).collect();
        let mut total = HitSums::default();
        parts.iter().for_each(|part| total.merge(part));
        let [hr_a, mrr_a, hr_b, mrr_b] = total.all().map(|sum| sum / self.predictions.max(1) as f64);
        Ok(TrialScores { hr_a, mrr_a, hr_b, mrr_b })
    }
}

fn replay_all(tables: &TrialTables, strategy: &Strategy, sessions: &[Vec<u32>]) -> HitSums {
    let (mut scratch, mut hits) = (Scratch::default(), HitSums::default());
    for session in sessions {
        let session: Vec<u32> = session.iter().map(|item| tables.mapping.to_snapshot(*item)).collect();
        replay(
            &session,
            |_| true,
            |step| {
                let candidates = scratch.candidates(&tables.snapshot, strategy, step.recents);
                hits.count(step, candidates.map(|scored| scored.item));
            },
        );
    }
    hits
}
