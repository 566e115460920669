//! Feeds of items: uploaded to `POST /v1/feeds`, and watched as `[[feeds]]` in verge.toml says.

use crate::serve::{
    body,
    problem::{Problem, Result},
    query,
    state::{Service, Shared},
};
use crate::{
    catalogue::feed::{self, Report},
    config::{Feed, MAX_REMOVED},
    store::Store,
};
use anyhow::{Context, bail};
use axum::{Json, extract::Request, extract::State};
use origin_data::{clock::now, fields::parse_currency, price::Decimal};
use serde::{Deserialize, Serialize};
use snapshots::time::Timestamp;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use ureq::http::header;

/// The most bytes of an uploaded feed; a larger one is watched, or sent in parts.
const MAX_BODY: usize = 64 << 20;
/// The most bytes that a feed unpacks to.
const MAX_UNPACKED: u64 = 4 << 30;
/// How long fetching a watched feed may take.
const TIMEOUT: Duration = Duration::from_secs(600);
/// What uploads are called in metrics, in the log and on the operators' page.
const UPLOAD: &str = "upload";

/// What an upload may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    full: bool,
    dry_run: bool,
    max_removed: Option<f64>,
    decimal: Option<Decimal>,
    currency: Option<String>,
    id: Option<String>,
}

impl Parameters {
    fn options(self) -> Result<feed::Options> {
        let max_removed = self.max_removed.unwrap_or(MAX_REMOVED);
        if !(0.0..=1.0).contains(&max_removed) {
            return Err(Problem::bad_request("max_removed", "Expected a share from 0 to 1, such as 0.2."));
        }
        let currency = self.currency.map(|code| parse_currency(&code)).transpose();
        let currency = currency.map_err(|error| Problem::bad_request("currency", error))?;
        let Self { full, dry_run, decimal, id, .. } = self;
        Ok(feed::Options { full, dry_run, max_removed, decimal, currency, id })
    }
}

/// Takes an uploaded feed over.
///
/// # Errors
/// The body or the query cannot be read. 422 with the report when the feed was cut, has no items, or would have removed
/// too many; what is wrong with single rows is in the report.
pub async fn upload(State(service): State<Shared>, request: Request) -> Result<Json<Report>> {
    let parameters: Parameters = query::read(request.uri())?;
    let options = parameters.options()?;
    let body = body::read(&service, request, MAX_BODY).await?;
    let dir = service.config.data_dir.clone();
    let dry_run = options.dry_run;
    let report = service
        .blocking(move || {
            // A store of its own: a feed takes longer than others should wait.
            let mut store = Store::open(&dir)?;
            let open = || -> anyhow::Result<Box<dyn Read>> {
                Ok(Box::new(Cursor::new(body.bytes.clone()).take(MAX_UNPACKED)))
            };
            feed::take(&mut store, open, &options)
        })
        .await?;
    if !dry_run {
        let follower = service.clone();
        service.blocking(move || follower.refresh()).await?;
        tell(&service, UPLOAD, &Ok(Some(report.clone())));
    }
    match &report.problem {
        None => Ok(Json(report)),
        Some(problem) => Err(Problem::feed_failed(format!("The feed failed: {problem}."), report)),
    }
}

fn options_of(feed: &Feed) -> feed::Options {
    feed::Options {
        full: feed.full,
        dry_run: false,
        max_removed: feed.max_removed,
        decimal: feed.decimal,
        currency: feed.currency.clone(),
        id: feed.id.clone(),
    }
}

/// Looks at a feed until the service stops.
pub async fn watch(service: Shared, feed: Feed) {
    let mut seen = Seen::default();
    let mut stop = service.stop.subscribe();
    loop {
        let (dir, look) = (service.config.data_dir.clone(), feed.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let outcome = seen.look(&look, &dir, |file| {
                let open = || -> anyhow::Result<Box<dyn Read>> {
                    let mut file = file.try_clone()?;
                    file.rewind()?;
                    Ok(Box::new(file.take(MAX_UNPACKED)))
                };
                feed::take(&mut Store::open(&dir)?, open, &options_of(&look))
            });
            (seen, outcome)
        });
        let Ok((now_seen, outcome)) = looked.await else { return };
        seen = now_seen;
        tell(&service, &feed.name, &outcome);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(feed.every_s.max(1).into())) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// How a feed went the last time that it was taken.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Name of the feed; `upload` of one that was sent.
    pub name: String,
    /// When it was read.
    pub at: Timestamp,
    /// Rows that were items.
    pub items: usize,
    /// Rows that were not taken.
    pub rejected: usize,
    /// Items that were removed.
    pub removed: usize,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The last outcome of each feed.
