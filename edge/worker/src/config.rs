//! The Worker's variables and secrets, with their defaults.

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

/// Fewest characters of `EVENTS_KEY`.
const MIN_KEY: usize = 16;

/// Which visitors get a `verge_visitor` cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// All: the shop obtains consent before a visit.
    Always,
    /// None.
    Never,
    /// Those with this cookie and value.
    Cookie(String, String),
}

/// The origin, which receives events and reports.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its URL, without a trailing slash.
    pub url: String,
    /// The key for its API.
    pub key: Option<String>,
}

/// Which optional bindings exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    /// `EVENTS`: a queue for events.
    pub queue: bool,
    /// `EVENTS_LIMIT`: a rate limit on events per client.
    pub events_limit: bool,
    /// `ANSWERS_LIMIT`: a rate limit on requests for items per client.
    pub answers_limit: bool,
    /// `METRICS`: an Analytics Engine data set.
    pub metrics: bool,
}

/// The rate limits that can be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// Of `POST /v1/events`.
    Events,
    /// Of requests for items.
    Answers,
}

impl RateLimit {
    /// The name of its binding.
    pub const fn binding(self) -> &'static str {
        match self {
            Self::Events => "EVENTS_LIMIT",
            Self::Answers => "ANSWERS_LIMIT",
        }
    }
}

impl Bindings {
    /// Looks up each binding by its name.
    pub fn find(is_bound: impl Fn(&str) -> bool) -> Self {
        Self {
            queue: is_bound("EVENTS"),
            events_limit: is_bound(RateLimit::Events.binding()),
            answers_limit: is_bound(RateLimit::Answers.binding()),
            metrics: is_bound("METRICS"),
        }
    }

    /// Whether `limit` is bound.
    pub const fn has_limit(&self, limit: RateLimit) -> bool {
        match limit {
            RateLimit::Events => self.events_limit,
            RateLimit::Answers => self.answers_limit,
        }
    }
}

/// The Worker's settings. `wrangler.toml` lists them too.
#[derive(Clone)]
pub struct Config {
    /// `MANIFEST_TTL_S`: how long a manifest is assumed to be the newest, in ms.
    pub manifest_ttl_ms: i64,
    /// `STALE_AFTER_S`: how long refreshing may fail before answers are marked `stale`, in ms.
    pub stale_after_ms: i64,
    /// `LOAD_DEADLINE_MS`: how long a request waits for the first snapshot of an isolate, in ms.
    pub load_deadline_ms: i64,
    /// `SHARD_DEADLINE_MS`: how long a request waits for shards of tables, in ms.
    pub shard_deadline_ms: i64,
    /// `EVENTS_PER_ADDRESS`: the most events of a client's network in a minute and an isolate; 0 for no limit.
    pub events_per_address: u32,
    /// `EVENTS_PER_VISITOR`: the same of a visitor.
    pub events_per_visitor: u32,
    /// `CONSENT`: `always`, `never` or `cookie:NAME=VALUE`.
    pub consent: Consent,
    /// `CORS_ORIGINS`: origins whose pages may read replies, separated by commas.
    pub cors_origins: Vec<String>,
    /// `BASE_PATH`: the prefix of all paths. Begins with a slash and does not end with one, or is empty.
    pub base_path: String,
    /// `ORIGIN_URL` and the secret `ORIGIN_KEY`.
    pub origin: Option<Origin>,
    /// `AREAS`: whether events carry the subdivision (`us-ca`) instead of the country.
    pub subdivisions: bool,
    /// The secret `EVENTS_KEY`: the bearer token of senders whose events are believed.
    pub events_key: Option<String>,
    /// Keys the buckets of addresses; derived from `ORIGIN_KEY`, so that nobody else can compute them.
    pub bucket_seed: Option<u64>,
    /// The secret `TESTER_KEY`, which signs testers' claims.
    pub tester_key: Option<String>,
    /// The secret `SNAPSHOTS_KEY`: the bearer token for complete snapshots.
    pub snapshots_key: Option<String>,
    /// `STATIC_ITEMS`: the answer while there is no snapshot; ids, or objects with an `id`.
    pub static_items: Vec<Value>,
    /// The optional bindings.
    pub bindings: Bindings,
}

