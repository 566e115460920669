//! `verge keys`: API keys of the service.

use crate::{
    config::Config,
    store::{Role, Store},
};
use anyhow::{Result, bail};
use origin_data::clock::now;
use snapshots::time::{DAY_MS, Timestamp};
use std::io::Write;

/// Create, list and revoke the API keys of `verge serve`.
///
/// A running service applies changes within a second.
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
        /// Days of validity [default: until it is revoked]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
    },
    /// Replace a key by a new one of the same name and role, and print it
    Rotate {
        /// Its name, or its id if several keys have the name
        key: String,
        /// Days that the old key remains valid
        #[arg(long, value_name = "N", default_value_t = 7)]
        grace_days: u16,
    },
    /// List all keys by name and id with their expiry and last use, without their text
    List,
    /// Revoke a key
    Revoke {
        /// Its name, or its id if several keys have the name
        key: String,
    },
}

impl KeysArgs {
    /// The command's name and object for the audit log, if it changes something.
    pub fn audited(&self) -> Option<(&'static str, Option<String>)> {
        match &self.command {
            KeysCommand::Add { name, .. } => Some(("verge keys add", Some(name.clone()))),
            KeysCommand::Rotate { key, .. } => Some(("verge keys rotate", Some(key.clone()))),
            KeysCommand::Revoke { key } => Some(("verge keys revoke", Some(key.clone()))),
            KeysCommand::List => None,
        }
    }
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
        KeysCommand::Add { name, role, days } => {
            let expires_at = days.map(after);
            writeln!(out, "{}", store.add_key(name, *role, now(), expires_at)?)?;
        }
        KeysCommand::Rotate { key, grace_days } => {
            writeln!(out, "{}", store.rotate_key(key, now(), after(*grace_days))?)?;
        }
        KeysCommand::List => {
            writeln!(
                out,
                "{:<8}  {:<9}  {:<24}  {:<24}  {:<24}  name",
                "id", "role", "created", "last used", "expires"
            )?;
            for key in store.keys()? {
                let (id, created) = (key.hash.short(), key.created_at.to_string());
                let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
                let (used, expires) = (time(key.used_at), time(key.expires_at));
                let role = key.role.name();
                writeln!(out, "{id:<8}  {role:<9}  {created:<24}  {used:<24}  {expires:<24}  {}", key.name)?;
            }
        }
        KeysCommand::Revoke { key } => {
            let key = store.revoke_key(key)?;
            writeln!(out, "revoked {} ({})", key.name, key.hash.short())?;
        }
    }
    Ok(())
}

/// The time in so many days.
fn after(days: u16) -> Timestamp {
    Timestamp(now().0 + i64::from(days) * DAY_MS)
}
