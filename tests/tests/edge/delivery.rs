//! Delivery of events to a failing origin, with the queue of `wrangler.toml` and without.

use crate::answers::ensure_healthy;
use crate::{Fixtures, Test};
use anyhow::{Result, ensure};
use end_to_end::{Edge, Peer, Received, wrangler_config};
use serde_json::{Value, json};
use snapshots::report::Report;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("queue_keeps_all_events_while_the_origin_is_down", by_queue),
    ("rejected_message_does_not_affect_others", poison),
    ("isolate_keeps_events_while_the_origin_is_down", by_outbox),
    ("dropped_events_are_counted", overflow),
    ("answers_do_not_wait_for_a_hanging_origin", hanging),
];

/// Time limit for delivery to an origin that has recovered.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A fake origin that answers with a configurable status, and with 400 to bodies that contain `poison`.
struct Origin {
    peer: Peer,
    status: Arc<AtomicU16>,
}

impl Origin {
    fn start(status: u16) -> Result<Self> {
        let status = Arc::new(AtomicU16::new(status));
        let configured = Arc::clone(&status);
        let peer = Peer::start(move |request| (status_of(request, &configured), b"{}".to_vec()))?;
        Ok(Self { peer, status })
    }

    /// The number of times that each event was accepted, by id.
    fn accepted(&self) -> BTreeMap<String, usize> {
        let mut accepted = BTreeMap::new();
        for one in self.peer.received().iter().filter(|one| one.status == 202 && one.path == "/v1/events") {
            for event in serde_json::Deserializer::from_slice(&one.body).into_iter::<Value>().flatten() {
                *accepted.entry(event["id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
        accepted
    }

    fn wait_for(&self, count: usize) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while self.accepted().len() < count {
            ensure!(
                Instant::now() < deadline,
                "the origin accepted {} events, not {count}",
                self.accepted().len()
            );
            thread::sleep(Duration::from_millis(50));
        }
        let accepted = self.accepted();
        ensure!(accepted.len() == count, "the origin accepted {} events, not {count}", accepted.len());
        // All other attempts were refused, so that nothing was sent twice.
        ensure!(accepted.values().all(|times| *times == 1), "events arrived twice: {accepted:?}");
        Ok(())
    }
}

fn status_of(request: &Received, configured: &AtomicU16) -> u16 {
    let status = configured.load(Ordering::SeqCst);
    if status == 202 && String::from_utf8_lossy(&request.body).contains("poison") { 400 } else { status }
}

/// Sends a request with events of these ids.
fn send(edge: &Edge, ids: impl Iterator<Item = String>) -> Result<()> {
    let events: Vec<Value> = ids.map(|id| json!({"id": id, "kind": "view", "item": "a"})).collect();
    let reply = edge.request("POST", "/v1/events").body(Value::from(events).to_string()).send()?;
    ensure!(reply.status == 202 && reply.json()["rejected"] == json!([]), "{reply:?}");
    Ok(())
}

/// Sends `bodies` requests with `events` events each.
fn send_many(edge: &Edge, bodies: usize, events: usize) -> Result<usize> {
    for body in 0..bodies {
        send(edge, (0..events).map(|event| format!("event-{body}-{event}")))?;
    }
    Ok(bodies * events)
}

fn with_queue(origin: &Origin) -> Result<Edge> {
    let config =
        wrangler_config(&["queues.producers"])?.replace("max_batch_timeout = 5", "max_batch_timeout = 1");
    Edge::start_as(&[(&config, "")], &[("ORIGIN_URL", &origin.peer.address()), ("ORIGIN_KEY", "sesame")])
}

fn by_queue(_: &Fixtures) -> Result<()> {
    let origin = Origin::start(503)?;
    let edge = with_queue(&origin)?;
    let sent = send_many(&edge, 30, 10)? + send_large(&edge)?;
    let deadline = Instant::now() + TIMEOUT;
    while origin.peer.received().len() < 2 {
        ensure!(Instant::now() < deadline, "the queue does not call the origin");
        thread::sleep(Duration::from_millis(50));
    }
    origin.status.store(202, Ordering::SeqCst);
    origin.wait_for(sent)?;
    let received = origin.peer.received();
    ensure!(received.iter().all(|one| one.authorization == "Bearer sesame"), "a request without the key");
    ensure!(received.len() < 30, "{} requests: events are not batched", received.len());
    Ok(())
}

/// Sends one request that fills several queue messages.
fn send_large(edge: &Edge) -> Result<usize> {
    send(edge, (0..500).map(|event| format!("{event:0>128}")))?;
    Ok(500)
}

fn poison(_: &Fixtures) -> Result<()> {
    let origin = Origin::start(202)?;
    let edge = with_queue(&origin)?;
    for id in ["one", "poison", "two"] {
        send(&edge, [id.to_owned()].into_iter())?;
    }
    origin.wait_for(2)?;
    // A rejected message is not retried forever.
    let refused = || origin.peer.received().iter().filter(|one| one.status == 400).count();
    let tries = refused();
    ensure!((1..=2).contains(&tries), "sent {tries} times");
    thread::sleep(Duration::from_secs(4));
    ensure!(refused() == tries, "sent {} more times", refused() - tries);
    ensure!(edge.log().contains("rejected 1 events"), "the log does not report it:\n{}", edge.log());
    Ok(())
}

fn by_outbox(_: &Fixtures) -> Result<()> {
    let origin = Origin::start(503)?;
    let edge = Edge::start(&[("ORIGIN_URL", &origin.peer.address())])?;
    let started_at = Instant::now();
    let sent = send_many(&edge, 40, 10)?;
    thread::sleep(Duration::from_secs(4).saturating_sub(started_at.elapsed()));
    // Retries come after 0.5, 1, 2, 4 s, for any number of visitors.
    let tries = origin.peer.received().len();
    let allowed = 2 + started_at.elapsed().as_millis().div_ceil(500).ilog2() as usize;
    ensure!(tries >= 2, "the origin was called {tries} times");
    ensure!(tries <= allowed, "the origin was called {tries} times in {:?}", started_at.elapsed());
    origin.status.store(202, Ordering::SeqCst);
    origin.wait_for(sent)
}

fn overflow(fixtures: &Fixtures) -> Result<()> {
    let origin = Origin::start(503)?;
    let edge = Edge::start(&[("ORIGIN_URL", &origin.peer.address()), ("EVENTS_PER_ADDRESS", "0")])?;
    fixtures.shop()?.publish(&edge.kv_api())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    let sent = send_many(&edge, 24, 500)?;
    origin.status.store(202, Ordering::SeqCst);
    let deadline = Instant::now() + TIMEOUT;
    let report = loop {
        ensure_healthy(&edge)?;
        let received = origin.peer.received();
        let mut reports = received.iter().filter(|one| one.status == 202 && one.path == "/v1/metrics/edge");
        if let Some(report) = reports.next() {
            break serde_json::from_slice::<Report>(&report.body)?;
        }
        ensure!(Instant::now() < deadline, "no report");
        thread::sleep(Duration::from_millis(250));
    };
    let dropped = usize::try_from(report.events_dropped)?;
    ensure!(dropped == 2_000, "{dropped} of {sent} events are reported as dropped, although 10,000 are kept");
    let log = edge.log();
    ensure!(log.contains("the outbox is full"), "the log does not report it:\n{log}");
    origin.wait_for(sent - dropped)
}

fn hanging(fixtures: &Fixtures) -> Result<()> {
    // Does not answer before the test ends.
    let (release, hold) = std::sync::mpsc::channel::<()>();
    let hold = std::sync::Mutex::new(hold);
    let origin = Peer::start(move |_| {
        let _ = hold.lock().unwrap().recv();
        (202, Vec::new())
    })?;
    let edge = Edge::start(&[("ORIGIN_URL", &origin.address())])?;
    fixtures.shop()?.publish(&edge.kv_api())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    let started_at = Instant::now();
    for _ in 0..5 {
        send_many(&edge, 1, 1)?;
        ensure_healthy(&edge)?;
    }
    // A call times out after 5 s; the next one starts 0.5 s later.
    let max = 1 + started_at.elapsed().as_millis() / 5_500;
    let tries = origin.received().len();
    ensure!((1..=max).contains(&(tries as u128)), "{tries} requests in {:?}", started_at.elapsed());
    drop(release);
    Ok(())
}
