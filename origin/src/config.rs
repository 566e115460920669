//! The configuration: a TOML file, overridden by environment variables, overridden by the command line.
//!
//! The file is that of `--config` or `VERGE_CONFIG`, or else `verge.toml` in the current directory, if it exists. Every key
//! has a default, so no file is needed. An unknown key is an error, because a misspelt key would have no effect.
//!
//! May import: `network`, `origin_log`, `origin_data`.

use crate::network::Networks;
use anyhow::{Context, Result, anyhow, bail};
use origin_data::{areas, fields::parse_currency, price::Decimal};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

/// The file that is read by default.
pub const DEFAULT_FILE: &str = "verge.toml";

/// The share of the catalogue that a full feed may remove where nothing else is set.
pub const MAX_REMOVED: f64 = 0.2;

/// Every setting of the origin.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Data directory. A relative path in the file is relative to the file.
    pub data_dir: PathBuf,
    /// Region → its areas, as lower-case country codes. Absent: every area with enough events is a region.
    pub regions: Option<BTreeMap<String, Vec<String>>>,
    /// Which items are recommended. Absent: those of the catalogue, once the shop has one, which a feed or `PUT
    /// /v1/items/{id}` begins; before that, what events name.
    pub items: Option<ItemsFrom>,
    /// The namespace of `verge publish --to kv`.
    pub kv: Kv,
    /// Settings of `verge serve`.
    pub serve: Serve,
    /// Item feeds that `verge serve` polls: `[[feeds]]`.
    pub feeds: Vec<Feed>,
    /// How `verge serve` stores events.
    pub log: origin_log::LogOptions,
    /// The live tables of `verge serve`.
    pub stream: StreamOptions,
    /// The file that the configuration was read from.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("verge-data"),
            regions: None,
            items: None,
            kv: Kv::default(),
            serve: Serve::default(),
            feeds: Vec::new(),
            log: origin_log::LogOptions::default(),
            stream: StreamOptions::default(),
            file: None,
        }
    }
}

/// What names the items that may be recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemsFrom {
    /// The catalogue alone: what only events name is learned from, and not recommended.
    Catalogue,
    /// Events too.
    Events,
}

/// Settings of the live tables: `[stream]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamOptions {
    /// Most visitors with recents in memory; the ones seen last are kept. A million with ten items each take some 250 MB.
    pub visitors: usize,
    /// Seconds between two checkpoints. A restart counts the events after the last checkpoint again.
    pub checkpoint_s: u64,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { visitors: 200_000, checkpoint_s: 60 }
    }
}

/// A Workers KV namespace. Environment variables (`VERGE_KV_` and the key in capitals) override the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kv {
    /// Cloudflare's account id.
    pub account: Option<String>,
    /// The namespace's id.
    pub namespace: Option<String>,
    /// URL of the API with the account in it, if it is not Cloudflare's.
    pub base: Option<String>,
    /// The API token. Prefer `VERGE_KV_TOKEN` to storing it in a file.
    pub token: Option<Secret>,
}

/// Settings of `verge serve`. Environment variables (`VERGE_` and the key in capitals) override the file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serve {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// PEM file of the certificate chain, for TLS in the service itself. A relative path in the file is relative to the file.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of the certificate's key.
    pub tls_key: Option<PathBuf>,
    /// Addresses of the proxies that clients reach the service through, over TLS: their header `X-Forwarded-For` is believed.
    /// An address other than a loopback one can be listened on only with TLS or behind a proxy, because keys and cookies
    /// would travel in clear text.
    pub behind_proxy: Networks,
    /// Rate limit of an API key in requests per second, with bursts of one second; 0 for no limit.
    pub requests_per_second: u32,
    /// Most open connections; further ones wait to be accepted.
    pub connections: usize,
    /// Most open connections of one address, so that none takes them all; further ones are closed. 0 for no limit, behind
    /// a proxy from whose address all connections come.
    pub connections_per_address: usize,
    /// Destination to publish to: `kv` or `dir:PATH`. Absent, the service does not publish.
    pub publish_to: Option<String>,
    /// Key of the tokens with which a thank-you page confirms orders; several, separated by commas, while one is replaced.
    /// Prefer `VERGE_ORDER_KEY` to storing it in a file. Absent, no token is valid.
    pub order_key: Option<Secret>,
    /// URL of an OpenTelemetry collector (OTLP over HTTP). Absent, no traces are sent.
    pub traces_to: Option<String>,
    /// Milliseconds between two publications of popularity and stock. Each takes about seven API calls per changed region;
    /// Cloudflare allows 1,200 calls in five minutes.
    pub popularity_every_ms: u64,
    /// Seconds between two updates of the co-view and bought-together tables, if there are new events. The KNN neighbours
    /// stay those of the last full training. The interval is extended so that training takes at most a tenth of the time.
    /// 0 for never.
    pub tables_every_s: u64,
    /// Seconds between two full trainings, if there are new events; 0 for never.
    pub learn_every_s: u64,
}

