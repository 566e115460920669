//! The valid API keys: who may do what, and how often.

use crate::serve::state::rate_limit::RateLimit;
use crate::store::{Key, KeyHash, Role};
use std::{collections::HashMap, sync::Arc};

/// The valid keys, by hash.
#[derive(Debug)]
pub(crate) struct Keys(HashMap<KeyHash, Holder>);

#[derive(Clone, Debug)]
struct Holder {
    role: Role,
    limit: Arc<RateLimit>,
}

/// Why a key does not authorize a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No such key, or it was revoked.
    UnknownKey,
    /// The key has another role, this one.
    WrongRole(Role),
    /// The key exceeded its rate limit; a request passes again after these seconds.
    TooManyRequests(u32),
}

impl Keys {
    /// Creates the set. Keys that are in `previous` too keep what they used of their rate limit.
    pub(crate) fn new(keys: Vec<Key>, previous: Option<&Self>) -> Self {
        let holders = keys.into_iter().map(|key| {
            let known = previous.and_then(|previous| previous.0.get(&key.hash));
            let limit = known.map(|holder| Arc::clone(&holder.limit)).unwrap_or_default();
            (key.hash, Holder { role: key.role, limit })
        });
        Self(holders.collect())
    }

    /// Whether the set consists of exactly these keys. A key never changes its role.
    pub(crate) fn matches(&self, keys: &[Key]) -> bool {
        self.0.len() == keys.len() && keys.iter().all(|key| self.0.contains_key(&key.hash))
    }

    /// Whether the key is valid.
    pub(crate) fn contains(&self, key: &KeyHash) -> bool {
        self.0.contains_key(key)
    }

    /// Whether there are no keys.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Authorizes one request with the key `text`, at most `per_second` a second (0 for no limit).
    ///
    /// # Errors
    /// [`Denied`] says why.
    pub(crate) fn authorize(&self, text: &str, required: Role, per_second: u32) -> Result<(), Denied> {
        let Some(holder) = self.0.get(&KeyHash::of(text)) else { return Err(Denied::UnknownKey) };
        if !holder.role.covers(required) {
            return Err(Denied::WrongRole(holder.role));
        }
        holder.limit.try_acquire(per_second).map_err(Denied::TooManyRequests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::time::Timestamp;

    fn key(text: &str, role: Role) -> Key {
        Key { hash: KeyHash::of(text), name: "shop".to_owned(), role, created_at: Timestamp(0) }
    }

    #[test]
    fn a_key_authorizes_what_its_role_covers_until_it_is_revoked() {
        let keys = Keys::new(vec![key("a", Role::Events), key("b", Role::Admin)], None);
        assert_eq!(keys.authorize("a", Role::Events, 0), Ok(()));
        assert_eq!(keys.authorize("a", Role::Catalogue, 0), Err(Denied::WrongRole(Role::Events)));
        assert_eq!(keys.authorize("b", Role::Catalogue, 0), Ok(()));
        assert_eq!(keys.authorize("c", Role::Events, 0), Err(Denied::UnknownKey));
        let remaining = [key("b", Role::Admin)];
        assert!(!keys.matches(&remaining));
        let keys = Keys::new(remaining.into(), Some(&keys));
        assert_eq!(keys.authorize("a", Role::Events, 0), Err(Denied::UnknownKey));
    }

    #[test]
    fn reloading_keys_keeps_their_rate_limits() {
        let (a, b) = (key("a", Role::Events), key("b", Role::Events));
        let before = Keys::new(vec![a.clone()], None);
        assert_eq!(before.authorize("a", Role::Events, 1), Ok(()));
        let after = Keys::new(vec![a, b], Some(&before));
        assert_eq!(after.authorize("a", Role::Events, 1), Err(Denied::TooManyRequests(1)));
        assert_eq!(after.authorize("b", Role::Events, 1), Ok(()));
    }
}
