//! The answers to `GET`: recommendations, popular, similar, one item, and the Worker's health.

use crate::config::Config;
use crate::reply::{Problem, Reply};
use crate::route::Route;
use crate::store::{Ready, Store};
use crate::visit::Visit;
use serde::Serialize;
use serde_json::Value;
use snapshots::Snapshot;
use snapshots::answer::{self, Answer, Call, Degraded, ItemView, Recommended, Request};
use snapshots::event::MAX_FIELD;
use snapshots::manifest::{Manifest, WORLD, content_hash};
use snapshots::query::{Query, QueryError};
use snapshots::rows::RowKey;
use snapshots::rules::{Assignment, Context};
use snapshots::score::Scratch;
use snapshots::time::Timestamp;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How long others may keep an answer that is the same for everybody.
const SHARED: &str = "public, max-age=30";
/// An answer to one visitor is for that visitor's browser only, which asks whether it still holds.
const PERSONAL: &str = "private, no-cache";
/// An answer that lacks rows is kept by nobody.
const PASSING: &str = "private, no-store";

/// A request for an answer.
pub struct Ask<'a> {
    /// What is asked for.
    pub route: &'a Route,
    /// The address, as it came.
    pub url: &'a str,
    /// What the query string says.
    pub query: &'a Query,
    /// `If-None-Match`; empty where it was not sent.
    pub known: &'a str,
    /// The visitor.
    pub visit: &'a Visit,
    /// What else is known of the visitor.
    pub context: Context<'a>,
    /// This request's id.
    pub id: &'a str,
    /// The time.
    pub now: Timestamp,
}

#[derive(Serialize)]
struct SnapshotInfo<'a> {
    version: &'a str,
    built_at: Timestamp,
    age_s: i64,
}

impl<'a> SnapshotInfo<'a> {
    fn of(ready: &'a Ready, now: Timestamp) -> Self {
        let Manifest { version, built_at, .. } = &ready.loaded.manifest;
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

/// Answers a request for recommendations, popular or similar items, or one item from a snapshot, if there is one.
///
/// # Errors
/// A [`Problem`] when the query makes no sense here, the item is unknown, or there is no snapshot yet.
pub fn answer(
    config: &Config,
    ask: &Ask<'_>,
    ready: Option<&Ready>,
    scratch: &mut Scratch,
) -> Result<Reply, Problem> {
    let Some(ready) = ready else { return without_snapshot(config, ask) };
    // Where rows are still on their way, the next answer will be another.
    let (at_hand, needed) = ready.shards;
    if at_hand < needed {
        return Ok(compute(ask, ready, scratch)?.0.with("cache-control", PASSING));
    }
    if *ask.route == Route::Recommendations {
        let (reply, tag) = compute(ask, ready, scratch)?;
        let is_known = matches_tag(ask.known, &tag);
        let reply = if is_known { Reply { exposed: reply.exposed, ..Reply::empty(304) } } else { reply };
        return Ok(reply.with("cache-control", PERSONAL).with("etag", tag));
    }
    let tag = etag(ask, ready);
    let reply =
        if matches_tag(ask.known, &tag) { Reply::empty(304) } else { compute(ask, ready, scratch)?.0 };
    Ok(reply.with("cache-control", SHARED).with("etag", tag))
}

impl Ask<'_> {
    /// Which answer it asks for, if it does for one that is computed.
    fn call(&self) -> Option<Call<'_>> {
        match self.route {
            Route::Recommendations => Some(Call::Recommend),
            Route::Popular => Some(Call::Popular),
            Route::Similar(id) => Some(Call::Similar(id)),
            _ => None,
        }
    }

    fn request(&self) -> Request<'_> {
        Request { query: self.query, recents: &self.visit.recents, context: self.context, now: self.now }
    }
}

/// The rows that an answer reads.
pub fn reads(ask: &Ask<'_>, snapshot: &Snapshot) -> Vec<RowKey> {
    ask.call().map_or(Vec::new(), |call| answer::reads(snapshot, call, &ask.request()))
}

/// What a client is told of a query that makes no sense.
pub fn query_problem(error: QueryError) -> Problem {
    Problem::bad_request(error.field, error.detail)
}

/// The answer, and a tag of its content.
fn compute(ask: &Ask<'_>, ready: &Ready, scratch: &mut Scratch) -> Result<(Reply, String), Problem> {
    let snapshot = ready.snapshot();
    let Some(call) = ask.call() else { return Ok((item(ask, ready)?, String::new())) };
    let found = answer::answer(snapshot, call, &ask.request(), scratch);
    let Answer { items, next, strategy, experiments, degraded } = found.map_err(query_problem)?;
    let request = &*name_experiments(ask.id, &experiments);
    let no_rows = matches!(ready.shards, (0, needed) if needed > 0);
    let body = AnswerBody {
        items: &items,
        next: next.as_deref(),
        region: &ready.loaded.manifest.region,
        strategy,
        experiments: &experiments,
        snapshot: SnapshotInfo::of(ready, ask.now),
        degraded: degraded
            .or(no_rows.then_some(Degraded::PopularOnly))
            .or(ready.stale.then_some(Degraded::Stale)),
        request,
    };
    let exposed = experiments.iter().map(|known| (known.id.to_owned(), known.variant.to_owned())).collect();
    Ok((Reply { exposed, ..Reply::json(200, &body) }, content_tag(&body)))
}

