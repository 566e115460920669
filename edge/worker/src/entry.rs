//! The functions that `js/entry.js` calls, and the platform as [`dispatch`] uses it.

use crate::bindings::config;
use crate::config::{Config, RateLimit};
use crate::counts::{Counts, Untaught};
use crate::details::Details;
use crate::dispatch::{self, Call, Host};
use crate::head::Head;
use crate::limits::{EventLimits, Limit};
use crate::load::{self, Loader, with_store};
use crate::platform::{self, now};
use crate::reply::{Reply, Stream};
use crate::store::ServedSnapshot;
use crate::{answers, cors, forward, id};
use snapshots::event::Event;
use snapshots::manifest::Place;
use snapshots::rows::RowKey;
use snapshots::time::Timestamp;
use std::cell::RefCell;
use std::sync::Once;
use worker::wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::worker_sys::{Context as JsContext, web_sys};
use worker::{Context, Env, console_error};

thread_local! {
    static COUNTS: RefCell<Counts> = RefCell::default();
    static LIMITS: RefCell<EventLimits> = RefCell::default();
}

/// Answers one request: a `Response`, or a promise of one if the request has to wait.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
pub fn fetch(request: web_sys::Request, env: Env, context: JsContext) -> JsValue {
    log_panics();
    platform::value_or_promise(async move {
        let (config, began) = (config(&env), now());
        let lines = platform::head(&request);
        let head = Head::read(&lines);
        let id = id::ulid(Timestamp(began));
        let host =
            Cloudflare { env: &env, context: &Context::new(context), config: &config, request: &request };
        let call = Call { host: &host, config: &config, head: &head, id: &id, began };
        let reply = dispatch::serve(&call).await.unwrap_or_else(|problem| problem.reply(&id));
        platform::respond(cors::allow_origin(reply, &config, head.origin))
    })
}

/// Sends a queue's batch to the origin: a promise that resolves when every message is acknowledged or retried.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
pub fn queue(batch: JsValue, env: Env) -> JsValue {
    log_panics();
    platform::value_or_promise(async move {
        forward::consume(&batch, &config(&env)).await;
        JsValue::UNDEFINED
    })
}

/// One request's platform.
struct Cloudflare<'a> {
    env: &'a Env,
    context: &'a Context,
    config: &'a Config,
    request: &'a web_sys::Request,
}

impl Cloudflare<'_> {
    fn loader(&self) -> Loader<'_> {
        Loader { env: self.env, context: self.context, config: self.config }
    }

    fn report_if_due(&self, now: i64) {
        if forward::is_paused(now) {
            return;
        }
        let Some(mut report) = COUNTS.with_borrow_mut(|counts| counts.take_due(now)) else { return };
        report.events_dropped = forward::take_dropped();
        if self.config.bindings.metrics {
            platform::measure(self.env, &report.figures());
        }
        if let Some(origin) = self.config.origin.clone() {
            self.context.wait_until(forward::send_report(origin, report));
        }
    }
}

impl Host for Cloudflare<'_> {
    fn now(&self) -> i64 {
        now()
    }

    fn health(&self) -> Reply {
        with_store(|store| answers::health(store, platform::memory_bytes()))
    }

    fn details(&self) -> Details {
        Details::read(&platform::details(self.request))
    }

    fn sender(&self) -> String {
        platform::sender(self.request)
    }

    fn authorization(&self) -> Option<String> {
        self.request.headers().get("authorization").ok().flatten()
    }

    fn minute_of_week(&self, zone: &str) -> Option<u16> {
        platform::minute_of_week(zone)
    }

    async fn is_within(&self, limit: RateLimit, times: u32) -> bool {
        platform::is_within(self.env, limit.binding(), self.request, times).await
    }

    fn admit(&self, clients: &[Limit<'_>], events: u32) -> bool {
        LIMITS.with_borrow_mut(|limits| limits.admit(clients, events, now()))
    }

    fn count_untaught(&self, reason: Untaught, events: u32) {
        let ended = now();
        COUNTS.with_borrow_mut(|counts| counts.add_untaught(reason, events, ended));
        self.report_if_due(ended);
    }

    async fn body(&self, limit: u32) -> Result<Option<Vec<u8>>, String> {
        platform::body(self.request, limit).await
    }

    async fn verify(&self, key: &str, signed: &str, signature: &str) -> bool {
        platform::verify(key, signed, signature).await
    }

    async fn forward(&self, events: &[Event]) {
        forward::forward(self.env, self.context, self.config, events).await;
    }

    async fn blob(&self, hash: &str) -> Result<Option<Stream>, String> {
        let found = load::blob(self.env, hash).await;
        found.inspect_err(|error| console_error!("{error}"))
    }

    async fn snapshot(
        &self,
        region: Option<&str>,
        country: Option<&str>,
        place: &dyn Fn() -> Place,
        began: i64,
    ) -> Option<ServedSnapshot> {
        self.loader().find(region, country, place, began).await
    }

    async fn load_rows(&self, served: &mut ServedSnapshot, rows: &[RowKey]) {
        self.loader().load_rows(served, rows).await;
    }

    fn count(&self, status: u16, exposed: &[(String, String)], began: i64, cache_hit: bool) {
        let ended = now();
        COUNTS.with_borrow_mut(|counts| counts.add(status, exposed, began, ended, cache_hit));
        self.report_if_due(ended);
        forward::send_in_background(self.context, self.config, ended);
    }
}

/// Logs a panic with its stack before the `worker` crate's hook marks the instance as aborted.
fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mark_aborted = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            console_error_panic_hook::hook(panic);
            mark_aborted(panic);
        }));
    });
}
