//! `POST /v1/feeds`: imports an uploaded feed of items.

use crate::catalogue::feed::{self, Report};
use crate::config::MAX_REMOVED;
use crate::serve::http::{
    body,
    problem::{Problem, Result},
    query,
};
use crate::serve::jobs::feed_watcher::MAX_UNPACKED_BYTES;
use crate::serve::state::{feeds::UPLOAD, service::Shared};
use crate::store::Store;
use axum::{Json, extract::Request, extract::State};
use origin_data::{fields::parse_currency, price::Decimal};
use serde::Deserialize;
use std::io::{Cursor, Read};

/// The most bytes of an uploaded feed. A larger one can be watched, or sent in parts.
const MAX_BODY: usize = 64 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct UploadQuery {
    full: bool,
    dry_run: bool,
    max_removed: Option<f64>,
    decimal: Option<Decimal>,
    currency: Option<String>,
    id: Option<String>,
}

impl UploadQuery {
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

/// Imports a feed.
///
/// # Errors
/// The body or the query cannot be read. 422 with the report when the feed was cut, has no items, or would remove too many.
/// Invalid rows are in the report.
pub(crate) async fn upload(State(service): State<Shared>, request: Request) -> Result<Json<Report>> {
    let query: UploadQuery = query::read(request.uri())?;
    let options = query.options()?;
    let body = body::read(&service, request, MAX_BODY).await?;
    let importer = service.clone();
    let report = service
        .blocking(move || {
            // A store of its own: an import takes longer than other requests should wait.
            let mut store = Store::open(&importer.config.data_dir)?;
            let open = || -> anyhow::Result<Box<dyn Read>> {
                Ok(Box::new(Cursor::new(body.bytes.clone()).take(MAX_UNPACKED_BYTES)))
            };
            let report = feed::take(&mut store, open, &options)?;
            if !options.dry_run {
                importer.refresh()?;
                importer.feeds.record(&importer.metrics, UPLOAD, &Ok(report.clone()));
            }
            anyhow::Ok(report)
        })
        .await?;
    match &report.problem {
        None => Ok(Json(report)),
        Some(problem) => Err(Problem::feed_failed(format!("The feed failed: {problem}."), report)),
    }
}
