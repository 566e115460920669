//! Rules, experiments and regions, from the document to the answer.

use crate::answers::{ensure_healthy, popular, problem};
use crate::{Fixtures, Test};
use anyhow::{Result, ensure};
use end_to_end::{Edge, Reply, Verge};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const TESTS: &[Test] = &[
    ("rules_apply_from_the_next_publication", published),
    ("rules_depend_on_device_hour_segment_and_earlier_visits", conditions),
    ("visitors_keep_their_variant_and_testers_can_force_one", experiments),
    ("exploration_occurs_in_its_share_of_answers", exploration),
    ("regions_cover_parts_of_countries_and_continents", places),
];

/// The key that signs forced variants.
const TESTER_KEY: &str = "a key of the testers";
const PHONE: &str =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148";
const COMPUTER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn set(shop: &Verge, edge: &Edge, rules: &Value) -> Result<()> {
    let before = edge.version("world").unwrap_or_default();
    shop.set_rules(rules)?;
    let output = shop.publish(&edge.kv_api())?;
    ensure!(!output.is_empty(), "nothing was published");
    edge.until("/v1/popular?limit=1", |reply| reply.json()["snapshot"]["version"] != before)?;
    Ok(())
}

fn start(shop: &Verge) -> Result<Edge> {
    let edge = Edge::start(&[("CONSENT", "always"), ("TESTER_KEY", TESTER_KEY)])?;
    shop.publish(&edge.kv_api())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    Ok(edge)
}

fn published(fixtures: &Fixtures) -> Result<()> {
    let (shop, edge) = (Verge::shop(3)?, fixtures.changing()?);
    shop.publish(&edge.kv_api())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    let unruled = popular(edge, 12)?;
    let first = edge.get("/v1/popular?limit=12")?;
    let hero = &unruled[7];
    set(
        &shop,
        edge,
        &json!({"rules": [
            {"name": "hero", "pin": {"item": hero, "at": 1}},
            {"name": "gone", "exclude": {"items": [unruled[0], unruled[1]]}},
        ]}),
    )?;
    let ruled = edge.get("/v1/popular?limit=12")?;
    ensure!(ruled.ids()[0] == *hero && ruled.ids()[1] == unruled[2], "{ruled:?}");
    ensure!(ruled.json()["items"][0]["signal"] == "pinned", "{ruled:?}");
    ensure!(ruled.header("etag") != first.header("etag"), "the ETag is unchanged");
    let personal = edge.get(&format!("/v1/recommendations?recents={}&limit=50", unruled[2]))?;
    ensure!(!personal.ids().contains(&unruled[0]), "an excluded item appears: {personal:?}");
    set(&shop, edge, &json!({}))?;
    ensure!(popular(edge, 12)? == unruled, "the rules are still in force");
    ensure_healthy(edge)
}

fn from(edge: &Edge, path: &str, agent: &str, zone: &str) -> Result<Reply> {
    let request = edge.request("GET", path).header("user-agent", agent);
    request.place(&json!({"country": "DE", "timezone": zone})).send()
}

fn conditions(_: &Fixtures) -> Result<()> {
    let shop = Verge::shop(4)?;
    let edge = start(&shop)?;
    let unruled = popular(&edge, 12)?;
    let pin = |name: &str, item: &str, at: u8, when: Value| json!({"name": name, "when": when, "pin": {"item": item, "at": at}});
    let all_day = |zone: Option<&str>| json!({"hours": {"from": "00:00", "to": "24:00", "timezone": zone}});
    set(
        &shop,
        &edge,
        &json!({"rules": [
            pin("phone", &unruled[5], 1, json!({"devices": ["mobile"]})),
            pin("vip", &unruled[6], 2, json!({"segments": ["vip"]})),
            pin("back", &unruled[7], 3, json!({"returning": true})),
            pin("mine", &unruled[8], 4, all_day(None)),
            pin("shop", &unruled[9], 5, all_day(Some("Europe/Berlin"))),
            pin("mars", &unruled[10], 6, all_day(Some("Mars/Olympus"))),
            pin("past", &unruled[11], 7, json!({"until": "2020-01-01T00:00:00Z"})),
        ]}),
    )?;
    let pinned = |reply: &Reply| -> BTreeSet<u64> {
        let items = reply.json()["items"].as_array().cloned().unwrap_or_default();
        (1u64..).zip(items).filter(|(_, item)| item["signal"] == "pinned").map(|(at, _)| at).collect()
    };
    let path = "/v1/recommendations?limit=12&recents=";
    let expect = |reply: Reply, expected: &[u64]| {
        ensure!(
            pinned(&reply) == expected.iter().copied().collect(),
            "expected pins at {expected:?}: {reply:?}"
        );
        Ok(())
    };
    expect(from(&edge, path, PHONE, "Europe/Paris")?, &[1, 4, 5])?;
    expect(from(&edge, path, COMPUTER, "nowhere")?, &[5])?;
    expect(from(&edge, &format!("{path}&segment=b2b,vip"), COMPUTER, "Asia/Tokyo")?, &[2, 4, 5])?;
    let cookie = format!("verge_recents=1|{}:v:1", unruled[0]);
    let back = edge.request("GET", "/v1/recommendations?limit=12").header("cookie", &*cookie);
    expect(back.place(&json!({})).send()?, &[3, 5])?;
    let shared =
        edge.request("GET", "/v1/popular?limit=12").header("cookie", &*cookie).header("user-agent", PHONE);
    let shared = shared.place(&json!({"timezone": "Europe/Paris"})).send()?;
    ensure!(shared.header("cache-control").contains("public"), "{shared:?}");
    expect(shared, &[5])
}