/// The same for answers that show the same for the same reasons, whatever their scores, age and request's id are.
fn content_tag(body: &AnswerBody<'_>) -> String {
    let mut hasher = DefaultHasher::new();
    for item in body.items {
        (&*item.item.id, item.signal as u8, item.because.as_deref()).hash(&mut hasher);
    }
    for Assignment { id, variant } in body.experiments {
        (id, variant).hash(&mut hasher);
    }
    let degraded = body.degraded.map(|degraded| degraded as u8);
    (body.snapshot.version, body.region, body.strategy, body.next, degraded).hash(&mut hasher);
    format!("W/\"{:016x}\"", hasher.finish())
}

/// The request's id, followed by the variants that it was answered by (`…~home=b`): whatever happens to the answer's
/// items comes back with that id, and is attributed by it with no record of assignments anywhere.
fn name_experiments<'a>(id: &'a str, experiments: &[Assignment<'_>]) -> Cow<'a, str> {
    let mut named = Cow::Borrowed(id);
    for Assignment { id, variant } in experiments {
        let longer = format!("{named}~{id}={variant}");
        // Longer ones no event could carry.
        if longer.len() <= MAX_FIELD {
            named = Cow::Owned(longer);
        }
    }
    named
}

fn item(ask: &Ask<'_>, ready: &Ready) -> Result<Reply, Problem> {
    let Route::Item(id) = ask.route else { return Err(Problem::internal()) };
    let region = &ready.loaded.manifest.region;
    let Some(item) = answer::item(&ready.loaded.snapshot, id) else {
        let detail = format!("Region '{region}' knows no item with this id. Ids are compared byte for byte.");
        return Err(Problem { field: Some("id".to_owned()), ..Problem::new(404, "Unknown item", detail) });
    };
    Ok(Reply::json(
        200,
        &ItemBody { item, region, snapshot: SnapshotInfo::of(ready, ask.now), request: ask.id },
    ))
}

/// The same for equal content: what is asked, of which region, from which version.
fn etag(ask: &Ask<'_>, ready: &Ready) -> String {
    let manifest = &ready.loaded.manifest;
    let rules = ask.call().map_or(0, |call| answer::rules_in_force(ready.snapshot(), call, &ask.request()));
    let asked = format!("{}\n{}\n{}\n{rules:x}", ask.url, manifest.region, ready.stale);
    let asked: String = content_hash(asked.as_bytes()).chars().take(16).collect();
    format!("W/\"{}-{asked}\"", manifest.version)
}

/// Whether an `If-None-Match` header names `tag`; weakly, as RFC 9110 wants it there.
pub fn matches_tag(known: &str, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.trim() == "*" || known.split(',').any(|one| opaque(one) == opaque(tag))
}

/// An answer from the settings alone, while no snapshot can be had.
fn without_snapshot(config: &Config, ask: &Ask<'_>) -> Result<Reply, Problem> {
    let is_list = !matches!(ask.route, Route::Item(_));
    if config.static_items.is_empty() || !is_list {
        return Err(Problem::no_snapshot());
    }
    let on_screen = if let Route::Similar(id) = ask.route { Some(id) } else { None };
    let unwanted = |id: &str| {
        ask.query.exclude.iter().chain(&ask.query.items).chain(on_screen).any(|unwanted| unwanted == id)
    };
    let wanted = |item: &&Value| item.get("id").and_then(Value::as_str).is_some_and(|id| !unwanted(id));
    let body = StaticBody {
        items: config.static_items.iter().filter(wanted).take(ask.query.limit).collect(),
        next: None,
        region: WORLD,
        strategy: "static",
        experiments: [],
        snapshot: None,
        degraded: Some(Degraded::Static),
        request: ask.id,
    };
    Ok(Reply::json(200, &body).with("cache-control", "no-store"))
}

/// What this isolate holds, `memory_bytes` its whole wasm memory. Nothing is read for it, so that it tells of the
/// Worker alone.
pub fn health(store: &Store, memory_bytes: u64) -> Reply {
    #[derive(Serialize)]
    struct Held<'a> {
        region: &'a str,
        version: &'a str,
        built_at: Timestamp,
        items: usize,
        bytes: u64,
    }
    #[derive(Serialize)]
    struct Health<'a> {
        status: &'static str,
        snapshots: Vec<Held<'a>>,
        shard_bytes: u64,
        memory_bytes: u64,
    }
    let held = store.held().map(|(region, loaded)| Held {
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
