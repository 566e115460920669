//! Who may ask for what: a key in `Authorization: Bearer …`.

use crate::serve::{
    limit::Rate,
    problem::{Problem, Result},
    state::Shared,
};
use crate::store::{Key, KeyHash, Role};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use std::collections::HashMap;
use std::sync::Arc;

/// The keys that are valid now.
#[derive(Debug)]
pub struct Keys(HashMap<KeyHash, Caller>);

/// A key's holder.
#[derive(Clone, Debug)]
pub struct Caller {
    role: Role,
    rate: Arc<Rate>,
}

impl Keys {
    /// These keys; those that were there `before` have used what they have used.
    pub fn new(keys: Vec<Key>, before: Option<&Self>) -> Self {
        let callers = keys.into_iter().map(|key| {
            let known = before.and_then(|before| before.0.get(&key.hash));
            let rate = known.map(|caller| Arc::clone(&caller.rate)).unwrap_or_default();
            (key.hash, Caller { role: key.role, rate })
        });
        Self(callers.collect())
    }

    /// Whether these are the keys. A key never changes its role.
    pub fn are(&self, keys: &[Key]) -> bool {
        self.0.len() == keys.len() && keys.iter().all(|key| self.0.contains_key(&key.hash))
    }

    /// Whether this is one of them.
    pub fn has(&self, key: &KeyHash) -> bool {
        self.0.contains_key(key)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets the holder of the key `text` pass, at most so often a second (0 for no limit).
    ///
    /// # Errors
    /// The key is unknown (401), has another role (403) or asks too often (429).
    pub fn admit(&self, text: &str, needed: Role, per_second: u32) -> Result<()> {
        let Some(caller) = self.0.get(&KeyHash::of(text)) else {
            return Err(Problem::unauthorized(
                "This key is not known, or was revoked; `verge keys list` shows which there are.",
            ));
        };
        if !caller.role.covers(needed) {
            return Err(Problem::forbidden(format!(
                "This takes a key of the role {}, and yours has the role {}.",
                needed.name(),
                caller.role.name()
            )));
        }
        caller.rate.take(per_second).map_err(|wait| {
            Problem::too_many(
                wait,
                format!("More than {per_second} requests a second; send events in batches."),
            )
        })
    }
}

/// The key that a request carries.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Lets requests pass whose key has the role.
///
/// # Errors
/// As [`Keys::admit`], and 401 without a key.
pub async fn require(
    State((service, role)): State<(Shared, Role)>,
    request: Request,
    next: Next,
) -> Result<Response> {
    let keys = service.keys();
    match bearer(request.headers()) {
        Some(key) => keys.admit(key, role, service.config.serve.requests_per_second)?,
        None if keys.is_empty() => {
            return Err(Problem::unauthorized(format!(
                "No key was made yet; `verge keys add NAME --role {}` makes one.",
                role.name()
            )));
        }
        None => {
            return Err(Problem::unauthorized("Send a key as `Authorization: Bearer KEY`."));
        }
    }
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::time::Timestamp;

    fn key(text: &str, role: Role) -> Key {
        Key { hash: KeyHash::of(text), name: "shop".to_owned(), role, created_at: Timestamp(0) }
    }

    #[test]
    fn a_key_opens_what_its_role_covers_until_it_is_revoked() {
        let keys = Keys::new(vec![key("a", Role::Events), key("b", Role::Admin)], None);
        let status = |keys: &Keys, text, role| keys.admit(text, role, 0).map_err(|problem| problem.status);
        assert_eq!(status(&keys, "a", Role::Events), Ok(()));
        assert_eq!(status(&keys, "a", Role::Catalogue), Err(403));
        assert_eq!(status(&keys, "b", Role::Catalogue), Ok(()));
        assert_eq!(status(&keys, "c", Role::Events), Err(401));
        let rotated = [key("b", Role::Admin)];
        assert!(!keys.are(&rotated));
        assert_eq!(status(&Keys::new(rotated.into(), Some(&keys)), "a", Role::Events), Err(401));
    }

    #[test]
    fn taking_keys_over_does_not_fill_the_bucket() {
        let (a, b) = (key("a", Role::Events), key("b", Role::Events));
        let before = Keys::new(vec![a.clone()], None);
        assert!(before.admit("a", Role::Events, 1).is_ok());
        let after = Keys::new(vec![a, b], Some(&before));
        let problem = after.admit("a", Role::Events, 1).unwrap_err();
        assert_eq!((problem.status, problem.retry_after), (429, Some(1)));
        assert!(after.admit("b", Role::Events, 1).is_ok());
    }

    #[test]
    fn the_key_is_found_in_the_header() {
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer k"), Some("k".to_owned()));
        assert_eq!(of("bearer  k"), Some("k".to_owned()));
        assert_eq!((of("Basic k"), of("k")), (None, None));
    }
}
