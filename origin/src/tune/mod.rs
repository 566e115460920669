//! Tuning: searches the hyperparameters of a recipe on the end of a shop's log.
//!
//! A random hill climb: each trial changes some hyperparameters of the best recipe so far, by smaller and smaller steps.
//! Those of serving are changed ten times as often as those of the tables, since they need no learning. The test sessions
//! come after all training data.
//!
//! May import: `evaluate`, `pack`, `origin_learn`, `origin_data`, `snapshots`.

mod bench;
mod space;

pub use bench::Bench;

use anyhow::{Context, Result};
use bench::TrialScores;
use origin_learn::{config::Recipe, rng::Random};
use serde::Serialize;
use space::SearchPoint;
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

/// A line of `tune.jsonl`.
#[derive(Serialize)]
struct Trial<'a> {
    trial: usize,
    seconds: f64,
    better: bool,
    score: f64,
    gain: TrialScores,
    recipe: &'a Recipe,
}

/// Trials of serving for each trial of the tables.
const SERVING_TRIALS: usize = 10;

fn create(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

/// The limits of a search.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Number of trials.
    pub trials: usize,
    /// The end in time, if any.
    pub until: Option<Instant>,
}

/// A search for the best recipe on a log.
pub struct Search<'a> {
    base: Recipe,
    bench: Bench<'a>,
    budget: Budget,
    start: Instant,
    done: usize,
    log: BufWriter<File>,
}

impl<'a> Search<'a> {
    /// Starts from a recipe; appends each trial to the file `log`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn new(bench: Bench<'a>, base: Recipe, budget: Budget, start: Instant, log: &Path) -> Result<Self> {
        Ok(Self { base, bench, budget, start, done: 0, log: BufWriter::new(create(log)?) })
    }

    /// Predictions per trial.
    pub fn predictions(&self) -> usize {
        self.bench.predictions
    }

    /// Trials done.
    pub fn done(&self) -> usize {
        self.done
    }

    fn is_within_budget(&self) -> bool {
        self.done < self.budget.trials && self.budget.until.is_none_or(|until| Instant::now() < until)
    }

    /// Standard deviation of a step, which shrinks over the trials.
    fn step_size(&self) -> f64 {
        let share = self.done as f64 / self.budget.trials.max(1) as f64;
        0.3 * (1.0 - share) + 0.04
    }

    fn record(&mut self, scores: &TrialScores, best: &mut TrialScores, recipe: &Recipe) -> Result<bool> {
        let better = self.done == 0 || scores.objective() > best.objective();
        self.done += 1;
        let seconds = (self.start.elapsed().as_secs_f64() * 100.0).round() / 100.0;
        let trial =
            Trial { trial: self.done, seconds, better, score: scores.objective(), gain: *scores, recipe };
        serde_json::to_writer(&mut self.log, &trial)?;
        self.log.write_all(b"\n")?;
        if better {
            *best = *scores;
            eprintln!(
                "{seconds:>7.2} s  trial {:>4}: HR {:.4} MRR {:.4}, without the item on screen: HR {:.4} MRR {:.4}",
                self.done, scores.hr_a, scores.mrr_a, scores.hr_b, scores.mrr_b
            );
        }
        Ok(better)
    }

    /// Runs the search and returns the best recipe.
    ///
    /// # Errors
    /// A trial fails, or the file cannot be written.
    pub fn run(&mut self, seed: u64) -> Result<Recipe> {
        let mut random = Random::new(seed, "tune");
        let mut point = SearchPoint::new(&self.base);
        let mut tables = self.bench.tables(&self.base)?;
        let mut best = TrialScores::default();
        let scores = self.bench.evaluate(&tables, &self.base)?;
        let base = self.base.clone();
        self.record(&scores, &mut best, &base)?;
        while self.is_within_budget() {
            for _ in 0..SERVING_TRIALS {
                if !self.is_within_budget() {
                    break;
                }
                let other = point.near(false, self.step_size(), &mut random);
                let recipe = other.recipe(&self.base);
                let scores = self.bench.evaluate(&tables, &recipe)?;
                if self.record(&scores, &mut best, &recipe)? {
                    point = other;
                }
            }
            if self.is_within_budget() {
                let other = point.near(true, self.step_size(), &mut random);
                let recipe = other.recipe(&self.base);
                let new_tables = self.bench.tables(&recipe)?;
                let scores = self.bench.evaluate(&new_tables, &recipe)?;
                if self.record(&scores, &mut best, &recipe)? {
                    (point, tables) = (other, new_tables);
                }
            }
        }
        self.log.flush()?;
        Ok(point.recipe(&self.base))
    }
}
