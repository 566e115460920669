//! The command line of `verge`.
//!
//! A command is a module with `pub struct XArgs` (clap's `Args`) and `pub fn run(&XArgs, &Config)`. To add one, add a line
//! to [`Command`] and one to [`Cli::run`].
//!
//! May import: everything.

use crate::{
    commands::{
        build, evaluate, feed, generate, import, inspect, keys, models, publish, recommend, rules, serve,
        tune,
    },
    config::Config,
};
use anyhow::Result;
use clap::{Parser, Subcommand};
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
    Keys(keys::KeysArgs),
}

impl Cli {
    /// Reads the configuration and runs the command.
    ///
    /// # Errors
    /// The configuration is invalid, or the command fails; the text is for the user.
    pub fn run(self) -> Result<()> {
        let config = Config::load(self.config.as_deref(), self.data_dir.as_deref())?;
        match self.command {
            Command::Import(args) => import::run(&args, &config),
            Command::Feed(args) => feed::run(&args, &config),
            Command::Generate(args) => generate::run(&args, &config),
            Command::Build(args) => build::run(&args, &config),
            Command::Models(args) => models::run(&args, &config),
            Command::Publish(args) => publish::run(&args, &config),
            Command::Rollback(args) => publish::run_rollback(&args, &config),
            Command::Rules(args) => rules::run(&args, &config),
            Command::Recommend(args) => recommend::run(&args, &config),
            Command::Inspect(args) => inspect::run(&args),
            Command::Tune(args) => tune::run(&args, &config),
            Command::Evaluate(args) => evaluate::run(&args, &config),
            Command::Serve(args) => serve::run(&args, &config),
            Command::Keys(args) => keys::run(&args, &config),
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
