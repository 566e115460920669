//! `verge publish` and `verge rollback`.

use crate::{
    config::Config,
    pack::SnapshotSet,
    publish::{self, destination::Destination, lock_publishing, publish, roll_back, up_to_date},
};
use anyhow::Result;
use origin_data::clock::now;
use std::{collections::BTreeSet, path::PathBuf};

/// Send changed snapshots to the edge.
///
/// The snapshots are those of the serving model, with the current popularity, stock, prices and rules. Blobs are written
/// first and read back; each region's manifest is written last. Workers KV is configured under `[kv]` in verge.toml
/// (`account`, `namespace`, or `base` for another API) or by VERGE_KV_ACCOUNT, VERGE_KV_NAMESPACE and VERGE_KV_BASE; the
/// token by VERGE_KV_TOKEN.
#[derive(Debug, clap::Args)]
pub struct PublishArgs {
    #[command(flatten)]
    target: Target,
    /// Directory of the snapshots, sent as they are [default: snapshots in the data directory]
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Manifests to keep per region for rollbacks
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    keep: u8,
    /// Remove regions that are no longer built
    #[arg(long)]
    prune: bool,
}

/// Restore the snapshot that was published before the current one.
///
/// A second rollback goes one further back. The next `verge publish` sends the serving model again.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    target: Target,
    /// Only this region [default: all]
    #[arg(long)]
    region: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Target {
    /// Destination: `kv` (Workers KV), or a directory as `dir:PATH`
    #[arg(long, value_name = "DESTINATION")]
    to: String,
}

impl Target {
    fn open(&self, config: &Config) -> Result<Box<dyn Destination + Send>> {
        Ok(publish::open(&self.to, &config.kv)?)
    }
}

/// Runs `verge publish`.
///
/// # Errors
/// As [`publish()`].
pub fn run(args: &PublishArgs, config: &Config) -> Result<()> {
    let built = match &args.from {
        Some(dir) => SnapshotSet::load(dir)?,
        None => up_to_date(&config.data_dir, config.stream, config.items)?,
    };
    let to = args.target.open(config)?;
    let _lock = lock_publishing(&config.data_dir)?;
    let verified = &mut BTreeSet::new();
    let report =
        publish(&built, &*to, now(), args.keep.into(), args.prune, verified, |line| println!("{line}"))?;
    if !report.unbuilt_regions.is_empty() {
        let names = report.unbuilt_regions.join(", ");
        eprintln!("verge: published regions that are no longer built: {names}; --prune removes them");
    }
    match report.keys_written {
        0 => println!("nothing changed: 0 keys written to {}", to.name()),
        keys => println!("{keys} keys, {} bytes written to {}", report.bytes_written, to.name()),
    }
    Ok(())
}

/// Runs `verge rollback`.
///
/// # Errors
/// As [`roll_back`].
pub fn run_rollback(args: &RollbackArgs, config: &Config) -> Result<()> {
    for (region, version) in roll_back(&*args.target.open(config)?, args.region.as_deref())? {
        println!("manifest/{region}  rolled back to version {version}");
    }
    Ok(())
}
