//! From an event that the service acknowledges to the answer of the Worker, while both run.
//!
//! `VERGE_LIVE_TIMES=100` measures it so often; by default a few times, to see that it happens.

use crate::{Parts, Test};
use anyhow::{Context, Result, bail, ensure};
use end_to_end::{Edge, Service, Verge};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub const TESTS: &[Test] = &[("what_is_bought_now_is_popular_at_the_edge", bought)];

/// Longer than this it takes never, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(60);
const TIMES: usize = 3;

/// The most popular item is another than before by so many purchases more each time.
fn purchases(item: &str, count: usize) -> Value {
    (0..count).map(|_| json!({"kind": "purchase", "item": item, "quantity": 1})).collect()
}

fn until_first(edge: &Edge, item: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let reply = edge.get("/v1/popular?limit=1&region=world")?;
        if reply.ids().first().is_some_and(|first| first == item) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            bail!("{item} is not the most popular item after {PATIENCE:?}: {reply:?}\n{}", edge.log());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn bought(parts: &Parts) -> Result<()> {
    let (edge, shop) = (parts.changing()?, Verge::shop(3)?);
    shop.publish(&edge.kv_api())?;
    let service: Service = shop.serve(&edge.kv_api(), "events")?;
    let reply = edge.until("/v1/popular?limit=100&region=world", |reply| reply.status == 200)?;
    let items = reply.ids();
    ensure!(items.len() == 100, "too few items: {reply:?}");
    let times = std::env::var("VERGE_LIVE_TIMES").map_or(Ok(TIMES), |times| times.parse())?;
    let mut took = Vec::new();
    for time in 0..times {
        let item = items.iter().cycle().nth(time * 7 + 5).context("no items")?;
        let status = service.send("POST", "/v1/events", &purchases(item, time * 2 + 5))?;
        ensure!(status == 202, "events are answered with {status}");
        let acknowledged = Instant::now();
        until_first(edge, item)?;
        took.push(acknowledged.elapsed());
    }
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!(
        "visible at the edge {median:.2?} after the acknowledgement at the median, {worst:.2?} at worst, of {times}"
    );
    Ok(())
}
