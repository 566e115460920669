//! `verge build`: learns the tables from the store and writes one snapshot per region.

use crate::{
    build::{build_with, neighbours, prune},
    config::Config,
    models::{self, Decision, Model, Registry},
    pack::{
        ENVELOPE, KV_VALUE, PackOptions,
        regions::{self, Regions},
    },
    store::{Store, lock, recipe, snapshots_dir},
};
use anyhow::{Context, Result, bail};
use origin_data::clock::now;
use origin_learn::train::{learn_neighbours, settle};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Learn the tables from the store and build one snapshot per region.
///
/// The result is stored as a model (`verge models`) and evaluated on held-out sessions. It is promoted, so that `verge
/// publish` sends it, unless it is significantly worse than the serving model (95 % CI).
///
/// The same log gives the same bytes. Regions are configured by [regions] in verge.toml (`dach = ["de", "at", "ch"]`).
/// By default, every area with enough events is a region. The region `world` is always built.
#[derive(Debug, clap::Args)]
pub struct BuildArgs {
    /// Write the snapshots to this directory and do not store a model [default: snapshots in the data directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Promote the new model without evaluation, which takes about as long as another build
    #[arg(long)]
    no_judge: bool,
    /// Update only the co-view and bought-together tables of the serving model, with the hyperparameters and neighbours
    /// of the last full build; no model is stored or evaluated
    #[arg(long, conflicts_with_all = ["out", "no_judge"])]
    tables: bool,
    /// Models to keep, in addition to the serving one and the one before it
    #[arg(long, value_name = "N", default_value_t = 5)]
    keep_models: usize,
    /// Neighbours per row, 1 to 255 [default: that of the recipe]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    k: Option<u8>,
    /// Recipe with the hyperparameters [default: recipe.toml in the data directory, if it exists]
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Events that an area needs to be a region, if no regions are configured
    #[arg(long, default_value_t = regions::MIN_EVENTS)]
    min_events: usize,
    /// Largest total size of catalogue and tables; above it, the tables are cut into shards, and the edge reads only the
    /// shards that a visitor's recents need
    #[arg(long, value_name = "BYTES", default_value_t = PackOptions::default().whole)]
    whole: usize,
    /// Size of a shard
    #[arg(long, value_name = "BYTES", default_value_t = PackOptions::default().shard)]
    shard: usize,
}

/// Runs the command.
///
/// # Errors
/// The store is empty or the directory cannot be written.
pub fn run(args: &BuildArgs, config: &Config) -> Result<()> {
    let start = Instant::now();
    let step = |text: &str| eprintln!("{:>7.2} s  {text}", start.elapsed().as_secs_f64());
    let store = Store::open(&config.data_dir)?.with_items_from(config.items);
    // Only one build at a time may write models; one may still run that a stopped service started.
    let _lock = args.out.is_none().then(|| lock(&config.data_dir, "build.lock")).transpose()?;
    let mut log = store.log()?;
    step(&format!("{} events, {} items read", log.events.len(), log.items.len()));
    let (items, events) = prune(&mut log, KV_VALUE - ENVELOPE);
    if items > 0 {
        step(&format!(
            "left out the {items} least popular items and their {events} events: the ids and attributes of a \
             snapshot must fit into one KV value"
        ));
    }
    let regions = match &config.regions {
        Some(regions) => Regions::configured(regions)?,
        None => Regions::automatic(&log.events, &log.areas, args.min_events),
    };
    let recipe = recipe::choose(args.recipe.as_deref(), &config.data_dir, args.k)?;
    if !(1_024..=KV_VALUE).contains(&args.shard) {
        bail!("--shard {}: expected 1024 to {KV_VALUE} bytes", args.shard);
    }
    let pack_options = PackOptions { whole: args.whole, shard: args.shard, ..PackOptions::default() };
    let mut progress = |text: &str| step(text);
    let mut built = build_with(&log, &regions, pack_options, &mut progress, |prepared, report| {
        if args.tables {
            return neighbours::load(prepared, &log, &recipe, &config.data_dir);
        }
        let recipe = settle(prepared, &recipe, report);
        let learned = learn_neighbours(prepared, &recipe, report);
        if args.out.is_none() {
            neighbours::save(&learned, prepared, &log, &recipe, &config.data_dir)?;
        }
        Ok((recipe, learned))
    })?;
    // This opens every region, so an unreadable snapshot is never promoted.
    built.add_lite().context("cannot read back the new snapshots")?;
    let total: usize = built.blobs.values().map(Vec::len).sum();
    let report_saved = |bytes_written, dir: &Path| {
        step(&format!(
            "{total} bytes in {} blobs, {bytes_written} bytes of them new, in {}",
            built.blobs.len(),
            dir.display()
        ));
    };
    if let Some(out) = &args.out {
        report_saved(built.save(out)?, out);
        return Ok(());
    }
    if args.tables {
        report_saved(built.save(&snapshots_dir(&config.data_dir))?, &snapshots_dir(&config.data_dir));
        return Ok(());
    }
    let registry = Registry::new(&config.data_dir);
    let mut model = Model::describe(&built, &log, &recipe, now())?;
    let decision = match registry.serving()?.filter(|serving| serving.id == model.id) {
        Some(serving) => Decision {
            evaluation: serving.judged,
            promote: true,
            reason: "unchanged: it is the serving model".to_owned(),
        },
        None if args.no_judge => Decision {
            evaluation: None,
            promote: true,
            reason: "promoted without evaluation, as requested".to_owned(),
        },
        None => models::judge_and_decide(&registry, log, &recipe)?,
    };
    step(&format!("model {} {}", model.id, decision.reason));
    (model.judged, model.decision) = (decision.evaluation, decision.reason);
    registry.add(&model, &built)?;
    if decision.promote {
        report_saved(registry.promote(&model.id)?, &snapshots_dir(&config.data_dir));
    } else {
        step(&format!("to promote it anyway, run `verge models promote {}`", model.id));
    }
    for id in registry.prune(args.keep_models)? {
        step(&format!("model {id} deleted"));
    }
    Ok(())
}
