//! Senders that claim to be someone else.

use crate::{EVENTS_KEY, Fixtures, Test, ensure_problem, events};
use anyhow::{Context, Result, bail, ensure};
use end_to_end::{Request, events_of, receipts};
use serde_json::{Value, json};
use snapshots::report::Report;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("body_cannot_name_another_visitor", visitors),
    ("body_cannot_name_another_region", regions),
    ("body_cannot_name_a_visitor_without_consent", without_consent),
    ("body_cannot_name_a_visitor_who_opted_out", opted_out),
    ("body_cannot_vouch_for_itself", vouching),
    ("only_the_right_key_is_believed", keys),
    ("pages_of_other_sites_are_refused", other_sites),
    ("bots_teach_nothing_and_are_counted", bots),
];

const ADDRESS: &str = "198.51.100.1";
/// A visitor's id, as the Worker makes it.
const MINE: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const OTHER: &str = "BBBBBBBBBBBBBBBBBBBBBB";

/// Sends a request with an event of this id, and returns the event as the origin received it.
fn received(fixtures: &Fixtures, id: &str, request: Request<'_>) -> Result<Value> {
    let reply = request.send()?;
    ensure!(reply.status == 202, "{reply:?}");
    let bodies = receipts(fixtures.origin()?, &format!("\"{id}\""), 1)?;
    let found = bodies.iter().map(events_of).collect::<Result<Vec<_>>>()?.into_iter().flatten();
    found.into_iter().find(|event| event["id"] == id).with_context(|| format!("no event {id}"))
}

/// An event with a claim of each product that shops use.
fn claims(id: &str) -> [(String, Value); 4] {
    let id = |number: u32| format!("{id}-{number}");
    [
        (id(0), json!({"id": id(0), "kind": "view", "item": "a", "visitor": OTHER, "session": "s"})),
        (
            id(1),
            json!({"event": "Product Viewed", "messageId": id(1), "anonymousId": OTHER, "properties": {"sku": "a", "session_id": "s"}}),
        ),
        (
            id(2),
            json!({"client_id": OTHER, "events": [{"name": "view_item", "event_id": id(2), "params": {"items": [{"item_id": "a"}], "ga_session_id": "s"}}]}),
        ),
        (
            id(3),
            json!({"event_name": "view_item", "event_id": id(3), "user_pseudo_id": OTHER, "items": [{"item_id": "a"}]}),
        ),
    ]
}

fn visitors(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.edge()?;
    for (id, claim) in claims("claims-visitor") {
        let request = events(edge, ADDRESS, &claim).cookie(format!("ok=yes; verge_visitor={MINE}"));
        let event = received(fixtures, &id, request)?;
        ensure!(event["visitor"] == MINE, "{event}");
    }
    let reply = events(edge, ADDRESS, &json!({"kind": "view", "item": "a", "visitor": OTHER})).send()?;
    ensure!(reply.json()["warnings"][0]["field"] == "visitor", "the sender is not told: {reply:?}");
    Ok(())
}

fn regions(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.edge()?;
    let claim = json!({"id": "claims-region", "kind": "view", "item": "a", "region": "us"});
    let event = received(fixtures, "claims-region", events(edge, ADDRESS, &claim))?;
    ensure!(event["region"] == "gb", "{event}");
    let unknown = json!({"id": "claims-nowhere", "kind": "view", "item": "a", "region": "us"});
    let request = edge.request("POST", "/v1/events").country("XX").body(unknown.to_string());
    let event = received(fixtures, "claims-nowhere", request)?;
    ensure!(event.get("region").is_none(), "{event}");
    Ok(())
}

fn without_consent(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.edge()?;
    for (id, claim) in claims("claims-consent") {
        let request = events(edge, ADDRESS, &claim).cookie(format!("ok=no; verge_visitor={MINE}"));
        let event = received(fixtures, &id, request)?;
        ensure!(event.get("visitor").is_none() && event.get("session").is_none(), "{event}");
    }
    Ok(())
}

fn opted_out(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.edge()?;
    let key = format!("Bearer {EVENTS_KEY}");
    for (number, authorization) in [None, Some(key)].into_iter().enumerate() {
        for (id, claim) in claims(&format!("claims-gpc-{number}")) {
            let cookies = format!("ok=yes; verge_visitor={MINE}");
            let request = events(edge, ADDRESS, &claim).header("sec-gpc", "1").cookie(cookies);
            let request = match &authorization {
                Some(authorization) => request.header("authorization", authorization.as_str()),
                None => request,
            };
            let event = received(fixtures, &id, request)?;
            ensure!(event.get("visitor").is_none() && event.get("session").is_none(), "{event}");
        }
    }
    Ok(())
}

fn vouching(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.edge()?;
    for (number, trust) in ["keyed", "order"].into_iter().enumerate() {
        let id = format!("claims-trust-{number}");
        let claim = json!({"id": id, "kind": "cart", "item": "a", "trust": trust, "bucket": 0});
        let event = received(fixtures, &id, events(edge, ADDRESS, &claim))?;
        ensure!(event["trust"] == "public", "{event}");
    }
    let bucket = |id: &str, address: &str| -> Result<u64> {
        let event =
            received(fixtures, id, events(edge, address, &json!({"id": id, "kind": "view", "item": "a"})))?;
        event["bucket"].as_u64().with_context(|| format!("no bucket in {event}"))
    };
    let buckets = [
        bucket("claims-bucket-1", "198.51.100.7")?,
        bucket("claims-bucket-2", "198.51.100.7")?,
        bucket("claims-bucket-3", "198.51.100.8")?,
    ];
    ensure!(buckets[0] == buckets[1] && buckets[0] != buckets[2], "{buckets:?}");
    ensure!(buckets.iter().all(|bucket| *bucket < 4_096), "{buckets:?}");
    ensure!(!edge.log().contains("198.51.100"), "the log contains an address");
    Ok(())
}

