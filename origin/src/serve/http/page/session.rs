//! Logging in to the operators' page: a random token in a cookie that scripts cannot read and other sites cannot send.

use crate::serve::http::{
    audit, auth, body,
    problem::{Problem, Result},
};
use crate::serve::state::{
    service::{Service, Shared},
    sessions::LIFETIME,
};
use crate::store::{KeyHash, Role};
use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use origin_data::clock;
use std::{collections::HashMap, time::Instant};

/// The name of the cookie.
const COOKIE: &str = "verge_admin";
/// The most bytes of a form.
const MAX_FORM: usize = 4 << 10;

/// An operator who is logged in.
pub(crate) struct Operator {
    token: String,
    key: KeyHash,
    address: Option<String>,
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

fn set_cookie(service: &Service, value: &str, seconds: u64) -> String {
    let secure = if service.is_encrypted() { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/admin; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Starts a session for the holder of an admin's key; returns the cookie to set.
///
/// # Errors
/// The key is not an admin's, or exceeds its rate limit.
pub(crate) fn log_in(service: &Service, key: &str) -> Result<String> {
    auth::authorize(service, key, Role::Admin)?;
    let token = service.sessions.start(KeyHash::of(key), Instant::now())?;
    Ok(set_cookie(service, &token, LIFETIME.as_secs()))
}

impl Operator {
    /// The hash of the key that the operator logged in with.
    pub(crate) fn key(&self) -> KeyHash {
        self.key
    }

    /// The address of the operator's client.
    pub(crate) fn address(&self) -> Option<String> {
        self.address.clone()
    }

    /// Ends the session; returns the cookie to set.
    pub(crate) fn log_out(&self, service: &Service) -> String {
        service.sessions.end(&self.token);
        set_cookie(service, "", 0)
    }

    /// The token that every form of this session contains; another site cannot know it.
    pub(crate) fn form_token(&self) -> String {
        KeyHash::of(&format!("form {}", self.token)).whole()
    }

    /// Stores a message for the next page.
    pub(crate) fn set_message(&self, service: &Service, message: String) {
        service.sessions.set_message(&self.token, message);
    }

    /// The message for this page, which is then deleted.
    pub(crate) fn take_message(&self, service: &Service) -> Option<String> {
        service.sessions.take_message(&self.token)
    }

    /// Reads a form and checks that it is of this session.
    ///
    /// # Errors
    /// The form is of another session or site (403), or cannot be read.
    pub(crate) async fn check_form(&self, service: &Service, request: Request) -> Result<()> {
        let form = read_form(service, request).await?;
        match form.get("token") {
            Some(token) if KeyHash::of(token) == KeyHash::of(&self.form_token()) => Ok(()),
            _ => Err(Problem::forbidden("The form does not belong to this session; reload the page.")),
        }
    }
}

/// Reads a form that a page of this service sent.
///
/// # Errors
/// The form comes from another site (403), or cannot be read.
pub(crate) async fn read_form(service: &Service, request: Request) -> Result<HashMap<String, String>> {
    let site = request.headers().get("sec-fetch-site").map(|value| value.as_bytes());
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return Err(Problem::forbidden("The form comes from another site."));
    }
    let body = body::read(service, request, MAX_FORM).await?;
    Ok(form_urlencoded::parse(&body.bytes).into_owned().collect())
}

impl FromRequestParts<Shared> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, service: &Shared) -> Result<Self, Response> {
        let token = cookie(&parts.headers).unwrap_or_default();
        // Revoking a key ends its sessions.
        match service.sessions.key(token, Instant::now()) {
            Some(key) if service.keys().contains(&key, clock::now()) => {
                Ok(Self { token: token.to_owned(), key, address: audit::address(&parts.extensions) })
            }
            _ => Err(Redirect::to("/admin/login").into_response()),
        }
    }
}
