//! Sessions of operators who are logged in to `/admin`, by a random token.

use crate::serve::state::lock;
use crate::store::KeyHash;
use anyhow::{Result, anyhow};
use origin_data::hex;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a session lasts.
pub(crate) const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// The most sessions at a time; a new one beyond it ends the oldest.
const MAX_SESSIONS: usize = 1_000;

/// The sessions, by the hash of their token.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<KeyHash, Session>>);

struct Session {
    key: KeyHash,
    expires: Instant,
    message: Option<String>,
}

impl Sessions {
    /// Starts a session for the holder of an API key; returns its token.
    ///
    /// # Errors
    /// The system provides no random bytes.
    pub(crate) fn start(&self, key: KeyHash, now: Instant) -> Result<String> {
        let mut random = [0u8; 32];
        getrandom::fill(&mut random).map_err(|error| anyhow!("no random bytes: {error}"))?;
        let token = hex::encode(&random);
        let mut sessions = lock(&self.0);
        sessions.retain(|_, session| session.expires > now);
        if sessions.len() >= MAX_SESSIONS
            && let Some(oldest) =
                sessions.iter().min_by_key(|(_, session)| session.expires).map(|(token, _)| *token)
        {
            sessions.remove(&oldest);
        }
        let session = Session { key, expires: now + LIFETIME, message: None };
        sessions.insert(KeyHash::of(&token), session);
        Ok(token)
    }

    /// The API key of an unexpired session.
    pub(crate) fn key(&self, token: &str, now: Instant) -> Option<KeyHash> {
        let sessions = lock(&self.0);
        let session = sessions.get(&KeyHash::of(token)).filter(|session| session.expires > now)?;
        Some(session.key)
    }

    /// Ends a session.
    pub(crate) fn end(&self, token: &str) {
        lock(&self.0).remove(&KeyHash::of(token));
    }

    /// Stores a message for the next page of the session.
    pub(crate) fn set_message(&self, token: &str, message: String) {
        if let Some(session) = lock(&self.0).get_mut(&KeyHash::of(token)) {
            session.message = Some(message);
        }
    }

    /// Removes and returns the stored message.
    pub(crate) fn take_message(&self, token: &str) -> Option<String> {
        lock(&self.0).get_mut(&KeyHash::of(token))?.message.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_logging_out_or_by_time() {
        let (sessions, key, now) = (Sessions::default(), KeyHash::of("key"), Instant::now());
        let [first, second] = [(); 2].map(|()| sessions.start(key, now).unwrap());
        assert_eq!((sessions.key(&first, now), sessions.key("guessed", now)), (Some(key), None));
        sessions.end(&first);
        assert_eq!((sessions.key(&first, now), sessions.key(&second, now)), (None, Some(key)));
        assert_eq!(sessions.key(&second, now + LIFETIME), None);
    }

    #[test]
    fn a_message_is_shown_once() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let token = sessions.start(KeyHash::of("key"), now).unwrap();
        sessions.set_message(&token, "done".to_owned());
        assert_eq!(sessions.take_message(&token).as_deref(), Some("done"));
        assert_eq!(sessions.take_message(&token), None);
    }

    #[test]
    fn the_oldest_session_ends_when_there_are_too_many() {
        let (sessions, key, now) = (Sessions::default(), KeyHash::of("key"), Instant::now());
        let oldest = sessions.start(key, now).unwrap();
        for second in 1..=MAX_SESSIONS as u64 {
            sessions.start(key, now + Duration::from_secs(second)).unwrap();
        }
        assert_eq!(sessions.key(&oldest, now), None);
        assert_eq!(lock(&sessions.0).len(), MAX_SESSIONS);
    }
}
