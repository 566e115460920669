//! `verge keys`: who may speak to the service.

use crate::{
    config::Config,
    store::{Role, Store},
};
use anyhow::{Result, bail};
use snapshots::time::Timestamp;
use std::io::Write;

/// Make, list and revoke the keys that callers of `verge serve` need.
///
/// A running service takes changes over within a second. To rotate a key, add another of the same role, hand it
/// to the caller, and revoke the old one.
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a key and print it, once: only its hash is kept
    Add {
        /// Who gets it
        name: String,
        /// What it may do
        #[arg(long, value_enum)]
        role: Role,
    },
    /// Show every key by name and id, never its text
    List,
    /// Make a key useless
    Revoke {
        /// Its name, or its id where several have the name
        key: String,
    },
}

/// Runs the command.
///
/// # Errors
/// There is no such key, or the store cannot be used.
pub fn run(args: &KeysArgs, config: &Config) -> Result<()> {
    let mut store = Store::open(&config.data_dir)?;
    let mut out = std::io::stdout().lock();
    match &args.what {
        What::Add { name, .. } if !snapshots::event::is_printable(name, 64) => {
            bail!("the name of a key is 1 to 64 printable bytes")
        }
        What::Add { name, role } => {
            let now = Timestamp(jiff::Timestamp::now().as_millisecond());
            writeln!(out, "{}", store.add_key(name, *role, now)?)?;
        }
        What::List => {
            writeln!(out, "{:<8}  {:<9}  {:<24}  name", "id", "role", "made")?;
            for key in store.keys()? {
                let (id, made) = (key.hash.short(), key.created_at.to_string());
                writeln!(out, "{id:<8}  {:<9}  {made:<24}  {}", key.role.name(), key.name)?;
            }
        }
        What::Revoke { key } => {
            let key = store.revoke_key(key)?;
            writeln!(out, "{} ({}) is revoked", key.name, key.hash.short())?;
        }
    }
    Ok(())
}
