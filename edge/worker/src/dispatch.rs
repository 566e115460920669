//! From a request's head to its reply: routing, rate limits, events, snapshots and answers.
//!
//! Everything the platform provides comes through [`Host`], so that the unit tests run natively with a host of their own.

use crate::answers::{self, AnswerRequest};
use crate::config::{Config, RateLimit};
use crate::counts::Untaught;
use crate::details::{Details, TesterClaim, invalid_claim};
use crate::events::{self, EventOrigin, MAX_BODY};
use crate::head::Head;
use crate::id;
use crate::limits::{Client, Limit};
use crate::lite;
use crate::live;
use crate::reply::{Problem, Reply, Stream};
use crate::route::{self, NoRoute, Route};
use crate::sender::Sender;
use crate::store::ServedSnapshot;
use crate::visit::Visit;
use snapshots::event::Event;
use snapshots::manifest::Place;
use snapshots::query::{self, Query};
use snapshots::rows::RowKey;
use snapshots::rules::VisitorContext;
use snapshots::score::Scratch;
use snapshots::time::Timestamp;
use std::cell::{OnceCell, RefCell};

/// Events that count as one call of the rate limit that is bound.
const EVENTS_PER_CALL: u32 = 25;
/// `Retry-After` of a rate-limited request, in seconds. Cloudflare counts over 10 s or 60 s.
const RATE_LIMITED_RETRY_AFTER_S: &str = "10";

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What a request needs from the platform. Times are in ms since 1970.
#[allow(async_fn_in_trait, reason = "an isolate has one thread, so the futures need not be Send")]
pub trait Host {
    /// The current time.
    fn now(&self) -> i64;
    /// The reply to `GET /healthz`.
    fn health(&self) -> Reply;
    /// The visitor's device and place. Costs about as much as scoring.
    fn details(&self) -> Details;
    /// The lines of [`Sender::read`].
    fn sender(&self) -> String;
    /// The `Authorization` header.
    fn authorization(&self) -> Option<String>;
    /// The minute of the week in a time zone, 0 at Monday 00:00; `None` if the zone is unknown.
    fn minute_of_week(&self, zone: &str) -> Option<u16>;
    /// Whether the client stays within a rate limit, if the request counts so many times.
    async fn is_within(&self, limit: RateLimit, times: u32) -> bool;
    /// Counts events of clients, unless that exceeds a limit of theirs.
    fn admit(&self, clients: &[Limit<'_>], events: u32) -> bool;
    /// Counts events that are not forwarded.
    fn count_untaught(&self, reason: Untaught, events: u32);
    /// The request's body; `None` if it has more than `limit` bytes.
    async fn body(&self, limit: u32) -> Result<Option<Vec<u8>>, String>;
    /// Whether `signature` is the HMAC-SHA-256 of `signed` under `key`.
    async fn verify(&self, key: &str, signed: &str, signature: &str) -> bool;
    /// Forwards events to the queue or the origin.
    async fn forward(&self, events: &[Event]);
    /// A blob's bytes; `None` if there is no blob with this hash.
    async fn blob(&self, hash: &str) -> Result<Option<Stream>, String>;
    /// The snapshot of a region, or of the visitor's country or place; see `Loader::find`.
    async fn snapshot(
        &self,
        region: Option<&str>,
        country: Option<&str>,
        place: &dyn Fn() -> Place,
        began: i64,
    ) -> Option<ServedSnapshot>;
    /// Loads the shards that hold these rows, as far as the deadline allows.
    async fn load_rows(&self, served: &mut ServedSnapshot, rows: &[RowKey]);
    /// Counts a reply to a request for items.
    fn count(&self, status: u16, exposed: &[(String, String)], began: i64, cache_hit: bool);
}

/// One request with everything it is served by.
pub struct Call<'a, H> {
    /// The platform.
    pub host: &'a H,
    /// The settings.
    pub config: &'a Config,
    /// The request's head.
    pub head: &'a Head<'a>,
    /// The request's id.
    pub id: &'a str,
    /// When the request arrived, in ms.
    pub began: i64,
}

/// Serves a request.
///
/// # Errors
/// The [`Problem`] to reply with.
pub async fn serve<H: Host>(call: &Call<'_, H>) -> Result<Reply, Problem> {
    let Call { host, config, head, began, .. } = *call;
    let (path, _) = head.path_and_query();
    let path = route::below(&config.base_path, path).ok_or(NoRoute::NotFound);
    let route = path.and_then(|path| route::route(head.method, path)).map_err(no_route)?;
    match &route {
        Route::Preflight(allowed) => return Ok(Reply::empty(204).with("allow", *allowed)),
        Route::Health => return Ok(host.health()),
        Route::Live => {
            check_parameters(head)?;
            return Err(live::handshake(config, head));
        }
        _ => {}
    }
    let visit = Visit::read(config, head);
    if route == Route::Events {
        return take_events(call, visit).await;
    }
    check_rate(call, RateLimit::Answers, 1).await?;
    match &route {
        Route::Blob(hash) => {
            check_parameters(head)?;
            lite::blob(host.blob(hash).await.map_err(|_| Problem::internal())?)
        }
        Route::Manifest(region) => {
            check_parameters(head)?;
            let is_own = lite::is_own(host.authorization().as_deref(), config.snapshots_key.as_deref())?;
            let served = host.snapshot(Some(region), None, &Place::default, began).await;
            lite::manifest(served.as_ref(), head.if_none_match, is_own)
        }
        _ => {
            let (reply, cache_hit) = match answer(call, &route, &visit).await {
                Ok((reply, cache_hit)) => (Ok(reply), cache_hit),
                Err(problem) => (Err(problem), false),
            };
            match &reply {
                Ok(reply) => host.count(reply.status, &reply.exposed, began, cache_hit),
                Err(problem) => host.count(problem.status, &[], began, cache_hit),
            }
            reply
        }
    }
}

/// Rejects parameters of a path that has none.
fn check_parameters(head: &Head<'_>) -> Result<(), Problem> {
    let (_, query) = head.path_and_query();
    Query::parse_only(query, &[]).map(drop).map_err(answers::query_problem)
}

/// Rejects a client that exceeds `limit`, if the limit is bound and the request counts so many times.
async fn check_rate<H: Host>(call: &Call<'_, H>, limit: RateLimit, times: u32) -> Result<(), Problem> {
    if times > 0 && call.config.bindings.has_limit(limit) && !call.host.is_within(limit, times).await {
        return Err(too_many("This client sends too many requests. Try again later."));
    }
    Ok(())
}

fn too_many(detail: &str) -> Problem {
    Problem::new(429, "Too many requests", detail).with("retry-after", RATE_LIMITED_RETRY_AFTER_S)
}

/// Rejects events of a client that sends too many. A request counts for each of its events in the limits of the isolate, and
/// for every [`EVENTS_PER_CALL`] begun in the one that is bound, of which one was counted before the body was read.
async fn check_events<H: Host>(
    call: &Call<'_, H>,
    sender: &Sender<'_>,
    visit: &Visit,
    events: usize,
) -> Result<(), Problem> {
    let Call { host, config, .. } = *call;
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    let network =
        (!sender.network.is_empty()).then_some((Client::Network(sender.network), config.events_per_address));
    let visitor = visit.visitor.as_deref().filter(|_| visit.consents);
    let visitor = visitor.map(|visitor| (Client::Visitor(visitor), config.events_per_visitor));
    let clients: Vec<_> = network.into_iter().chain(visitor).collect();
    let outcome = if host.admit(&clients, events) {
        check_rate(call, RateLimit::Events, events.saturating_sub(1) / EVENTS_PER_CALL).await
    } else {
        Err(too_many("This client sends too many events. Send fewer, or try again later."))
    };
    outcome.inspect_err(|_| host.count_untaught(Untaught::Limited, events))
}

async fn take_events<H: Host>(call: &Call<'_, H>, mut visit: Visit) -> Result<Reply, Problem> {
    let Call { host, config, head, .. } = *call;
    let lines = host.sender();
    let sender = Sender::read(&lines);
    let keyed = sender.is_keyed(config.events_key.as_deref());
    // Who has the key may send as much as the origin takes.
    if !matches!(keyed, Ok(true)) {
        sender.check_page(config, head)?;
        check_rate(call, RateLimit::Events, 1).await?;
    }
    let is_keyed = keyed?;
    let origin = EventOrigin { is_keyed, bucket: sender.bucket(config.bucket_seed) };
    if config.subdivisions {
        visit.country = visit.country.map(|country| host.details().place.area(&country));
    }
    let body = read_body(host, head.content_length).await?;
    let (reply, events) = events::take(&body, &visit, origin, Timestamp(host.now()))?;
    if !is_keyed {
        check_events(call, &sender, &visit, events.len()).await?;
    }
    if sender.is_bot(is_keyed) {
        host.count_untaught(Untaught::Bot, u32::try_from(events.len()).unwrap_or(u32::MAX));
    } else {
        host.forward(&events).await;
    }
    Ok(reply)
}

/// Reads the body and stops as soon as it is too large.
async fn read_body<H: Host>(host: &H, content_length: &str) -> Result<Vec<u8>, Problem> {
    if content_length.parse::<u64>().is_ok_and(|length| length > MAX_BODY as u64) {
        return Err(events::body_too_large());
    }
    let body = host.body(MAX_BODY as u32).await;
    let body = body.map_err(|_| Problem::bad_request("body", "The body ended early. Send it again."))?;
    body.ok_or_else(events::body_too_large)
}

/// Answers a request for items, and whether it needed nothing that was not in memory.
async fn answer<H: Host>(call: &Call<'_, H>, route: &Route, visit: &Visit) -> Result<(Reply, bool), Problem> {
    let Call { host, config, head, id, began } = *call;
    let (_, query) = head.path_and_query();
    let accepted = if matches!(route, Route::Item(_)) { query::ITEM } else { query::LIST };
    let query = Query::parse_only(query, accepted).map_err(answers::query_problem)?;
    // Read at most once, and only when a rule or a region needs it.
    let details = OnceCell::new();
    let details = || details.get_or_init(|| host.details());
    let place = || details().place.clone();
    let mut served = host.snapshot(query.region.as_deref(), visit.country.as_deref(), &place, began).await;
    let loaded = host.now();
    let clock = |zone: Option<&str>| host.minute_of_week(zone.unwrap_or(&details().timezone));
    let mut visitor = VisitorContext {
        visitor: visit.visitor.as_deref().filter(|_| visit.consents),
        ..VisitorContext::default()
    };
    if served.as_ref().is_some_and(|served| served.snapshot().rules.document().is_some()) {
        visitor.device = details().device;
        visitor.clock = Some(&clock);
        visitor.random = Some(id::random_of(id));
        if let Some(claim) = &query.force {
            visitor.forced = Some(forced_variant(call, claim, Timestamp(loaded)).await?);
        }
    }
    let request = AnswerRequest {
        route,
        url: head.url,
        query: &query,
        if_none_match: head.if_none_match,
        visit,
        visitor,
        id,
        now: Timestamp(loaded),
    };
    let mut rows_loaded = loaded;
    if let Some(served) = served.as_mut().filter(|served| served.loaded.manifest.is_sharded()) {
        let rows = answers::required_rows(&request, &served.loaded.snapshot);
        host.load_rows(served, &rows).await;
        rows_loaded = host.now();
    }
    let reply =
        SCRATCH.with_borrow_mut(|scratch| answers::answer(config, &request, served.as_ref(), scratch))?;
    let (load, score) = (loaded.saturating_sub(began), host.now().saturating_sub(rows_loaded));
    let mut timing = format!("load;dur={load}, score;dur={score}");
    let cache_hit = served.as_ref().is_some_and(|served| !served.waited);
    if let Some((available, needed @ 1..)) = served.map(|served| served.shards) {
        let waited = rows_loaded.saturating_sub(loaded);
        timing.push_str(&format!(", shards;dur={waited};desc=\"{available} of {needed}\""));
    }
    Ok((reply.with("server-timing", timing), cache_hit))
}

/// The experiment and variant of a tester's signed claim.
async fn forced_variant<'a, H: Host>(
    call: &Call<'_, H>,
    text: &'a str,
    now: Timestamp,
) -> Result<(&'a str, &'a str), Problem> {
    let claim = TesterClaim::read(text, now).zip(call.config.tester_key.as_deref());
    let (claim, key) = claim.ok_or_else(invalid_claim)?;
    if call.host.verify(key, claim.signed, claim.signature).await {
        Ok((claim.experiment, claim.variant))
    } else {
        Err(invalid_claim())
    }
}

fn no_route(error: NoRoute) -> Problem {
    match error {
        NoRoute::NotFound => Problem::new(
            404,
            "Not found",
            "There is nothing here. The paths are /v1/recommendations, /v1/popular, /v1/items/{id}, \
             /v1/items/{id}/similar, /v1/events, /v1/live, /v1/snapshots/manifest/{region}, \
             /v1/snapshots/blob/{hash} and /healthz, below BASE_PATH where it is set.",
        ),
        NoRoute::MethodNotAllowed(allowed) => {
            Problem::new(405, "Method not allowed", format!("Use one of {allowed}.")).with("allow", allowed)
        }
        NoRoute::BadItemId => {
            Problem::bad_request("id", "An item id is 1 to 128 printable bytes of UTF-8, percent-encoded.")
        }
    }
}

#[cfg(test)]
mod tests;
