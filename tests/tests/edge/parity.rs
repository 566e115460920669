//! The scorer gives the same items in the same order natively, in workerd and as a page's wasm (in Node), from full and lite
//! snapshots, with and without rules.

use crate::{Fixtures, Test};
use anyhow::{Context, Result, ensure};
use end_to_end::{Edge, Verge};
use serde_json::{Value, json};
use snapshots::answer::{Call, Request, answer};
use snapshots::manifest::{BlobRef, Manifest, WORLD, blob_key, manifest_key};
use snapshots::query::Query;
use snapshots::recents::Recents;
use snapshots::rules::{Device, VisitorContext};
use snapshots::score::Scratch;
use snapshots::time::Timestamp;
use snapshots::{Bytes, Snapshot};
use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};
use xtask::steps::Steps;
use xtask::{root, tools, wasm};

pub(crate) const TESTS: &[Test] = &[("ten_thousand_answers_are_equal_on_all_platforms", parity)];

/// Number of requests to each snapshot.
const REQUESTS: usize = 2_500;
/// Number of concurrent requests to workerd.
const CONCURRENCY: usize = 2;

/// A seeded random number generator (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn pick<'a>(&mut self, list: &'a [String]) -> &'a str {
        &list[self.below(list.len())]
    }

    fn sample(&mut self, list: &[String], max: usize) -> Vec<String> {
        (0..self.below(max + 1)).map(|_| self.pick(list).to_owned()).collect()
    }
}

/// A request, in a form that each platform can send.
struct TestRequest {
    similar: Option<String>,
    popular: bool,
    query: String,
    cookie: String,
    device: &'static str,
}

impl TestRequest {
    fn random(random: &mut Random, ids: &[String], categories: &[String], now: Timestamp) -> Self {
        let mut query = vec![format!("limit={}", 1 + random.below(40)), "region=world".to_owned()];
        let encoded = |text: &str| text.replace('&', "%26").replace('>', "%3E").replace(' ', "+");
        for (one_in, parameter) in [
            (2, format!("placement={}", ["home", "product", "cart", "search", "email"][random.below(5)])),
            (3, format!("item={}", random.sample(ids, 3).join(","))),
            (4, format!("exclude={}", random.sample(ids, 20).join(","))),
            (8, format!("category={}", encoded(random.pick(categories)))),
            (8, format!("price_max={}.5", random.below(90))),
            (8, format!("price_min={}", random.below(30))),
            (8, format!("strategy={}", ["default", "similar", "cart", "next"][random.below(4)])),
            (4, format!("recents={}", random.sample(ids, 8).join(","))),
        ] {
            if random.below(one_in) == 0 {
                query.push(parameter);
            }
        }
        let kinds = ["v", "c", "a2", "p", "v3", "c9"];
        let entries = random.sample(ids, 12).into_iter().map(|id| {
            let minutes = u64::from(now.minutes()) - random.below(9_000) as u64;
            format!("|{id}:{}:{}", kinds[random.below(kinds.len())], base36(minutes))
        });
        let cookie = format!("1{}", entries.collect::<String>());
        let similar = (random.below(4) == 0).then(|| random.pick(ids).to_owned());
        let popular = similar.is_none() && random.below(6) == 0;
        let device = ["mobile", "desktop"][random.below(2)];
        Self { popular, similar, query: query.join("&"), cookie, device }
    }

    fn path(&self) -> String {
        match &self.similar {
            Some(id) => format!("/v1/items/{id}/similar?{}", self.query),
            None if self.popular => format!("/v1/popular?{}", self.query),
            None => format!("/v1/recommendations?{}", self.query),
        }
    }

