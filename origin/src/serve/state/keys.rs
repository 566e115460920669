//! The valid API keys: who may do what, and how often.

use crate::serve::state::rate_limit::RateLimit;
use crate::store::{Key, KeyHash, Role};
use snapshots::time::Timestamp;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

/// The valid keys, by hash.
#[derive(Debug)]
pub(crate) struct Keys(HashMap<KeyHash, Holder>);

#[derive(Clone, Debug)]
struct Holder {
    role: Role,
    expires_at: Option<Timestamp>,
    limit: Arc<RateLimit>,
    /// When the key was accepted last, in ms since 1970; 0 for never.
    used_at: Arc<AtomicI64>,
}

/// Why a key does not authorize a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No such key, or it was revoked or has expired.
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
            let used_at = known.map(|holder| Arc::clone(&holder.used_at)).unwrap_or_default();
            (key.hash, Holder { role: key.role, expires_at: key.expires_at, limit, used_at })
        });
        Self(holders.collect())
    }

    /// Whether the set consists of exactly these keys. A key never changes its role.
    pub(crate) fn matches(&self, keys: &[Key]) -> bool {
        let same = |key: &Key| self.0.get(&key.hash).is_some_and(|known| known.expires_at == key.expires_at);
        self.0.len() == keys.len() && keys.iter().all(same)
    }

    /// Whether the key is valid.
    pub(crate) fn contains(&self, key: &KeyHash, now: Timestamp) -> bool {
        self.valid(key, now).is_some()
    }

    fn valid(&self, key: &KeyHash, now: Timestamp) -> Option<&Holder> {
        self.0.get(key).filter(|holder| holder.expires_at.is_none_or(|end| now < end))
    }

    /// The keys that were used after `since`, and when each was used last.
    pub(crate) fn used_since(&self, since: Timestamp) -> Vec<(KeyHash, Timestamp)> {
        let used =
            self.0.iter().map(|(hash, holder)| (*hash, Timestamp(holder.used_at.load(Ordering::Relaxed))));
        used.filter(|(_, at)| *at > since).collect()
    }

    /// Whether there are no keys.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Authorizes one request with the key `text`, at most `per_second` a second (0 for no limit).
    ///
    /// # Errors
    /// [`Denied`] says why.
    pub(crate) fn authorize(
        &self,
        text: &str,
        required: Role,
        per_second: u32,
        now: Timestamp,
    ) -> Result<(), Denied> {
        let holder = self.valid(&KeyHash::of(text), now).ok_or(Denied::UnknownKey)?;
        if !holder.role.covers(required) {
            return Err(Denied::WrongRole(holder.role));
        }
        holder.limit.try_acquire(per_second).map_err(Denied::TooManyRequests)?;
        holder.used_at.fetch_max(now.0, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn key(text: &str, role: Role) -> Key {
        let (created_at, expires_at, used_at) = (Timestamp(0), None, None);
        Key { hash: KeyHash::of(text), name: "shop".to_owned(), role, created_at, expires_at, used_at }
    }

    #[test]
    fn a_key_authorizes_what_its_role_covers_until_it_is_revoked() {
        let keys = Keys::new(vec![key("a", Role::Events), key("b", Role::Admin)], None);
        assert_eq!(keys.authorize("a", Role::Events, 0, NOW), Ok(()));
        assert_eq!(keys.authorize("a", Role::Catalogue, 0, NOW), Err(Denied::WrongRole(Role::Events)));
        assert_eq!(keys.authorize("b", Role::Catalogue, 0, NOW), Ok(()));
        assert_eq!(keys.authorize("c", Role::Events, 0, NOW), Err(Denied::UnknownKey));
        let remaining = [key("b", Role::Admin)];
        assert!(!keys.matches(&remaining));
        let keys = Keys::new(remaining.into(), Some(&keys));
        assert_eq!(keys.authorize("a", Role::Events, 0, NOW), Err(Denied::UnknownKey));
    }

    #[test]
    fn an_expired_key_is_unknown_and_a_change_of_expiry_is_noticed() {
        let expiring = Key { expires_at: Some(NOW), ..key("a", Role::Events) };
        let keys = Keys::new(vec![expiring.clone()], None);
        assert_eq!(keys.authorize("a", Role::Events, 0, Timestamp(999)), Ok(()));
        assert_eq!(keys.authorize("a", Role::Events, 0, NOW), Err(Denied::UnknownKey));
        assert_eq!(keys.used_since(Timestamp(0)), [(KeyHash::of("a"), Timestamp(999))]);
        assert!(keys.used_since(Timestamp(999)).is_empty());
        assert!(keys.matches(&[expiring]) && !keys.matches(&[key("a", Role::Events)]));
    }

    #[test]
    fn reloading_keys_keeps_their_rate_limits() {
        let (a, b) = (key("a", Role::Events), key("b", Role::Events));
        let before = Keys::new(vec![a.clone()], None);
        assert_eq!(before.authorize("a", Role::Events, 1, NOW), Ok(()));
        let after = Keys::new(vec![a, b], Some(&before));
        assert_eq!(after.authorize("a", Role::Events, 1, NOW), Err(Denied::TooManyRequests(1)));
        assert_eq!(after.authorize("b", Role::Events, 1, NOW), Ok(()));
    }
}
