//! Replies to `GET` requests: recommendations, popular and similar items, one item, and the Worker's health.

use crate::config::Config;
use crate::reply::{Problem, Reply};
use crate::route::Route;
use crate::store::{ServedSnapshot, Store};
use crate::visit::Visit;
use serde::Serialize;
use serde_json::Value;
use snapshots::Snapshot;
use snapshots::answer::{self, Answer, Call, Degraded, ItemView, Recommended, Request};
use snapshots::event::MAX_FIELD;
use snapshots::manifest::{Manifest, WORLD, content_hash};
use snapshots::query::{Query, QueryError};
use snapshots::rows::RowKey;
use snapshots::rules::{Assignment, VisitorContext};
use snapshots::score::Scratch;
use snapshots::time::Timestamp;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

/// `Cache-Control` of an answer that is the same for everybody.
const SHARED: &str = "public, max-age=30";
/// `Cache-Control` of a personal answer: only the browser may store it, and it revalidates each time.
const PERSONAL: &str = "private, no-cache";
/// `Cache-Control` of an answer computed with some shards missing.
const INCOMPLETE: &str = "private, no-store";

/// A request for items, with everything its answer depends on.
pub struct AnswerRequest<'a> {
    /// The route.
    pub route: &'a Route,
    /// The URL, as received.
    pub url: &'a str,
    /// The parsed query string.
    pub query: &'a Query,
    /// The header `If-None-Match`; empty if absent.
    pub if_none_match: &'a str,
    /// The visitor.
    pub visit: &'a Visit,
    /// The visitor's device, clock and experiments.
    pub visitor: VisitorContext<'a>,
    /// The request's id.
    pub id: &'a str,
    /// The current time.
    pub now: Timestamp,
}

#[derive(Serialize)]
struct SnapshotInfo<'a> {
    version: &'a str,
    built_at: Timestamp,
    age_s: i64,
}

impl<'a> SnapshotInfo<'a> {
    fn new(served: &'a ServedSnapshot, now: Timestamp) -> Self {
        let Manifest { version, built_at, .. } = &served.loaded.manifest;
        let age_s = now.0.saturating_sub(built_at.0).max(0) / 1_000;
        Self { version, built_at: *built_at, age_s }
    }
}

#[derive(Serialize)]
struct AnswerBody<'a> {
    items: &'a [Recommended<'a>],
    next: Option<&'a str>,
    region: &'a str,
    strategy: &'a str,
    experiments: &'a [Assignment<'a>],
    snapshot: SnapshotInfo<'a>,
    degraded: Option<Degraded>,
    request: &'a str,
}

#[derive(Serialize)]
struct StaticBody<'a> {
    items: Vec<&'a Value>,
    next: Option<&'a str>,
    region: &'a str,
    strategy: &'a str,
    experiments: [Assignment<'a>; 0],
    snapshot: Option<SnapshotInfo<'a>>,
    degraded: Option<Degraded>,
    request: &'a str,
}

#[derive(Serialize)]
struct ItemBody<'a> {
    #[serde(flatten)]
    item: ItemView<'a>,
    region: &'a str,
    snapshot: SnapshotInfo<'a>,
    request: &'a str,
}

/// Answers a request for recommendations, popular or similar items, or one item. Without a snapshot, the answer is
/// `STATIC_ITEMS`.
///
/// # Errors
/// A [`Problem`] if the query is invalid, the item is unknown, or there is neither a snapshot nor static items.
pub fn answer(
    config: &Config,
    request: &AnswerRequest<'_>,
    served: Option<&ServedSnapshot>,
    scratch: &mut Scratch,
) -> Result<Reply, Problem> {
    let Some(served) = served else { return without_snapshot(config, request) };
    let (available, needed) = served.shards;
    if available < needed {
        return Ok(compute(request, served, scratch)?.0.with("cache-control", INCOMPLETE));
    }
    if *request.route == Route::Recommendations {
        let (reply, tag) = compute(request, served, scratch)?;
        let is_current = matches_tag(request.if_none_match, &tag);
        let reply = if is_current { Reply { exposed: reply.exposed, ..Reply::empty(304) } } else { reply };
        return Ok(reply.with("cache-control", PERSONAL).with("etag", tag));
    }
    let tag = etag(request, served);
    let reply = if matches_tag(request.if_none_match, &tag) {
        Reply::empty(304)
    } else {
        compute(request, served, scratch)?.0
    };
    Ok(reply.with("cache-control", SHARED).with("etag", tag))
}

