//! `POST /v1/feeds`: imports an uploaded feed of items.

use crate::catalogue::feed::{self, Report};
use crate::serve::http::{body, problem::Result, query};
use crate::serve::jobs::feed_watcher::MAX_UNPACKED_BYTES;
use crate::serve::state::service::Shared;
use crate::store::Store;
use axum::{Json, extract::Request, extract::State};
use serde::Deserialize;
use std::io::Read;

/// The most bytes of an uploaded feed. A larger one can be watched, or sent in parts.
const MAX_BODY: usize = 64 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct UploadQuery {
    /// The feed lists every item: items that it lacks are removed.
    full: bool,
}

/// Imports a feed.
///
/// # Errors
/// The body or the query cannot be read. Invalid rows are in the report.
pub(crate) async fn upload(State(service): State<Shared>, request: Request) -> Result<Json<Report>> {
    let UploadQuery { full } = query::read(request.uri())?;
    let body = body::read(&service, request, MAX_BODY).await?;
    let importer = service.clone();
    let report = service
        .blocking(move || {
            // A store of its own: an import takes longer than other requests should wait.
            let mut store = Store::open(&importer.config.data_dir)?;
            let report = feed::take(&mut store, (&*body.bytes).take(MAX_UNPACKED_BYTES), full)?;
            importer.refresh()?;
            anyhow::Ok(report)
        })
        .await?;
    Ok(Json(report))
}
