//! Made-up orders and areas, with the real `verge` behind the Worker.

use crate::{EVENTS_KEY, Fixtures, Test, events};
use anyhow::{Context, Result, bail, ensure};
use end_to_end::{Edge, Peer, Received, Service, Verge};
use serde_json::{Value, json};
use snapshots::manifest::manifest_key;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use xtask::wrangler::agent;

pub(crate) const TESTS: &[Test] = &[
    ("made_up_purchases_do_not_lead_a_country", purchases),
    ("order_tokens_cannot_be_forged_or_replayed", tokens),
    ("made_up_areas_do_not_become_regions", areas),
];

/// The key of order tokens at the origin.
const ORDER_KEY: &str = "0123456789abcdef0123456789abcdef";
/// The HMAC-SHA-256 by [`ORDER_KEY`] of `T-2041`, an item and `2`, a line each; by Python's `hmac`.
const TOKENS: [(&str, &str); 2] = [
    ("adversary-a", "b6288eb82760a0f8c29d2e478beebb33a3e9fbf8cbea9950a1b07f5ff5a841bd"),
    ("adversary-b", "8ab687430a7dea2085c0cd50ae1c50c56aa394319ed5cc776939045482b193d1"),
];

/// A Worker that publishes to and forwards to a real service.
struct Chain {
    edge: Edge,
    service: Service,
    _origin: Peer,
}

/// Passes a request on as the Worker sent it.
fn pass(one: &Received, address: &str, authorization: &str) -> Result<(u16, Vec<u8>)> {
    let request = agent(Duration::from_secs(30)).post(format!("{address}{}", one.path));
    let mut answer =
        request.header("authorization", authorization).header("verge-door", &one.door).send(&one.body)?;
    Ok((answer.status().as_u16(), answer.body_mut().read_to_vec()?))
}

impl Chain {
    fn start(shop: &Verge) -> Result<Self> {
        // The service needs the address of the Worker's KV, and the Worker that of the service.
        let real: Arc<OnceLock<(String, String)>> = Arc::default();
        let known = Arc::clone(&real);
        let origin = Peer::start(move |one| {
            let passed =
                known.get().context("not started").and_then(|(address, key)| pass(one, address, key));
            passed.unwrap_or_else(|error| (503, error.to_string().into_bytes()))
        })?;
        let edge = Edge::start(&[
            ("ORIGIN_URL", &origin.address()),
            ("ORIGIN_KEY", "sesame"),
            ("EVENTS_KEY", EVENTS_KEY),
            ("CONSENT", "cookie:ok=yes"),
        ])?;
        let service = shop.serve_with(&edge.kv_api(), "admin", &[("VERGE_ORDER_KEY", ORDER_KEY)])?;
        let _ = real.set((service.address(), service.authorization()));
        edge.until("/v1/popular?region=gb", |reply| reply.status == 200)?;
        Ok(Self { edge, service, _origin: origin })
    }

    fn send(&self, address: &str, body: &Value, key: Option<&str>) -> Result<()> {
        let mut request = events(&self.edge, address, body);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let reply = request.send()?;
        ensure!(reply.status == 202, "{reply:?}");
        Ok(())
    }

