//! `verge models`: the model registry.

use crate::{
    config::Config,
    models::{Model, Registry, compare},
    store::Store,
};
use anyhow::Result;
use snapshots::time::Timestamp;
use std::io::Write;

/// List, compare, promote and roll back models.
#[derive(Debug, clap::Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ModelsCommand {
    /// List all models, newest last
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the differences of two recipes, and compare the models on the same held-out sessions
    ///
    /// Both are evaluated as built, on the sessions after their training data. If there are too few, both are retrained
    /// without the last day and evaluated on it, which takes as long as two builds.
    Compare {
        /// Id of a model, or its beginning
        a: String,
        /// Id of another model, or its beginning
        b: String,
    },
    /// Make a model the serving one, which `verge publish` sends
    Promote {
        /// Id of the model, or its beginning
        id: String,
    },
    /// Make the model that served before the current one the serving one again
    Rollback,
}

impl ModelsArgs {
    /// The command's name and object for the audit log, if it changes something.
    pub fn audited(&self) -> Option<(&'static str, Option<String>)> {
        match &self.command {
            ModelsCommand::Promote { id } => Some(("verge models promote", Some(id.clone()))),
            ModelsCommand::Rollback => Some(("verge models rollback", None)),
            ModelsCommand::List { .. } | ModelsCommand::Compare { .. } => None,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// There is no such model, or a file is damaged or cannot be written.
pub fn run(args: &ModelsArgs, config: &Config) -> Result<()> {
    let registry = Registry::new(&config.data_dir);
    let mut out = std::io::stdout().lock();
    match &args.command {
        ModelsCommand::List { json } => {
            let (models, serving) = (registry.list()?, registry.serving()?);
            if *json {
                serde_json::to_writer_pretty(&mut out, &models)?;
                return Ok(writeln!(out)?);
            }
            print(&mut out, &models, serving.as_ref())
        }
        ModelsCommand::Compare { a, b } => {
            let comparison = compare(&registry, &Store::open(&config.data_dir)?, a, b)?;
            let serving = registry.serving()?;
            print(&mut out, &comparison.models, serving.as_ref())?;
            comparison.recipe_differences.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            let [a, b] = &comparison.models;
            writeln!(out, "{} minus {}, {}:", b.id, a.id, comparison.method)?;
            comparison.metric_differences.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
            Ok(())
        }
        ModelsCommand::Promote { id } => {
            let model = registry.find(id)?;
            registry.promote(&model.id)?;
            Ok(writeln!(out, "{} is now serving; run `verge publish` to send it", model.id)?)
        }
        ModelsCommand::Rollback => {
            let id = registry.roll_back()?;
            Ok(writeln!(out, "{id} is serving again; run `verge publish` to send it")?)
        }
    }
}

fn print(out: &mut impl Write, models: &[Model], serving: Option<&Model>) -> Result<()> {
    writeln!(
        out,
        "{:<20} {:<17} {:<10} {:<23} {:>10} {:>7} {:>7} {:>7}",
        "model", "built", "version", "events", "", "items", "HR@20", "MRR@20"
    )?;
    let prefix = |at: Timestamp, length: usize| at.to_string().chars().take(length).collect::<String>();
    for model in models {
        let mean = |name: &str| match &model.judged {
            Some(judged) => {
                judged.measures.get(name).map_or(String::new(), |found| format!("{:.4}", found.mean))
            }
            None => "–".to_owned(),
        };
        writeln!(
            out,
            "{:<20} {:<17} {:<10} {:<23} {:>10} {:>7} {:>7} {:>7}{}",
            model.id,
            prefix(model.built_at, 16),
            model.version,
            format!("{}…{}", prefix(model.from, 10), prefix(model.to, 10)),
            model.events,
            model.items,
            mean("HR@20"),
            mean("MRR@20"),
            if serving.is_some_and(|serving| serving.id == model.id) { "  serving" } else { "" }
        )?;
    }
    Ok(())
}
