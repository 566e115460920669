//! `verge tune`: finds a shop's own numbers on the end of its own log.
//!
//! A random search that climbs: each trial turns some knobs of the best recipe so far, by less and less. Serving's
//! knobs are turned ten times as often as the tables', since a trial of theirs learns nothing anew. The sessions
//! judged on come later than all that is learnt from, and only that part of the log is ever looked at.

mod bench;
mod space;

pub use bench::Bench;

use anyhow::{Context, Result};
use bench::Gain;
use origin_learn::{config::Recipe, rng::Random};
use serde::Serialize;
use space::Point;
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

/// A line of the log of trials.
#[derive(Serialize)]
struct Trial<'a> {
    trial: usize,
    seconds: f64,
    better: bool,
    score: f64,
    gain: Gain,
    recipe: &'a Recipe,
}

/// Trials of serving for each of the tables.
const SERVED: usize = 10;

fn create(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

/// How long a search goes on.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Trials at the most.
    pub trials: usize,
    /// When it ends, whatever the trials.
    pub until: Option<Instant>,
}

/// A search for the recipe that fits a log.
pub struct Search<'a> {
    base: Recipe,
    bench: Bench<'a>,
    budget: Budget,
    start: Instant,
    done: usize,
    log: BufWriter<File>,
}

impl<'a> Search<'a> {
    /// From a recipe; trials are written to the file `log`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn new(bench: Bench<'a>, base: Recipe, budget: Budget, start: Instant, log: &Path) -> Result<Self> {
        Ok(Self { base, bench, budget, start, done: 0, log: BufWriter::new(create(log)?) })
    }

    /// Predictions that each trial makes.
    pub fn predictions(&self) -> usize {
        self.bench.predictions
    }

    /// Trials made.
    pub fn done(&self) -> usize {
        self.done
    }

    fn goes_on(&self) -> bool {
        self.done < self.budget.trials && self.budget.until.is_none_or(|until| Instant::now() < until)
    }

    /// From far to near as the trials go by.
    fn reach(&self) -> f64 {
        let share = self.done as f64 / self.budget.trials.max(1) as f64;
        0.3 * (1.0 - share) + 0.04
    }

    fn tell(&mut self, gain: &Gain, best: &mut Gain, recipe: &Recipe) -> Result<bool> {
        let better = self.done == 0 || gain.score() > best.score();
        self.done += 1;
        let seconds = (self.start.elapsed().as_secs_f64() * 100.0).round() / 100.0;
        let trial = Trial { trial: self.done, seconds, better, score: gain.score(), gain: *gain, recipe };
        serde_json::to_writer(&mut self.log, &trial)?;
        self.log.write_all(b"\n")?;
        if better {
            *best = *gain;
            eprintln!(
                "{seconds:>7.2} s  trial {:>4}: HR {:.4} MRR {:.4}, item on screen left out: HR {:.4} MRR {:.4}",
                self.done, gain.hr_a, gain.mrr_a, gain.hr_b, gain.mrr_b
            );
        }
        Ok(better)
    }

    /// Runs it; returns the best recipe.
    ///
    /// # Errors
    /// A trial fails, or the file cannot be written.
    pub fn run(&mut self, seed: u64) -> Result<Recipe> {
        let mut random = Random::new(seed, "tune");
        let mut point = Point::of(&self.base);
        let mut tables = self.bench.tables(&self.base)?;
        let mut best = Gain::default();
        let gain = self.bench.judge(&tables, &self.base)?;
        let base = self.base.clone();
        self.tell(&gain, &mut best, &base)?;
        while self.goes_on() {
            for _ in 0..SERVED {
                if !self.goes_on() {
                    break;
                }
                let other = point.near(false, self.reach(), &mut random);
                let recipe = other.recipe(&self.base);
                let gain = self.bench.judge(&tables, &recipe)?;
                if self.tell(&gain, &mut best, &recipe)? {
                    point = other;
                }
            }
            if self.goes_on() {
                let other = point.near(true, self.reach(), &mut random);
                let recipe = other.recipe(&self.base);
                let new_tables = self.bench.tables(&recipe)?;
                let gain = self.bench.judge(&new_tables, &recipe)?;
                if self.tell(&gain, &mut best, &recipe)? {
                    (point, tables) = (other, new_tables);
                }
            }
        }
        self.log.flush()?;
        Ok(point.recipe(&self.base))
    }
}