impl Config {
    /// Reads the settings through `get`. An invalid value keeps the default and adds a warning.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let mut number = |name: &str, default: i64| match get(name).map(|text| text.trim().parse::<u32>()) {
            None => default,
            Some(Ok(number)) => i64::from(number),
            Some(Err(_)) => {
                warnings.push(format!("{name} should be a whole number; using {default}"));
                default
            }
        };
        let manifest_ttl_ms = number("MANIFEST_TTL_S", 30).saturating_mul(1_000);
        let stale_after_ms = number("STALE_AFTER_S", 600).saturating_mul(1_000);
        let load_deadline_ms = number("LOAD_DEADLINE_MS", 2_000);
        let shard_deadline_ms = number("SHARD_DEADLINE_MS", 50);
        let mut limit = |name, default| u32::try_from(number(name, default)).unwrap_or(u32::MAX);
        let (events_per_address, events_per_visitor) =
            (limit("EVENTS_PER_ADDRESS", 3_000), limit("EVENTS_PER_VISITOR", 600));
        let consent = match get("CONSENT").as_deref().map(str::trim) {
            None | Some("" | "never") => Consent::Never,
            Some("always") => Consent::Always,
            Some(text) => match text.strip_prefix("cookie:").and_then(|pair| pair.split_once('=')) {
                Some((name, value)) => Consent::Cookie(name.trim().to_owned(), value.trim().to_owned()),
                None => {
                    warnings.push("CONSENT should be always, never or cookie:NAME=VALUE; using never".into());
                    Consent::Never
                }
            },
        };
        let subdivisions = match get("AREAS").as_deref().map(str::trim) {
            None | Some("" | "country") => false,
            Some("subdivision") => true,
            Some(_) => {
                warnings.push("AREAS should be country or subdivision; using country".into());
                false
            }
        };
        let cors_origins = get("CORS_ORIGINS")
            .unwrap_or_default()
            .split(',')
            .map(|origin| origin.trim().trim_end_matches('/').to_owned())
            .filter(|origin| !origin.is_empty())
            .collect();
        let base_path = get("BASE_PATH").unwrap_or_default();
        let base_path = match base_path.trim().trim_matches('/') {
            "" => String::new(),
            path if path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%".contains(&byte)) => {
                format!("/{path}")
            }
            _ => {
                warnings.push("BASE_PATH should be a path such as /verge; using /".into());
                String::new()
            }
        };
        let origin = match get("ORIGIN_URL").filter(|url| !url.is_empty()) {
            Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
                let key = get("ORIGIN_KEY").filter(|key| !key.is_empty());
                Some(Origin { url: url.trim_end_matches('/').to_owned(), key })
            }
            Some(_) => {
                warnings.push("ORIGIN_URL should begin with https://; events are not forwarded".into());
                None
            }
            None => None,
        };
        let static_items = get("STATIC_ITEMS").map_or_else(Vec::new, |text| {
            static_items(&text).unwrap_or_else(|| {
                let expected = "a JSON array of ids or of objects with an id";
                warnings.push(format!("STATIC_ITEMS should be {expected}; ignoring it"));
                Vec::new()
            })
        });
        let secret = |name| get(name).filter(|key| !key.is_empty());
        let events_key = secret("EVENTS_KEY").filter(|key| {
            let is_long = key.len() >= MIN_KEY;
            if !is_long {
                warnings
                    .push(format!("EVENTS_KEY should have {MIN_KEY} characters or more; no key is accepted"));
            }
            is_long
        });
        let origin_key = origin.as_ref().and_then(|origin| origin.key.as_deref());
        let config = Self {
            manifest_ttl_ms,
            stale_after_ms,
            load_deadline_ms,
            shard_deadline_ms,
            events_per_address,
            events_per_visitor,
            consent,
            cors_origins,
            base_path,
            bucket_seed: origin_key.map(|key| xxh3_64(key.as_bytes())),
            origin,
            subdivisions,
            events_key,
            tester_key: secret("TESTER_KEY"),
            snapshots_key: secret("SNAPSHOTS_KEY"),
            static_items,
            bindings: Bindings::default(),
        };
        (config, warnings)
    }
}

