//! What merchandisers decide: rules, experiments and regions, from the document to the answer.

use crate::answers::{is_unharmed, popular, problem};
use crate::{Parts, Test};
use anyhow::{Result, ensure};
use end_to_end::{Edge, Reply, Verge};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub const TESTS: &[Test] = &[
    ("rules_count_from_the_next_publishing_on", published),
    ("rules_are_asked_of_device_hour_segment_and_earlier_visits", conditions),
    ("rules_keep_visitors_with_their_variant_and_testers_see_the_one_they_ask_for", experiments),
    ("rules_try_something_in_a_share_of_the_answers", exploration),
    ("rules_or_not_parts_of_countries_and_continents_have_regions", places),
];

/// What testers' variants are signed with.
const TESTER_KEY: &str = "a key of testers only";
const PHONE: &str =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148";
const COMPUTER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn set(shop: &Verge, edge: &Edge, rules: &Value) -> Result<()> {
    let before = edge.version("world").unwrap_or_default();
    shop.set_rules(rules)?;
    let said = shop.publish(&edge.kv_api())?;
    ensure!(!said.is_empty(), "nothing was published");
    edge.until("/v1/popular?limit=1", |reply| reply.json()["snapshot"]["version"] != before)?;
    Ok(())
}

fn start(shop: &Verge) -> Result<Edge> {
    let edge = Edge::start(&[("CONSENT", "always"), ("TESTER_KEY", TESTER_KEY)])?;
    shop.publish(&edge.kv_api())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    Ok(edge)
}

fn published(parts: &Parts) -> Result<()> {
    let (shop, edge) = (Verge::shop(3)?, parts.changing()?);
    shop.publish(&edge.kv_api())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    let usual = popular(edge, 12)?;
    let first = edge.get("/v1/popular?limit=12")?;
    let hero = &usual[7];
    set(
        &shop,
        edge,
        &json!({"rules": [
            {"name": "hero", "pin": {"item": hero, "at": 1}},
            {"name": "gone", "exclude": {"items": [usual[0], usual[1]]}},
        ]}),
    )?;
    let ruled = edge.get("/v1/popular?limit=12")?;
    ensure!(ruled.ids()[0] == *hero && ruled.ids()[1] == usual[2], "{ruled:?}");
    ensure!(ruled.json()["items"][0]["signal"] == "pinned", "{ruled:?}");
    ensure!(ruled.header("etag") != first.header("etag"), "the same tag");
    let personal = edge.get(&format!("/v1/recommendations?recents={}&limit=50", usual[2]))?;
    ensure!(!personal.ids().contains(&usual[0]), "an excluded item: {personal:?}");
    set(&shop, edge, &json!({}))?;
    ensure!(popular(edge, 12)? == usual, "the rules are still in force");
    is_unharmed(edge)
}

fn from(edge: &Edge, path: &str, agent: &str, zone: &str) -> Result<Reply> {
    let request = edge.request("GET", path).header("user-agent", agent);
    request.place(&json!({"country": "DE", "timezone": zone})).send()
}

