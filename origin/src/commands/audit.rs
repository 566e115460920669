//! `verge audit`: who changed what.

use crate::{audit, config::Config};
use anyhow::{Context, Result};
use origin_data::times;
use std::io::Write;

/// Show who changed, exported or erased what, when, and from where.
///
/// The service records each change of items, feeds, strategies, rules, models and snapshots, each export and erasure of a
/// visitor, and each log-in to /admin; commands record theirs. The file is audit.jsonl in the data directory.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    /// Only entries since this time, such as 2026-11-29 or 2026-11-29T13:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Number of latest entries
    #[arg(long, value_name = "N", default_value_t = 100)]
    last: usize,
    /// Print JSON lines instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// The time is invalid, or the file cannot be read.
pub fn run(args: &AuditArgs, config: &Config) -> Result<()> {
    let parse =
        |text: &String| times::read(text, None).with_context(|| format!("--since: '{text}' is no time"));
    let since = args.since.as_ref().map(parse).transpose()?;
    let found = audit::read(&config.data_dir, since, args.last)?;
    let mut out = std::io::stdout().lock();
    for entry in &found.entries {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(entry)?)?;
        } else {
            let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "–".to_owned());
            let (at, from, target) = (entry.at.to_string(), text(&entry.from), text(&entry.target));
            writeln!(
                out,
                "{at:<24}  {:<26}  {from:<15}  {:<6}  {}  {target}",
                entry.actor, entry.outcome, entry.action
            )?;
        }
    }
    if !found.damaged.is_empty() {
        eprintln!("lines that are not entries: {:?}", found.damaged);
    }
    Ok(())
}
