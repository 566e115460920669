//! From an event that the service acknowledges to the answer of the Worker, while both run.
//!
//! `VERGE_LIVE_TIMES=100` measures it so often; by default a few times, to see that it happens.

use crate::{Parts, Test};
use anyhow::{Context, Result, bail, ensure};
use end_to_end::{Edge, Reply, Service, Verge};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub const TESTS: &[Test] = &[
    ("what_is_bought_now_is_popular_at_the_edge", bought),
    ("what_is_sold_out_now_is_not_answered_by_the_edge", sold_out),
];

/// Longer than this it takes never, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(60);
const TIMES: usize = 3;

/// The most popular item is another than before by so many purchases more each time.
fn purchases(item: &str, count: usize) -> Value {
    (0..count).map(|_| json!({"kind": "purchase", "item": item, "quantity": 1})).collect()
}

/// Asks until the answer is as wanted; how long that took.
fn until(edge: &Edge, path: &str, wanted: impl Fn(&Reply) -> bool) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let reply = edge.get(path)?;
        if wanted(&reply) {
            return Ok(began.elapsed());
        }
        if began.elapsed() > PATIENCE {
            bail!("{path} is not as wanted after {PATIENCE:?}: {reply:?}\n{}", edge.log());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A service that publishes to the Worker, and the ids of a hundred items.
fn serve(edge: &Edge, shop: &Verge) -> Result<(Service, Vec<String>)> {
    shop.publish(&edge.kv_api())?;
    let service = shop.serve(&edge.kv_api(), "admin")?;
    let reply = edge.until("/v1/popular?limit=100&region=world", |reply| reply.status == 200)?;
    ensure!(reply.ids().len() == 100, "too few items: {reply:?}");
    Ok((service, reply.ids()))
}

/// Does something a few times, or as often as asked for, and tells how long it took to be seen.
fn measure(what: &str, mut change: impl FnMut(usize) -> Result<Duration>) -> Result<()> {
    let times = std::env::var("VERGE_LIVE_TIMES").map_or(Ok(TIMES), |times| times.parse())?;
    let mut took = (0..times).map(&mut change).collect::<Result<Vec<_>>>()?;
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!(
        "{what}: visible {median:.2?} after the acknowledgement at the median, {worst:.2?} at worst, of {times}"
    );
    Ok(())
}

fn bought(parts: &Parts) -> Result<()> {
    let (edge, shop) = (parts.changing()?, Verge::shop(3)?);
    let (service, items) = serve(edge, &shop)?;
    measure("popularity", |time| {
        let item = items.iter().cycle().nth(time * 7 + 5).context("no items")?;
        let status = service.send("POST", "/v1/events", &purchases(item, time * 2 + 5))?;
        ensure!(status == 202, "events are answered with {status}");
        let is_first = |reply: &Reply| reply.ids().first() == Some(item);
        until(edge, "/v1/popular?limit=1&region=world", is_first)
    })
}

fn sold_out(parts: &Parts) -> Result<()> {
    let (edge, shop) = (parts.changing()?, Verge::shop(3)?);
    let (service, items) = serve(edge, &shop)?;
    measure("stock", |time| {
        // Every other time the item comes back.
        let (item, in_stock) = (&items[time / 2 % 50], time % 2 == 1);
        let path = format!("/v1/items/{item}");
        let status = service.send("PATCH", &path, &json!({"in_stock": in_stock}))?;
        ensure!(status == 200, "the change is answered with {status}");
        let is_told = |reply: &Reply| reply.ids().contains(item) == in_stock;
        until(edge, "/v1/popular?limit=100&region=world", is_told)
    })
}