impl AnswerRequest<'_> {
    /// The call to the scorer; `None` for a single item.
    fn call(&self) -> Option<Call<'_>> {
        match self.route {
            Route::Recommendations => Some(Call::Recommend),
            Route::Popular => Some(Call::Popular),
            Route::Similar(id) => Some(Call::Similar(id)),
            _ => None,
        }
    }

    fn request(&self) -> Request<'_> {
        Request { query: self.query, recents: &self.visit.recents, context: self.visitor, now: self.now }
    }
}

/// The table rows that an answer needs.
pub fn required_rows(request: &AnswerRequest<'_>, snapshot: &Snapshot) -> Vec<RowKey> {
    request.call().map_or(Vec::new(), |call| answer::required_rows(snapshot, call, &request.request()))
}

/// The problem for an invalid query.
pub fn query_problem(error: QueryError) -> Problem {
    Problem::bad_request(&error.field, error.detail)
}

/// The answer, and an `ETag` of its content.
fn compute(
    request: &AnswerRequest<'_>,
    served: &ServedSnapshot,
    scratch: &mut Scratch,
) -> Result<(Reply, String), Problem> {
    let snapshot = served.snapshot();
    let Some(call) = request.call() else { return Ok((item(request, served)?, String::new())) };
    let found = answer::answer(snapshot, call, &request.request(), scratch);
    let Answer { items, next, strategy, experiments, degraded } = found.map_err(query_problem)?;
    let answer_id = &*id_with_variants(request.id, &experiments);
    let no_rows = matches!(served.shards, (0, needed) if needed > 0);
    let body = AnswerBody {
        items: &items,
        next: next.as_deref(),
        region: &served.loaded.manifest.region,
        strategy,
        experiments: &experiments,
        snapshot: SnapshotInfo::new(served, request.now),
        degraded: degraded
            .or(no_rows.then_some(Degraded::PopularOnly))
            .or(served.is_stale().then_some(Degraded::Stale)),
        request: answer_id,
    };
    let exposed = experiments.iter().map(|known| (known.id.to_owned(), known.variant.to_owned())).collect();
    Ok((Reply { exposed, ..Reply::json(200, &body) }, content_tag(&body)))
}

/// An `ETag` over the items, their prices and their reasons. Scores, age and request id do not count: they differ each time.
fn content_tag(body: &AnswerBody<'_>) -> String {
    let mut hasher = DefaultHasher::new();
    for item in body.items {
        (&*item.item.id, item.signal as u8, item.because.as_deref()).hash(&mut hasher);
        [item.item.price, item.item.regular_price].map(|price| price.map(f64::to_bits)).hash(&mut hasher);
    }
    for Assignment { id, variant } in body.experiments {
        (id, variant).hash(&mut hasher);
    }
    let degraded = body.degraded.map(|degraded| degraded as u8);
    (body.snapshot.version, body.region, body.strategy, body.next, degraded).hash(&mut hasher);
    format!("W/\"{:016x}\"", hasher.finish())
}

