//! What pages answer from by themselves: a region's manifest and the bytes of blobs, under the keys that they have in KV.

use crate::answers::matches_tag;
use crate::reply::{Problem, Reply};
use crate::store::Ready;
use serde::Serialize;
use snapshots::manifest::{BlobRef, Manifest};
use snapshots::time::Timestamp;

/// How long others may keep a manifest: as long as answers that are the same for everybody.
const SHORT: &str = "public, max-age=30";
/// How long they may keep a blob, which never changes.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// The manifest of a region's lite snapshot; `known` is `If-None-Match`. Of the blobs that the edge answers from it says
/// nothing: a shop's whole tables are nobody else's.
///
/// # Errors
/// A [`Problem`] where there is no snapshot yet, or none for pages.
pub fn manifest(ready: Option<&Ready>, known: &str) -> Result<Reply, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        format: u32,
        region: &'a str,
        version: &'a str,
        built_at: Timestamp,
        lite: &'a BlobRef,
    }
    let Some(ready) = ready else { return Err(Problem::no_snapshot()) };
    let Manifest { format, region, version, built_at, lite, .. } = &ready.loaded.manifest;
    let Some(lite) = lite else {
        let detail = format!(
            "Region '{region}' was published without a snapshot for pages. Build and publish it again."
        );
        return Err(Problem::new(404, "No lite snapshot", detail));
    };
    let tag = format!("\"{}\"", lite.hash);
    let reply = match matches_tag(known, &tag) {
        true => Reply::empty(304),
        false => Reply::json(200, &Body { format: *format, region, version, built_at: *built_at, lite }),
    };
    Ok(reply.with("etag", tag).with("cache-control", SHORT))
}

/// What goes before a blob's bytes.
///
/// # Errors
/// A [`Problem`] where there is none of this hash.
pub fn blob(is_there: bool) -> Result<Reply, Problem> {
    if !is_there {
        let detail = "There is no blob of this hash. Look at the manifest again: snapshots are replaced.";
        return Err(Problem::new(404, "Unknown blob", detail));
    }
    Ok(Reply::empty(200).with("content-type", "application/octet-stream").with("cache-control", FOREVER))
}
