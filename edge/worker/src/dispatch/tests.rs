use super::*;
use crate::limits::EventLimits;
use crate::reply::Body;
use crate::store::LoadedSnapshot;
use snapshots::envelope::{Envelope, Section};
use snapshots::event::Trust;
use snapshots::manifest::{BlobRef, Manifest, WORLD};
use snapshots::strategy::{self, Strategy};
use snapshots::{Bytes, Snapshot, attributes, ids, popularity};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

const NOW: i64 = 1_795_000_000_000;
const HASH: &str = "0123456789abcdef0123456789abcdef";

/// A platform of fixed answers that records what was forwarded and counted.
#[derive(Default)]
struct FakeHost {
    served: Option<fn() -> ServedSnapshot>,
    body: Option<Vec<u8>>,
    body_fails: bool,
    blob_fails: bool,
    rate_limited: bool,
    sender: &'static str,
    calls: Cell<u32>,
    limits: RefCell<EventLimits>,
    untaught: RefCell<Vec<(Untaught, u32)>>,
    forwarded: RefCell<Vec<Event>>,
    counted: Cell<Option<(u16, bool)>>,
}

impl Host for FakeHost {
    fn now(&self) -> i64 {
        NOW
    }
    fn health(&self) -> Reply {
        Reply::empty(200)
    }
    fn details(&self) -> Details {
        Details::read("mobile\nEurope/Paris\nEU\nIDF")
    }
    fn sender(&self) -> String {
        self.sender.to_owned()
    }
    fn authorization(&self) -> Option<String> {
        None
    }
    fn minute_of_week(&self, _: &str) -> Option<u16> {
        None
    }
    async fn is_within(&self, _: RateLimit, times: u32) -> bool {
        self.calls.set(self.calls.get() + times);
        !self.rate_limited
    }
    fn admit(&self, clients: &[Limit<'_>], events: u32) -> bool {
        self.limits.borrow_mut().admit(clients, events, NOW)
    }
    fn count_untaught(&self, reason: Untaught, events: u32) {
        self.untaught.borrow_mut().push((reason, events));
    }
    async fn body(&self, _: u32) -> Result<Option<Vec<u8>>, String> {
        if self.body_fails { Err("the connection closed".into()) } else { Ok(self.body.clone()) }
    }
    async fn verify(&self, key: &str, _: &str, signature: &str) -> bool {
        key == signature
    }
    async fn forward(&self, events: &[Event]) {
        self.forwarded.borrow_mut().extend_from_slice(events);
    }
    async fn blob(&self, hash: &str) -> Result<Option<Stream>, String> {
        if self.blob_fails { Err("KV is down".into()) } else { Ok((hash == HASH).then(|| b"abc".to_vec())) }
    }
    async fn snapshot(
        &self,
        _: Option<&str>,
        _: Option<&str>,
        _: &dyn Fn() -> Place,
        _: i64,
    ) -> Option<ServedSnapshot> {
        self.served.map(|served| served())
    }
    async fn load_rows(&self, _: &mut ServedSnapshot, _: &[RowKey]) {}
    fn count(&self, status: u16, _: &[(String, String)], _: i64, cache_hit: bool) {
        self.counted.set(Some((status, cache_hit)));
    }
}

/// A snapshot of one item, in stock.
fn served() -> ServedSnapshot {
    let item = attributes::Item { in_stock: true, ..attributes::Item::default() };
    let sections = vec![
        Section::new(ids::NAME, ids::VERSION, ids::write(&["a"])),
        Section::new(attributes::NAME, attributes::VERSION, attributes::write("EUR", &["a"], &[item])),
        Section::new(popularity::NAME, popularity::VERSION, popularity::write(&[(1.0, 1.0)])),
        Section::new(strategy::NAME, strategy::VERSION, strategy::write(&[Strategy::default()]).unwrap()),
    ];
    let envelope = Envelope { region: String::new(), built_at: Timestamp(NOW), catalogue: 0, sections };
    let blob = Bytes::from(envelope.write().unwrap());
    let blobs = vec![BlobRef::new("items", &blob)];
    let manifest = Manifest::new(WORLD, Timestamp(NOW), blobs, Default::default());
    let manifest = manifest.with_lite(Some(BlobRef::new("lite", b"lite")));
    let snapshot = Snapshot::open(std::slice::from_ref(&blob)).unwrap();
    ServedSnapshot {
        loaded: Rc::new(LoadedSnapshot { manifest, snapshot, blobs: vec![blob] }),
        with_rows: None,
        shards: (0, 0),
        waited: false,
        outdated: false,
        fallback: false,
        refresh: false,
    }
}

fn fallback() -> ServedSnapshot {
    ServedSnapshot { fallback: true, ..served() }
}

/// Polls once: no future of [`FakeHost`] waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

fn config(settings: &[(&str, &str)]) -> Config {
    Config::read(|name| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())).0
}

