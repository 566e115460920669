//! `verge evaluate`: trains on the older part of a log and evaluates on the later part.

use crate::{
    build,
    config::Config,
    evaluate::{
        baselines::{ItemRules, OwnItems, Popular, SessionIndex},
        plot,
        protocol::{Recommender, TestSet, Variant, evaluate},
        report::{EvaluationReport, VariantResult},
        snapshot::{IndexMapping, SnapshotRecommender},
        split::{Split, SplitAt},
        vmis,
    },
    pack::{PackOptions, regions::Regions},
    store::{Store, recipe},
};
use anyhow::{Context, Result, bail};
use origin_learn::{orders, train::TrainingData};
use snapshots::{manifest::WORLD, strategy};
use std::{path::PathBuf, time::Instant};

/// Evaluate the tables on sessions outside their training data.
///
/// Test sessions are replayed click by click. After each click all items are ranked; the next click and all remaining
/// clicks are looked up in the first 20. By default, the data is that of the store, and the test set is its last day.
#[derive(Debug, clap::Args)]
pub struct EvaluateArgs {
    /// Training file to use instead of the store: one session per line, as item ids separated by white space
    #[arg(long, value_name = "FILE", requires = "test")]
    train: Option<PathBuf>,
    /// Test file, in the same format
    #[arg(long, value_name = "FILE", requires = "train")]
    test: Option<PathBuf>,
    /// Format of the two files
    #[arg(long, value_enum, default_value_t = Format::Sessions)]
    format: Format,
    /// Evaluate on the last N days of the store's log
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = positive, conflicts_with_all = ["train", "last_share"])]
    last_days: f64,
    /// Evaluate on this share of the store's events, the latest ones (0.1)
    #[arg(long, value_name = "SHARE", value_parser = positive, conflicts_with = "train")]
    last_share: Option<f64>,
    /// What to predict
    #[arg(long, value_enum, default_value_t = Task::Session)]
    task: Task,
    /// Variant a: the item on screen may be recommended; b: it may not [default: both]
    #[arg(long, value_enum)]
    variant: Option<VariantArg>,
    /// Strategies to evaluate [default: next; cart for the task basket]
    #[arg(long, value_delimiter = ',')]
    strategy: Vec<String>,
    /// Skip the baselines
    #[arg(long)]
    no_baselines: bool,
    /// Neighbours per row, 1 to 255 [default: that of the recipe]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    k: Option<u8>,
    /// Recipe with the hyperparameters [default: recipe.toml in the data directory, if it exists]
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Random seed of the confidence intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Plot HR and MRR into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum Format {
    Sessions,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum Task {
    /// The next item of a session
    Session,
    /// The rest of an order, and the visitor's next order
    Basket,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum VariantArg {
    A,
    B,
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|value: &f64| *value > 0.0 && value.is_finite())
        .ok_or_else(|| "a number above 0".into())
}

impl EvaluateArgs {
    fn split(&self, config: &Config) -> Result<Split> {
        if let (Some(train), Some(test)) = (&self.train, &self.test) {
            let Format::Sessions = self.format;
            return Split::from_files(train, test);
        }
        let log = Store::open(&config.data_dir)?.with_items_from(config.items).log()?;
        Split::by_time(log, self.last_share.map_or(SplitAt::Days(self.last_days), SplitAt::Share))
    }

    fn variants(&self) -> &[Variant] {
        match self.variant {
            _ if self.task == Task::Basket => &[Variant::Rest, Variant::Order],
            None => &[Variant::A, Variant::B],
            Some(VariantArg::A) => &[Variant::A],
            Some(VariantArg::B) => &[Variant::B],
        }
    }
}

fn session_baselines<'a>(training: &'a SessionIndex<'a>) -> Vec<Box<dyn Recommender + 'a>> {
    vec![
        Box::new(vmis::VmisKnn(training)),
        Box::new(ItemRules::sequential_rules(training)),
        Box::new(ItemRules::association_rules(training)),
        Box::new(ItemRules::item_knn(training)),
        Box::new(OwnItems { name: "session popular", training }),
        Box::new(Popular(training)),
    ]
}

fn basket_baselines<'a>(training: &'a SessionIndex<'a>) -> Vec<Box<dyn Recommender + 'a>> {
    vec![
        Box::new(ItemRules::bought_together(training)),
        Box::new(OwnItems { name: "own most frequent", training }),
        Box::new(Popular(training)),
    ]
}

/// Runs the command.
///
/// # Errors
/// The training or test data is too small, a strategy is unknown, or a file cannot be read or written.
pub fn run(args: &EvaluateArgs, config: &Config) -> Result<()> {
    let start = Instant::now();
    let step = |text: &str| eprintln!("{:>7.2} s  {text}", start.elapsed().as_secs_f64());
    let split = args.split(config)?;
    step(&format!("{} training events, {} test sessions", split.train.events.len(), split.test.len()));
    let recipe = recipe::choose(args.recipe.as_deref(), &config.data_dir, args.k)?;
    let prepared = TrainingData::new(&split.train)?;
    let regions = Regions::automatic(&split.train.events, &split.train.areas, usize::MAX);
    let snapshot =
        build::build(&split.train, &regions, &recipe, PackOptions::default(), step)?.open(WORLD)?;
    let test = TestSet::new(&prepared, &split);
    let baskets = args.task == Task::Basket;
    if baskets && test.baskets.is_empty() {
        bail!("the test data has no purchases; use a longer period, or --task session");
    }
    if !baskets && test.predictions() == 0 {
        bail!("no test session has two clicks on items of the training data; use a longer test period");
    }
    let orders = orders::sessions(&orders::split(&split.train.events, &prepared.index));
    let learnt_from = if baskets { &orders } else { &prepared.sessions };
    let events = learnt_from.events(prepared.order.len());
    let training = SessionIndex::new(learnt_from, &events);
    let ids = prepared.order.iter().map(|item| &*split.train.items[*item as usize].id);
    let mapping = IndexMapping::new(&snapshot, ids);
    let mut models: Vec<Box<dyn Recommender + '_>> = Vec::new();
    let usual = [if baskets { strategy::CART } else { strategy::NEXT }];
    let named = args.strategy.iter().map(String::as_str);
    for name in named.chain(usual.into_iter().filter(|_| args.strategy.is_empty())) {
        let strategy = snapshot.strategy(name).with_context(|| {
            let names: Vec<&str> = snapshot.strategies.iter().map(|known| &*known.name).collect();
            format!("no strategy '{name}'; the strategies are: {}", names.join(", "))
        })?;
        models.push(Box::new(SnapshotRecommender { name, snapshot: &snapshot, strategy, mapping: &mapping }));
    }
    if !args.no_baselines {
        models.extend(if baskets { basket_baselines(&training) } else { session_baselines(&training) });
    }
    let mut report = EvaluationReport {
        training_events: split.train.events.len(),
        sessions: if baskets { test.baskets.len() } else { test.sessions.len() },
        dropped: split.dropped,
        results: Vec::new(),
    };
    for variant in args.variants() {
        for model in &models {
            let outcome = evaluate(&**model, &test, *variant);
            report.results.push(VariantResult::new(model.name(), *variant, &outcome, args.seed));
            step(&format!("evaluated {} ({})", model.name(), variant.name()));
        }
    }
    if let Some(path) = &args.plot {
        std::fs::write(path, plot::svg(&report))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        return Ok(std::io::Write::write_all(&mut out, b"\n")?);
    }
    Ok(report.print(&mut out)?)
}
