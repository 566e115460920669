//! API keys. Only their hashes are stored, so a copy of the store gives no access.

use crate::store::{Store, StoreError, error::Result};
use origin_data::hex;
use rusqlite::{Connection, Row, TransactionBehavior, params, types::Type};
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
    /// When it stops to be valid; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// When a service accepted it last, within a minute; `None` if never.
    pub used_at: Option<Timestamp>,
}

impl Key {
    /// Whether the key has not expired.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

fn key_of_row(row: &Row<'_>) -> rusqlite::Result<Key> {
    let role: String = row.get(2)?;
    let role = <Role as clap::ValueEnum>::from_str(&role, false)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, Type::Text, error.into()))?;
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp));
    Ok(Key {
        hash: KeyHash(row.get(0)?),
        name: row.get(1)?,
        role,
        created_at: Timestamp(row.get(3)?),
        expires_at: time(4)?,
        used_at: time(5)?,
    })
}

impl Store {
    /// Creates a key, valid until `expires_at`, and returns its text, which is not stored.
    ///
    /// # Errors
    /// The store cannot be written, or the system returns no random bytes.
    pub fn add_key(
        &mut self,
        name: &str,
        role: Role,
        now: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<String> {
        let mut random = [0u8; 20];
        getrandom::fill(&mut random)?;
        let text = format!("verge_{}", hex::encode(&random));
        self.db
            .execute(
                "INSERT INTO keys (hash, name, role, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![KeyHash::of(&text).0, name, role.name(), now.0, expires_at.map(|at| at.0)],
            )
            .map_err(StoreError::sqlite("write", &self.path))?;
        Ok(text)
    }

    /// All keys, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn keys(&self) -> Result<Vec<Key>> {
        let read = || -> rusqlite::Result<Vec<Key>> {
            let sql = "SELECT hash, name, role, created_at, expires_at, used_at FROM keys ORDER BY created_at, hash";
            self.db.prepare_cached(sql)?.query_map([], key_of_row)?.collect()
        };
        read().map_err(StoreError::sqlite("read", &self.path))
    }

    /// Stores when keys were used last.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_used(&mut self, used: &[(KeyHash, Timestamp)]) -> Result<()> {
        let write = |db: &mut Connection| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (hash, at) in used {
                transaction
                    .prepare_cached("UPDATE keys SET used_at = ?2 WHERE hash = ?1")?
                    .execute(params![hash.0, at.0])?;
            }
            transaction.commit()
        };
        write(&mut self.db).map_err(StoreError::sqlite("write", &self.path))
    }

    /// Replaces the key with this name or id by a new one of the same name and role, and returns the new key's text. The
    /// old key is valid until `until`, so that its holder can change over.
    ///
    /// # Errors
    /// As for [`Self::revoke_key`] and [`Self::add_key`].
    pub fn rotate_key(&mut self, which: &str, now: Timestamp, until: Timestamp) -> Result<String> {
        let old = self.find_key(which)?;
        let text = self.add_key(&old.name, old.role, now, old.expires_at)?;
        let until = old.expires_at.map_or(until, |end| end.min(until));
        self.db
            .execute("UPDATE keys SET expires_at = ?2 WHERE hash = ?1", params![old.hash.0, until.0])
            .map_err(StoreError::sqlite("write", &self.path))?;
        Ok(text)
    }

    /// Removes and returns the key with this name, or whose id begins with `which` (at least 4 digits).
    ///
    /// # Errors
    /// No key matches, or several do; the text lists them.
    pub fn revoke_key(&mut self, which: &str) -> Result<Key> {
        let key = self.find_key(which)?;
        self.db
            .execute("DELETE FROM keys WHERE hash = ?1", [key.hash.0])
            .map_err(StoreError::sqlite("write", &self.path))?;
        Ok(key)
    }

    fn find_key(&self, which: &str) -> Result<Key> {
        let mut found = self.keys()?;
        let known = found.iter().map(|key| format!("{} ({})", key.name, key.hash.short()));
        let known = known.collect::<Vec<_>>().join(", ");
        found.retain(|key| key.name == which || (which.len() >= 4 && key.hash.short().starts_with(which)));
        let none = match (found.pop(), found.is_empty()) {
            (Some(key), true) => return Ok(key),
            (Some(_), false) => format!("several keys match '{which}'; use an id: {known}"),
            (None, _) if known.is_empty() => "there are no keys".to_owned(),
            (None, _) => format!("no key '{which}'; the keys are: {known}"),
        };
        Err(StoreError::NoSuchKey(none))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_only_hashes_and_revokes_by_name_or_id() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let old = store.add_key("shop", Role::Events, Timestamp(1), None).unwrap();
        let new = store.add_key("shop", Role::Events, Timestamp(2), None).unwrap();
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
    fn a_rotated_key_is_replaced_and_expires() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let old = store.add_key("shop", Role::Events, Timestamp(1), None).unwrap();
        let new = store.rotate_key("shop", Timestamp(5), Timestamp(9)).unwrap();
        store.set_used(&[(KeyHash::of(&new), Timestamp(7))]).unwrap();
        let keys = store.keys().unwrap();
        let of = |text: &str| keys.iter().find(|key| key.hash == KeyHash::of(text)).unwrap();
        assert_eq!((&*of(&new).name, of(&new).role, of(&new).expires_at), ("shop", Role::Events, None));
        assert_eq!((of(&new).used_at, of(&old).used_at), (Some(Timestamp(7)), None));
        assert!(of(&old).is_valid(Timestamp(8)) && !of(&old).is_valid(Timestamp(9)));
        let id = of(&old).hash.short();
        store.rotate_key(&id, Timestamp(6), Timestamp(20)).unwrap();
        let end = store.keys().unwrap().iter().find(|key| key.hash == KeyHash::of(&old)).unwrap().expires_at;
        assert_eq!(end, Some(Timestamp(9)), "rotating never extends a key");
    }

    #[test]
    fn the_admin_role_covers_all_others_and_they_only_themselves() {
        assert!(Role::Admin.covers(Role::Catalogue) && Role::Events.covers(Role::Events));
        assert!(!Role::Events.covers(Role::Catalogue) && !Role::Metrics.covers(Role::Admin));
    }
}
