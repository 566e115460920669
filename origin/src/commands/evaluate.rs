//! `verge evaluate`: learns from the older part of a log and judges on the later.

use crate::{
    build,
    config::Config,
    evaluate::{
        baselines::{Own, Popular, Rules, Training},
        plot,
        protocol::{Model, Test, Variant, judge},
        report::{self, Report},
        split::{Cut, Split},
        tables, vmis,
    },
    pack::{PackOptions, regions::Regions},
    store::{Store, recipe},
};
use anyhow::{Context, Result, bail};
use origin_learn::{config::Recipe, orders, train::TrainingData};
use snapshots::{manifest::WORLD, strategy};
use std::{path::PathBuf, time::Instant};

/// Judge the tables on sessions they were not learnt from.
///
/// Test sessions are revealed click by click; after each, all items are ranked, and the very next click and those
/// that remain are looked for among the first 20. Takes the store with its last day as the test unless told
/// otherwise.
#[derive(Debug, clap::Args)]
pub struct EvaluateArgs {
    /// A file to learn from in place of the store: one session a line, item ids separated by white space
    #[arg(long, value_name = "FILE", requires = "test")]
    train: Option<PathBuf>,
    /// A file to judge on, of the same kind
    #[arg(long, value_name = "FILE", requires = "train")]
    test: Option<PathBuf>,
    /// What the two files are
    #[arg(long, value_enum, default_value_t = Format::Sessions)]
    format: Format,
    /// Days at the end of the store's log to judge on
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = positive, conflicts_with_all = ["train", "last_share"])]
    last_days: f64,
    /// Share of the store's events, from its end, to judge on (0.1)
    #[arg(long, value_name = "SHARE", value_parser = positive, conflicts_with = "train")]
    last_share: Option<f64>,
    /// What to predict
    #[arg(long, value_enum, default_value_t = Task::Session)]
    task: Task,
    /// Variant a: the item on screen may be recommended; b: it never is [default: both]
    #[arg(long, value_enum)]
    variant: Option<VariantArg>,
    /// Strategies to judge [default: next; of orders, cart]
    #[arg(long, value_delimiter = ',')]
    strategy: Vec<String>,
    /// Leave the baselines out
    #[arg(long)]
    no_baselines: bool,
    /// Neighbours kept a row, 1 to 255 [default: the recipe's]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    k: Option<u8>,
    /// The numbers to learn with [default: recipe.toml in the data directory, if there is one]
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Draws the sessions for the intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Draw HR and MRR into this file
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
    /// The rest of an order, and a visitor's next order
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
        Split::by_time(log, self.last_share.map_or(Cut::Days(self.last_days), Cut::Share))
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

fn session_baselines<'a>(training: &'a Training<'a>) -> Vec<Box<dyn Model + 'a>> {
    vec![
        Box::new(vmis::VmisKnn(training)),
        Box::new(Rules::sequential_rules(training)),
        Box::new(Rules::association_rules(training)),
        Box::new(Rules::item_knn(training)),
        Box::new(Own { name: "session popular", training }),
        Box::new(Popular(training)),
    ]
}

fn basket_baselines<'a>(training: &'a Training<'a>) -> Vec<Box<dyn Model + 'a>> {
    vec![
        Box::new(Rules::bought_together(training)),
        Box::new(Own { name: "own most frequent", training }),
        Box::new(Popular(training)),
    ]
}

/// Runs the command.
///
/// # Errors
/// There is nothing to learn from or to judge on, a strategy is unknown, or a file cannot be read or written.
pub fn run(args: &EvaluateArgs, config: &Config) -> Result<()> {
    let start = Instant::now();
    let step = |text: &str| eprintln!("{:>7.2} s  {text}", start.elapsed().as_secs_f64());
    let split = args.split(config)?;
    step(&format!(
        "{} events to learn from, {} sessions to judge on",
        split.train.events.len(),
        split.test.len()
    ));
    let recipe = match &args.train {
        Some(_) if args.recipe.is_none() => {
            Recipe { k: args.k.unwrap_or(Recipe::default().k), ..Recipe::default() }
        }
        _ => recipe::choose(args.recipe.as_deref(), &config.data_dir, args.k)?,
    };
    let prepared = TrainingData::new(&split.train)?;
    let regions = Regions::automatic(&split.train.events, &split.train.areas, usize::MAX);
    let snapshot =
        build::build(&split.train, &regions, &recipe, PackOptions::default(), step)?.open(WORLD)?;
    let test = Test::new(&prepared, &split);
    let baskets = args.task == Task::Basket;
    if baskets && test.baskets.is_empty() {
        bail!("the test holds no purchases; take a longer one, or judge sessions");
    }
    if !baskets && test.predictions() == 0 {
        bail!("no test session has two clicks on items that training knows; take a longer test");
    }
    let orders = orders::sessions(&orders::cut(&split.train.events, &prepared.index));
    let learnt_from = if baskets { &orders } else { &prepared.sessions };
    let events = learnt_from.events(prepared.order.len());
    let training = Training::new(learnt_from, &events);
    let ids = prepared.order.iter().map(|item| &*split.train.items[*item as usize].id);
    let numbering = tables::Numbering::new(&snapshot, ids);
    let mut models: Vec<Box<dyn Model + '_>> = Vec::new();
    let usual = [if baskets { strategy::CART } else { strategy::NEXT }];
    let named = args.strategy.iter().map(String::as_str);
    for name in named.chain(usual.into_iter().filter(|_| args.strategy.is_empty())) {
        let strategy = snapshot.strategy(name).with_context(|| {
            let names: Vec<&str> = snapshot.strategies.iter().map(|known| &*known.name).collect();
            format!("no strategy '{name}'; one of {}", names.join(", "))
        })?;
        models.push(Box::new(tables::Tables { name, snapshot: &snapshot, strategy, numbering: &numbering }));
    }
    if !args.no_baselines {
        models.extend(if baskets { basket_baselines(&training) } else { session_baselines(&training) });
    }
    let mut report = Report {
        training_events: split.train.events.len(),
        sessions: if baskets { test.baskets.len() } else { test.sessions.len() },
        dropped: split.dropped,
        results: Vec::new(),
    };
    for variant in args.variants() {
        for model in &models {
            let outcome = judge(&**model, &test, *variant);
            report.results.push(report::Result::new(model.name(), *variant, &outcome, args.seed));
            step(&format!("judged {} ({})", model.name(), variant.name()));
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