#[derive(Debug, Default)]
pub struct Outcomes(Mutex<BTreeMap<String, Outcome>>);

impl Outcomes {
    /// All of them, by name.
    pub fn all(&self) -> Vec<Outcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn note(&self, outcome: Outcome) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(outcome.name.clone(), outcome);
    }
}

fn tell(service: &Service, name: &str, outcome: &anyhow::Result<Option<Report>>) {
    let mut noted =
        Outcome { name: name.to_owned(), at: now(), items: 0, rejected: 0, removed: 0, problem: None };
    match outcome {
        Ok(None) => return service.metrics.feed_is_read(name),
        Ok(Some(report)) => {
            let first =
                |rows: &[feed::BadRow]| rows.first().map(|bad| format!("line {}: {}", bad.line, bad.wrong));
            tracing::info!(
                feed = name,
                items = report.items,
                changed = report.changed,
                removed = report.removed,
                rejected = report.rejected,
                first_rejected = first(&report.errors),
                first_warning = first(&report.warnings),
                "feed read"
            );
            (noted.items, noted.rejected, noted.removed) = (report.items, report.rejected, report.removed);
            noted.problem.clone_from(&report.problem);
        }
        Err(error) => noted.problem = Some(format!("{error:#}")),
    }
    match &noted.problem {
        None => service.metrics.feed_is_read(name),
        Some(problem) => {
            tracing::warn!(feed = name, problem, "feed failed");
            service.metrics.feed_errors.get_or_create(&name.into()).inc();
        }
    }
    service.feeds.note(noted);
}

/// What a feed was when it was last read: the same is not read again.
#[derive(Debug, Default)]
struct Seen {
    etag: Option<String>,
    last_modified: Option<String>,
    file: Option<(u64, SystemTime)>,
}

impl Seen {
    /// Hands the feed to `take` unless it is as it was; it counts as seen if it could be used.
    fn look(
        &mut self,
        feed: &Feed,
        dir: &std::path::Path,
        take: impl FnOnce(&File) -> anyhow::Result<Report>,
    ) -> anyhow::Result<Option<Report>> {
        let (now, file) = if feed.is_address() {
            match self.fetch(feed, dir)? {
                Some((now, file)) => (now, file),
                None => return Ok(None),
            }
        } else {
            let file = File::open(&feed.from).with_context(|| format!("cannot read {}", feed.from))?;
            let about = file.metadata()?;
            let version = Some((about.len(), about.modified()?));
            if version == self.file {
                return Ok(None);
            }
            (Self { file: version, ..Self::default() }, file)
        };
        let report = take(&file)?;
        if report.problem.is_none() {
            *self = now;
        }
        Ok(Some(report))
    }

    /// Fetches it into a file without a name, as it is read twice.
    fn fetch(&self, feed: &Feed, dir: &std::path::Path) -> anyhow::Result<Option<(Self, File)>> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        let mut request = agent.get(&feed.from);
        let asked = [
            (header::IF_NONE_MATCH, self.etag.as_deref()),
            (header::IF_MODIFIED_SINCE, self.last_modified.as_deref()),
            (header::AUTHORIZATION, feed.authorization.as_ref().map(|text| text.reveal())),
        ];
        for (name, value) in asked {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let response = request.call().with_context(|| format!("cannot fetch {}", feed.from))?;
        let of = |name| response.headers().get(name).and_then(|value| Some(value.to_str().ok()?.to_owned()));
        let now = Self { etag: of(header::ETAG), last_modified: of(header::LAST_MODIFIED), file: None };
        match response.status().as_u16() {
            304 => Ok(None),
            200 => {
                let mut body = response.into_body().into_with_config().limit(MAX_UNPACKED).reader();
                let mut file = tempfile::tempfile_in(dir).context("cannot write the data directory")?;
                io::copy(&mut body, &mut file).with_context(|| format!("cannot fetch {}", feed.from))?;
                Ok(Some((now, file)))
            }
            status => bail!("{} answered {status}", feed.from),
        }
    }
}
