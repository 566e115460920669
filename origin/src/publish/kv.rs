//! Workers KV over Cloudflare's REST API or a compatible one, such as that of `wrangler dev`.

use super::error::{PublishError, Result};
use crate::config::Kv;
use crate::publish::destination::Destination;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::{io::Read, thread::sleep, time::Duration};
use ureq::{Agent, Body, http::Response};

/// Largest value in KV, in bytes.
pub const MAX_VALUE_BYTES: usize = 25 * 1024 * 1024;
/// Attempts per request.
const MAX_ATTEMPTS: u32 = 6;
/// Longest wait between two attempts; it also bounds `Retry-After`.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A KV namespace.
pub struct KvNamespace {
    agent: Agent,
    base: String,
    token: Option<String>,
}

enum Method<'a> {
    Get,
    Put(&'a [u8]),
    Delete,
}

#[derive(serde::Deserialize)]
struct Listing {
    result: Vec<Key>,
    result_info: Option<ResultInfo>,
}

#[derive(serde::Deserialize)]
struct Key {
    name: String,
}

#[derive(serde::Deserialize)]
struct ResultInfo {
    #[serde(default)]
    cursor: Option<String>,
}

/// The wait after failed attempt number `attempt` (from 1): `Retry-After` in seconds, or else exponential.
fn backoff(attempt: u32, retry_after: Option<&str>) -> Duration {
    let requested = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    requested.unwrap_or(Duration::from_millis(250) * 2u32.pow(attempt.min(10))).min(MAX_WAIT)
}

fn api_error(url: &str, detail: String) -> PublishError {
    PublishError::Api { url: url.to_owned(), detail }
}

impl KvNamespace {
    /// The configured namespace.
    ///
    /// # Errors
    /// A setting is missing; the text names its key and environment variable.
    pub fn new(kv: &Kv) -> Result<Self> {
        let Some(namespace) = &kv.namespace else {
            return Err(PublishError::Config(
                "no KV namespace; set `namespace` under [kv] in verge.toml, or VERGE_KV_NAMESPACE",
            ));
        };
        let base = match (&kv.base, &kv.account) {
            (Some(base), _) => base.trim_end_matches('/').to_owned(),
            (None, Some(account)) => format!("https://api.cloudflare.com/client/v4/accounts/{account}"),
            (None, None) => {
                return Err(PublishError::Config(
                    "no account; set `account` (or `base`, the API's address) under [kv] in verge.toml, or \
                 VERGE_KV_ACCOUNT",
                ));
            }
        };
        if kv.base.is_none() && kv.token.is_none() {
            return Err(PublishError::Config(
                "no API token; set VERGE_KV_TOKEN to a token with the permission Workers KV Storage: Edit",
            ));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .into();
        let token = kv.token.as_ref().map(|token| token.reveal().to_owned());
        Ok(Self { agent, base: format!("{base}/storage/kv/namespaces/{namespace}"), token })
    }

    fn missing_namespace(&self) -> PublishError {
        api_error(&self.base, "does not exist; check the account and the namespace".to_owned())
    }

    fn value_url(&self, key: &str) -> String {
        format!("{}/values/{}", self.base, utf8_percent_encode(key, NON_ALPHANUMERIC))
    }

    fn send(&self, method: &Method<'_>, url: &str) -> Result<Response<Body>, ureq::Error> {
        let authorization = self.token.as_ref().map(|token| format!("Bearer {token}")).unwrap_or_default();
        match method {
            Method::Get => self.agent.get(url).header("Authorization", authorization).call(),
            Method::Delete => self.agent.delete(url).header("Authorization", authorization).call(),
            Method::Put(value) => self
                .agent
                .put(url)
                .header("Authorization", authorization)
                .header("Content-Type", "application/octet-stream")
                .send(*value),
        }
    }

    /// The body of a successful response; `None` for 404. Retries on 429, 5xx and connection errors.
    fn call(&self, method: &Method<'_>, url: &str) -> Result<Option<Vec<u8>>> {
        for attempt in 1..=MAX_ATTEMPTS {
            let (problem, retry_after) = match self.send(method, url) {
                Ok(mut response) => {
                    let status = response.status().as_u16();
                    let retry_after =
                        response.headers().get("Retry-After").and_then(|value| value.to_str().ok());
                    let retry_after = retry_after.map(str::to_owned);
                    let mut body = Vec::new();
                    let limit = MAX_VALUE_BYTES as u64 + 1_048_576;
                    let read = response.body_mut().as_reader().take(limit).read_to_end(&mut body);
                    match (status, read) {
                        (404, _) => return Ok(None),
                        (200..=299, Ok(_)) => return Ok(Some(body)),
                        (200..=299, Err(error)) => (error.to_string(), None),
                        (429 | 500..=599, _) => (format!("status {status}"), retry_after),
                        _ => {
                            let excerpt: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                            return Err(api_error(url, format!("status {status}: {excerpt}")));
                        }
                    }
                }
                Err(error) => (error.to_string(), None),
            };
            if attempt == MAX_ATTEMPTS {
                return Err(api_error(url, format!("{problem}; gave up after {MAX_ATTEMPTS} attempts")));
            }
            let wait = backoff(attempt, retry_after.as_deref());
            eprintln!("  {problem}; retrying in {:.1} s", wait.as_secs_f64());
            sleep(wait);
        }
        Err(api_error(url, "no attempt was made".to_owned()))
    }
}

impl Destination for KvNamespace {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.call(&Method::Get, &self.value_url(key))
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<()> {
        if value.len() > MAX_VALUE_BYTES {
            let (key, bytes) = (key.to_owned(), value.len());
            return Err(PublishError::TooLarge { key, bytes, limit: MAX_VALUE_BYTES });
        }
        match self.call(&Method::Put(value), &self.value_url(key))? {
            Some(_) => Ok(()),
            None => Err(self.missing_namespace()),
        }
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.call(&Method::Delete, &self.value_url(key)).map(|_| ())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut cursor = String::new();
        loop {
            let prefix = utf8_percent_encode(prefix, NON_ALPHANUMERIC);
            let mut url = format!("{}/keys?prefix={prefix}", self.base);
            if !cursor.is_empty() {
                url.push_str(&format!("&cursor={}", utf8_percent_encode(&cursor, NON_ALPHANUMERIC)));
            }
            let body = self.call(&Method::Get, &url)?.ok_or_else(|| self.missing_namespace())?;
            let listing: Listing = serde_json::from_slice(&body)
                .map_err(|error| api_error(&url, format!("cannot parse the list of keys: {error}")))?;
            keys.extend(listing.result.into_iter().map(|key| key.name));
            match listing.result_info.and_then(|info| info.cursor) {
                Some(next) if !next.is_empty() && next != cursor => cursor = next,
                _ => return Ok(keys),
            }
        }
    }

    fn name(&self) -> String {
        self.base.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backs_off_exponentially_and_honours_retry_after_up_to_a_limit() {
        assert_eq!(backoff(1, None), Duration::from_millis(500));
        assert_eq!(backoff(2, None), Duration::from_secs(1));
        assert_eq!(backoff(1, Some("7")), Duration::from_secs(7));
        assert_eq!(backoff(1, Some("86400")), MAX_WAIT);
        assert_eq!(backoff(9, Some("soon")), MAX_WAIT);
    }
}
