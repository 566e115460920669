//! `verge build`: from the store to one snapshot a region, laid out as it is published.

use crate::{
    build::{build_with, neighbours, prune},
    config::Config,
    models::{self, Model, Registry},
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

/// Learn the tables from the store and build one snapshot a region.
///
/// What is built is kept as a model (`verge models`) and judged on held-out sessions. It serves, and `verge publish`
/// sends it, if it is not worse than the model that serves now beyond noise.
///
/// The same log gives the same bytes. Regions come from [regions] in verge.toml (`dach = ["de", "at", "ch"]`);
/// without it, every area with enough events is one. The region `world` is always built.
#[derive(Debug, clap::Args)]
pub struct BuildArgs {
    /// Put the snapshots here, in place of keeping them as a model [default: snapshots in the data directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Serve the new model without judging it, which takes about as long as building again
    #[arg(long)]
    no_judge: bool,
    /// Learn the tables alone, by the numbers and neighbours that the last whole build found, and serve them unjudged
    /// in the place of the model that serves, without keeping them as one
    #[arg(long, conflicts_with_all = ["out", "no_judge"])]
    tables: bool,
    /// Models kept to go back to, besides the one that serves and the one before it
    #[arg(long, value_name = "N", default_value_t = 5)]
    keep_models: usize,
    /// Neighbours kept a row, 1 to 255 [default: the recipe's]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    k: Option<u8>,
    /// The numbers to learn with [default: recipe.toml in the data directory, if there is one]
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Events that make an area a region of its own, where none are configured
    #[arg(long, default_value_t = regions::MIN_EVENTS)]
    min_events: usize,
    /// Bytes that the catalogue and its tables may have in all; above, the tables are cut into shards, of which the
    /// edge reads those that a visitor's recents need
    #[arg(long, value_name = "BYTES", default_value_t = PackOptions::default().whole)]
    whole: usize,
    /// Bytes of a shard
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
    // One at a time: a build that outlived its service may still write models.
    let _alone = args.out.is_none().then(|| lock(&config.data_dir, "build.lock")).transpose()?;
    let mut log = store.log()?;
    step(&format!("{} events, {} items read", log.events.len(), log.items.len()));
    let (items, events) = prune(&mut log, KV_VALUE - ENVELOPE);
    if items > 0 {
        step(&format!(
            "left out the {items} least wanted items and their {events} events: the ids and attributes of a \
             snapshot are one value of KV"
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
    let packing = PackOptions { whole: args.whole, shard: args.shard, ..PackOptions::default() };
    let mut said = |text: &str| step(text);
    let mut built = build_with(&log, &regions, packing, &mut said, |prepared, report| {
        if args.tables {
            return neighbours::kept(prepared, &log, &recipe, &config.data_dir);
        }
        let recipe = settle(prepared, &recipe, report);
        let learnt = learn_neighbours(prepared, &recipe, report);
        if args.out.is_none() {
            neighbours::keep(&learnt, prepared, &log, &recipe, &config.data_dir)?;
        }
        Ok((recipe, learnt))
    })?;
    // It opens every region, so that what cannot be read back is never served.
    built.add_lite().context("what was built cannot be read back")?;
    let total: usize = built.blobs.values().map(Vec::len).sum();
    let saved = |wrote, dir: &Path| {
        step(&format!(
            "{total} bytes in {} blobs, {wrote} of them new, in {}",
            built.blobs.len(),
            dir.display()
        ));
    };
    if let Some(out) = &args.out {
        saved(built.save(out)?, out);
        return Ok(());
    }
    if args.tables {
        saved(built.save(&snapshots_dir(&config.data_dir))?, &snapshots_dir(&config.data_dir));
        return Ok(());
    }
    let registry = Registry::new(&config.data_dir);
    let mut model = Model::of(&built, &log, &recipe, now())?;
    let (judged, promoted, decision) = match registry.serving()?.filter(|serving| serving.id == model.id) {
        Some(serving) => (serving.judged, true, "is the one that serves".to_owned()),
        None if args.no_judge => (None, true, "promoted unjudged, as asked".to_owned()),
        None => models::decide(&registry, log, &recipe)?,
    };
    step(&format!("model {} {decision}", model.id));
    (model.judged, model.decision) = (judged, decision);
    registry.add(&model, &built)?;
    if promoted {
        saved(registry.promote(&model.id)?, &snapshots_dir(&config.data_dir));
    } else {
        step(&format!("`verge models promote {}` serves it all the same", model.id));
    }
    for id in registry.prune(args.keep_models)? {
        step(&format!("model {id} removed"));
    }
    Ok(())
}
