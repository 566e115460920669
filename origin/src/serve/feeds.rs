//! Feeds of items: uploaded to `POST /v1/feeds`, and watched as `[[feeds]]` in verge.toml says.

use crate::serve::{body, problem::Result, query, state::Shared};
use crate::{
    catalogue::feed::{self, Report},
    config::Feed,
    store::Store,
};
use anyhow::{Context, bail};
use axum::{Json, extract::Request, extract::State};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::time::{Duration, SystemTime};
use ureq::http::header;

/// The most bytes of an uploaded feed; a larger one is watched, or sent in parts.
const MAX_BODY: usize = 64 << 20;
/// The most bytes that a feed unpacks to.
const MAX_UNPACKED: u64 = 4 << 30;
/// How long fetching a watched feed may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What an upload may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The feed names every item: others are to be removed.
    full: bool,
}

/// Takes an uploaded feed over.
///
/// # Errors
/// The body or the query cannot be read. What is wrong with rows is in the report.
pub async fn upload(State(service): State<Shared>, request: Request) -> Result<Json<Report>> {
    let options: Options = query::read(request.uri())?;
    let body = body::read(&service, request, MAX_BODY).await?;
    let dir = service.config.data_dir.clone();
    let report = service
        .blocking(move || {
            // A store of its own: a feed takes longer than others should wait.
            let mut store = Store::open(&dir)?;
            feed::take(&mut store, (&*body.bytes).take(MAX_UNPACKED), options.full)
        })
        .await?;
    let follower = service.clone();
    service.blocking(move || follower.refresh()).await?;
    Ok(Json(report))
}

/// Looks at a feed until the service stops.
pub async fn watch(service: Shared, feed: Feed) {
    let mut seen = Seen::default();
    let mut stop = service.stop.subscribe();
    loop {
        let (dir, look) = (service.config.data_dir.clone(), feed.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let outcome = seen.look(&look, |input| feed::take(&mut Store::open(&dir)?, input, look.full));
            (seen, outcome)
        });
        let Ok((now_seen, outcome)) = looked.await else { return };
        seen = now_seen;
        tell(&service, &feed, outcome);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(feed.every_s.max(1).into())) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn tell(service: &Shared, feed: &Feed, outcome: anyhow::Result<Option<Report>>) {
    let name = &feed.name;
    let problem = match &outcome {
        Ok(None) => None,
        Ok(Some(report)) => {
            let first = report.errors.first().map(|bad| format!("line {}: {}", bad.line, bad.wrong));
            tracing::info!(
                feed = name,
                items = report.items,
                changed = report.changed,
                removed = report.removed,
                rejected = report.rejected,
                first_rejected = first,
                "feed read"
            );
            report.problem.clone()
        }
        Err(error) => Some(format!("{error:#}")),
    };
    match problem {
        None => service.metrics.feed_is_read(name),
        Some(problem) => {
            tracing::warn!(feed = name, problem, "feed cannot be used");
            service.metrics.feed_errors.get_or_create(&name.as_str().into()).inc();
        }
    }
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
        take: impl FnOnce(Box<dyn Read>) -> anyhow::Result<Report>,
    ) -> anyhow::Result<Option<Report>> {
        let (now, input): (Self, Box<dyn Read>) = if feed.is_address() {
            match self.fetch(feed)? {
                Some((now, input)) => (now, input),
                None => return Ok(None),
            }
        } else {
            let file = File::open(&feed.from).with_context(|| format!("cannot read {}", feed.from))?;
            let about = file.metadata()?;
            let version = Some((about.len(), about.modified()?));
            if version == self.file {
                return Ok(None);
            }
            (Self { file: version, ..Self::default() }, Box::new(file))
        };
        let report = take(Box::new(input.take(MAX_UNPACKED)))?;
        if report.problem.is_none() {
            *self = now;
        }
        Ok(Some(report))
    }

    fn fetch(&self, feed: &Feed) -> anyhow::Result<Option<(Self, Box<dyn Read>)>> {
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
                let body = response.into_body().into_with_config().limit(MAX_UNPACKED).reader();
                Ok(Some((now, Box::new(body))))
            }
            status => bail!("{} answered {status}", feed.from),
        }
    }
}
