//! The entry: from the platform's request to the platform's response.

use crate::answers::{self, Ask};
use crate::config::{ANSWERS_LIMIT, Bindings, Config, EVENTS_LIMIT};
use crate::context::{self, Claim, Details};
use crate::counts::Counts;
use crate::events::{self, MAX_BODY};
use crate::forward;
use crate::head::Head;
use crate::id;
use crate::lite;
use crate::live;
use crate::load::{self, Loader, with_store};
use crate::platform::{self, memory_bytes, now};
use crate::reply::{Problem, Reply};
use crate::route::{self, NoRoute, Route};
use crate::visit::Visit;
use snapshots::manifest::Place;
use snapshots::query::Query;
use snapshots::rules::Context as Known;
use snapshots::score::Scratch;
use snapshots::time::Timestamp;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Once;
use worker::js_sys::{JSON, Reflect};
use worker::wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::worker_sys::{Context as JsContext, web_sys};
use worker::{Context, Env, console_error};

/// When a client that asked too often is to ask again, in seconds: a rate limit counts over 10 s or 60 s.
const LIMITED_RETRY_AFTER_S: &str = "10";

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
    static COUNTS: RefCell<Counts> = RefCell::default();
}

/// Answers one request, for the entry module: a `Response`, or a promise of one where something has to be waited
/// for.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
pub fn fetch(request: web_sys::Request, env: Env, context: JsContext) -> JsValue {
    report_panics();
    platform::value_or_promise(async move {
        let (config, began) = (config(&env), now());
        let lines = platform::head(&request);
        let head = Head::read(&lines);
        let id = id::ulid(Timestamp(began));
        let call = Call { env: &env, context: &Context::new(context), config: &config, id: &id, began };
        let mut stream = None;
        let reply = match serve(&call, request, &head, &mut stream).await {
            Ok(reply) => reply,
            Err(problem) => problem.reply(&id),
        };
        platform::respond(&allow_origin(reply, &config, head.origin), stream)
    })
}

/// What a request is served with.
struct Call<'a> {
    env: &'a Env,
    context: &'a Context,
    config: &'a Config,
    id: &'a str,
    began: i64,
}

/// Serves a request. A body that is not held here is put into `stream`.
async fn serve(
    call: &Call<'_>,
    request: web_sys::Request,
    head: &Head<'_>,
    stream: &mut Option<JsValue>,
) -> Result<Reply, Problem> {
    let Call { env, context, config, began, .. } = *call;
    let (path, _) = head.path_and_query();
    let path = route::below(&config.base_path, path).ok_or(NoRoute::NotFound);
    let route = path.and_then(|path| route::route(head.method, path)).map_err(no_route)?;
    if let Route::Preflight(allowed) = route {
        return Ok(Reply::empty(204).with("allow", allowed));
    }
    if route == Route::Health {
        return Ok(with_store(|store| answers::health(store, memory_bytes())));
    }
    if route == Route::Live {
        return Err(live::handshake(config, head));
    }
    let mut visit = Visit::read(config, head);
    if route == Route::Events {
        stay_within(call, EVENTS_LIMIT, config.bindings.events_limit, &request).await?;
        if config.subdivisions {
            visit.country =
                visit.country.map(|country| Details::read(&platform::details(&request)).place.area(&country));
        }
        let body = read_body(&request, head.content_length).await?;
        let (reply, events) = events::take(&body, &visit, Timestamp(now()))?;
        forward::forward(env, context, config, &events).await;
        return Ok(reply);
    }

    stay_within(call, ANSWERS_LIMIT, config.bindings.answers_limit, &request).await?;
    if let Route::Blob(hash) = &route {
        *stream = load::blob(env, hash).await.map_err(|why| {
            console_error!("{why}");
            Problem::internal()
        })?;
        return lite::blob(stream.is_some());
    }
    if let Route::Manifest(region) = &route {
        let authorization = request.headers().get("authorization").ok().flatten();
        let is_own = lite::is_own(authorization.as_deref(), config.snapshots_key.as_deref())?;
        let loader = Loader { env, context, config };
        let ready = loader.find(Some(region), None, &Place::default, began).await;
        return lite::manifest(ready.as_ref(), head.if_none_match, is_own);
    }
    let mut at_hand = true;
    let reply = items(call, &request, head, &route, &visit, &mut at_hand).await;
    let told = reply.as_ref();
    let (status, exposed) =
        told.map_or_else(|problem| (problem.status, &[][..]), |reply| (reply.status, &*reply.exposed));
    let ended = now();
    let report = COUNTS.with_borrow_mut(|counts| {
        counts.add(status, exposed, began, ended, at_hand);
        if forward::is_paused(ended) { None } else { counts.due(ended) }
    });
    if let Some(mut report) = report {
        report.events_dropped = forward::take_dropped();
        if config.bindings.metrics {
            platform::measure(env, &report.figures());
        }
        if let Some(origin) = config.origin.clone() {
            context.wait_until(forward::tell(origin, report));
        }
    }
    forward::send_behind(context, config, ended);
    reply
}

/// Refuses a client that asks more often than the binding `limit` allows, where there is one.
async fn stay_within(
    call: &Call<'_>,
    limit: &str,
    is_there: bool,
    request: &web_sys::Request,
) -> Result<(), Problem> {
    if is_there && !platform::is_within(call.env, limit, request).await {
        return Err(Problem::new(429, "Too many requests", "This client asks too often. Try again later.")
            .with("retry-after", LIMITED_RETRY_AFTER_S));
    }
    Ok(())
}

/// Hands a queue's batch to the origin, for the entry module: a promise that is kept when all of it is settled.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
pub fn queue(batch: JsValue, env: Env) -> JsValue {
    report_panics();
    platform::value_or_promise(async move {
        forward::consume(&batch, &config(&env)).await;
        JsValue::UNDEFINED
    })
}

