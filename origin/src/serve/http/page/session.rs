//! Who is logged in: a random token in a cookie that scripts cannot read and other sites cannot send.

use crate::serve::{
    body,
    problem::Problem,
    state::{Service, Shared},
};
use crate::store::{KeyHash, Role};
use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The cookie's name.
const COOKIE: &str = "verge_admin";
/// How long a login lasts.
const LASTS: Duration = Duration::from_secs(12 * 3600);
/// The most logins at a time; beyond it the oldest ends.
const MAX_SESSIONS: usize = 1_000;
/// The most bytes of a form.
const MAX_FORM: usize = 4 << 10;

/// The logins.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<KeyHash, Session>>);

struct Session {
    key: KeyHash,
    until: Instant,
    said: Option<String>,
}

/// Somebody who is logged in.
pub struct Operator {
    token: String,
}

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<KeyHash, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn token() -> Result<String, Problem> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Problem::internal(&anyhow::anyhow!("no randomness: {error}")))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

fn set_cookie(service: &Service, value: &str, seconds: u64) -> String {
    // Elsewhere than on this machine, TLS is in front of the service, and plain HTTP gets no cookie.
    let secure = if service.config.serve.listen.ip().is_loopback() { "" } else { "; Secure" };
    format!("{COOKIE}={value}; Path=/admin; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Logs the holder of an admin's key in: the cookie to set.
///
/// # Errors
/// It is no admin's key.
pub fn log_in(service: &Service, key: &str) -> Result<String, Problem> {
    service.keys().admit(key, Role::Admin, service.config.serve.requests_per_second)?;
    let token = token()?;
    let mut all = service.sessions.all();
    all.retain(|_, session| session.until > Instant::now());
    if all.len() >= MAX_SESSIONS
        && let Some(oldest) = all.iter().min_by_key(|(_, session)| session.until).map(|(token, _)| *token)
    {
        all.remove(&oldest);
    }
    let session = Session { key: KeyHash::of(key), until: Instant::now() + LASTS, said: None };
    all.insert(KeyHash::of(&token), session);
    Ok(set_cookie(service, &token, LASTS.as_secs()))
}

impl Operator {
    /// Logs out: the cookie to set.
    pub fn log_out(&self, service: &Service) -> String {
        service.sessions.all().remove(&KeyHash::of(&self.token));
        set_cookie(service, "", 0)
    }

    /// What every form carries, and another site cannot know.
    pub fn form_token(&self) -> String {
        KeyHash::of(&format!("form {}", self.token)).whole()
    }

    /// Keeps a text to show on the next page.
    pub fn say(&self, service: &Service, text: String) {
        if let Some(session) = service.sessions.all().get_mut(&KeyHash::of(&self.token)) {
            session.said = Some(text);
        }
    }

    /// The text to show, once.
    pub fn said(&self, service: &Service) -> Option<String> {
        service.sessions.all().get_mut(&KeyHash::of(&self.token))?.said.take()
    }

    /// Reads a form of this operator's own.
    ///
    /// # Errors
    /// It comes from elsewhere (403), or cannot be read.
    pub async fn check_form(&self, service: &Service, request: Request) -> Result<(), Problem> {
        let form = read_form(service, request).await?;
        match form.get("token") {
            Some(token) if KeyHash::of(token) == KeyHash::of(&self.form_token()) => Ok(()),
            _ => Err(Problem::forbidden("The form is not one of yours; load the page again.")),
        }
    }
}

/// Reads a form that a page of this service sent.
///
/// # Errors
/// It comes from another site (403), or cannot be read.
pub async fn read_form(service: &Service, request: Request) -> Result<HashMap<String, String>, Problem> {
    let from = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if !matches!(from, None | Some("same-origin" | "none")) {
        return Err(Problem::forbidden("The form comes from another site."));
    }
    let body = body::read(service, request, MAX_FORM).await?;
    Ok(form_urlencoded::parse(&body.bytes).into_owned().collect())
}

impl FromRequestParts<Shared> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, service: &Shared) -> Result<Self, Response> {
        let token = cookie(&parts.headers).unwrap_or_default();
        let key = {
            let all = service.sessions.all();
            let session = all.get(&KeyHash::of(token)).filter(|session| session.until > Instant::now());
            session.map(|session| session.key)
        };
        // A key that is revoked ends what was begun with it.
        match key {
            Some(key) if service.keys().has(&key) => Ok(Self { token: token.to_owned() }),
            _ => Err(Redirect::to("/admin/login").into_response()),
        }
    }
}
