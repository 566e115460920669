//! Answers to valid and invalid requests.

use crate::parity::base36;
use crate::{Fixtures, SNAPSHOTS_KEY, Test};
use anyhow::{Context, Result, ensure};
use end_to_end::{Edge, Reply, wrangler_config};
use serde_json::{Value, json};
use snapshots::attributes::{self, Item};
use snapshots::envelope::{Envelope, Section};
use snapshots::manifest::{BlobRef, Manifest, WORLD, blob_key, manifest_key};
use snapshots::sales::Sale;
use snapshots::strategy::{self, Strategy};
use snapshots::time::Timestamp;
use snapshots::{ids, popularity};
use std::collections::{BTreeMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const TESTS: &[Test] = &[
    ("second_recent_changes_the_answer", two_recents),
    ("country_selects_the_region_and_the_query_overrides_it", regions),
    ("missing_region_falls_back_to_world", missing_region),
    ("unknown_items_fall_back_to_popular_or_get_404", unknown_items),
    ("invalid_4_kb_cookie_means_no_recents", invalid_cookie),
    ("no_item_appears_on_two_pages", pages),
    ("shared_answers_are_revalidated_by_etag", shared_etag),
    ("personal_answers_are_revalidated_by_etag", personal_etag),
    ("invalid_parameters_paths_and_methods_get_problems", invalid),
    ("unknown_parameters_are_named_with_the_nearest", unknown_parameters),
    ("ids_with_commas_cookies_sales_variants_and_categories_are_read_as_meant", as_shops_send_it),
    ("cors_allows_only_configured_origins", cors),
    ("demo_shop_is_served_with_the_api", assets),
    ("production_serves_modules_below_its_route_and_no_shop", production),
    ("snapshots_are_lite_for_pages_and_full_with_the_key", snapshots),
];

/// Asserts that a reply is a problem document (RFC 9457) and returns it.
pub(crate) fn problem(reply: &Reply, status: u16) -> Result<Value> {
    ensure!(reply.status == status, "expected a {status}: {reply:?}");
    ensure!(reply.header("content-type") == "application/problem+json", "not problem+json: {reply:?}");
    let problem = reply.json();
    ensure!(problem["status"] == status, "the status in the body differs: {reply:?}");
    for field in ["type", "title", "detail"] {
        ensure!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}: {reply:?}");
    }
    Ok(problem)
}

/// Asserts that the Worker still answers an ordinary request.
pub(crate) fn ensure_healthy(edge: &Edge) -> Result<()> {
    let reply = edge.get("/v1/recommendations?limit=5")?;
    ensure!(reply.status == 200 && reply.ids().len() == 5, "the next request fails: {reply:?}");
    ensure!(reply.json()["degraded"] == Value::Null, "the next request is degraded: {reply:?}");
    Ok(())
}

/// The ids of the most popular items.
pub(crate) fn popular(edge: &Edge, count: usize) -> Result<Vec<String>> {
    let reply = edge.get(&format!("/v1/popular?limit={count}"))?;
    ensure!(reply.ids().len() == count, "not {count} items: {reply:?}");
    Ok(reply.ids())
}

fn reasons(reply: &Reply) -> HashSet<String> {
    let items = reply.json()["items"].as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|item| item["because"].as_str().map(str::to_owned)).collect()
}

fn two_recents(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let items = popular(edge, 12)?;
    let (one, other) = (&items[0], &items[11]);
    let from_one = edge.get(&format!("/v1/recommendations?recents={one}&limit=10"))?;
    let from_two = edge.get(&format!("/v1/recommendations?recents={other},{one}&limit=10"))?;
    let from_none = edge.get("/v1/recommendations?limit=10")?;
    ensure!(from_one.ids() != from_two.ids(), "the same items: {:?}", from_one.ids());
    ensure!(from_none.ids() != from_one.ids(), "the same items as without recents: {:?}", from_one.ids());
    ensure!(reasons(&from_one) == HashSet::from([one.clone()]), "unexpected reasons: {from_one:?}");
    ensure!(
        reasons(&from_two).contains(other),
        "no item is recommended because of the newer recent: {from_two:?}"
    );
    for reply in [&from_one, &from_two] {
        let body = reply.json();
        ensure!(body["degraded"] == Value::Null && body["strategy"].is_string(), "{reply:?}");
        ensure!(body["items"][0]["signal"] == "coview" || body["items"][0]["signal"] == "knn", "{reply:?}");
        ensure!(reply.header("cache-control") == "private, no-cache", "{reply:?}");
        ensure!(reply.header("server-timing").contains("score;dur="), "{reply:?}");
    }
    Ok(())
}

