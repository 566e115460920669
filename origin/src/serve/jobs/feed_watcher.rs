//! Watches the feeds that `[[feeds]]` in verge.toml names, and imports them when they change.

use crate::serve::state::service::Shared;
use crate::{
    catalogue::feed::{self, Report},
    config::Feed,
    store::Store,
};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::time::{Duration, SystemTime};
use ureq::http::header;

/// The most bytes of a feed after decompression.
pub(crate) const MAX_UNPACKED_BYTES: u64 = 4 << 30;
/// The timeout of fetching a feed.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Checks a feed at its interval until the service stops.
pub(crate) async fn run(service: Shared, feed: Feed) {
    let mut last_read = Version::default();
    let mut stop = service.stop.subscribe();
    loop {
        let (dir, watched, before) = (service.config.data_dir.clone(), feed.clone(), last_read.clone());
        let import = move || import_if_changed(&watched, &before, &dir);
        match service.blocking(import).await {
            Ok(None) => service.metrics.record_feed_read(&feed.name),
            Ok(Some((version, report))) => {
                if report.problem.is_none() {
                    last_read = version;
                }
                service.feeds.record(&service.metrics, &feed.name, &Ok(report));
            }
            Err(error) => service.feeds.record(&service.metrics, &feed.name, &Err(error)),
        }
        tokio::select! {
            () = tokio::time::sleep(interval(&feed)) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn interval(feed: &Feed) -> Duration {
    Duration::from_secs(feed.every_s.max(1).into())
}

/// Identifies the content of a feed. A feed of the version that was imported last is not imported again.
#[derive(Clone, Debug, Default, PartialEq)]
struct Version {
    etag: Option<String>,
    last_modified: Option<String>,
    /// Length and modification time of a file.
    file: Option<(u64, SystemTime)>,
}

/// Imports the feed unless its version is still `last_read`.
fn import_if_changed(
    feed: &Feed,
    last_read: &Version,
    data_dir: &std::path::Path,
) -> Result<Option<(Version, Report)>> {
    let changed = if feed.is_address() { fetch(feed, last_read, data_dir)? } else { open(feed, last_read)? };
    let Some((version, file)) = changed else { return Ok(None) };
    let again = || -> Result<Box<dyn Read>> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        Ok(Box::new(file.take(MAX_UNPACKED_BYTES)))
    };
    let options = feed::Options {
        full: feed.full,
        dry_run: false,
        max_removed: feed.max_removed,
        decimal: feed.decimal,
        currency: feed.currency.clone(),
        id: feed.id.clone(),
    };
    let report = feed::take(&mut Store::open(data_dir)?, again, &options)?;
    Ok(Some((version, report)))
}

/// Opens a file unless its version is `last_read`.
fn open(feed: &Feed, last_read: &Version) -> Result<Option<(Version, File)>> {
    let file = File::open(&feed.from).with_context(|| format!("cannot read {}", feed.from))?;
    let metadata = file.metadata().with_context(|| format!("cannot read {}", feed.from))?;
    let version = Version { file: Some((metadata.len(), metadata.modified()?)), ..Version::default() };
    Ok((version != *last_read).then_some((version, file)))
}

/// Fetches an address into an unnamed file, since a feed is read twice, unless it answers that its version is still
/// `last_read`.
fn fetch(feed: &Feed, last_read: &Version, data_dir: &std::path::Path) -> Result<Option<(Version, File)>> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build()
        .into();
    let mut request = agent.get(&feed.from);
    let headers = [
        (header::IF_NONE_MATCH, last_read.etag.as_deref()),
        (header::IF_MODIFIED_SINCE, last_read.last_modified.as_deref()),
        (header::AUTHORIZATION, feed.authorization.as_ref().map(|text| text.reveal())),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let response = request.call().with_context(|| format!("cannot fetch {}", feed.from))?;
    let value = |name| response.headers().get(name).and_then(|value| Some(value.to_str().ok()?.to_owned()));
    let version =
        Version { etag: value(header::ETAG), last_modified: value(header::LAST_MODIFIED), file: None };
    match response.status().as_u16() {
        304 => Ok(None),
        200 => {
            let mut body = response.into_body().into_with_config().limit(MAX_UNPACKED_BYTES).reader();
            let mut file = tempfile::tempfile_in(data_dir).context("cannot write the data directory")?;
            io::copy(&mut body, &mut file).with_context(|| format!("cannot fetch {}", feed.from))?;
            Ok(Some((version, file)))
        }
        status => bail!("{} answered with status {status}", feed.from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_opened_again_only_when_it_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("feed.csv");
        let feed = Feed {
            name: "shop".to_owned(),
            from: path.to_string_lossy().into_owned(),
            every_s: 0,
            full: false,
            authorization: None,
            max_removed: 0.2,
            decimal: None,
            currency: None,
            id: None,
        };
        assert!(open(&feed, &Version::default()).is_err(), "there is no file yet");
        std::fs::write(&path, "id\n1\n").unwrap();
        let (version, _) = open(&feed, &Version::default()).unwrap().unwrap();
        assert!(open(&feed, &version).unwrap().is_none());
        std::fs::write(&path, "id\n1\n2\n").unwrap();
        assert!(open(&feed, &version).unwrap().is_some());
        assert_eq!(interval(&feed), Duration::from_secs(1), "zero would never pause");
    }
}
