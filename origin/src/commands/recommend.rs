//! `verge recommend`: what a visitor would be shown, from the command line.

use crate::{config::Config, pack::SnapshotSet, rules, store::snapshots_dir};
use anyhow::{Context, Result};
use clap::ValueEnum;
use snapshots::{
    answer::{self, Answer, Call, Request},
    query::Query,
    recents::Recents,
    score::Scratch,
    time::Timestamp,
};
use std::{
    io::{Write, stdout},
    path::PathBuf,
    time::Instant,
};

/// Show what a visitor would be shown.
///
/// Reads the snapshots that `verge build` wrote and scores them by the very code that the edge runs.
#[derive(Debug, clap::Args)]
pub struct RecommendArgs {
    /// The visitor's latest items, newest first, separated by commas
    #[arg(long, value_name = "ITEMS", default_value = "")]
    recents: String,
    /// The region [default: world]
    #[arg(long, default_value = snapshots::manifest::WORLD)]
    region: String,
    /// Which answer
    #[arg(long, value_enum, default_value_t = What::Recommendations)]
    what: What,
    /// More of the query, as in the edge's address: `limit=5&category=Garden&price_max=20`
    #[arg(long, value_name = "QUERY", default_value = "")]
    query: String,
    /// Where the snapshots are [default: snapshots in the data directory]
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Print the answer as the edge's JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum What {
    /// Personal recommendations
    Recommendations,
    /// What the region wants
    Popular,
    /// Items like the first of the recents
    Similar,
}

/// Runs the command.
///
/// # Errors
/// There is no snapshot of the region, or the query makes no sense; the text names the field.
pub fn run(args: &RecommendArgs, config: &Config) -> Result<()> {
    let built = match &args.from {
        Some(folder) => SnapshotSet::load(folder)?,
        None => rules::applied(SnapshotSet::load(&snapshots_dir(&config.data_dir))?, &config.data_dir)?,
    };
    let snapshot = built.open(&args.region)?;
    let query = Query::parse(&args.query).context("--query")?;
    // Old logs stay usable: the visitor comes at the moment the tables describe.
    let now: Timestamp = snapshot.built_at;
    let ids: Vec<&str> = args.recents.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    let recents = Recents::from_ids(ids.iter().copied(), now);
    for id in ids.iter().filter(|id| snapshot.ids.index(id).is_none()) {
        eprintln!("verge: the snapshot does not know the item '{id}'");
    }
    let mut scratch = Scratch::default();
    let call = match args.what {
        What::Recommendations => Call::Recommend,
        What::Popular => Call::Popular,
        What::Similar => Call::Similar(ids.first().unwrap_or(&"")),
    };
    let request = Request::new(&query, &recents, now);
    let mut answer = || answer::answer(&snapshot, call, &request, &mut scratch);
    answer().context("--query")?;
    let start = Instant::now();
    let answer = answer().context("--query")?;
    let took = start.elapsed();
    if args.json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&answer)?)?;
        return Ok(());
    }
    print_table(&answer, &|id| {
        answer::item(&snapshot, id).map_or(String::new(), |item| item.name.into_owned())
    })?;
    writeln!(
        stdout(),
        "region {}, strategy {}, {:.1} µs{}",
        args.region,
        answer.strategy,
        took.as_secs_f64() * 1e6,
        answer.degraded.map_or(String::new(), |why| format!(", degraded: {why:?}"))
    )?;
    Ok(())
}

fn print_table(answer: &Answer<'_>, name_of: &dyn Fn(&str) -> String) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{:<14} {:>6}  {:<10}  {:<40} because", "item", "score", "signal", "name")?;
    for shown in &answer.items {
        let because = shown.because.as_deref().map_or(String::new(), |id| format!("{id} {}", name_of(id)));
        let signal = format!("{:?}", shown.signal).to_lowercase();
        let name: String = shown.item.name.chars().take(40).collect();
        writeln!(out, "{:<14} {:>6.4}  {signal:<10}  {name:<40} {because}", &*shown.item.id, shown.score)?;
    }
    Ok(())
}
