//! `verge recommend`: previews the edge's answers on the command line.

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

/// Preview a visitor's recommendations.
///
/// Reads the snapshots that `verge build` wrote and scores them with the same code as the edge.
#[derive(Debug, clap::Args)]
pub struct RecommendArgs {
    /// The visitor's latest items, newest first, separated by commas
    #[arg(long, value_name = "ITEMS", default_value = "")]
    recents: String,
    /// Region
    #[arg(long, default_value = snapshots::manifest::WORLD)]
    region: String,
    /// Kind of answer
    #[arg(long, value_enum, default_value_t = AnswerKind::Recommendations)]
    what: AnswerKind,
    /// Further parameters, as in a URL of the edge: `limit=5&category=Garden&price_max=20`
    #[arg(long, value_name = "QUERY", default_value = "")]
    query: String,
    /// Directory of the snapshots [default: snapshots in the data directory]
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Print the JSON that the edge would answer with
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum AnswerKind {
    /// Personal recommendations
    Recommendations,
    /// Popular items of the region
    Popular,
    /// Items similar to the first of the recents
    Similar,
}

/// Runs the command.
///
/// # Errors
/// There is no snapshot of the region, or the query is invalid; the text names the field.
pub fn run(args: &RecommendArgs, config: &Config) -> Result<()> {
    let built = match &args.from {
        Some(folder) => SnapshotSet::load(folder)?,
        None => rules::apply(SnapshotSet::load(&snapshots_dir(&config.data_dir))?, &config.data_dir)?,
    };
    let snapshot = built.open(&args.region)?;
    let query = Query::parse(&args.query).context("--query")?;
    // The time of the visit is that of the build, so that snapshots of old logs work too.
    let now: Timestamp = snapshot.built_at;
    let ids: Vec<&str> = args.recents.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    let recents = Recents::from_ids(ids.iter().copied(), now);
    for id in ids.iter().filter(|id| snapshot.ids.index(id).is_none()) {
        eprintln!("verge: the snapshot has no item '{id}'");
    }
    let mut scratch = Scratch::default();
    let call = match args.what {
        AnswerKind::Recommendations => Call::Recommend,
        AnswerKind::Popular => Call::Popular,
        AnswerKind::Similar => Call::Similar(ids.first().unwrap_or(&"")),
    };
    let request = Request::new(&query, &recents, now);
    let mut answer = || answer::answer(&snapshot, call, &request, &mut scratch);
    // Measure the second call: the first one allocates.
    answer().context("--query")?;
    let start = Instant::now();
    let answer = answer().context("--query")?;
    let duration = start.elapsed();
    if args.json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&answer)?)?;
        return Ok(());
    }
    print_table(&answer, &|id| {
        answer::item(&snapshot, id, now).map_or(String::new(), |item| item.name.into_owned())
    })?;
    writeln!(
        stdout(),
        "region {}, strategy {}, {:.1} µs{}",
        args.region,
        answer.strategy,
        duration.as_secs_f64() * 1e6,
        answer.degraded.map_or(String::new(), |reason| format!(", degraded: {reason:?}"))
    )?;
    Ok(())
}

fn print_table(answer: &Answer<'_>, name_of: &dyn Fn(&str) -> String) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{:<14} {:>6}  {:<10}  {:<40} because", "item", "score", "signal", "name")?;
    for entry in &answer.items {
        let because = entry.because.as_deref().map_or(String::new(), |id| format!("{id} {}", name_of(id)));
        let signal = format!("{:?}", entry.signal).to_lowercase();
        let name: String = entry.item.name.chars().take(40).collect();
        writeln!(out, "{:<14} {:>6.4}  {signal:<10}  {name:<40} {because}", &*entry.item.id, entry.score)?;
    }
    Ok(())
}
