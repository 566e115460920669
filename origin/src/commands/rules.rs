//! `verge rules`: what the merchandiser decides.

use crate::{
    config::Config,
    rules::{FILE, load, read, save, schema, sign, strategy_names, unknown},
};
use anyhow::{Context, Result, bail};
use std::{io::Write, path::PathBuf};

/// The longest that a tester may see a variant, in days.
const MAX_DAYS: u16 = 365;

/// Set, check and show rules and experiments.
///
/// A document is JSON; `verge rules schema` prints its schema, which editors complete and check by. What is set is
/// published by `verge publish`, and by a running service within seconds.
#[derive(Debug, clap::Args)]
pub struct RulesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Say what is wrong with a document, if anything
    Check {
        /// The document [default: the one that is set]
        file: Option<PathBuf>,
    },
    /// Check a document and publish by it from now on
    Set {
        /// The document
        file: PathBuf,
    },
    /// Print the document that is set
    Show,
    /// Print the JSON schema of documents
    Schema,
    /// Print a signed parameter with which a tester sees one variant of an experiment: `…?force=…`
    Force {
        /// The experiment's id
        experiment: String,
        /// The variant's name
        variant: String,
        /// For how many days
        #[arg(long, default_value_t = 7)]
        days: u16,
        /// The secret that the Worker knows as TESTER_KEY
        #[arg(long, env = "VERGE_TESTER_KEY", hide_env_values = true)]
        key: String,
    },
}

/// Runs the command.
///
/// # Errors
/// The document makes no sense; the text names file, rule and field.
pub fn run(args: &RulesArgs, config: &Config) -> Result<()> {
    let set = config.data_dir.join(FILE);
    let mut out = std::io::stdout().lock();
    match &args.what {
        What::Check { file } => {
            let rules = read(file.as_ref().unwrap_or(&set), &strategy_names(&config.data_dir))?;
            writeln!(
                out,
                "{} rules and {} experiments make sense",
                rules.rules.len(),
                rules.experiments.len()
            )?;
            for unknown in unknown(&rules, &config.data_dir) {
                eprintln!("verge: {unknown}");
            }
        }
        What::Set { file } => {
            let rules = read(file, &strategy_names(&config.data_dir))?;
            save(&rules, &config.data_dir)?;
            let (rules, experiments) = (rules.rules.len(), rules.experiments.len());
            writeln!(out, "{rules} rules and {experiments} experiments count from the next publishing on")?;
        }
        What::Show => writeln!(out, "{}", serde_json::to_string_pretty(&load(&config.data_dir)?)?)?,
        What::Schema => writeln!(out, "{}", schema())?,
        What::Force { experiment, variant, days, key } => {
            let rules = load(&config.data_dir)?;
            let known = rules.experiments.iter().find(|known| known.id == *experiment);
            let known = known.with_context(|| format!("no experiment is called '{experiment}'"))?;
            if !known.variants.iter().any(|known| known.name == *variant) {
                bail!("experiment '{experiment}' has no variant '{variant}'");
            }
            if key.len() < 16 || !(1..=MAX_DAYS).contains(days) {
                bail!("expected a --key of 16 bytes at least, and --days from 1 to {MAX_DAYS}");
            }
            let expires = jiff::Timestamp::now().as_second() + i64::from(*days) * 86_400;
            writeln!(out, "force={}", sign(experiment, variant, expires, key))?;
        }
    }
    Ok(())
}