fn regions(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let from = |country: &str, path: &str| edge.request("GET", path).country(country).send();
    let gb = from("GB", "/v1/popular")?;
    let fr = from("FR", "/v1/popular")?;
    let by_query = from("FR", "/v1/popular?region=gb")?;
    let antarctica = from("AQ", "/v1/popular")?;
    let regions = [&gb, &fr, &by_query, &antarctica].map(|reply| reply.json()["region"].clone());
    ensure!(regions == ["gb", "fr", "gb", "world"], "unexpected regions: {regions:?}");
    ensure!(gb.ids() != fr.ids(), "gb and fr have the same popular items: {:?}", gb.ids());
    ensure!(gb.ids() == by_query.ids(), "region=gb differs from country GB: {by_query:?}");
    for cf in [json!({}), json!({"country": 7}), json!({"country": "not a country"})] {
        let reply = edge.request("GET", "/v1/recommendations?limit=1").cf(&cf).send()?;
        ensure!(reply.status == 200, "{cf}: {reply:?}");
    }
    ensure_healthy(edge)
}

fn missing_region(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let reply = edge.get("/v1/recommendations?region=atlantis")?;
    ensure!(reply.status == 200 && reply.json()["region"] == "world", "{reply:?}");
    ensure!(!reply.ids().is_empty(), "an empty answer: {reply:?}");
    let reply = edge.get("/v1/recommendations?region=../world")?;
    ensure!(problem(&reply, 400)?["field"] == "region", "{reply:?}");
    ensure_healthy(edge)
}

fn unknown_items(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    for path in [
        "/v1/recommendations?recents=never-seen,nor-this",
        "/v1/recommendations?placement=product&item=never-seen",
        "/v1/items/never-seen/similar",
    ] {
        let reply = edge.get(path)?;
        ensure!(reply.status == 200 && !reply.ids().is_empty(), "{path}: {reply:?}");
        ensure!(reply.json()["degraded"] == "popular_only", "{path}: {reply:?}");
    }
    problem(&edge.get("/v1/items/never-seen")?, 404)?;
    for path in ["/v1/items/%00", "/v1/items/%ff%fe", "/v1/items//similar"] {
        ensure!(problem(&edge.get(path)?, 400)?["field"] == "id", "{path}");
    }
    let known = popular(edge, 1)?.remove(0);
    let reply = edge.get(&format!("/v1/items/{known}"))?;
    ensure!(reply.status == 200 && reply.json()["id"] == known.as_str(), "{reply:?}");
    ensure_healthy(edge)
}

fn invalid_cookie(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let plain = edge.get("/v1/recommendations")?.ids();
    // Pseudo-random bytes that are valid in a header.
    let noise = (0..4_080u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8);
    let noise: Vec<u8> =
        noise.map(|byte| if (0x21..0x7f).contains(&byte) || byte >= 0xa0 { byte } else { b'|' }).collect();
    for start in ["verge_recents=", "verge_recents=1|", "verge_visitor=", "verge_recents=1|%ff%00|:::|"] {
        let cookie = [start.as_bytes(), &noise].concat();
        let reply = edge.request("GET", "/v1/recommendations").cookie(cookie.clone()).send()?;
        ensure!(reply.status == 200, "{start}: {reply:?}");
        let degraded = &reply.json()["degraded"];
        ensure!(*degraded == Value::Null || *degraded == "popular_only", "{start}: {reply:?}");
        ensure!(reply.ids() == plain, "{start}: the items differ from those without a cookie: {reply:?}");
        let event = json!({"kind": "view", "item": "x"}).to_string();
        let reply = edge.request("POST", "/v1/events").cookie(cookie).body(event).send()?;
        ensure!(reply.status == 202, "{start}: {reply:?}");
        let cookies = reply.cookies();
        let recents = cookies.iter().find(|cookie| cookie.starts_with("verge_recents=1|x:v:"));
        ensure!(recents.is_some_and(|cookie| cookie.len() <= 4_096), "{start}: {cookies:?}");
    }
    ensure_healthy(edge)
}

