//! `verge tune`: finds a shop's own numbers on the end of its own log.
//!
//! A random search that climbs: each trial turns some knobs of the best recipe so far, by less and less. Serving's
//! knobs are turned ten times as often as the tables', since a trial of theirs learns nothing anew. The sessions
//! judged on come later than all that is learnt from, and only that part of the log is ever looked at.

mod bench;
mod space;

use crate::{
    config::Config,
    evaluate::split::{Cut, Split},
    generate::random::Random,
    recipe::{self, Recipe},
    store::Store,
};
use anyhow::{Context, Result, bail};
use bench::{Bench, Gain};
use serde::Serialize;
use space::Point;
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Find the numbers that fit this shop, by judging on the end of its log.
///
/// Writes recipe.toml into the data directory, which `verge build` takes from then on, and every trial into
/// tune.jsonl beside it. With --trials, the same log and seed give the same recipe.
#[derive(Debug, clap::Args)]
pub struct TuneArgs {
    /// A file in place of the store: one session a line, item ids separated by white space, the oldest first
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Trials to make
    #[arg(long, default_value_t = 300)]
    trials: usize,
    /// Stop after so many seconds, whatever the trials
    #[arg(long)]
    seconds: Option<u64>,
    /// Share of the events, from the end, to judge on
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    last_share: f64,
    /// Days at the end of the log to judge on, in place of a share
    #[arg(long, value_name = "N", conflicts_with = "last_share")]
    last_days: Option<f64>,
    /// Predictions a trial makes at most
    #[arg(long, value_name = "N", default_value_t = 40_000)]
    predictions: usize,
    /// Draws the trials
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The recipe to start from [default: recipe.toml in the data directory, if there is one]
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Where to put the recipe found [default: recipe.toml in the data directory]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

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

/// Runs the command.
///
/// # Errors
/// There is nothing to learn from, or a file cannot be read or written.
pub fn run(args: &TuneArgs, config: &Config) -> Result<()> {
    let start = Instant::now();
    let mut step = |text: &str| eprintln!("{:>7.2} s  {text}", start.elapsed().as_secs_f64());
    let log = match &args.train {
        Some(file) => Split::from_files(file, file)?.train,
        None => Store::open(&config.data_dir)?.log()?,
    };
    let cut = args.last_days.map_or(Cut::Share(args.last_share), Cut::Days);
    let split = Split::by_time(log, cut)?;
    let base = match (&args.recipe, &args.train) {
        (None, Some(_)) => Recipe::default(),
        (file, _) => Recipe::chosen(file.as_deref(), &config.data_dir, None)?,
    };
    let bench = Bench::new(&split, &base, args.predictions.max(1), &mut step)?;
    if bench.predictions == 0 {
        bail!("no session held back has two clicks on items that are known; hold more back");
    }
    let out = args.out.clone().unwrap_or_else(|| config.data_dir.join(recipe::FILE));
    let mut search = Search {
        base: bench.start(&base, &mut step),
        bench,
        trials: args.trials,
        until: args.seconds.map(|seconds| start + Duration::from_secs(seconds)),
        start,
        done: 0,
        log: BufWriter::new(create(&out.with_file_name("tune.jsonl"))?),
    };
    let found = search.run(args.seed)?;
    search.log.flush()?;
    let head = format!("# Found by `verge tune` on {} predictions.\n", search.bench.predictions);
    let text = head + &found.to_toml()?;
    crate::build::write_if_new(&out, text.as_bytes())?;
    step(&format!("{} trials; the best recipe is in {}", search.done, out.display()));
    Ok(())
}

fn create(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

struct Search<'a> {
    base: Recipe,
    bench: Bench<'a>,
    trials: usize,
    until: Option<Instant>,
    start: Instant,
    done: usize,
    log: BufWriter<File>,
}

impl Search<'_> {
    fn goes_on(&self) -> bool {
        self.done < self.trials && self.until.is_none_or(|until| Instant::now() < until)
    }

    /// From far to near as the trials go by.
    fn reach(&self) -> f64 {
        let share = self.done as f64 / self.trials.max(1) as f64;
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

    fn run(&mut self, seed: u64) -> Result<Recipe> {
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
        Ok(point.recipe(&self.base))
    }
}
