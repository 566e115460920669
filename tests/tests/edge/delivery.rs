//! Events on their way to an origin that fails: by the queue of `wrangler.toml`, and without one.

use crate::answers::is_unharmed;
use crate::{Parts, Test};
use anyhow::{Result, ensure};
use end_to_end::{Edge, Peer, Received, recipe};
use serde_json::{Value, json};
use snapshots::report::Report;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub const TESTS: &[Test] = &[
    ("a_queue_loses_no_event_while_the_origin_is_down", by_queue),
    ("a_message_that_the_origin_refuses_does_not_cost_the_others", poison),
    ("without_a_queue_an_isolate_keeps_events_while_the_origin_is_down", by_outbox),
    ("events_beyond_what_an_isolate_keeps_are_counted", overflow),
    ("answers_do_not_wait_for_an_origin_that_hangs", hanging),
];

/// Longer than this an origin that is back waits for nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// An origin that gives the status it is told to, and 400 to what holds `poison`.
struct Origin {
    peer: Peer,
    status: Arc<AtomicU16>,
}

impl Origin {
    fn start(status: u16) -> Result<Self> {
        let status = Arc::new(AtomicU16::new(status));
        let told = Arc::clone(&status);
        let peer = Peer::start(move |request| (status_of(request, &told), b"{}".to_vec()))?;
        Ok(Self { peer, status })
    }

