//! `verge keys`: API keys of the service.

use crate::{
    config::Config,
    store::{Role, Store},
};
use anyhow::{Result, bail};
use snapshots::time::Timestamp;
use std::io::Write;

/// Create, list and revoke the API keys of `verge serve`.
///
/// A running service applies changes within a second. To rotate a key, add another one of the same role, give it to the
/// client, and revoke the old one.
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeysCommand {
    /// Create a key and print it; only its hash is stored, so it cannot be shown again
    Add {
        /// Name of the holder
        name: String,
        /// Permissions of the key
        #[arg(long, value_enum)]
        role: Role,
    },
    /// List all keys by name and id, without their text
    List,
    /// Revoke a key
    Revoke {
        /// Its name, or its id if several keys have the name
        key: String,
    },
}

/// Runs the command.
///
/// # Errors
/// There is no such key, or the store cannot be read or written.
pub fn run(args: &KeysArgs, config: &Config) -> Result<()> {
    let mut store = Store::open(&config.data_dir)?;
    let mut out = std::io::stdout().lock();
    match &args.command {
        KeysCommand::Add { name, .. } if !snapshots::event::is_printable(name, 64) => {
            bail!("the name of a key must have 1 to 64 bytes, all printable")
        }
        KeysCommand::Add { name, role } => {
            let now = Timestamp(jiff::Timestamp::now().as_millisecond());
            writeln!(out, "{}", store.add_key(name, *role, now)?)?;
        }
        KeysCommand::List => {
            writeln!(out, "{:<8}  {:<9}  {:<24}  name", "id", "role", "created")?;
            for key in store.keys()? {
                let (id, created) = (key.hash.short(), key.created_at.to_string());
                writeln!(out, "{id:<8}  {:<9}  {created:<24}  {}", key.role.name(), key.name)?;
            }
        }
        KeysCommand::Revoke { key } => {
            let key = store.revoke_key(key)?;
            writeln!(out, "revoked {} ({})", key.name, key.hash.short())?;
        }
    }
    Ok(())
}