    /// The answer of the native scorer.
    fn native(&self, snapshot: &Snapshot, now: Timestamp, scratch: &mut Scratch) -> Result<Value> {
        let query = Query::parse(&self.query)?;
        let call = match &self.similar {
            Some(id) => Call::Similar(id),
            None if self.popular => Call::Popular,
            None => Call::Recommend,
        };
        let recents = match call {
            Call::Recommend => Recents::parse(&self.cookie),
            _ => Recents::default(),
        };
        // The only time zone in the rules.
        let clock = |zone: Option<&str>| (zone == Some("Etc/UTC")).then(|| minute_of_week(now));
        let context = VisitorContext {
            device: Device::from_name(self.device),
            clock: Some(&clock),
            ..VisitorContext::default()
        };
        let request = Request { context, ..Request::new(&query, &recents, now) };
        Ok(serde_json::to_value(answer(snapshot, call, &request, scratch)?)?)
    }
}

/// Minutes since Monday 00:00 UTC; 1970 began on a Thursday.
fn minute_of_week(now: Timestamp) -> u16 {
    (now.0 / 60_000 + 3 * 1_440).rem_euclid(7 * 1_440) as u16
}

/// Rules of each kind that ranks or filters, with conditions that both page and Worker can evaluate.
fn rules(ids: &[String]) -> Value {
    json!({
        "rules": [
            {"name": "gone", "exclude": {"items": ids[..3]}},
            {"name": "phone", "when": {"devices": ["mobile"]}, "pin": {"item": ids[4], "at": 1}},
            {"name": "hours", "pin": {"item": ids[5], "at": 2},
             "when": {"hours": {"from": "00:00", "to": "12:00", "timezone": "Etc/UTC"}}},
            {"name": "dear", "boost": {"match": {"price_min": 40}, "by": 2.5}},
            {"name": "cheap", "boost": {"match": {"price_max": 15}, "by": 0.3}},
            {"name": "variety", "diversify": {"by": "category", "at_most": 2, "decay": 0.9}},
            {"name": "bought", "enabled": false, "exclude_bought": true},
            {"name": "back", "when": {"returning": true}, "fresh": {"days": 400, "by": 3}},
        ],
        "experiments": [{"id": "half", "variants": [
            {"name": "a"}, {"name": "b", "strategy": "next", "rules_on": ["bought"], "rules_off": ["variety"]}]}],
    })
}

pub(crate) fn base36(mut value: u64) -> String {
    let mut digits = String::new();
    while value > 0 {
        digits.insert(0, char::from_digit((value % 36) as u32, 36).unwrap_or('0'));
        value /= 36;
    }
    digits
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or_default())
}

fn ids(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| Some(item["id"].as_str()?.to_owned())).collect()
}

/// Compares answers of workerd. Its clock advances, so each may equal the native answer of just before or just after.
fn compare_edge(edge: &Edge, snapshot: &Snapshot, requests: &[TestRequest]) -> Result<()> {
    let mut scratch = Scratch::default();
    for request in requests {
        let before = request.native(snapshot, now(), &mut scratch)?;
        let send = || {
            edge.request("GET", &request.path())
                .cookie(format!("verge_recents={}", request.cookie))
                .header(
                    "user-agent",
                    if request.device == "mobile" { "a Mobile browser" } else { "a browser" },
                )
                .send()
        };
        // `wrangler dev` occasionally drops a request on a busy machine.
        let reply = send().or_else(|_| send())?;
        let after = request.native(snapshot, now(), &mut scratch)?;
        let found = ids(&reply.json());
        ensure!(
            reply.status == 200 && (found == ids(&before) || found == ids(&after)),
            "{}\n{}\nworkerd: {found:?}\nnatively: {:?}",
            request.path(),
            request.cookie,
            ids(&before)
        );
    }
    Ok(())
}