fn experiments(_: &Fixtures) -> Result<()> {
    let shop = Verge::shop(5)?;
    let edge = start(&shop)?;
    let hero = popular(&edge, 12)?.pop().unwrap_or_default();
    set(
        &shop,
        &edge,
        &json!({
            "rules": [{"name": "hero", "enabled": false, "pin": {"item": hero, "at": 1}}],
            "experiments": [{"id": "home", "when": {"placements": ["home"]},
                             "variants": [{"name": "a"}, {"name": "b", "weight": 2, "rules_on": ["hero"]}]}],
        }),
    )?;
    let ask = |path: &str, visitor: &str| {
        let cookie = format!("verge_visitor={visitor}");
        edge.request("GET", path).header("cookie", &*cookie).send()
    };
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for number in 0..60 {
        let visitor = format!("visitor-number-{number:06}A");
        let reply = ask("/v1/recommendations?limit=3", &visitor)?;
        let again = ask("/v1/recommendations?limit=3", &visitor)?;
        ensure!(reply.ids() == again.ids(), "the answers differ: {reply:?} {again:?}");
        let body = reply.json();
        let variant = body["experiments"][0]["variant"].as_str().unwrap_or_default().to_owned();
        ensure!(body["experiments"][0]["id"] == "home", "{reply:?}");
        ensure!((reply.ids()[0] == hero) == (variant == "b"), "{reply:?}");
        let request = body["request"].as_str().unwrap_or_default();
        ensure!(request.ends_with(&format!("~home={variant}")), "{reply:?}");
        // Events on the items are attributed to the variant by the request id.
        let event = json!({"kind": "click", "item": hero, "request": request}).to_string();
        ensure!(
            edge.request("POST", "/v1/events").body(event).send()?.status == 202,
            "the event is rejected"
        );
        *counts.entry(variant).or_default() += 1;
    }
    // The expectation is 20 of 60; 7 and 34 are more than three standard deviations away.
    ensure!((8..=33).contains(&counts["a"]), "{counts:?}");
    for path in ["/v1/recommendations?placement=cart", "/v1/popular", "/v1/recommendations?strategy=next"] {
        let reply = ask(path, "visitor-number-000001A")?;
        ensure!(reply.json()["experiments"] == json!([]), "{path}: {reply:?}");
    }
    for variant in ["a", "b"] {
        let force = shop.force("home", variant, TESTER_KEY)?;
        let reply = edge.get(&format!("/v1/recommendations?limit=3&{force}"))?;
        ensure!(reply.json()["experiments"][0]["variant"] == variant, "{reply:?}");
        let other = shop.force("home", variant, "a key of nobody here")?;
        let rejected = problem(&edge.get(&format!("/v1/recommendations?{other}"))?, 400)?;
        ensure!(rejected["field"] == "force", "{rejected}");
    }
    problem(&edge.get("/v1/recommendations?force=home.b.1.AAAA")?, 400)?;
    ensure_healthy(&edge)
}

fn exploration(fixtures: &Fixtures) -> Result<()> {
    let (shop, edge) = (Verge::shop(6)?, fixtures.changing()?);
    shop.publish(&edge.kv_api())?;
    set(&shop, edge, &json!({"rules": [{"name": "try", "explore": {"share": 0.5}}]}))?;
    let mut explored = BTreeSet::new();
    let mut count = 0;
    for _ in 0..60 {
        let reply = edge.get("/v1/recommendations?limit=6&recents=")?;
        let last = reply.json()["items"][5].clone();
        if last["signal"] == "exploration" {
            count += 1;
            explored.insert(last["id"].to_string());
        }
    }
    ensure!((18..=42).contains(&count), "{count} of 60 answers, expected a half");
    ensure!(explored.len() > 3, "too few different items: {explored:?}");
    set(&shop, edge, &json!({}))
}

fn places(fixtures: &Fixtures) -> Result<()> {
    let (shop, edge) = (Verge::shop(7)?, fixtures.changing()?);
    shop.set_regions("[regions]\nwest = [\"us-ca\"]\nus = [\"us\"]\neurope = [\"continent-eu\"]\n")?;
    shop.publish(&edge.kv_api())?;
    let at = |cf: Value| -> Result<String> {
        let reply = edge.request("GET", "/v1/recommendations?limit=1").place(&cf).send()?;
        Ok(reply.json()["region"].as_str().unwrap_or_default().to_owned())
    };
    edge.until("/v1/popular?region=europe", |reply| reply.json()["region"] == "europe")?;
    for (cf, region) in [
        (json!({"country": "US", "regionCode": "CA", "continent": "NA"}), "west"),
        (json!({"country": "US", "regionCode": "NY", "continent": "NA"}), "us"),
        (json!({"country": "DE", "regionCode": "BE", "continent": "EU"}), "europe"),
        (json!({"country": "JP", "regionCode": 13, "continent": null}), "world"),
        (json!({"continent": "EU"}), "europe"),
        (json!({}), "world"),
    ] {
        // The first request of a region loads it.
        let found = (0..50).any(|_| at(cf.clone()).is_ok_and(|found| found == region));
        ensure!(found, "{cf} is served from '{}', not from '{region}'", at(cf.clone())?);
    }
    Ok(())
}
