//! The entry: from the platform's request to the platform's response.

use crate::answers::{self, Ask};
use crate::config::Config;
use crate::events::{self, MAX_BODY};
use crate::forward::forward;
use crate::id;
use crate::load::{Loader, with_store};
use crate::reply::{Problem, Reply};
use crate::route::{self, NoRoute, Route};
use crate::visit::Visit;
use futures_util::StreamExt;
use snapshots::query::Query;
use snapshots::score::Scratch;
use snapshots::time::Timestamp;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Once;
use worker::js_sys::{Date, JSON, Reflect};
use worker::wasm_bindgen::JsValue;
use worker::{Context, Env, Headers, Request, Response, ResponseBuilder, console_error, event};

/// The binding of the KV namespace with the snapshots.
pub const KV: &str = "SNAPSHOTS";

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The time in ms since 1970. In production it stands still while a request computes.
pub fn now() -> i64 {
    Date::now() as i64
}

/// What the instance has taken of the isolate's 128 MB; it is never given back.
fn memory_bytes() -> u64 {
    const PAGE: u64 = 65_536;
    core::arch::wasm32::memory_size::<0>() as u64 * PAGE
}

/// Answers one request.
#[event(fetch)]
async fn fetch(mut request: Request, env: Env, context: Context) -> worker::Result<Response> {
    report_panics();
    let config = config(&env);
    let id = id::ulid(Timestamp(now()));
    let reply = match serve(&mut request, &env, &context, &config, &id).await {
        Ok(reply) => reply,
        Err(problem) => problem.reply(&id),
    };
    let reply = allow_origin(reply, &config, header(&request, "origin").as_deref());
    let headers = Headers::new();
    for (name, value) in &reply.headers {
        headers.append(name, value)?;
    }
    let response = ResponseBuilder::new().with_status(reply.status).with_headers(headers);
    Ok(if reply.body.is_empty() { response.empty() } else { response.fixed(reply.body) })
}

async fn serve(
    request: &mut Request,
    env: &Env,
    context: &Context,
    config: &Config,
    id: &str,
) -> Result<Reply, Problem> {
    // As it came: the library takes a method it does not know for GET.
    let method = request.inner().method();
    let route = route::route(&method, &request.path()).map_err(no_route)?;
    if let Route::Preflight(allowed) = route {
        return Ok(Reply::empty(204).with("allow", allowed));
    }
    if route == Route::Health {
        return Ok(with_store(|store| answers::health(store, memory_bytes())));
    }
    let visit = Visit::read(config, country(request), |name| header(request, name));
    if route == Route::Events {
        let body = read_body(request).await?;
        let (reply, events) = events::take(&body, &visit, Timestamp(now()))?;
        if let Some(origin) = config.origin.clone() {
            context.wait_until(forward(origin, events));
        }
        return Ok(reply);
    }

    let url = request.inner().url();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = Query::parse(query).map_err(answers::query_problem)?;
    let began = now();
    let loader = Loader { env, context, config };
    let mut ready = loader.find(query.region.as_deref(), visit.country.as_deref()).await;
    let loaded = now();
    let known = header(request, "if-none-match");
    let ask = Ask {
        route: &route,
        url: &url,
        query: &query,
        known: known.as_deref(),
        visit: &visit,
        id,
        now: Timestamp(loaded),
    };
    // Where tables are whole, there is no need to know what is read.
    if let Some(ready) = ready.as_mut().filter(|ready| ready.loaded.manifest.is_sharded()) {
        let rows = answers::reads(&ask, &ready.loaded.snapshot);
        loader.add_rows(ready, &rows).await;
    }
    let read = now();
    let reply = SCRATCH.with_borrow_mut(|scratch| answers::answer(config, &ask, ready.as_ref(), scratch))?;
    let (load, score) = (loaded.saturating_sub(began), now().saturating_sub(read));
    let mut timing = format!("load;dur={load}, score;dur={score}");
    if let Some((at_hand, needed @ 1..)) = ready.map(|ready| ready.shards) {
        let waited = read.saturating_sub(loaded);
        timing.push_str(&format!(", shards;dur={waited};desc=\"{at_hand} of {needed}\""));
    }
    Ok(reply.with("server-timing", timing))
}

/// Reads the body, giving up as soon as it is too large.
async fn read_body(request: &mut Request) -> Result<Vec<u8>, Problem> {
    let stated = header(request, "content-length").and_then(|length| length.parse::<u64>().ok());
    if stated.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(events::body_too_large());
    }
    // A request without a body has no stream.
    let Ok(mut chunks) = request.stream() else { return Ok(Vec::new()) };
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|_| Problem::bad_request("body", "The body ended early. Send it again."))?;
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            return Err(events::body_too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn no_route(why: NoRoute) -> Problem {
    match why {
        NoRoute::NotFound => Problem::new(
            404,
            "Not found",
            "There is nothing here. The paths are /v1/recommendations, /v1/popular, /v1/items/{id}, \
             /v1/items/{id}/similar, /v1/events and /healthz.",
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
fn allow_origin(reply: Reply, config: &Config, origin: Option<&str>) -> Reply {
    if config.cors_origins.is_empty() {
        return reply;
    }
    let reply = reply.with("vary", "origin");
    match origin {
        Some(origin) if config.cors_origins.iter().any(|allowed| allowed == origin) => reply
            .with("access-control-allow-origin", origin)
            .with("access-control-allow-credentials", "true")
            .with("access-control-allow-methods", "GET, HEAD, POST")
            .with("access-control-allow-headers", "content-type")
            .with("access-control-expose-headers", "etag, retry-after, server-timing")
            .with("access-control-max-age", "86400")
            .with("timing-allow-origin", origin),
        _ => reply,
    }
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}

/// The country that Cloudflare sees the request come from. Read by hand, because the library's own getter
/// does not bear a value of another type.
fn country(request: &Request) -> Option<String> {
    let cf = Reflect::get(request.inner(), &JsValue::from_str("cf")).ok()?;
    Reflect::get(&cf, &JsValue::from_str("country")).ok()?.as_string()
}

/// The settings, read once an isolate: they cannot change without a new one.
fn config(env: &Env) -> Rc<Config> {
    thread_local! {
        static CONFIG: OnceCell<Rc<Config>> = const { OnceCell::new() };
    }
    let read = || {
        let (config, complaints) = Config::read(|name| variable(env, name));
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
