//! Snapshots for others to answer from, under the keys that they have in KV: for pages a region's lite one, and for the
//! shop itself, by its key, the whole.

use crate::answers::matches_tag;
use crate::reply::{Problem, Reply};
use crate::store::Ready;
use serde::Serialize;
use snapshots::manifest::{BlobRef, Manifest};
use snapshots::time::Timestamp;

/// How long others may keep a manifest: as long as answers that are the same for everybody.
const SHORT: &str = "public, max-age=30";
/// A manifest for the shop alone is asked about anew each time.
const PRIVATE: &str = "private, no-cache";
/// How long they may keep a blob, which never changes.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// The manifest of a region; `known` is `If-None-Match`. For pages it names the lite snapshot alone: a shop's whole tables
/// are nobody else's, and to its own callers alone all of it is told.
///
/// # Errors
/// A [`Problem`] where there is no snapshot yet, or none for pages.
pub fn manifest(ready: Option<&Ready>, known: &str, is_own: bool) -> Result<Reply, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        format: u32,
        region: &'a str,
        version: &'a str,
        built_at: Timestamp,
        lite: &'a BlobRef,
    }
    let Some(ready) = ready else { return Err(Problem::no_snapshot()) };
    if is_own {
        let manifest = &ready.loaded.manifest;
        return Ok(unless_known(known, &manifest.version, manifest).with("cache-control", PRIVATE));
    }
    let Manifest { format, region, version, built_at, lite, .. } = &ready.loaded.manifest;
    let Some(lite) = lite else {
        let detail = format!(
            "Region '{region}' was published without a snapshot for pages. Build and publish it again."
        );
        return Err(Problem::new(404, "No lite snapshot", detail));
    };
    let body = Body { format: *format, region, version, built_at: *built_at, lite };
    // A cache that others share would hand it to the shop's callers too.
    let reply = unless_known(known, &lite.hash, &body).with("vary", "authorization");
    Ok(reply.with("cache-control", SHORT))
}

/// `body` under the ETag of its `name`, or that it is the one that is `known`.
fn unless_known(known: &str, name: &str, body: &impl Serialize) -> Reply {
    let tag = format!("\"{name}\"");
    let reply = if matches_tag(known, &tag) { Reply::empty(304) } else { Reply::json(200, body) };
    reply.with("etag", tag)
}

/// Whether a caller is the shop's own, by the `Authorization` header, if there is one, and the secret `SNAPSHOTS_KEY`.
///
/// # Errors
/// A [`Problem`] where the header is another.
pub fn is_own(header: Option<&str>, key: Option<&str>) -> Result<bool, Problem> {
    let Some(header) = header else { return Ok(false) };
    let given = header.strip_prefix("Bearer ").unwrap_or_default();
    // As long for a key that begins right as for one that does not.
    let same = |key: &&str| {
        let differ = key.bytes().zip(given.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
        key.len() == given.len() && differ == 0
    };
    if key.filter(same).is_some() {
        return Ok(true);
    }
    let detail =
        "Send the Worker's secret SNAPSHOTS_KEY as a bearer token, or no Authorization for what pages get.";
    Err(Problem::new(401, "Not allowed", detail).with("www-authenticate", "Bearer"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_itself_is_the_shops() {
        assert_eq!(is_own(None, Some("key")), Ok(false));
        assert_eq!(is_own(Some("Bearer key"), Some("key")), Ok(true));
        for header in ["key", "Bearer ", "Bearer ke", "Bearer key2", "Bearer kez", "Basic key", ""] {
            assert_eq!(is_own(Some(header), Some("key")).unwrap_err().status, 401, "{header}");
            assert_eq!(is_own(Some(header), None).unwrap_err().status, 401, "{header}");
        }
    }
}