/// Answers a request for items; whether all that it needs is `at_hand` is told there.
async fn items(
    call: &Call<'_>,
    request: &web_sys::Request,
    head: &Head<'_>,
    route: &Route,
    visit: &Visit,
    at_hand: &mut bool,
) -> Result<Reply, Problem> {
    let Call { env, context, config, id, began } = *call;
    let (_, query) = head.path_and_query();
    let query = Query::parse(query).map_err(answers::query_problem)?;
    let loader = Loader { env, context, config };
    // Read once, and only by those who need it.
    let details = OnceCell::new();
    let details = || details.get_or_init(|| Details::read(&platform::details(request)));
    let place = || details().place.clone();
    let mut ready = loader.find(query.region.as_deref(), visit.country.as_deref(), &place, began).await;
    let loaded = now();
    let clock = |zone: Option<&str>| platform::minute_of_week(zone.unwrap_or(&details().timezone));
    let mut context =
        Known { visitor: visit.visitor.as_deref().filter(|_| visit.consents), ..Known::default() };
    if ready.as_ref().is_some_and(|ready| ready.snapshot().rules.document().is_some()) {
        context.device = details().device;
        context.clock = Some(&clock);
        context.dice = Some(id::dice(id));
        if let Some(claim) = &query.force {
            context.forced = Some(forced(config, claim, Timestamp(loaded)).await?);
        }
    }
    let ask = Ask {
        route,
        url: head.url,
        query: &query,
        known: head.if_none_match,
        visit,
        context,
        id,
        now: Timestamp(loaded),
    };
    let mut read = loaded;
    // Where tables are whole, there is no need to know what is read.
    if let Some(ready) = ready.as_mut().filter(|ready| ready.loaded.manifest.is_sharded()) {
        let rows = answers::reads(&ask, &ready.loaded.snapshot);
        loader.add_rows(ready, &rows).await;
        read = now();
    }
    *at_hand = ready.as_ref().is_some_and(|ready| !ready.waited);
    let reply = SCRATCH.with_borrow_mut(|scratch| answers::answer(config, &ask, ready.as_ref(), scratch))?;
    let (load, score) = (loaded.saturating_sub(began), now().saturating_sub(read));
    let mut timing = format!("load;dur={load}, score;dur={score}");
    if let Some((at_hand, needed @ 1..)) = ready.map(|ready| ready.shards) {
        let waited = read.saturating_sub(loaded);
        timing.push_str(&format!(", shards;dur={waited};desc=\"{at_hand} of {needed}\""));
    }
    Ok(reply.with("server-timing", timing))
}

/// The experiment and the variant that a tester may see.
async fn forced<'a>(config: &Config, text: &'a str, now: Timestamp) -> Result<(&'a str, &'a str), Problem> {
    let claim = Claim::read(text, now).zip(config.tester_key.as_deref());
    let (claim, key) = claim.ok_or_else(context::bad_claim)?;
    if platform::verify(key, claim.signed, claim.signature).await {
        Ok((claim.experiment, claim.variant))
    } else {
        Err(context::bad_claim())
    }
}

/// Reads the body, giving up as soon as it is too large.
async fn read_body(request: &web_sys::Request, stated: &str) -> Result<Vec<u8>, Problem> {
    if stated.parse::<u64>().is_ok_and(|length| length > MAX_BODY as u64) {
        return Err(events::body_too_large());
    }
    let body = platform::body(request, MAX_BODY as u32).await;
    let body = body.map_err(|_| Problem::bad_request("body", "The body ended early. Send it again."))?;
    body.ok_or_else(events::body_too_large)
}

fn no_route(why: NoRoute) -> Problem {
    match why {
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

/// Lets pages of the configured origins read the reply.
fn allow_origin(reply: Reply, config: &Config, origin: &str) -> Reply {
    if config.cors_origins.is_empty() {
        return reply;
    }
    let reply = reply.with("vary", "origin");
    if !config.cors_origins.iter().any(|allowed| allowed == origin) {
        return reply;
    }
    reply
        .with("access-control-allow-origin", origin)
        .with("access-control-allow-credentials", "true")
        .with("access-control-allow-methods", "GET, HEAD, POST")
        .with("access-control-allow-headers", "content-type")
        .with("access-control-expose-headers", "etag, retry-after, server-timing")
        .with("access-control-max-age", "86400")
        .with("timing-allow-origin", origin)
}

/// The settings, read once an isolate: they cannot change without a new one.
fn config(env: &Env) -> Rc<Config> {
    thread_local! {
        static CONFIG: OnceCell<Rc<Config>> = const { OnceCell::new() };
    }
    let read = || {
        let (mut config, complaints) = Config::read(|name| variable(env, name));
        config.bindings = Bindings::find(|name| {
            Reflect::get(env.as_ref(), &JsValue::from_str(name)).is_ok_and(|binding| binding.is_object())
        });
        for complaint in complaints {
            console_error!("{complaint}");
        }
        Rc::new(config)
    };
    CONFIG.with(|config| Rc::clone(config.get_or_init(read)))
}

/// A variable or secret as text. Numbers and lists of wrangler.toml come as JSON.
fn variable(env: &Env, name: &str) -> Option<String> {
    let value = Reflect::get(env.as_ref(), &JsValue::from_str(name)).ok()?;
    if value.is_undefined() || value.is_null() {
        return None;
    }
    value.as_string().or_else(|| JSON::stringify(&value).ok()?.as_string())
}

/// Writes a panic with its stack to the Worker's log, before the library notes that the instance is lost.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let recover = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            console_error_panic_hook::hook(panic);
            recover(panic);
        }));
    });
}