/// The items as objects with the shape of an answer's items.
fn static_items(text: &str) -> Option<Vec<Value>> {
    let Value::Array(items) = serde_json::from_str(text).ok()? else { return None };
    let shaped = |item| {
        let mut object = match item {
            Value::String(id) => serde_json::Map::from_iter([("id".to_owned(), Value::String(id))]),
            Value::Object(object) if object.get("id").is_some_and(Value::is_string) => object,
            _ => return None,
        };
        object.entry("score").or_insert_with(|| 0.into());
        object.entry("signal").or_insert_with(|| "popularity".into());
        object.entry("because").or_insert(Value::Null);
        Some(Value::Object(object))
    };
    items.into_iter().map(shaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Config, Vec<String>) {
        Config::read(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_give_no_warning() {
        let (config, warnings) = read(&[]);
        assert_eq!(warnings, [""; 0]);
        assert_eq!((config.manifest_ttl_ms, config.load_deadline_ms), (30_000, 2_000));
        assert_eq!(config.consent, Consent::Never);
        assert!(config.origin.is_none() && config.cors_origins.is_empty() && config.static_items.is_empty());
    }

    #[test]
    fn settings_are_read() {
        let (config, warnings) = read(&[
            ("MANIFEST_TTL_S", "0"),
            ("CONSENT", "cookie:cookie_consent=yes"),
            ("CORS_ORIGINS", "https://shop.example/, https://m.shop.example"),
            ("BASE_PATH", "verge/"),
            ("ORIGIN_URL", "https://verge.shop.example/"),
            ("STATIC_ITEMS", r#"["a",{"id":"b","price":2.5}]"#),
        ]);
        assert_eq!(warnings, [""; 0]);
        assert_eq!(config.manifest_ttl_ms, 0);
        assert_eq!(config.consent, Consent::Cookie("cookie_consent".into(), "yes".into()));
        assert_eq!(config.cors_origins, ["https://shop.example", "https://m.shop.example"]);
        assert_eq!(config.base_path, "/verge");
        assert_eq!(config.origin.map(|origin| origin.url).as_deref(), Some("https://verge.shop.example"));
        assert_eq!(config.static_items.len(), 2);
        assert_eq!(config.static_items[1]["price"], 2.5);
        assert_eq!(config.static_items[0]["because"], Value::Null);
    }

    #[test]
    fn invalid_settings_keep_the_default_with_a_warning() {
        let (config, warnings) = read(&[
            ("MANIFEST_TTL_S", "soon"),
            ("CONSENT", "sure"),
            ("AREAS", "street"),
            ("BASE_PATH", "/a b"),
            ("ORIGIN_URL", "ftp://x"),
            ("STATIC_ITEMS", "{}"),
            ("EVENTS_KEY", "guess me"),
            ("EVENTS_PER_ADDRESS", "-1"),
        ]);
        assert_eq!(warnings.len(), 8, "{warnings:?}");
        assert_eq!((config.events_per_address, config.events_per_visitor), (3_000, 600));
        assert_eq!(config.events_key, None);
        assert_eq!(config.manifest_ttl_ms, 30_000);
        assert_eq!(config.consent, Consent::Never);
        assert!(config.origin.is_none() && config.base_path.is_empty() && config.static_items.is_empty());
    }
}
