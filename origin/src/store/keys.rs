//! API keys. Only their hashes are stored, so a copy of the store gives no access.

use crate::store::Store;
use anyhow::{Context, Result, bail};
use origin_data::hex;
use rusqlite::{Row, params, types::Type};
use snapshots::time::Timestamp;

/// Hash of a key. Keys have 160 random bits, so an unsalted fast hash cannot be brute-forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key's text, `verge_…`.
    pub fn of(text: &str) -> Self {
        Self(*blake3::hash(text.as_bytes()).as_bytes())
    }

    /// The key's id: the first 8 hexadecimal digits of the hash.
    pub fn short(&self) -> String {
        self.whole().chars().take(8).collect()
    }

    /// The whole hash in 64 hexadecimal digits.
    pub fn whole(&self) -> String {
        hex::encode(&self.0)
    }
}

/// The permissions of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Send events and the edge's counters: for the Worker and the shop's server
    Events,
    /// Read and change items: for the shop's catalogue system
    Catalogue,
    /// Read /metrics: for Prometheus
    Metrics,
    /// Everything: for operators
    Admin,
}

impl Role {
    /// The role's name on the command line and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Catalogue => "catalogue",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }

    /// Whether a key of this role may use an endpoint that requires `required`.
    pub fn covers(self, required: Self) -> bool {
        self == Self::Admin || self == required
    }
}

/// An API key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Hash of its text.
    pub hash: KeyHash,
    /// Name of its holder.
    pub name: String,
    /// Its permissions.
    pub role: Role,
    /// When it was created.
    pub created_at: Timestamp,
}

fn key_of_row(row: &Row<'_>) -> rusqlite::Result<Key> {
    let role: String = row.get(2)?;
    let role = <Role as clap::ValueEnum>::from_str(&role, false)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, Type::Text, error.into()))?;
    Ok(Key { hash: KeyHash(row.get(0)?), name: row.get(1)?, role, created_at: Timestamp(row.get(3)?) })
}

impl Store {
    /// Creates a key and returns its text, which is not stored.
    ///
    /// # Errors
    /// The store cannot be written, or the system returns no random bytes.
    pub fn add_key(&mut self, name: &str, role: Role, now: Timestamp) -> Result<String> {
        let mut random = [0u8; 20];
        getrandom::fill(&mut random).context("cannot get random bytes for a key from the system")?;
        let text = format!("verge_{}", hex::encode(&random));
        self.db
            .execute(
                "INSERT INTO keys (hash, name, role, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![KeyHash::of(&text).0, name, role.name(), now.0],
            )
            .with_context(|| format!("cannot write the store {}", self.path.display()))?;
        Ok(text)
    }

    /// All keys, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn keys(&self) -> Result<Vec<Key>> {
        let read = || -> rusqlite::Result<Vec<Key>> {
            let sql = "SELECT hash, name, role, created_at FROM keys ORDER BY created_at, hash";
            self.db.prepare_cached(sql)?.query_map([], key_of_row)?.collect()
        };
        read().with_context(|| format!("cannot read the store {}", self.path.display()))
    }

    /// Removes and returns the key with this name, or whose id begins with `which` (at least 4 digits).
    ///
    /// # Errors
    /// No key matches, or several do; the text lists them.
    pub fn revoke_key(&mut self, which: &str) -> Result<Key> {
        let mut found = self.keys()?;
        let known = found.iter().map(|key| format!("{} ({})", key.name, key.hash.short()));
        let known = known.collect::<Vec<_>>().join(", ");
        found.retain(|key| key.name == which || (which.len() >= 4 && key.hash.short().starts_with(which)));
        match (found.pop(), found.is_empty()) {
            (Some(key), true) => {
                self.db
                    .execute("DELETE FROM keys WHERE hash = ?1", [key.hash.0])
                    .with_context(|| format!("cannot write the store {}", self.path.display()))?;
                Ok(key)
            }
            (Some(_), false) => bail!("several keys match '{which}'; use an id: {known}"),
            (None, _) if known.is_empty() => bail!("there are no keys"),
            (None, _) => bail!("no key '{which}'; the keys are: {known}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_only_hashes_and_revokes_by_name_or_id() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let old = store.add_key("shop", Role::Events, Timestamp(1)).unwrap();
        let new = store.add_key("shop", Role::Events, Timestamp(2)).unwrap();
        let keys = store.keys().unwrap();
        assert_eq!([keys[0].hash, keys[1].hash], [KeyHash::of(&old), KeyHash::of(&new)]);
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(new.len()).any(|window| window == new.as_bytes()));
        }
        let ambiguous = store.revoke_key("shop").unwrap_err().to_string();
        assert!(ambiguous.contains(&keys[0].hash.short()), "{ambiguous}");
        assert_eq!(store.revoke_key(&keys[0].hash.short()).unwrap(), keys[0]);
        assert_eq!(store.revoke_key("shop").unwrap(), keys[1]);
        assert!(store.revoke_key("shop").unwrap_err().to_string().contains("no keys"));
    }

    #[test]
    fn the_admin_role_covers_all_others_and_they_only_themselves() {
        assert!(Role::Admin.covers(Role::Catalogue) && Role::Events.covers(Role::Events));
        assert!(!Role::Events.covers(Role::Catalogue) && !Role::Metrics.covers(Role::Admin));
    }
}