fn parity(fixtures: &Fixtures) -> Result<()> {
    let (edge, shop) = (fixtures.changing()?, fixtures.shop()?);
    let plain = Manifest::parse(&shop.built(&manifest_key(WORLD))?)?;
    let lite = plain.lite.clone().context("there is no lite snapshot")?;
    let (ruled_shop, dir) = (Verge::shop(1)?, tempfile::tempdir()?);
    let full = plain.blobs.iter().map(|blob| Ok(Bytes::from(shop.built(&blob_key(&blob.hash))?)));
    let full = Snapshot::open(&full.collect::<Result<Vec<_>>>()?)?;
    let popular = full.popularity.order().filter_map(|item| full.ids.id(item)).map(|id| id.to_string());
    ruled_shop.set_rules(&rules(&popular.take(12).collect::<Vec<_>>()))?;
    ruled_shop.publish_into(dir.path())?;
    let with_rules = Manifest::parse(&fs::read(dir.path().join(manifest_key(WORLD)))?)?;
    let blob = |blob: &BlobRef| match fs::read(dir.path().join(blob_key(&blob.hash))) {
        Ok(bytes) => Ok(bytes),
        Err(_) => shop.built(&blob_key(&blob.hash)),
    };
    let steps = Steps::new(&root().join("target/test/log"))?;
    wasm::build_modules("browser", "page", &[], &steps)?;
    let lite_with_rules = with_rules.lite.clone().context("there is no lite snapshot with rules")?;
    let all = [plain.blobs, vec![lite], with_rules.blobs, vec![lite_with_rules]];
    for (number, blobs) in all.into_iter().enumerate() {
        let bytes = blobs.iter().map(|named: &BlobRef| Ok(Bytes::from(blob(named)?)));
        let bytes = bytes.collect::<Result<Vec<_>>>()?;
        let snapshot = Snapshot::open(&bytes)?;
        let (started_at, mut random) = (now(), Random(number as u64));
        let known = (0..snapshot.len() as u32).filter_map(|item| snapshot.ids.id(item));
        let mut known: Vec<String> = known.map(|id| id.to_string()).collect();
        known.push("unknown".to_owned());
        let categories: Vec<String> = snapshot.attributes.categories().map(str::to_owned).collect();
        let requests: Vec<TestRequest> = (0..REQUESTS)
            .map(|_| TestRequest::random(&mut random, &known, &categories, started_at))
            .collect();

        let manifest = Manifest::new(WORLD, plain.built_at, blobs.clone(), BTreeMap::new());
        for (blob, bytes) in blobs.iter().zip(&bytes) {
            edge.kv_put(&blob_key(&blob.hash), bytes)?;
        }
        edge.kv_put(&manifest_key(WORLD), &manifest.to_json())?;
        edge.until("/v1/popular?limit=1&region=world", |reply| {
            reply.json()["snapshot"]["version"] == manifest.version.as_str()
        })?;
        std::thread::scope(|scope| {
            let all: Vec<_> = requests
                .chunks(REQUESTS / CONCURRENCY)
                .map(|chunk| scope.spawn(|| compare_edge(edge, &snapshot, chunk)))
                .collect();
            all.into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked")))
        })?;
        compare_page(&snapshot, &bytes, &requests, started_at)?;
    }
    Ok(())
}

/// Passes the requests and the native answers to the page's wasm, which compares them.
fn compare_page(
    snapshot: &Snapshot,
    blobs: &[Bytes],
    requests: &[TestRequest],
    now: Timestamp,
) -> Result<()> {
    let mut scratch = Scratch::default();
    let cases = requests.iter().map(|request| {
        let TestRequest { similar, popular, query, cookie, device } = request;
        let expected = request.native(snapshot, now, &mut scratch)?;
        Ok(json!({"similar": similar, "popular": popular, "query": query, "cookie": cookie, "device": device, "expected": expected}))
    });
    let dir = tempfile::tempdir()?;
    let cases = json!({"now": now.0, "lengths": blobs.iter().map(Bytes::len).collect::<Vec<_>>(),
        "cases": cases.collect::<Result<Vec<_>>>()?});
    fs::write(dir.path().join("cases.json"), cases.to_string())?;
    fs::write(dir.path().join("blobs"), blobs.concat())?;
    let script = root().join("tests/parity/page.mjs");
    let output =
        tools::npm_program("node").arg(script).arg(root().join("target/browser")).arg(dir.path()).output()?;
    let output_text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    ensure!(
        output.status.success() && output_text.contains(&format!("{} alike", requests.len())),
        "{output_text}"
    );
    Ok(())
}