fn pages(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let item = popular(edge, 1)?.remove(0);
    for path in [
        "/v1/popular?limit=7".to_owned(),
        format!("/v1/recommendations?limit=7&recents={item}"),
        format!("/v1/items/{item}/similar?limit=7"),
    ] {
        let (mut seen, mut cursor) = (HashSet::new(), String::new());
        for page in 0..6 {
            let reply = edge.get(&format!("{path}&cursor={cursor}"))?;
            ensure!(reply.ids().len() == 7, "page {page} of {path} is not full: {reply:?}");
            for id in reply.ids() {
                ensure!(seen.insert(id.clone()), "{id} appears again on page {page} of {path}");
            }
            cursor = reply.json()["next"].as_str().context("no next page")?.to_owned();
        }
    }
    let reply = edge.get("/v1/popular?cursor=AAAA")?;
    ensure!(problem(&reply, 400)?["field"] == "cursor", "{reply:?}");
    Ok(())
}

fn shared_etag(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let item = popular(edge, 1)?.remove(0);
    for path in ["/v1/popular".to_owned(), format!("/v1/items/{item}"), format!("/v1/items/{item}/similar")] {
        let first = edge.get(&path)?;
        ensure!(first.header("cache-control") == "public, max-age=30", "{first:?}");
        let tag = first.header("etag");
        ensure!(!tag.is_empty(), "no ETag: {first:?}");
        let again = edge.request("GET", &path).header("if-none-match", tag).send()?;
        ensure!(again.status == 304 && again.body.is_empty() && again.header("etag") == tag, "{again:?}");
        let elsewhere = edge.request("GET", &path).header("if-none-match", tag).country("FR").send()?;
        ensure!(elsewhere.status == 200, "another region has the same ETag: {elsewhere:?}");
        let head = edge.request("HEAD", &path).send()?;
        ensure!(head.status == 200 && head.body.is_empty() && head.header("etag") == tag, "{head:?}");
    }
    Ok(())
}

fn personal_etag(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let items = popular(edge, 2)?;
    let ask = |item: &str, known: &str| {
        let path = format!("/v1/recommendations?limit=5&recents={item}");
        edge.request("GET", &path).header("if-none-match", known).send()
    };
    let first = ask(&items[0], "")?;
    let tag = first.header("etag");
    ensure!(first.header("cache-control") == "private, no-cache" && !tag.is_empty(), "{first:?}");
    // Let the request id and the snapshot's age change.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let again = ask(&items[0], tag)?;
    ensure!(again.status == 304 && again.body.is_empty() && again.header("etag") == tag, "{again:?}");
    let plain = ask(&items[0], "\"another\"")?;
    ensure!(plain.status == 200 && plain.ids() == first.ids() && plain.header("etag") == tag, "{plain:?}");
    let other = ask(&items[1], tag)?;
    ensure!(
        other.status == 200 && other.ids() != first.ids(),
        "another visitor gets the same ETag: {other:?}"
    );
    Ok(())
}

fn invalid(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=18446744073709551616", "limit"),
        ("placement=moon", "placement"),
        ("price_max=-1", "price_max"),
        ("strategy=none-such", "strategy"),
        ("item=%00", "item"),
    ] {
        let reply = edge.get(&format!("/v1/recommendations?{query}"))?;
        ensure!(problem(&reply, 400)?["field"] == field, "{query}: {reply:?}");
    }
    for path in ["/v1/none", "/v1", "/v1/", "/v1/items", "/v1/popular/x", "/no-such-page"] {
        problem(&edge.get(path)?, 404)?;
    }
    for (method, path, allowed) in [
        ("DELETE", "/v1/popular", "GET, HEAD, OPTIONS"),
        ("POST", "/v1/recommendations", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/events", "POST, OPTIONS"),
        ("PUT", "/healthz", "GET, HEAD, OPTIONS"),
    ] {
        let reply = edge.request(method, path).send()?;
        problem(&reply, 405)?;
        ensure!(reply.header("allow") == allowed, "{method} {path}: {reply:?}");
    }
    ensure_healthy(edge)
}

