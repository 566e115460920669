//! `verge tune`: searches hyperparameters on the latest part of a shop's log.

use crate::{
    config::Config,
    evaluate::split::{Split, SplitAt},
    store::{Store, recipe},
    tune::{Bench, Budget, Search},
};
use anyhow::{Result, bail};
use origin_data::files::replace_shared_file;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Search the hyperparameters that fit this shop, by evaluation on the latest part of its log.
///
/// Writes recipe.toml into the data directory, where `verge build` reads it, and all trials into tune.jsonl. If only
/// --trials ends the search, the same log and seed give the same recipe.
#[derive(Debug, clap::Args)]
pub struct TuneArgs {
    /// File to use instead of the store: one session per line, oldest first, as item ids separated by white space
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Number of trials
    #[arg(long, default_value_t = 300)]
    trials: usize,
    /// Stop after this many seconds, even if there are trials left
    #[arg(long)]
    seconds: Option<u64>,
    /// Share of the events, the latest ones, to evaluate on
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    last_share: f64,
    /// Evaluate on the last N days instead of a share
    #[arg(long, value_name = "N", conflicts_with = "last_share")]
    last_days: Option<f64>,
    /// Most predictions per trial
    #[arg(long, value_name = "N", default_value_t = 40_000)]
    predictions: usize,
    /// Random seed of the search
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Recipe to start from [default: recipe.toml in the data directory, if it exists]
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// File to write the best recipe to [default: recipe.toml in the data directory]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// There are too few events, or a file cannot be read or written.
pub fn run(args: &TuneArgs, config: &Config) -> Result<()> {
    let start = Instant::now();
    let mut step = |text: &str| eprintln!("{:>7.2} s  {text}", start.elapsed().as_secs_f64());
    let log = match &args.train {
        Some(file) => Split::from_files(file, file)?.train,
        None => Store::open(&config.data_dir)?.with_items_from(config.items).log()?,
    };
    let cut = args.last_days.map_or(SplitAt::Share(args.last_share), SplitAt::Days);
    let split = Split::by_time(log, cut)?;
    let base = recipe::choose(args.recipe.as_deref(), &config.data_dir, None)?;
    let bench = Bench::new(&split, &base, args.predictions.max(1), &mut step)?;
    if bench.predictions == 0 {
        bail!(
            "no held-out session has two clicks on items of the training data; raise --last-share or --last-days"
        );
    }
    let out = args.out.clone().unwrap_or_else(|| config.data_dir.join(recipe::FILE));
    let until = args.seconds.map(|seconds| start + Duration::from_secs(seconds));
    let budget = Budget { trials: args.trials, until };
    let base = bench.start(&base, &mut step);
    let mut search = Search::new(bench, base, budget, start, &out.with_file_name("tune.jsonl"))?;
    let found = search.run(args.seed)?;
    let head = format!("# Found by `verge tune` on {} predictions.\n", search.predictions());
    let text = head + &found.to_toml()?;
    replace_shared_file(&out, text.as_bytes())?;
    step(&format!("{} trials; the best recipe is in {}", search.done(), out.display()));
    Ok(())
}
