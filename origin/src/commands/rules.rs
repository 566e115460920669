//! `verge rules`: the merchandiser's rules and experiments.

use crate::{
    config::Config,
    rules::{FILE, load, read, save, schema, sign, strategy_names, unknown_names},
};
use anyhow::{Context, Result, bail};
use std::{io::Write, path::PathBuf};

/// Longest validity of a tester's token in days.
const MAX_DAYS: u16 = 365;
/// Shortest signing key in bytes.
const MIN_KEY_BYTES: usize = 16;

/// Set, check and show rules and experiments.
///
/// Rules and experiments are a JSON document; `verge rules schema` prints its schema for editors. `verge publish`
/// publishes the document that is set; a running service does so within seconds.
#[derive(Debug, clap::Args)]
pub struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RulesCommand {
    /// Validate a document
    Check {
        /// The document [default: the one that is set]
        file: Option<PathBuf>,
    },
    /// Validate a document and set it for the next publication
    Set {
        /// The document
        file: PathBuf,
    },
    /// Print the document that is set
    Show,
    /// Print the JSON schema of documents
    Schema,
    /// Print a signed query parameter that shows a tester one variant of an experiment: `…?force=…`
    Force {
        /// Id of the experiment
        experiment: String,
        /// Name of the variant
        variant: String,
        /// Days of validity
        #[arg(long, default_value_t = 7)]
        days: u16,
        /// The signing key: the Worker's secret TESTER_KEY
        #[arg(long, env = "VERGE_TESTER_KEY", hide_env_values = true)]
        key: String,
    },
}

impl RulesArgs {
    /// The command's name for the audit log, if it changes something.
    pub fn audited(&self) -> Option<(&'static str, Option<String>)> {
        matches!(self.command, RulesCommand::Set { .. }).then_some(("verge rules set", None))
    }
}

/// Runs the command.
///
/// # Errors
/// The document is invalid; the text names file, rule and field.
pub fn run(args: &RulesArgs, config: &Config) -> Result<()> {
    let set = config.data_dir.join(FILE);
    let mut out = std::io::stdout().lock();
    match &args.command {
        RulesCommand::Check { file } => {
            let rules = read(file.as_ref().unwrap_or(&set), &strategy_names(&config.data_dir)?)?;
            writeln!(out, "valid: {} rules and {} experiments", rules.rules.len(), rules.experiments.len())?;
            for warning in unknown_names(&rules, &config.data_dir)? {
                eprintln!("verge: {warning}");
            }
        }
        RulesCommand::Set { file } => {
            let rules = read(file, &strategy_names(&config.data_dir)?)?;
            save(&rules, &config.data_dir)?;
            let (rules, experiments) = (rules.rules.len(), rules.experiments.len());
            writeln!(out, "{rules} rules and {experiments} experiments apply from the next publication")?;
        }
        RulesCommand::Show => writeln!(out, "{}", serde_json::to_string_pretty(&load(&config.data_dir)?)?)?,
        RulesCommand::Schema => writeln!(out, "{}", schema())?,
        RulesCommand::Force { experiment, variant, days, key } => {
            let rules = load(&config.data_dir)?;
            let found = rules.experiments.iter().find(|known| known.id == *experiment);
            let found = found.with_context(|| format!("there is no experiment '{experiment}'"))?;
            if !found.variants.iter().any(|known| known.name == *variant) {
                bail!("experiment '{experiment}' has no variant '{variant}'");
            }
            if key.len() < MIN_KEY_BYTES || !(1..=MAX_DAYS).contains(days) {
                bail!("--key must have at least {MIN_KEY_BYTES} bytes, and --days must be 1 to {MAX_DAYS}");
            }
            let expires = jiff::Timestamp::now().as_second() + i64::from(*days) * 86_400;
            writeln!(out, "force={}", sign(experiment, variant, expires, key))?;
        }
    }
    Ok(())
}