fn unknown_parameters(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    for path in ["/v1/recommendations", "/v1/popular", "/v1/items/a/similar", "/v1/snapshots/manifest/world"]
    {
        let problem = problem(&edge.get(&format!("{path}?limt=3"))?, 400)?;
        ensure!(problem["field"] == "limt", "{path}: {problem}");
        let has_limit = !path.contains("manifest");
        let suggests =
            problem["detail"].as_str().is_some_and(|detail| detail.contains("did you mean `limit`?"));
        ensure!(suggests == has_limit, "{path}: {problem}");
        let ignored = edge.get(&format!("{path}?utm_source=mail&gclid=x&fbclid=%ff&_=1795000000000"))?;
        ensure!(ignored.status == 200, "{path}: {ignored:?}");
    }
    problem(&edge.get("/v1/live?placement=home")?, 400)?;
    let event = json!({"kind": "view", "item": "a"}).to_string();
    let sent = edge.request("POST", "/v1/events?api_secret=x").body(event).send()?;
    ensure!(sent.status == 202, "{sent:?}");
    ensure_healthy(edge)
}

/// A Worker with a shop of nine items, in falling order of popularity.
fn small_shop() -> Result<Edge> {
    let edge = Edge::start(&[])?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let sale_at = |price, from, until| {
        Some(Sale::new(price, Some(Timestamp(now + from)), Some(Timestamp(now + until))))
    };
    let sale = |from, until| sale_at(1_500, from, until);
    let item = |price| Item { price: Some(price), in_stock: true, ..Item::default() };
    let shop = [
        ("a", item(100)),
        ("a,b", item(100)),
        ("b", item(100)),
        ("shirt-m", Item { group: "shirt", ..item(3_000) }),
        ("shirt-l", Item { group: "shirt", ..item(3_000) }),
        ("pot", Item { category: "Küche > Töpfe", brand: "Möwe", ..item(4_000) }),
        ("lamp", Item { sale: sale(-3_600_000, 3_600_000), ..item(2_000) }),
        ("rug", Item { sale: sale(3_600_000, 7_200_000), ..item(2_000) }),
        // A sale that begins and ends during the test.
        ("vase", Item { sale: sale_at(8_000, 2_000, 10_000), ..item(9_000) }),
    ];
    let (names, items): (Vec<&str>, Vec<Item<'_>>) = shop.into_iter().unzip();
    let popular: Vec<(f32, f32)> =
        (1u8..).zip(&names).map(|(place, _)| (1.0 / f32::from(place), 0.0)).collect();
    let item_ids = Section::new(ids::NAME, ids::VERSION, ids::write(&names));
    let catalogue = item_ids.checksum;
    let mut sections = vec![item_ids];
    sections.extend(attributes::sections("GBP", &names, &items));
    sections.push(Section::new(popularity::NAME, popularity::VERSION, popularity::write(&popular)));
    sections.push(Section::new(strategy::NAME, strategy::VERSION, strategy::write(&[Strategy::default()])?));
    let envelope = Envelope { region: WORLD.to_owned(), built_at: Timestamp(now), catalogue, sections };
    let blob = envelope.write()?;
    let named = BlobRef::new("items", &blob);
    edge.kv_put(&blob_key(&named.hash), &blob)?;
    let manifest = Manifest::new(WORLD, Timestamp(now), vec![named], BTreeMap::new());
    edge.kv_put(&manifest_key(WORLD), &manifest.to_json())?;
    edge.until("/v1/popular", |reply| reply.status == 200)?;
    Ok(edge)
}

fn as_shops_send_it(_: &Fixtures) -> Result<()> {
    let edge = small_shop()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    edge.until("/v1/items/vase", |reply| {
        reply.json()["price"] == 80.0 && reply.json()["regular_price"] == 90.0
    })?;
    let shows = |query: &str, expected: &[&str]| -> Result<Reply> {
        let reply = edge.get(&format!("/v1/popular?{query}"))?;
        ensure!(reply.ids() == expected, "{query}: {reply:?}");
        Ok(reply)
    };
    // Ids with commas; of variants, one.
    shows("limit=4&exclude=a%2Cb", &["a", "b", "shirt-m", "pot"])?;
    shows("limit=4&exclude=a,b", &["a,b", "shirt-m", "pot", "lamp"])?;
    shows("limit=3&exclude=a%2Cb&exclude=a,shirt-m", &["b", "shirt-l", "pot"])?;
    let first = shows("limit=4", &["a", "a,b", "b", "shirt-m"])?.json();
    let next = first["next"].as_str().context("no next page")?;
    shows(&format!("limit=4&cursor={next}"), &["pot", "lamp", "rug", "vase"])?;
    let similar = edge.get("/v1/items/shirt-m/similar?limit=9")?.ids();
    ensure!(similar.iter().all(|id| !id.starts_with("shirt")), "variants of the item: {similar:?}");
    // Categories.
    for category in ["K%C3%BCche+%3E+T%C3%B6pfe", "k%C3%BCche", "K%C3%9CCHE%3ET%C3%96PFE", "+k%C3%BCche++%3E"]
    {
        shows(&format!("category={category}"), &["pot"])?;
    }
    shows("category=T%C3%B6pfe", &[])?;
    for brand in ["M%C3%B6we", "M%C3%96WE", "+m%C3%B6we+"] {
        shows(&format!("brand={brand}"), &["pot"])?;
    }
    shows("brand=M%C3%B6", &[])?;
    // Sales.
    let lamp = edge.get("/v1/items/lamp")?.json();
    ensure!(lamp["price"] == 15.0 && lamp["regular_price"] == 20.0, "{lamp}");
    let rug = edge.get("/v1/items/rug")?.json();
    ensure!(rug["price"] == 20.0 && rug.get("regular_price").is_none(), "{rug}");
    shows("price_min=14&price_max=16", &["lamp"])?;
    shows("price_min=20&price_max=20", &["rug"])?;
    // Cookies: the visitor has seen `a,b`, and in an older copy `pot`.
    let minutes = now.as_secs() / 60;
    let (new, old) = (base36(minutes), base36(minutes - 9));
    for cookie in [
        format!("verge_recents=1|a%2Cb:v:{new}"),
        format!("verge_recents=\"1|a%2Cb:v:{new}\""),
        format!("verge_recents=1%7Ca%252Cb%3Av%3A{new}"),
        format!("x=y;  verge_recents = 1 | a%2Cb : v : {new} ; z=1"),
        format!("verge_recents=1|pot:v:{old}|b:v:{old}; verge_recents=1|a%2Cb:v:{new}"),
        format!("verge_recents=1|a%2Cb:v:{new}; verge_recents=; verge_recents=1|pot:v:{old}"),
    ] {
        let reply = edge.request("GET", "/v1/recommendations?limit=9").cookie(&*cookie).send()?;
        let shown = reply.ids();
        ensure!(
            !shown.contains(&"a,b".to_owned()) && shown.contains(&"pot".to_owned()),
            "{cookie}: {reply:?}"
        );
    }
    edge.until("/v1/items/vase", |reply| {
        reply.json()["price"] == 90.0 && reply.json().get("regular_price").is_none()
    })?;
    Ok(())
}

fn cors(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let ask = |method, path, origin: &str| edge.request(method, path).header("origin", origin).send();
    for (method, path, status) in
        [("OPTIONS", "/v1/events", 204), ("GET", "/v1/popular", 200), ("GET", "/v1/none", 404)]
    {
        let allowed = ask(method, path, "https://shop.example")?;
        ensure!(allowed.status == status, "{allowed:?}");
        ensure!(allowed.header("access-control-allow-origin") == "https://shop.example", "{allowed:?}");
        ensure!(allowed.header("access-control-allow-credentials") == "true", "{allowed:?}");
        ensure!(allowed.header("vary").eq_ignore_ascii_case("origin"), "{allowed:?}");
        for origin in ["https://shop.example.evil.example", "https://evil.example", "null"] {
            let denied = ask(method, path, origin)?;
            ensure!(denied.header("access-control-allow-origin").is_empty(), "{origin}: {denied:?}");
        }
    }
    Ok(())
}

fn snapshots(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let ask = |path: &str, name: &str, value: &str| edge.request("GET", path).header(name, value).send();
    let path = "/v1/snapshots/manifest/gb";
    let bearer = format!("Bearer {SNAPSHOTS_KEY}");
    let lite = ask(path, "origin", "https://shop.example")?;
    let full = ask(path, "authorization", &bearer)?;
    let (lite_manifest, full_manifest) = (lite.json(), full.json());
    ensure!(lite_manifest["region"] == "gb" && lite_manifest["blobs"].is_null(), "{lite:?}");
    ensure!(lite.header("cache-control") == "public, max-age=30", "{lite:?}");
    let varies: Vec<_> =
        lite.headers.get_all("vary").iter().filter_map(|value| value.to_str().ok()).collect();
    ensure!(
        varies.join(", ") == "authorization, origin",
        "a cache may serve one caller's manifest to another: {lite:?}"
    );
    ensure!(lite.header("access-control-allow-origin") == "https://shop.example", "{lite:?}");
    ensure!(full.header("cache-control") == "private, no-cache", "{full:?}");
    let built: Value = serde_json::from_slice(&fixtures.shop()?.built("manifest/gb")?)?;
    ensure!(full_manifest == built, "the manifest is not the published one: {full:?}");
    for wrong in ["Bearer sesame", "Basic c2VzYW1l"] {
        problem(&ask(path, "authorization", wrong)?, 401)?;
    }

    for (first, authorization) in [(&lite, ""), (&full, &*bearer)] {
        let again = edge.request("GET", path).header("if-none-match", first.header("etag"));
        let again =
            if authorization.is_empty() { again } else { again.header("authorization", authorization) };
        let again = again.send()?;
        ensure!(again.status == 304 && again.body.is_empty(), "{again:?}");
        ensure!(again.header("etag") == first.header("etag"), "{again:?}");
    }
    let blobs = full_manifest["blobs"].as_array().into_iter().flatten().chain([&lite_manifest["lite"]]);
    for hash in blobs.map(|blob| blob["hash"].as_str().unwrap_or_default()) {
        let blob = ask(&format!("/v1/snapshots/blob/{hash}"), "origin", "https://shop.example")?;
        ensure!(
            blob.status == 200 && blob.body == fixtures.shop()?.built(&format!("blob/{hash}"))?,
            "{hash}"
        );
        ensure!(blob.header("cache-control") == "public, max-age=31536000, immutable", "{hash}");
        ensure!(blob.header("access-control-allow-origin") == "https://shop.example", "{hash}");
    }
    problem(&edge.get(&format!("/v1/snapshots/blob/{}", "0".repeat(32)))?, 404)?;
    for path in ["blob/../manifest", "blob/xyz", "manifest/..%2Fgb", "manifest/"] {
        let reply = edge.get(&format!("/v1/snapshots/{path}"))?;
        ensure!((400..405).contains(&reply.status), "{path}: {reply:?}");
        problem(&reply, reply.status)?;
    }
    ensure_healthy(edge)
}

fn assets(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let page = edge.get("/")?;
    ensure!(page.status == 200 && page.header("content-type").starts_with("text/html"), "{page:?}");
    let script = edge.get("/shop.js")?;
    ensure!(script.status == 200 && script.header("content-type").contains("javascript"), "{script:?}");
    Ok(())
}

fn production(_: &Fixtures) -> Result<()> {
    let edge = Edge::start_as(&[(&wrangler_config(&[])?, "")], &[("BASE_PATH", "/verge")])?;
    let paths = [
        ("/", 404),
        ("/shop.js", 404),
        ("/verge/index.js", 200),
        ("/verge/element.js", 200),
        ("/verge/openapi.json", 200),
        ("/verge/healthz", 200),
        ("/verge/v1/popular", 503),
    ];
    for (path, status) in paths {
        let reply = edge.get(path)?;
        ensure!(reply.status == status, "{path} should have the status {status}: {reply:?}");
    }
    Ok(())
}
