//! The command line of `verge`.
//!
//! A command is a module with `pub struct XArgs` (clap's `Args`) and `pub fn run(&XArgs, &Config)`. To add one, add a line
//! to [`Command`] and one to [`Cli::run`].
//!
//! May import: everything.

use crate::{
    audit::{Durability, Entry, append, command_line_user},
    commands::{
        audit, build, evaluate, feed, generate, health, import, inspect, keys, models, publish, recommend,
        rules, serve, surge, tune,
    },
    config::Config,
};
use anyhow::Result;
use clap::{Parser, Subcommand};
use origin_data::clock;
use std::path::PathBuf;

const TOUR: &str = "\
From a log to recommendations at the edge:

  verge import --format online-retail online_retail.csv.zst   import a shop's log into the store
  verge generate --items 10000 --sessions 100000 --into-store ... or generate a demo shop
  verge feed --full products.csv                              import the shop's items
  verge build                                                 learn the tables; one snapshot per region
  verge publish --to kv                                       send changes to the edge
  verge recommend --recents 85123A,22423 --region gb          preview a visitor's recommendations
  verge keys add shop --role events && verge serve            receive events and items over HTTP

All data is in one data directory (--data-dir, VERGE_DATA_DIR, or data_dir in verge.toml).
`verge COMMAND --help` explains a command and its formats.";

/// Product recommendations computed at the edge: the origin service and its tools.
#[derive(Debug, Parser)]
#[command(name = "verge", version, after_help = TOUR, propagate_version = true)]
pub struct Cli {
    /// Configuration file [default: verge.toml, if it exists]
    #[arg(long, global = true, env = "VERGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Data directory [default: verge-data]
    #[arg(long, global = true, env = "VERGE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(Box<import::ImportArgs>),
    Feed(feed::FeedArgs),
    Generate(generate::GenerateArgs),
    Build(build::BuildArgs),
    Models(models::ModelsArgs),
    Publish(publish::PublishArgs),
    Rollback(publish::RollbackArgs),
    Rules(rules::RulesArgs),
    Recommend(recommend::RecommendArgs),
    Inspect(inspect::InspectArgs),
    Evaluate(evaluate::EvaluateArgs),
    Tune(tune::TuneArgs),
    Serve(serve::ServeArgs),
    Surge(surge::SurgeArgs),
    Keys(keys::KeysArgs),
    Audit(audit::AuditArgs),
    Health(health::HealthArgs),
}

impl Cli {
    /// Reads the configuration and runs the command.
    ///
    /// # Errors
    /// The configuration is invalid, or the command fails; the text is for the user.
    pub fn run(self) -> Result<()> {
        let config = Config::load(self.config.as_deref(), self.data_dir.as_deref())?;
        let action = self.command.audited();
        let result = self.command.run(&config);
        match action {
            Some((action, target)) => record(&config, action, target, result),
            None => result,
        }
    }
}

/// Records a command in the audit log. The command's own error comes first.
fn record(config: &Config, action: &str, target: Option<String>, result: Result<()>) -> Result<()> {
    // A command that did not create the data directory changed nothing.
    if !config.data_dir.exists() {
        return result;
    }
    let entry = Entry {
        at: clock::now(),
        actor: command_line_user(),
        action: action.to_owned(),
        target,
        from: None,
        outcome: if result.is_ok() { "ok" } else { "failed" }.to_owned(),
    };
    let written = append(&config.data_dir, &entry, Durability::Synced);
    result.and(written.map_err(Into::into))
}

impl Command {
    /// The name and object of a command that changes data or snapshots.
    fn audited(&self) -> Option<(&'static str, Option<String>)> {
        match self {
            Self::Import(args) => args.audited(),
            Self::Feed(args) => args.audited(),
            Self::Build(_) => Some(("verge build", None)),
            Self::Publish(_) => Some(("verge publish", None)),
            Self::Rollback(_) => Some(("verge rollback", None)),
            Self::Models(args) => args.audited(),
            Self::Rules(args) => args.audited(),
            Self::Keys(args) => args.audited(),
            Self::Surge(args) => args.audited(),
            _ => None,
        }
    }

    fn run(self, config: &Config) -> Result<()> {
        match self {
            Self::Import(args) => import::run(&args, config),
            Self::Feed(args) => feed::run(&args, config),
            Self::Generate(args) => generate::run(&args, config),
            Self::Build(args) => build::run(&args, config),
            Self::Models(args) => models::run(&args, config),
            Self::Publish(args) => publish::run(&args, config),
            Self::Rollback(args) => publish::run_rollback(&args, config),
            Self::Rules(args) => rules::run(&args, config),
            Self::Recommend(args) => recommend::run(&args, config),
            Self::Inspect(args) => inspect::run(&args),
            Self::Tune(args) => tune::run(&args, config),
            Self::Evaluate(args) => evaluate::run(&args, config),
            Self::Serve(args) => serve::run(&args, config),
            Self::Surge(args) => surge::run(&args, config),
            Self::Keys(args) => keys::run(&args, config),
            Self::Audit(args) => audit::run(&args, config),
            Self::Health(args) => health::run(&args, config),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_passes_claps_checks() {
        use clap::CommandFactory;
        super::Cli::command().debug_assert();
    }
}