fn request(host: &FakeHost, config: &Config, method: &str, path: &str) -> Result<Reply, Problem> {
    let url = format!("https://shop.example{path}");
    let head = Head { method, url: &url, country: "FR", ..Head::default() };
    ready(serve(&Call { host, config, head: &head, id: "01JD", began: NOW }))
}

fn status(host: &FakeHost, config: &Config, method: &str, path: &str) -> u16 {
    request(host, config, method, path).map_or_else(|problem| problem.status, |reply| reply.status)
}

#[test]
fn requests_without_a_route_are_rejected() {
    let (host, config) = (FakeHost::default(), config(&[("BASE_PATH", "/verge")]));
    assert_eq!(status(&host, &config, "GET", "/v1/popular"), 404);
    assert_eq!(status(&host, &config, "GET", "/verge/nothing"), 404);
    assert_eq!(status(&host, &config, "PUT", "/verge/v1/popular"), 405);
    assert_eq!(status(&host, &config, "OPTIONS", "/verge/v1/popular"), 204);
    assert_eq!(status(&host, &config, "GET", "/verge/healthz"), 200);
    assert_eq!(status(&host, &config, "GET", "/verge/v1/live"), 426);
    assert_eq!(host.counted.get(), None, "only requests for items are counted");
}

#[test]
fn answers_are_counted_with_their_status() {
    let (mut host, config) = (FakeHost::default(), config(&[]));
    assert_eq!(status(&host, &config, "GET", "/v1/popular"), 503);
    assert_eq!(host.counted.get(), Some((503, false)));
    host.served = Some(served);
    let reply = request(&host, &config, "GET", "/v1/popular").unwrap();
    assert!(reply.body.text().starts_with(r#"{"items":[{"score":"#), "{}", reply.body.text());
    assert!(
        reply.headers.iter().any(|(name, value)| *name == "server-timing" && value.starts_with("load;dur=0"))
    );
    assert_eq!(host.counted.get(), Some((200, true)));
    assert_eq!(status(&host, &config, "GET", "/v1/popular?limit=x"), 400);
    assert_eq!(status(&host, &config, "GET", "/v1/items/b"), 404);
}

#[test]
fn unknown_parameters_are_rejected_by_name() {
    let (host, config) = (FakeHost { served: Some(served), ..FakeHost::default() }, config(&[]));
    let blob = format!("/v1/snapshots/blob/{HASH}");
    for path in
        ["/v1/recommendations", "/v1/popular", "/v1/items/a/similar", "/v1/items/a", "/v1/live", &*blob]
    {
        let problem = request(&host, &config, "GET", &format!("{path}?utm_source=x&limt=3")).unwrap_err();
        assert_eq!((problem.status, problem.field.as_deref()), (400, Some("limt")), "{path}");
        let ignored = status(&host, &config, "GET", &format!("{path}?utm_source=x&gclid=y&_=1"));
        assert_eq!(ignored, if path == "/v1/live" { 426 } else { 200 }, "{path}");
    }
    let problem = request(&host, &config, "GET", "/v1/popular?limt=3").unwrap_err();
    assert_eq!(problem.detail, "unknown parameter; did you mean `limit`?");
    assert_eq!(status(&host, &config, "GET", "/v1/items/a?limit=3"), 400);
    assert_eq!(status(&host, &config, "GET", "/healthz?anything=1"), 200);
}

#[test]
fn an_answer_from_the_world_in_place_of_a_failed_region_is_marked_stale() {
    let (config, mut host) = (config(&[]), FakeHost { served: Some(served), ..FakeHost::default() });
    let degraded = |host: &FakeHost| {
        let reply = request(host, &config, "GET", "/v1/popular?region=gb").unwrap();
        let body: serde_json::Value = serde_json::from_str(reply.body.text()).unwrap();
        body["degraded"].clone()
    };
    assert_eq!(degraded(&host), serde_json::Value::Null);
    assert_eq!(status(&host, &config, "GET", "/v1/snapshots/manifest/gb"), 200);
    host.served = Some(fallback);
    assert_eq!(degraded(&host), "stale");
    assert_eq!(status(&host, &config, "GET", "/v1/snapshots/manifest/gb"), 503);
}

#[test]
fn a_client_beyond_its_rate_limit_is_rejected() {
    let (host, mut config) = (FakeHost { rate_limited: true, ..FakeHost::default() }, config(&[]));
    assert_eq!(status(&host, &config, "GET", "/v1/popular"), 503, "the limit is not bound");
    config.bindings.answers_limit = true;
    let problem = request(&host, &config, "GET", "/v1/popular").unwrap_err();
    assert_eq!((problem.status, problem.header), (429, Some(("retry-after", "10".to_owned()))));
    assert_eq!(status(&host, &config, "POST", "/v1/events"), 413, "events have a limit of their own");
}

#[test]
fn events_are_forwarded_with_the_subdivision_if_configured() {
    let body = br#"{"kind":"view","item":"a"}"#.to_vec();
    let host = FakeHost { body: Some(body), ..FakeHost::default() };
    assert_eq!(status(&host, &config(&[]), "POST", "/v1/events"), 202);
    assert_eq!(status(&host, &config(&[("AREAS", "subdivision")]), "POST", "/v1/events"), 202);
    let regions: Vec<_> = host.forwarded.borrow().iter().map(|event| event.region.clone().unwrap()).collect();
    assert_eq!(regions, ["fr", "fr-idf"]);
}

#[test]
fn a_key_lets_events_name_regions_and_passes_the_limit() {
    let body = br#"{"kind":"view","item":"a","region":"de"}"#.to_vec();
    let host =
        |sender| FakeHost { body: Some(body.clone()), rate_limited: true, sender, ..FakeHost::default() };
    let mut config =
        config(&[("EVENTS_KEY", "a key of sixteen"), ("ORIGIN_URL", "https://o"), ("ORIGIN_KEY", "k")]);
    let keyed = host("Bearer a key of sixteen\n\n203.0.113.7");
    config.bindings.events_limit = true;
    assert_eq!(status(&keyed, &config, "POST", "/v1/events"), 202);
    let forwarded = keyed.forwarded.borrow();
    assert_eq!((forwarded[0].trust, forwarded[0].region.as_deref()), (Some(Trust::Keyed), Some("de")));
    for (sender, expected) in [("Bearer another key\n", 429), ("\n", 429), ("\ncross-site", 403)] {
        assert_eq!(status(&host(sender), &config, "POST", "/v1/events"), expected, "{sender}");
    }
    config.bindings.events_limit = false;
    assert_eq!(status(&host("Bearer another key\n"), &config, "POST", "/v1/events"), 401);
    let public = host("\n\n203.0.113.7");
    assert_eq!(status(&public, &config, "POST", "/v1/events"), 202);
    let forwarded = public.forwarded.borrow();
    assert_eq!((forwarded[0].trust, forwarded[0].region.as_deref()), (Some(Trust::Public), Some("fr")));
    assert!(forwarded[0].bucket.is_some());
}

#[test]
fn a_limit_counts_events_by_address_and_by_visitor() {
    let body = |count: usize| Some(r#"{"kind":"view","item":"a"}"#.repeat(count).into_bytes());
    let mut host = FakeHost { sender: "\n\n203.0.113.7", body: body(50), ..FakeHost::default() };
    let mut config =
        config(&[("EVENTS_PER_ADDRESS", "120"), ("EVENTS_PER_VISITOR", "60"), ("CONSENT", "always")]);
    config.bindings.events_limit = true;
    let send = |host: &FakeHost, cookie: &str| {
        let head = Head { method: "POST", url: "https://shop.example/v1/events", cookie, ..Head::default() };
        let call = Call { host, config: &config, head: &head, id: "01JD", began: NOW };
        ready(serve(&call)).map_or_else(|problem| problem.status, |reply| reply.status)
    };
    let (ann, bob) = ("verge_visitor=AAAAAAAAAAAAAAAAAAAAAA", "verge_visitor=BBBBBBBBBBBBBBBBBBBBBB");
    assert_eq!([send(&host, ann), send(&host, ann), send(&host, bob), send(&host, "")], [202, 429, 202, 429]);
    assert_eq!(*host.untaught.borrow(), [(Untaught::Limited, 50); 2]);
    assert_eq!(host.forwarded.borrow().len(), 100);
    // Each request, and each further 25 events begun of those that were admitted.
    assert_eq!(host.calls.get(), 4 + 2);
    host.body = body(20);
    assert_eq!(send(&host, ""), 202);
    host.sender = "\n\n203.0.113.8";
    assert_eq!(send(&host, ""), 202, "another address");
}

#[test]
fn events_of_bots_are_accepted_and_not_forwarded() {
    let body = Some(br#"[{"kind":"view","item":"a"},{"kind":"view","item":"b"}]"#.to_vec());
    let host = FakeHost { sender: "\n\n203.0.113.7\n\nGooglebot/2.1", body, ..FakeHost::default() };
    assert_eq!(status(&host, &config(&[]), "POST", "/v1/events"), 202);
    assert!(host.forwarded.borrow().is_empty());
    assert_eq!(*host.untaught.borrow(), [(Untaught::Bot, 2)]);
}

#[test]
fn a_body_that_is_cut_or_too_large_is_rejected() {
    let config = config(&[]);
    let host = FakeHost { body_fails: true, ..FakeHost::default() };
    assert_eq!(status(&host, &config, "POST", "/v1/events"), 400);
    assert_eq!(status(&FakeHost::default(), &config, "POST", "/v1/events"), 413);
    let length = (MAX_BODY + 1).to_string();
    let head =
        Head { method: "POST", url: "https://a/v1/events", content_length: &length, ..Head::default() };
    let call = Call { host: &host, config: &config, head: &head, id: "01JD", began: NOW };
    assert_eq!(ready(serve(&call)).unwrap_err().status, 413, "without reading the body");
}

#[test]
fn blobs_are_streamed_and_a_failed_read_is_no_missing_blob() {
    let (mut host, config) = (FakeHost::default(), config(&[]));
    let path = format!("/v1/snapshots/blob/{HASH}");
    let reply = request(&host, &config, "GET", &path).unwrap();
    assert_eq!((reply.status, reply.body), (200, Body::Stream(b"abc".to_vec())));
    let other = HASH.replace('0', "1");
    assert_eq!(status(&host, &config, "GET", &format!("/v1/snapshots/blob/{other}")), 404);
    host.blob_fails = true;
    assert_eq!(status(&host, &config, "GET", &path), 500);
}