    /// How often each event was taken, by its id.
    fn taken(&self) -> BTreeMap<String, usize> {
        let mut taken = BTreeMap::new();
        for one in self.peer.received().iter().filter(|one| one.status == 202 && one.path == "/v1/events") {
            for event in serde_json::Deserializer::from_slice(&one.body).into_iter::<Value>().flatten() {
                *taken.entry(event["id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
        taken
    }

    fn until_it_took(&self, count: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.taken().len() < count {
            ensure!(Instant::now() < deadline, "the origin took {} events, not {count}", self.taken().len());
            thread::sleep(Duration::from_millis(50));
        }
        let taken = self.taken();
        ensure!(taken.len() == count, "the origin took {} events, not {count}", taken.len());
        // It said no to the others, so that there is no reason to send one twice.
        ensure!(taken.values().all(|times| *times == 1), "events came twice: {taken:?}");
        Ok(())
    }
}

fn status_of(request: &Received, told: &AtomicU16) -> u16 {
    let status = told.load(Ordering::SeqCst);
    if status == 202 && String::from_utf8_lossy(&request.body).contains("poison") { 400 } else { status }
}

/// Sends a body of events with these ids.
fn send(edge: &Edge, ids: impl Iterator<Item = String>) -> Result<()> {
    let events: Vec<Value> = ids.map(|id| json!({"id": id, "kind": "view", "item": "a"})).collect();
    let reply = edge.request("POST", "/v1/events").body(Value::from(events).to_string()).send()?;
    ensure!(reply.status == 202 && reply.json()["rejected"] == json!([]), "{reply:?}");
    Ok(())
}

/// Sends so many bodies of so many events.
fn send_many(edge: &Edge, bodies: usize, events: usize) -> Result<usize> {
    for body in 0..bodies {
        send(edge, (0..events).map(|event| format!("event-{body}-{event}")))?;
    }
    Ok(bodies * events)
}

fn with_queue(origin: &Origin) -> Result<Edge> {
    let config = recipe(&["queues.producers"])?.replace("max_batch_timeout = 5", "max_batch_timeout = 1");
    Edge::start_as(&[(&config, "")], &[("ORIGIN_URL", &origin.peer.address()), ("ORIGIN_KEY", "sesame")])
}

fn by_queue(_: &Parts) -> Result<()> {
    let origin = Origin::start(503)?;
    let edge = with_queue(&origin)?;
    let sent = send_many(&edge, 30, 10)? + send_many_large(&edge)?;
    let deadline = Instant::now() + PATIENCE;
    while origin.peer.received().len() < 2 {
        ensure!(Instant::now() < deadline, "the queue does not try the origin");
        thread::sleep(Duration::from_millis(50));
    }
    origin.status.store(202, Ordering::SeqCst);
    origin.until_it_took(sent)?;
    let received = origin.peer.received();
    ensure!(received.iter().all(|one| one.authorization == "Bearer sesame"), "without the key");
    ensure!(received.len() < 30, "{} requests: events are not put together", received.len());
    Ok(())
}

/// A body that fills several messages.
fn send_many_large(edge: &Edge) -> Result<usize> {
    send(edge, (0..500).map(|event| format!("{event:0>128}")))?;
    Ok(500)
}

fn poison(_: &Parts) -> Result<()> {
    let origin = Origin::start(202)?;
    let edge = with_queue(&origin)?;
    for id in ["one", "poison", "two"] {
        send(&edge, [id.to_owned()].into_iter())?;
    }
    origin.until_it_took(2)?;
    // What is refused for good is not tried for ever.
    let refused = || origin.peer.received().iter().filter(|one| one.status == 400).count();
    let tries = refused();
    ensure!((1..=2).contains(&tries), "tried {tries} times");
    thread::sleep(Duration::from_secs(4));
    ensure!(refused() == tries, "tried {} times more", refused() - tries);
    ensure!(edge.log().contains("rejected 1 events"), "the log does not tell of it:\n{}", edge.log());
    Ok(())
}

fn by_outbox(_: &Parts) -> Result<()> {
    let origin = Origin::start(503)?;
    let edge = Edge::start(&[("ORIGIN_URL", &origin.peer.address())])?;
    let began = Instant::now();
    let sent = send_many(&edge, 40, 10)?;
    thread::sleep(Duration::from_secs(4).saturating_sub(began.elapsed()));
    // After 0.5, 1, 2, 4 s, however many visitors come.
    let tries = origin.peer.received().len();
    let allowed = 2 + began.elapsed().as_millis().div_ceil(500).ilog2() as usize;
    ensure!(tries >= 2, "the origin was tried {tries} times");
    ensure!(tries <= allowed, "the origin was tried {tries} times in {:?}", began.elapsed());
    origin.status.store(202, Ordering::SeqCst);
    origin.until_it_took(sent)
}

fn overflow(parts: &Parts) -> Result<()> {
    let origin = Origin::start(503)?;
    let edge = Edge::start(&[("ORIGIN_URL", &origin.peer.address())])?;
    parts.shop()?.publish(&edge.kv_api())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    let sent = send_many(&edge, 24, 500)?;
    origin.status.store(202, Ordering::SeqCst);
    let deadline = Instant::now() + PATIENCE;
    let report = loop {
        is_unharmed(&edge)?;
        let received = origin.peer.received();
        let mut told = received.iter().filter(|one| one.status == 202 && one.path == "/v1/metrics/edge");
        if let Some(told) = told.next() {
            break serde_json::from_slice::<Report>(&told.body)?;
        }
        ensure!(Instant::now() < deadline, "no report");
        thread::sleep(Duration::from_millis(250));
    };
    let dropped = usize::try_from(report.events_dropped)?;
    ensure!(dropped == 2_000, "{dropped} of {sent} events are said to be lost, and 10,000 are kept");
    let log = edge.log();
    ensure!(log.contains("the outbox is full"), "the log does not tell of it:\n{log}");
    origin.until_it_took(sent - dropped)
}

fn hanging(parts: &Parts) -> Result<()> {
    // Answers when the test is over.
    let (release, hold) = std::sync::mpsc::channel::<()>();
    let hold = std::sync::Mutex::new(hold);
    let origin = Peer::start(move |_| {
        let _ = hold.lock().unwrap().recv();
        (202, Vec::new())
    })?;
    let edge = Edge::start(&[("ORIGIN_URL", &origin.address())])?;
    parts.shop()?.publish(&edge.kv_api())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    let began = Instant::now();
    for _ in 0..5 {
        send_many(&edge, 1, 1)?;
        is_unharmed(&edge)?;
    }
    // One waits for 5 s at most, the next comes half a second later.
    let most = 1 + began.elapsed().as_millis() / 5_500;
    let tries = origin.received().len();
    ensure!((1..=most).contains(&(tries as u128)), "{tries} requests in {:?}", began.elapsed());
    drop(release);
    Ok(())
}