fn conditions(_: &Parts) -> Result<()> {
    let shop = Verge::shop(4)?;
    let edge = start(&shop)?;
    let usual = popular(&edge, 12)?;
    let pin = |name: &str, item: &str, at: u8, when: Value| json!({"name": name, "when": when, "pin": {"item": item, "at": at}});
    let all_day = |zone: Option<&str>| json!({"hours": {"from": "00:00", "to": "24:00", "timezone": zone}});
    set(
        &shop,
        &edge,
        &json!({"rules": [
            pin("phone", &usual[5], 1, json!({"devices": ["mobile"]})),
            pin("vip", &usual[6], 2, json!({"segments": ["vip"]})),
            pin("back", &usual[7], 3, json!({"returning": true})),
            pin("mine", &usual[8], 4, all_day(None)),
            pin("shop", &usual[9], 5, all_day(Some("Europe/Berlin"))),
            pin("mars", &usual[10], 6, all_day(Some("Mars/Olympus"))),
            pin("past", &usual[11], 7, json!({"until": "2020-01-01T00:00:00Z"})),
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
    let cookie = format!("verge_recents=1|{}:v:1", usual[0]);
    let back = edge.request("GET", "/v1/recommendations?limit=12").header("cookie", &*cookie);
    expect(back.place(&json!({})).send()?, &[3, 5])?;
    let shared =
        edge.request("GET", "/v1/popular?limit=12").header("cookie", &*cookie).header("user-agent", PHONE);
    let shared = shared.place(&json!({"timezone": "Europe/Paris"})).send()?;
    ensure!(shared.header("cache-control").contains("public"), "{shared:?}");
    expect(shared, &[5])
}

fn experiments(_: &Parts) -> Result<()> {
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
        ensure!(reply.ids() == again.ids(), "another answer: {reply:?} {again:?}");
        let body = reply.json();
        let variant = body["experiments"][0]["variant"].as_str().unwrap_or_default().to_owned();
        ensure!(body["experiments"][0]["id"] == "home", "{reply:?}");
        ensure!((reply.ids()[0] == hero) == (variant == "b"), "{reply:?}");
        let request = body["request"].as_str().unwrap_or_default();
        ensure!(request.ends_with(&format!("~home={variant}")), "{reply:?}");
        // Whatever happens to the answer's items is attributed by it.
        let event = json!({"kind": "click", "item": hero, "request": request}).to_string();
        ensure!(edge.request("POST", "/v1/events").body(event).send()?.status == 202, "the event is refused");
        *counts.entry(variant).or_default() += 1;
    }
    // Of 60 with one in three, 7 and 34 are more than three standard deviations off.
    ensure!((8..=33).contains(&counts["a"]), "{counts:?}");
    for path in ["/v1/recommendations?placement=cart", "/v1/popular", "/v1/recommendations?strategy=next"] {
        let reply = ask(path, "visitor-number-000001A")?;
        ensure!(reply.json()["experiments"] == json!([]), "{path}: {reply:?}");
    }
    for variant in ["a", "b"] {
        let force = shop.force("home", variant, TESTER_KEY)?;
        let reply = edge.get(&format!("/v1/recommendations?limit=3&{force}"))?;
        ensure!(reply.json()["experiments"][0]["variant"] == variant, "{reply:?}");
        let other = shop.force("home", variant, "a key of somebody else")?;
        let refused = problem(&edge.get(&format!("/v1/recommendations?{other}"))?, 400)?;
        ensure!(refused["field"] == "force", "{refused}");
    }
    problem(&edge.get("/v1/recommendations?force=home.b.1.AAAA")?, 400)?;
    is_unharmed(&edge)
}

fn exploration(parts: &Parts) -> Result<()> {
    let (shop, edge) = (Verge::shop(6)?, parts.changing()?);
    shop.publish(&edge.kv_api())?;
    set(&shop, edge, &json!({"rules": [{"name": "try", "explore": {"share": 0.5}}]}))?;
    let mut tried = BTreeSet::new();
    let mut count = 0;
    for _ in 0..60 {
        let reply = edge.get("/v1/recommendations?limit=6&recents=")?;
        let last = reply.json()["items"][5].clone();
        if last["signal"] == "exploration" {
            count += 1;
            tried.insert(last["id"].to_string());
        }
    }
    ensure!((18..=42).contains(&count), "{count} of 60 with a share of a half");
    ensure!(tried.len() > 3, "always the same: {tried:?}");
    set(&shop, edge, &json!({}))
}

fn places(parts: &Parts) -> Result<()> {
    let (shop, edge) = (Verge::shop(7)?, parts.changing()?);
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
        ensure!(found, "{cf} is answered from '{}', not from '{region}'", at(cf.clone())?);
    }
    Ok(())
}
