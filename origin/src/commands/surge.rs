//! `verge surge`: items that the surge guard holds.

use crate::{config::Config, store::releases};
use anyhow::{Result, ensure};
use origin_data::clock;
use snapshots::event::{MAX_ITEM_ID, is_printable};
use std::io::Write;

/// Release items that the surge guard holds.
///
/// An item that public events push beyond what its history makes likely is held at its bound. The service's log, /admin and
/// GET /v1/admin/status name it.
#[derive(Debug, clap::Args)]
pub struct SurgeArgs {
    #[command(subcommand)]
    command: SurgeCommand,
}

#[derive(Debug, clap::Subcommand)]
enum SurgeCommand {
    /// Count what was held of an item since yesterday, and do not hold it for a week
    Release {
        /// Id of the item
        item: String,
    },
    /// List the releases
    List,
}

impl SurgeArgs {
    /// The command's name and object for the audit log, if it changes something.
    pub fn audited(&self) -> Option<(&'static str, Option<String>)> {
        match &self.command {
            SurgeCommand::Release { item } => Some(("verge surge release", Some(item.clone()))),
            SurgeCommand::List => None,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// The id is none, or the file cannot be read or written.
pub fn run(args: &SurgeArgs, config: &Config) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match &args.command {
        SurgeCommand::Release { item } => {
            ensure!(
                is_printable(item, MAX_ITEM_ID),
                "an item's id has 1 to {MAX_ITEM_ID} printable bytes, without control characters"
            );
            ensure!(config.data_dir.is_dir(), "there is no data directory {}", config.data_dir.display());
            releases::release(&config.data_dir, item, clock::now())?;
            Ok(writeln!(out, "{item} is released; a running service counts it within seconds")?)
        }
        SurgeCommand::List => releases::load(&config.data_dir)?
            .iter()
            .try_for_each(|release| Ok(writeln!(out, "{}  {}", release.at, release.item)?)),
    }
}
