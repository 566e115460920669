//! `verge models`: the models that were built.

use crate::{
    config::Config,
    models::{Model, Registry, compare},
    store::Store,
};
use anyhow::Result;
use snapshots::time::Timestamp;
use std::io::Write;

/// List, compare, promote and roll back the models that were built.
#[derive(Debug, clap::Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show every model, the newest last
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show where two models differ, and judge them on the same held-out sessions of the store
    ///
    /// On the sessions that came after both, as they were built; where those are too few, by learning both recipes anew
    /// without the last day, which takes as long as two builds.
    Compare {
        /// A model's id, or the beginning of it
        a: String,
        /// Another's
        b: String,
    },
    /// Serve a model: `verge publish` sends it from then on
    Promote {
        /// The model's id, or the beginning of it
        id: String,
    },
    /// Serve the model that served before the present one
    Rollback,
}

/// Runs the command.
///
/// # Errors
/// There is no such model, or a file is damaged or cannot be written.
pub fn run(args: &ModelsArgs, config: &Config) -> Result<()> {
    let registry = Registry::new(&config.data_dir);
    let mut out = std::io::stdout().lock();
    match &args.what {
        What::List { json } => {
            let (models, serving) = (registry.list()?, registry.serving()?);
            if *json {
                serde_json::to_writer_pretty(&mut out, &models)?;
                return Ok(writeln!(out)?);
            }
            print(&mut out, &models, serving.as_ref())
        }
        What::Compare { a, b } => {
            let compared = compare(&registry, &Store::open(&config.data_dir)?, a, b)?;
            let serving = registry.serving()?;
            print(&mut out, &compared.models, serving.as_ref())?;
            compared.differences.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            let [a, b] = &compared.models;
            writeln!(out, "{} beside {}, {}:", b.id, a.id, compared.how)?;
            compared.ahead.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
            Ok(())
        }
        What::Promote { id } => {
            let model = registry.find(id)?;
            registry.promote(&model.id)?;
            Ok(writeln!(out, "{} serves; `verge publish` sends it", model.id)?)
        }
        What::Rollback => {
            let id = registry.roll_back()?;
            Ok(writeln!(out, "{id} serves again; `verge publish` sends it")?)
        }
    }
}

fn print(out: &mut impl Write, models: &[Model], serving: Option<&Model>) -> Result<()> {
    writeln!(
        out,
        "{:<20} {:<17} {:<10} {:<23} {:>10} {:>7} {:>7} {:>7}",
        "model", "built", "version", "events", "", "items", "HR@20", "MRR@20"
    )?;
    let short = |at: Timestamp, length: usize| at.to_string().chars().take(length).collect::<String>();
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
            short(model.built_at, 16),
            model.version,
            format!("{}…{}", short(model.from, 10), short(model.to, 10)),
            model.events,
            model.items,
            mean("HR@20"),
            mean("MRR@20"),
            if serving.is_some_and(|serving| serving.id == model.id) { "  serves" } else { "" }
        )?;
    }
    Ok(())
}
