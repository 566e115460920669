//! The delay between an event that the service acknowledges and the Worker's answer that reflects it.
//!
//! `VERGE_LIVE_TIMES` sets the number of measurements. The default is small: it only shows that updates arrive.

use crate::{Fixtures, Test};
use anyhow::{Context, Result, bail, ensure};
use end_to_end::{Edge, Reply, Service, Verge};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("what_is_bought_now_is_popular_at_the_edge", bought),
    ("what_is_sold_out_now_is_not_answered_by_the_edge", sold_out),
];

/// Time limit for an update, generous enough for a slow machine.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Number of measurements by default.
const TIMES: usize = 3;

/// `count` purchases of an item.
fn purchases(item: &str, count: usize) -> Value {
    (0..count).map(|_| json!({"kind": "purchase", "item": item, "quantity": 1})).collect()
}

/// Repeats a request until the answer meets a condition. Returns how long that took.
fn until(edge: &Edge, path: &str, condition: impl Fn(&Reply) -> bool) -> Result<Duration> {
    let started_at = Instant::now();
    loop {
        let reply = edge.get(path)?;
        if condition(&reply) {
            return Ok(started_at.elapsed());
        }
        if started_at.elapsed() > TIMEOUT {
            bail!("{path} does not meet the condition after {TIMEOUT:?}: {reply:?}\n{}", edge.log());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts a service that publishes to the Worker. Returns it with the ids of a hundred items.
fn serve(edge: &Edge, shop: &Verge) -> Result<(Service, Vec<String>)> {
    shop.publish(&edge.kv_api())?;
    let service = shop.serve(&edge.kv_api(), "admin")?;
    let reply = edge.until("/v1/popular?limit=100&region=world", |reply| reply.status == 200)?;
    ensure!(reply.ids().len() == 100, "too few items: {reply:?}");
    Ok((service, reply.ids()))
}

/// Makes a change several times and prints how long the changes took to become visible.
fn measure(name: &str, mut change: impl FnMut(usize) -> Result<Duration>) -> Result<()> {
    let times = std::env::var("VERGE_LIVE_TIMES").map_or(Ok(TIMES), |times| times.parse())?;
    let mut delays = (0..times).map(&mut change).collect::<Result<Vec<_>>>()?;
    delays.sort();
    let (median, worst) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    println!(
        "{name}: visible {median:.2?} after the acknowledgement (median), {worst:.2?} at most, of {times}"
    );
    Ok(())
}

fn bought(fixtures: &Fixtures) -> Result<()> {
    let (edge, shop) = (fixtures.changing()?, Verge::shop(3)?);
    let (service, items) = serve(edge, &shop)?;
    measure("popularity", |round| {
        let item = items.iter().cycle().nth(round * 7 + 5).context("no items")?;
        let status = service.send("POST", "/v1/events", &purchases(item, round * 2 + 5))?;
        ensure!(status == 202, "events were answered with {status}");
        let is_first = |reply: &Reply| reply.ids().first() == Some(item);
        until(edge, "/v1/popular?limit=1&region=world", is_first)
    })
}

fn sold_out(fixtures: &Fixtures) -> Result<()> {
    let (edge, shop) = (fixtures.changing()?, Verge::shop(3)?);
    let (service, items) = serve(edge, &shop)?;
    measure("stock", |round| {
        // In every other round the item is back in stock.
        let (item, in_stock) = (&items[round / 2 % 50], round % 2 == 1);
        let path = format!("/v1/items/{item}");
        let status = service.send("PATCH", &path, &json!({"in_stock": in_stock}))?;
        ensure!(status == 200, "the change was answered with {status}");
        let is_updated = |reply: &Reply| reply.ids().contains(item) == in_stock;
        until(edge, "/v1/popular?limit=100&region=world", is_updated)
    })
}
