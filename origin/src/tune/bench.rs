//! What a trial costs and gains: the tables learnt by a recipe, packed, and judged on sessions held back.

use crate::{
    evaluate::{protocol::Test, split::Split, tables::Numbering},
    pack::{PackOptions, pack, regions::Regions},
};
use anyhow::{Context, Result};
use origin_data::Dataset;
use origin_learn::{
    Table,
    config::Recipe,
    train::{self, LearnedTables, TrainingData},
};
use rayon::prelude::*;
use serde::Serialize;
use snapshots::{
    Snapshot,
    event::Kind,
    manifest::WORLD,
    score::{MAX_SEEDS, Scratch, Seed},
    strategy::{NEXT, Strategy},
};

/// Items looked at. One more than counts, since variant (b) leaves one out.
const SHOWN: usize = 20;

/// HR and MRR at 20, of both variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Gain {
    /// Hit rate where the item on screen may be recommended.
    pub hr_a: f64,
    /// Mean reciprocal rank there.
    pub mrr_a: f64,
    /// Hit rate where it never is.
    pub hr_b: f64,
    /// Mean reciprocal rank there.
    pub mrr_b: f64,
}

impl Gain {
    /// One number to compare by: the geometric mean, so that a hundredth of each counts alike.
    pub fn score(&self) -> f64 {
        (self.hr_a * self.mrr_a * self.hr_b * self.mrr_b).powf(0.25)
    }
}

/// Everything that trials share.
pub struct Bench<'a> {
    log: &'a Dataset,
    prepared: TrainingData,
    regions: Regions,
    learnt: Table,
    sessions: Vec<Vec<u32>>,
    /// How many predictions one trial makes.
    pub predictions: usize,
}

/// A snapshot to judge strategies on.
pub struct Tables {
    snapshot: Snapshot,
    numbering: Numbering,
}

impl<'a> Bench<'a> {
    /// Learns what no trial changes, and picks sessions evenly so that a trial makes at most about `limit`
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
        let Test { sessions, events, .. } = Test::new(&prepared, split);
        let known = |session: Vec<u32>| -> Vec<u32> {
            session.into_iter().filter(|item| events[*item as usize] > 0).collect()
        };
        let sessions: Vec<Vec<u32>> =
            sessions.into_iter().map(known).filter(|session| session.len() > 1).collect();
        let all: usize = sessions.iter().map(|session| session.len() - 1).sum();
        let every = all.div_ceil(limit).max(1);
        let sessions: Vec<Vec<u32>> = sessions.into_iter().step_by(every).collect();
        let predictions = sessions.iter().map(|session| session.len() - 1).sum();
        let learnt = train::learn_neighbours(&prepared, recipe, report);
        let regions = Regions::automatic(&log.events, &log.areas, usize::MAX);
        Ok(Self { log, prepared, regions, learnt, sessions, predictions })
    }

    /// The recipe to start from, settled where it names no strategies.
    pub fn start(&self, recipe: &Recipe, report: &mut impl FnMut(&str)) -> Recipe {
        train::settle(&self.prepared, recipe, report)
    }

    /// Learns and packs the tables of a recipe.
    ///
    /// # Errors
    /// They cannot be packed.
    pub fn tables(&self, recipe: &Recipe) -> Result<Tables> {
        let coview = train::fold_coview(&self.prepared, &self.learnt, recipe);
        // No trial judges what reads the others.
        let none = vec![Vec::new(); coview.len()];
        let learnt = LearnedTables { coview, knn: none.clone(), bought: none };
        let built = pack(self.log, &self.prepared, &self.regions, recipe, learnt, PackOptions::quick())?;
        let snapshot = built.open(WORLD)?;
        let ids = self.prepared.order.iter().map(|item| &*self.log.items[*item as usize].id);
        let numbering = Numbering::new(&snapshot, ids);
        Ok(Tables { snapshot, numbering })
    }

    /// Judges the strategy `next` of a recipe.
    ///
    /// # Errors
    /// The recipe lacks it.
    pub fn judge(&self, tables: &Tables, recipe: &Recipe) -> Result<Gain> {
        let strategy = recipe.strategies.iter().find(|strategy| strategy.name == NEXT);
        let strategy = strategy.context("the recipe has no strategy 'next'")?;
        let size = self.sessions.len().div_ceil(4 * rayon::current_num_threads()).max(1);
        let part = |sessions: &[Vec<u32>]| judge_part(tables, strategy, sessions);
        let parts: Vec<[f64; 4]> = self.sessions.par_chunks(size).map(part).collect();
        let mean =
            |at: usize| parts.iter().map(|part| part[at]).sum::<f64>() / self.predictions.max(1) as f64;
        Ok(Gain { hr_a: mean(0), mrr_a: mean(1), hr_b: mean(2), mrr_b: mean(3) })
    }
}

fn judge_part(tables: &Tables, strategy: &Strategy, sessions: &[Vec<u32>]) -> [f64; 4] {
    let (mut scratch, mut best, mut seeds) = (Scratch::default(), Vec::new(), Vec::<Seed>::new());
    let mut sums = [0.0; 4];
    for session in sessions {
        seeds.clear();
        for pair in session.windows(2) {
            let [last, next] = [pair[0], pair[1]].map(|item| tables.numbering.to_snapshot(item));
            let met = seeds.iter().position(|seed| seed.item == last);
            let count = met.map_or(0, |place| seeds.remove(place).count);
            seeds.truncate(MAX_SEEDS - 1);
            seeds.insert(0, Seed { item: last, kind: Kind::View, count: count.saturating_add(1), age: 0 });
            best.clear();
            let candidates = scratch.candidates(&tables.snapshot, strategy, &seeds);
            best.extend(candidates.take(SHOWN + 1).map(|scored| scored.item));
            let Some(place) = best.iter().position(|item| *item == next) else { continue };
            let last_before = best[..place].contains(&last);
            for (at, rank) in [(0, place + 1), (2, place + 1 - usize::from(last_before))] {
                if rank <= SHOWN && (at == 0 || next != last) {
                    sums[at] += 1.0;
                    sums[at + 1] += 1.0 / rank as f64;
                }
            }
        }
    }
    sums
}