    /// Waits until a metric of the service has a value.
    fn until(&self, metric: &str, value: f64) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.service.metric(metric)? != value {
            if Instant::now() > deadline {
                bail!("{metric} is {}, not {value}", self.service.metric(metric)?);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The most popular items of the United Kingdom with their scores.
    fn popular(&self, limit: u32) -> Result<Vec<(String, f64)>> {
        let body = self.edge.get(&format!("/v1/popular?region=gb&limit={limit}"))?.json();
        let item = |item: &Value| Some((item["id"].as_str()?.to_owned(), item["score"].as_f64()?));
        body["items"].as_array().into_iter().flatten().map(item).collect::<Option<_>>().context("no scores")
    }
}

const STORED: &str = "events_ingested_total{kind=\"purchase\"}";
const UNCONFIRMED: &str = "events_unconfirmed_total{kind=\"purchase\"}";

fn purchases(_: &Fixtures) -> Result<()> {
    let shop = Verge::shop(3)?;
    let chain = Chain::start(&shop)?;
    let before = chain.popular(100)?;
    ensure!(before.len() == 100, "too few items");
    let (made_up, views) = (&*before[60].0, &*before[61].0);
    let order = |number: usize| json!({"kind": "purchase", "item": made_up, "order": format!("M-{number}"), "quantity": 99});
    chain.send("203.0.113.40", &Value::Array((0..500).map(order).collect()), None)?;
    chain.until(STORED, 500.0)?;
    chain.until(UNCONFIRMED, 500.0)?;
    // As many views count for as much, for an item that was as popular.
    let view = json!({"kind": "view", "item": views});
    chain.send("203.0.113.41", &Value::Array(vec![view; 500]), None)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let now = chain.popular(100)?;
        let find = |item: &str| now.iter().position(|(id, _)| id == item).map(|place| (place, now[place].1));
        let found = (find(made_up), find(views));
        if let (Some((one, score)), Some((other, like))) = found
            && one < 60
            && other < 60
            && (0.8..1.25).contains(&(score / like))
        {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "500 made-up purchases and 500 views are at {found:?}");
        thread::sleep(Duration::from_millis(200));
    }
}

fn tokens(_: &Fixtures) -> Result<()> {
    let shop = Verge::shop(4)?;
    let chain = Chain::start(&shop)?;
    let [(one, token), (other, other_token)] = TOKENS;
    let order = |order: &str, lines: &[(&str, u32, &str)]| {
        let item = |(item, quantity, token): &(&str, u32, &str)| json!({"item_id": item, "quantity": quantity, "order_token": token});
        let items: Vec<_> = lines.iter().map(item).collect();
        json!({"name": "purchase", "params": {"transaction_id": order, "items": items}})
    };
    // Of another order, item or quantity, of nobody, and none.
    for (number, (id, line)) in [
        ("T-2042", (one, 2, token)),
        ("T-2041", (other, 2, token)),
        ("T-2041", (one, 500, token)),
        ("T-2041", (one, 2, &*"0".repeat(64))),
        ("T-2041", (one, 2, "none")),
    ]
    .into_iter()
    .enumerate()
    {
        let cookies = format!("ok=yes; verge_visitor={number:0>21}A");
        let reply = events(&chain.edge, "203.0.113.50", &order(id, &[line])).cookie(cookies).send()?;
        ensure!(reply.status == 202, "{reply:?}");
    }
    chain.until(UNCONFIRMED, 5.0)?;
    // The order itself: both lines are confirmed, once.
    let genuine = order("T-2041", &[(one, 2, token), (other, 2, other_token)]);
    let replay = |cookie: &str| events(&chain.edge, "203.0.113.51", &genuine).cookie(cookie).send();
    ensure!(replay("")?.status == 202, "the order is refused");
    chain.until(STORED, 7.0)?;
    // Replayed by the same visitor, by another and by the shop's server.
    for visitor in
        ["", "ok=yes; verge_visitor=EEEEEEEEEEEEEEEEEEEEEA", "ok=yes; verge_visitor=FFFFFFFFFFFFFFFFFFFFFA"]
    {
        ensure!(replay(visitor)?.status == 202, "a reload of the thank-you page is refused");
    }
    chain.send("203.0.113.52", &genuine, Some(EVENTS_KEY))?;
    // What follows arrives after them.
    chain.send("203.0.113.53", &json!({"kind": "purchase", "item": one}), None)?;
    chain.until(UNCONFIRMED, 6.0)?;
    chain.until(STORED, 8.0)?;
    Ok(())
}

fn areas(_: &Fixtures) -> Result<()> {
    let shop = Verge::shop(5)?;
    let chain = Chain::start(&shop)?;
    let batch =
        |region: &str| Value::Array(vec![json!({"kind": "view", "item": "a", "region": region}); 500]);
    for (number, region) in ["atlantis", "atlantis", "atlantis", "zz", "zz", "zz"].into_iter().enumerate() {
        chain.send(&format!("203.0.113.{}", 60 + number), &batch(region), None)?;
        chain.send("203.0.113.60", &batch(region), Some(EVENTS_KEY))?;
    }
    // A region of the shop's, from a sender with a key.
    for _ in 0..3 {
        chain.send("203.0.113.60", &batch("jp"), Some(EVENTS_KEY))?;
    }
    chain.until("events_ingested_total{kind=\"view\"}", 7_500.0)?;
    drop(chain);
    shop.rebuild()?;
    for region in ["atlantis", "zz"] {
        ensure!(shop.built(&manifest_key(region)).is_err(), "'{region}' has become a region");
    }
    ensure!(shop.built(&manifest_key("jp")).is_ok(), "a country is no region");
    Ok(())
}
