//! `verge publish` and `verge rollback`: what was built, to where the edge reads it.

use crate::{
    config::Config,
    pack::SnapshotSet,
    publish::{self, destination::Destination, lock_publishing, publish, roll_back, up_to_date},
};
use anyhow::Result;
use origin_data::clock::now;
use std::{collections::BTreeSet, path::PathBuf};

/// Send what changed to the edge.
///
/// It is the model that serves, with popularity, stock and prices as of now. Blobs go first and are read back; each
/// region's manifest is written last. KV is configured under [kv] in
/// verge.toml (`account`, `namespace`, or `base` for another address) or by VERGE_KV_ACCOUNT,
/// VERGE_KV_NAMESPACE, VERGE_KV_BASE; the token by VERGE_KV_TOKEN.
#[derive(Debug, clap::Args)]
pub struct PublishArgs {
    #[command(flatten)]
    target: Target,
    /// Where the snapshots are [default: snapshots in the data directory]
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Manifests kept a region, to roll back to
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    keep: u8,
    /// Also remove the regions that are no longer built
    #[arg(long)]
    prune: bool,
}

/// Serve the snapshot that was published before the present one.
///
/// Again goes one further back. The next `verge publish` goes forward.
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
    /// `kv`, or a directory
    #[arg(long, value_name = "kv|DIR")]
    to: String,
}

impl Target {
    fn open(&self, config: &Config) -> Result<Box<dyn Destination + Send>> {
        publish::open(&self.to, &config.kv)
    }
}

/// Runs `verge publish`.
///
/// # Errors
/// As [`publish`].
pub fn run(args: &PublishArgs, config: &Config) -> Result<()> {
    let built = match &args.from {
        Some(dir) => SnapshotSet::load(dir)?,
        None => up_to_date(&config.data_dir, config.stream, config.items)?,
    };
    let to = args.target.open(config)?;
    let _alone = lock_publishing(&config.data_dir)?;
    let known = &mut BTreeSet::new();
    let outcome =
        publish(&built, &*to, now(), args.keep.into(), args.prune, known, |line| println!("{line}"))?;
    if !outcome.unbuilt_regions.is_empty() {
        let names = outcome.unbuilt_regions.join(", ");
        eprintln!("verge: still published but not built: {names}; --prune removes them");
    }
    match outcome.wrote {
        0 => println!("nothing changed: 0 keys written to {}", to.name()),
        wrote => println!("{wrote} keys, {} bytes written to {}", outcome.bytes, to.name()),
    }
    Ok(())
}

/// Runs `verge rollback`.
///
/// # Errors
/// As [`roll_back`].
pub fn run_rollback(args: &RollbackArgs, config: &Config) -> Result<()> {
    for (region, version) in roll_back(&*args.target.open(config)?, args.region.as_deref())? {
        println!("manifest/{region}  back to version {version}");
    }
    Ok(())
}