/// Appends the assigned variants to the request's id (`…~home=b`). Events carry this id, so they can be attributed
/// without storing any assignment.
fn id_with_variants<'a>(id: &'a str, experiments: &[Assignment<'_>]) -> Cow<'a, str> {
    let mut named = Cow::Borrowed(id);
    for Assignment { id, variant } in experiments {
        let longer = format!("{named}~{id}={variant}");
        // An event's `request` field holds no more.
        if longer.len() <= MAX_FIELD {
            named = Cow::Owned(longer);
        }
    }
    named
}

fn item(request: &AnswerRequest<'_>, served: &ServedSnapshot) -> Result<Reply, Problem> {
    let Route::Item(id) = request.route else { return Err(Problem::internal()) };
    let region = &served.loaded.manifest.region;
    let Some(item) = answer::item(&served.loaded.snapshot, id, request.now) else {
        let detail = format!("Region '{region}' has no item with this id. Ids are compared byte for byte.");
        return Err(Problem { field: Some("id".to_owned()), ..Problem::new(404, "Unknown item", detail) });
    };
    Ok(Reply::json(
        200,
        &ItemBody { item, region, snapshot: SnapshotInfo::new(served, request.now), request: request.id },
    ))
}

/// A tag that is equal for equal answers: URL, region, snapshot version, staleness, the rules that apply, and how many sales
/// began or ended.
fn etag(request: &AnswerRequest<'_>, served: &ServedSnapshot) -> String {
    let manifest = &served.loaded.manifest;
    let rules =
        request.call().map_or(0, |call| answer::rules_in_force(served.snapshot(), call, &request.request()));
    let sales = served.snapshot().attributes.sales().changes(request.now);
    let key = format!("{}\n{}\n{}\n{rules:x}\n{sales}", request.url, manifest.region, served.is_stale());
    let key: String = content_hash(key.as_bytes()).chars().take(16).collect();
    format!("W/\"{}-{key}\"", manifest.version)
}

/// Whether an `If-None-Match` header lists `tag`, by the weak comparison of RFC 9110, section 13.1.2.
pub fn matches_tag(if_none_match: &str, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    if_none_match.trim() == "*" || if_none_match.split(',').any(|one| opaque(one) == opaque(tag))
}

/// An answer of `STATIC_ITEMS`, when no snapshot can be loaded.
fn without_snapshot(config: &Config, request: &AnswerRequest<'_>) -> Result<Reply, Problem> {
    let is_list = !matches!(request.route, Route::Item(_));
    if config.static_items.is_empty() || !is_list {
        return Err(Problem::no_snapshot());
    }
    let on_screen = if let Route::Similar(id) = request.route { Some(id) } else { None };
    let excluded = |id: &str| {
        request
            .query
            .exclude
            .iter()
            .chain(&request.query.items)
            .chain(on_screen)
            .any(|excluded| excluded == id)
    };
    let wanted = |item: &&Value| item.get("id").and_then(Value::as_str).is_some_and(|id| !excluded(id));
    let body = StaticBody {
        items: config.static_items.iter().filter(wanted).take(request.query.limit).collect(),
        next: None,
        region: WORLD,
        strategy: "static",
        experiments: [],
        snapshot: None,
        degraded: Some(Degraded::Static),
        request: request.id,
    };
    Ok(Reply::json(200, &body).with("cache-control", "no-store"))
}

/// The snapshots in this isolate's memory. `memory_bytes` is the size of the whole wasm memory. KV is not read, so the
/// reply describes the Worker alone.
pub fn health(store: &Store, memory_bytes: u64) -> Reply {
    #[derive(Serialize)]
    struct HeldSnapshot<'a> {
        region: &'a str,
        version: &'a str,
        built_at: Timestamp,
        items: usize,
        bytes: u64,
    }
    #[derive(Serialize)]
    struct Health<'a> {
        status: &'static str,
        snapshots: Vec<HeldSnapshot<'a>>,
        shard_bytes: u64,
        memory_bytes: u64,
    }
    let held = store.held().map(|(region, loaded)| HeldSnapshot {
        region,
        version: &loaded.manifest.version,
        built_at: loaded.manifest.built_at,
        items: loaded.snapshot.len(),
        bytes: loaded.manifest.resident().map(|blob| blob.bytes).sum(),
    });
    let mut snapshots: Vec<_> = held.collect();
    snapshots.sort_by_key(|held| held.region);
    Reply::json(200, &Health { status: "ok", snapshots, shard_bytes: store.shard_bytes(), memory_bytes })
        .with("cache-control", "no-store")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        assert!(matches_tag("*", "W/\"a\""));
        assert!(matches_tag("\"b\", \"a\"", "W/\"a\""));
        assert!(matches_tag("W/\"a\"", "W/\"a\""));
        assert!(!matches_tag("W/\"b\"", "W/\"a\""));
        assert!(!matches_tag("", "W/\"a\""));
    }
}