impl Default for Serve {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls_certificate: None,
            tls_key: None,
            behind_proxy: Networks::default(),
            requests_per_second: 50_000,
            connections: 4_096,
            connections_per_address: 1_024,
            publish_to: None,
            order_key: None,
            traces_to: None,
            popularity_every_ms: 1_000,
            tables_every_s: 60,
            learn_every_s: 6 * 3_600,
        }
    }
}

impl Serve {
    fn override_from_environment(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<()> {
        fn parse_into<T>(name: &str, text: Option<String>, field: &mut T) -> Result<()>
        where
            T: FromStr,
            T::Err: std::error::Error + Send + Sync + 'static,
        {
            if let Some(text) = text {
                *field = text.parse().with_context(|| format!("{name}: invalid value '{text}'"))?;
            }
            Ok(())
        }
        parse_into("VERGE_LISTEN", variable("VERGE_LISTEN"), &mut self.listen)?;
        for (name, field) in
            [("VERGE_TLS_CERTIFICATE", &mut self.tls_certificate), ("VERGE_TLS_KEY", &mut self.tls_key)]
        {
            *field = variable(name).map(PathBuf::from).or(field.take());
        }
        parse_into("VERGE_BEHIND_PROXY", variable("VERGE_BEHIND_PROXY"), &mut self.behind_proxy)?;
        let name = "VERGE_REQUESTS_PER_SECOND";
        parse_into(name, variable(name), &mut self.requests_per_second)?;
        parse_into("VERGE_CONNECTIONS", variable("VERGE_CONNECTIONS"), &mut self.connections)?;
        let name = "VERGE_CONNECTIONS_PER_ADDRESS";
        parse_into(name, variable(name), &mut self.connections_per_address)?;
        self.publish_to = variable("VERGE_PUBLISH_TO").or(self.publish_to.take());
        self.order_key = variable("VERGE_ORDER_KEY").map(Secret).or(self.order_key.take());
        // The standard variable of OpenTelemetry.
        self.traces_to = variable("OTEL_EXPORTER_OTLP_ENDPOINT").or(self.traces_to.take());
        Ok(())
    }
}

/// An item feed that is polled.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// What to call it in metrics and logs.
    pub name: String,
    /// An `http://` or `https://` address, or a file; in the file, relative to it.
    pub from: String,
    /// Seconds from one look to the next, at least 1.
    #[serde(default = "quarter_hour")]
    pub every_s: u32,
    /// Whether the feed names every item, so that others are to be removed.
    #[serde(default)]
    pub full: bool,
    /// The header `Authorization` for an address that wants one.
    #[serde(default)]
    pub authorization: Option<Secret>,
    /// The largest share of the catalogue that the feed may remove, from 0 to 1; one that would remove more fails.
    #[serde(default = "max_removed")]
    pub max_removed: f64,
    /// The decimal sign, `"."` or `","`, of prices that can be two numbers, where the feed's other prices do not show it.
    #[serde(default)]
    pub decimal: Option<Decimal>,
    /// ISO 4217 code of prices that name no currency.
    #[serde(default)]
    pub currency: Option<String>,
    /// The column that holds the ids of items, where it is not `id`.
    #[serde(default)]
    pub id: Option<String>,
}

impl Feed {
    fn check(&mut self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.max_removed) {
            bail!(
                "[[feeds]] {}: max_removed is {}, expected a share from 0 to 1",
                self.name,
                self.max_removed
            );
        }
        if let Some(currency) = &mut self.currency {
            *currency = parse_currency(currency)
                .map_err(|error| anyhow!("[[feeds]] {}: currency is '{currency}', {error}", self.name))?;
        }
        Ok(())
    }

    /// Whether the feed is fetched over HTTP; otherwise it is a file.
    pub fn is_address(&self) -> bool {
        self.from.starts_with("http://") || self.from.starts_with("https://")
    }
}

fn max_removed() -> f64 {
    MAX_REMOVED
}

fn quarter_hour() -> u32 {
    900
}

/// A text that is left out of debug output.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("(secret)")
    }
}

impl Config {
    /// Reads `file`, or [`DEFAULT_FILE`] if it exists. `data_dir` overrides that of the file.
    ///
    /// # Errors
    /// The file cannot be read, or it has invalid TOML, an unknown key or a wrong type; or an environment variable is
    /// invalid. The text names the file, line and key, or the variable.
    pub fn load(file: Option<&Path>, data_dir: Option<&Path>) -> Result<Self> {
        let mut config = match file {
            Some(file) => Self::read(file)?,
            None => Self::read_if_exists(Path::new(DEFAULT_FILE))?.unwrap_or_default(),
        };
        if let Some(dir) = data_dir {
            config.data_dir = dir.to_owned();
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        config.kv.override_from_environment(variable);
        config.serve.override_from_environment(variable)?;
        Ok(config)
    }

    fn read_if_exists(file: &Path) -> Result<Option<Self>> {
        let exists =
            file.try_exists().with_context(|| format!("cannot read the configuration {}", file.display()))?;
        exists.then(|| Self::read(file)).transpose()
    }

    fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the configuration {}", file.display()))?;
        let mut config: Self =
            toml::from_str(&text).with_context(|| format!("in the configuration {}", file.display()))?;
        for feed in &mut config.feeds {
            feed.check().with_context(|| format!("in the configuration {}", file.display()))?;
        }
        if let Some(base) = file.parent() {
            config.data_dir = base.join(&config.data_dir);
            for file in [&mut config.serve.tls_certificate, &mut config.serve.tls_key].into_iter().flatten() {
                *file = base.join(&file);
            }
            for feed in config.feeds.iter_mut().filter(|feed| !feed.is_address()) {
                feed.from = base.join(&feed.from).to_string_lossy().into_owned();
            }
        }
        config.file = Some(file.to_owned());
        Ok(config)
    }
}

