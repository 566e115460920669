//! Snapshots for other scorers, under their KV keys: a region's lite snapshot for pages, and the complete snapshot for
//! the shop itself, which authenticates with `SNAPSHOTS_KEY`.

use crate::answers::matches_tag;
use crate::reply::{Body, Problem, Reply, Stream};
use crate::sender::is_same_secret;
use crate::store::ServedSnapshot;
use serde::Serialize;
use snapshots::manifest::{BlobRef, Manifest};
use snapshots::time::Timestamp;

/// `Cache-Control` of a manifest for pages.
const SHORT: &str = "public, max-age=30";
/// `Cache-Control` of a complete manifest.
const PRIVATE: &str = "private, no-cache";
/// `Cache-Control` of a blob, whose content never changes.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// The manifest of a region. Pages get one that names only the lite snapshot; the complete tables are for the shop's own
/// callers (`is_own`).
///
/// # Errors
/// A [`Problem`] if the region's snapshot could not be loaded, or has no lite snapshot.
pub fn manifest(
    served: Option<&ServedSnapshot>,
    if_none_match: &str,
    is_own: bool,
) -> Result<Reply, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        format: u32,
        region: &'a str,
        version: &'a str,
        built_at: Timestamp,
        lite: &'a BlobRef,
    }
    // The world's manifest in place of a region's would replace good tables by wrong ones.
    let Some(served) = served.filter(|served| !served.fallback) else { return Err(Problem::no_snapshot()) };
    if is_own {
        let manifest = &served.loaded.manifest;
        return Ok(unless_current(if_none_match, &manifest.version, manifest).with("cache-control", PRIVATE));
    }
    let Manifest { format, region, version, built_at, lite, .. } = &served.loaded.manifest;
    let Some(lite) = lite else {
        let detail =
            format!("Region '{region}' was published without a lite snapshot. Build and publish it again.");
        return Err(Problem::new(404, "No lite snapshot", detail));
    };
    let body = Body { format: *format, region, version, built_at: *built_at, lite };
    // A shared cache must not serve this reply to the shop's own callers.
    let reply = unless_current(if_none_match, &lite.hash, &body).with("vary", "authorization");
    Ok(reply.with("cache-control", SHORT))
}

/// `body` with the ETag `name`, or 304 if `if_none_match` lists it.
fn unless_current(if_none_match: &str, name: &str, body: &impl Serialize) -> Reply {
    let tag = format!("\"{name}\"");
    let reply = if matches_tag(if_none_match, &tag) { Reply::empty(304) } else { Reply::json(200, body) };
    reply.with("etag", tag)
}

/// Whether the `Authorization` header holds the secret `SNAPSHOTS_KEY`. Without the header, the caller is a page.
///
/// # Errors
/// A [`Problem`] if the header holds anything else.
pub fn is_own(header: Option<&str>, key: Option<&str>) -> Result<bool, Problem> {
    let Some(header) = header else { return Ok(false) };
    let given = header.strip_prefix("Bearer ").unwrap_or_default();
    if key.is_some_and(|key| is_same_secret(key, given)) {
        return Ok(true);
    }
    let detail = "Send the Worker's secret SNAPSHOTS_KEY as a bearer token, or no Authorization header for the lite snapshot.";
    Err(Problem::new(401, "Not allowed", detail).with("www-authenticate", "Bearer"))
}

/// The reply with a blob's bytes.
///
/// # Errors
/// A [`Problem`] if there is no blob with this hash.
pub fn blob(stream: Option<Stream>) -> Result<Reply, Problem> {
    let Some(stream) = stream else {
        let detail = "There is no blob with this hash. Read the manifest again: snapshots are replaced.";
        return Err(Problem::new(404, "Unknown blob", detail));
    };
    Ok(Reply { body: Body::Stream(stream), ..Reply::empty(200) }
        .with("content-type", "application/octet-stream")
        .with("cache-control", FOREVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_key_authenticates() {
        assert_eq!(is_own(None, Some("key")), Ok(false));
        assert_eq!(is_own(Some("Bearer key"), Some("key")), Ok(true));
        for header in ["key", "Bearer ", "Bearer ke", "Bearer key2", "Bearer kez", "Basic key", ""] {
            assert_eq!(is_own(Some(header), Some("key")).unwrap_err().status, 401, "{header}");
            assert_eq!(is_own(Some(header), None).unwrap_err().status, 401, "{header}");
        }
    }
}
