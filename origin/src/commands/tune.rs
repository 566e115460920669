//! `verge tune`: finds a shop's own numbers on the end of its own log.

use crate::{
    config::Config,
    evaluate::split::{Cut, Split},
    store::{Store, recipe},
    tune::{Bench, Budget, Search},
};
use anyhow::{Result, bail};
use origin_data::files::replace_file;
use origin_learn::config::Recipe;
use std::{
    path::PathBuf,
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

/// Runs the command.
///
/// # Errors
/// There is nothing to learn from, or a file cannot be read or written.
pub fn run(args: &TuneArgs, config: &Config) -> Result<()> {
    let start = Instant::now();
    let mut step = |text: &str| eprintln!("{:>7.2} s  {text}", start.elapsed().as_secs_f64());
    let log = match &args.train {
        Some(file) => Split::from_files(file, file)?.train,
        None => Store::open(&config.data_dir)?.with_items_from(config.items).log()?,
    };
    let cut = args.last_days.map_or(Cut::Share(args.last_share), Cut::Days);
    let split = Split::by_time(log, cut)?;
    let base = match (&args.recipe, &args.train) {
        (None, Some(_)) => Recipe::default(),
        (file, _) => recipe::choose(file.as_deref(), &config.data_dir, None)?,
    };
    let bench = Bench::new(&split, &base, args.predictions.max(1), &mut step)?;
    if bench.predictions == 0 {
        bail!("no session held back has two clicks on items that are known; hold more back");
    }
    let out = args.out.clone().unwrap_or_else(|| config.data_dir.join(recipe::FILE));
    let until = args.seconds.map(|seconds| start + Duration::from_secs(seconds));
    let budget = Budget { trials: args.trials, until };
    let base = bench.start(&base, &mut step);
    let mut search = Search::new(bench, base, budget, start, &out.with_file_name("tune.jsonl"))?;
    let found = search.run(args.seed)?;
    let head = format!("# Found by `verge tune` on {} predictions.\n", search.predictions());
    let text = head + &found.to_toml()?;
    replace_file(&out, text.as_bytes())?;
    step(&format!("{} trials; the best recipe is in {}", search.done(), out.display()));
    Ok(())
}