fn keys(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.edge()?;
    let claim =
        json!({"id": "claims-key", "kind": "purchase", "item": "a", "visitor": "shop-7", "region": "us"});
    let request = events(edge, ADDRESS, &claim).header("authorization", format!("Bearer {EVENTS_KEY}"));
    let event = received(fixtures, "claims-key", request)?;
    ensure!(event["visitor"] == "shop-7" && event["region"] == "us" && event["trust"] == "keyed", "{event}");
    ensure!(event.get("bucket").is_none(), "the bucket of a server says nothing of the visitor: {event}");
    let one_off = format!("Bearer {}t", &EVENTS_KEY[..EVENTS_KEY.len() - 1]);
    for wrong in ["Bearer sesame", "Bearer ", &one_off] {
        let claim = json!({"id": "claims-wrong-key", "kind": "purchase", "item": "a"});
        ensure_problem(&events(edge, ADDRESS, &claim).header("authorization", wrong).send()?, 401)?;
    }
    let twice = events(edge, ADDRESS, &claim).header("authorization", one_off.as_str());
    let twice = twice.header("authorization", format!("Bearer {EVENTS_KEY}"));
    ensure_problem(&twice.send()?, 401)?;
    let all = fixtures.origin()?.received();
    ensure!(
        !all.iter().any(|one| String::from_utf8_lossy(&one.body).contains("claims-wrong-key")),
        "events with a wrong key are forwarded"
    );
    Ok(())
}

fn other_sites(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.edge()?;
    let own = edge.address();
    let claim = json!({"id": "claims-other-site", "kind": "view", "item": "a"});
    for (origin, site, kind) in [
        ("https://evil.example", "cross-site", "application/json"),
        // What a page may send without a preflight request.
        ("https://evil.example", "cross-site", "text/plain;charset=UTF-8"),
        ("https://evil.example", "", "application/x-www-form-urlencoded"),
        ("https://m.shop.example.evil.example", "cross-site", "text/plain"),
        ("http://m.shop.example", "cross-site", "text/plain"),
        ("https://blog.shop.example", "same-site", "text/plain"),
        ("null", "", "text/plain"),
        ("null", "cross-site", "text/plain"),
        ("", "cross-site", "text/plain"),
    ] {
        let mut request = events(edge, ADDRESS, &claim).header("content-type", kind).cookie("ok=yes");
        for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
            request = if value.is_empty() { request } else { request.header(name, value) };
        }
        let reply = request.send()?;
        ensure!(ensure_problem(&reply, 403)?["field"] == "origin", "{origin} {site}: {reply:?}");
        ensure!(reply.cookies().is_empty(), "{origin} sets cookies: {reply:?}");
    }
    for (number, (origin, site)) in [
        (own.as_str(), "same-origin"),
        (own.as_str(), ""),
        ("https://m.shop.example", "cross-site"),
        // A beacon of a page with `Referrer-Policy: no-referrer`.
        ("null", "same-origin"),
        ("", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("claims-own-site-{number}");
        let claim = json!({"id": id, "kind": "view", "item": "a"});
        let mut request = events(edge, ADDRESS, &claim);
        for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
            request = if value.is_empty() { request } else { request.header(name, value) };
        }
        received(fixtures, &id, request)?;
    }
    let all = fixtures.origin()?.received();
    let is_forwarded = all.iter().any(|one| String::from_utf8_lossy(&one.body).contains("claims-other-site"));
    ensure!(!is_forwarded, "events of other sites are forwarded");
    Ok(())
}

fn bots(fixtures: &Fixtures) -> Result<()> {
    let (edge, origin) = (fixtures.edge()?, fixtures.origin()?);
    let view = json!([{"id": "claims-bot", "kind": "view", "item": "a"}, {"kind": "purchase", "item": "a"}]);
    let counted = || -> Result<u64> {
        let reports = origin.received().into_iter().filter(|one| one.path == "/v1/metrics/edge");
        let reports = reports.map(|one| serde_json::from_slice::<Report>(&one.body));
        Ok(reports.collect::<Result<Vec<_>, _>>()?.iter().map(|report| report.events_bots).sum())
    };
    let agents = [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
        "facebookexternalhit/1.1",
    ];
    for agent in agents {
        let reply = events(edge, ADDRESS, &view).header("user-agent", agent).send()?;
        ensure!(
            reply.status == 202 && reply.json()["accepted"] == 2,
            "{agent} learns that it is known: {reply:?}"
        );
    }
    let judged = [json!({"verifiedBot": true, "score": 99}), json!({"score": 1})];
    for bot_management in judged {
        let cf =
            json!({"country": "GB", "clientAcceptEncoding": "identity", "botManagement": bot_management});
        let reply = edge.request("POST", "/v1/events").cf(&cf).body(view.to_string()).send()?;
        ensure!(reply.status == 202, "{reply:?}");
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while counted()? < 10 {
        if Instant::now() > deadline {
            bail!("{} events of bots are reported", counted()?);
        }
        thread::sleep(Duration::from_millis(500));
        // Isolates report when they answer.
        events(edge, ADDRESS, &view).header("user-agent", agents[0]).send()?;
    }
    let sent = origin.received();
    let taught = sent.iter().any(|one| String::from_utf8_lossy(&one.body).contains("claims-bot"));
    ensure!(!taught, "events of bots are forwarded");
    Ok(())
}