impl Config {
    /// Whether events may come from an area: one of ISO 3166, or a configured region or one of its areas. Case does not
    /// matter.
    pub fn knows_area(&self, area: &str) -> bool {
        let area = area.trim().to_lowercase();
        let is_configured = |(region, areas): (&String, &Vec<String>)| {
            *region == area || areas.iter().any(|one| one.to_lowercase() == area)
        };
        areas::is_iso(&area) || self.regions.iter().flatten().any(is_configured)
    }
}

impl Kv {
    fn override_from_environment(&mut self, variable: impl Fn(&str) -> Option<String>) {
        for (name, field) in [
            ("VERGE_KV_ACCOUNT", &mut self.account),
            ("VERGE_KV_NAMESPACE", &mut self.namespace),
            ("VERGE_KV_BASE", &mut self.base),
        ] {
            *field = variable(name).or(field.take());
        }
        self.token = variable("VERGE_KV_TOKEN").map(Secret).or(self.token.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_overrides_the_file_and_the_token_is_not_printed() {
        let mut kv: Kv = toml::from_str("account = \"a\"\nnamespace = \"n\"\ntoken = \"hunter2\"").unwrap();
        kv.override_from_environment(|name| (name == "VERGE_KV_NAMESPACE").then(|| "other".to_owned()));
        assert_eq!((kv.account.as_deref(), kv.namespace.as_deref()), (Some("a"), Some("other")));
        assert_eq!(kv.token.as_ref().map(Secret::reveal), Some("hunter2"));
        assert!(!format!("{kv:?}").contains("hunter2"));
    }

    #[test]
    fn areas_are_of_iso_or_configured() {
        let config: Config = toml::from_str("[regions]\ndach = [\"de\", \"AT\", \"kiosk-7\"]").unwrap();
        for area in ["gb", "US-CA", "dach", " Kiosk-7 "] {
            assert!(config.knows_area(area), "{area}");
        }
        assert!(
            !config.knows_area("atlantis") && !config.knows_area("") && !Config::default().knows_area("dach")
        );
    }

    #[test]
    fn errors_name_the_invalid_variable() {
        let mut serve: Serve = toml::from_str("listen = \"0.0.0.0:80\"\nconnections = 7").unwrap();
        serve
            .override_from_environment(|name| (name == "VERGE_CONNECTIONS").then(|| "9".to_owned()))
            .unwrap();
        assert_eq!((serve.listen.to_string(), serve.connections), ("0.0.0.0:80".to_owned(), 9));
        let wrong = |name: &str| (name == "VERGE_LISTEN").then(|| "everywhere".to_owned());
        let error = format!("{:#}", serve.override_from_environment(wrong).unwrap_err());
        assert!(error.contains("VERGE_LISTEN") && error.contains("everywhere"), "{error}");
    }

    #[test]
    fn the_command_line_overrides_the_file_and_the_file_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("shop.toml");
        std::fs::write(&file, "data_dir = \"here\"\n").unwrap();
        assert_eq!(Config::load(Some(&file), None).unwrap().data_dir, dir.path().join("here"));
        let there = Path::new("there");
        assert_eq!(Config::load(Some(&file), Some(there)).unwrap().data_dir, there);
        std::fs::write(&file, "").unwrap();
        assert_eq!(Config::load(Some(&file), None).unwrap().data_dir, dir.path().join("verge-data"));
    }

    #[test]
    fn an_unreadable_default_file_is_not_a_missing_one() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join(DEFAULT_FILE);
        assert!(Config::read_if_exists(&missing).unwrap().is_none());
        std::fs::write(&missing, "").unwrap();
        // A file in the place of a directory: the error is not "not found".
        let error = format!("{:#}", Config::read_if_exists(&missing.join(DEFAULT_FILE)).unwrap_err());
        assert!(error.contains(DEFAULT_FILE), "{error}");
    }

    #[test]
    fn errors_name_a_misspelt_key_and_a_missing_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("shop.toml");
        let missing = format!("{:#}", Config::load(Some(&file), None).unwrap_err());
        assert!(missing.contains("shop.toml"), "{missing}");
        std::fs::write(&file, "data_dri = \"here\"\n").unwrap();
        let misspelt = format!("{:#}", Config::load(Some(&file), None).unwrap_err());
        assert!(misspelt.contains("shop.toml") && misspelt.contains("data_dri"), "{misspelt}");
    }
}
