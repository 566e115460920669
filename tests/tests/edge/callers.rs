//! Who else calls the Worker: below a shop's own path, another Worker, a storefront's server.

use crate::answers::{popular, problem};
use crate::{Parts, Test};
use anyhow::{Context, Result, ensure};
use end_to_end::{Edge, Live, Server, node_tests};
use serde_json::json;
use std::time::Duration;
use xtask::wrangler::agent;

pub const TESTS: &[Test] = &[
    ("the_worker_answers_below_a_shops_own_path", mounted),
    ("a_storefront_that_is_a_worker_calls_by_a_service_binding", service_binding),
    ("a_storefronts_server_hands_cookies_on", server),
    ("the_examples_of_the_openapi_file_are_answered_as_it_says", contract),
    ("a_live_connection_ends_in_time", |_| node_tests("tests/live/limits.test.mjs", &[])),
];

fn mounted(parts: &Parts) -> Result<()> {
    let edge = Edge::start(&[("BASE_PATH", "/verge")])?;
    parts.shop()?.publish(&edge.kv_api())?;
    edge.until("/verge/v1/popular", |reply| reply.status == 200)?;
    let item = edge.get("/verge/v1/popular?limit=1")?.ids().remove(0);
    for path in ["recommendations".to_owned(), format!("items/{item}"), format!("items/{item}/similar")] {
        let reply = edge.get(&format!("/verge/v1/{path}"))?;
        ensure!(reply.status == 200, "{path}: {reply:?}");
    }
    ensure!(edge.get("/verge/healthz")?.status == 200, "no health");
    let view = json!({"kind": "view", "item": item}).to_string();
    let taken = edge.request("POST", "/verge/v1/events").body(view).send()?;
    ensure!(taken.status == 202 && taken.header("set-cookie").contains("Path=/;"), "{taken:?}");
    let mut live = Live::open(&edge, "/verge/v1/live", &[])?;
    live.say(json!({"subscribe": [{"limit": 1}]}))?;
    ensure!(live.hear()?["answer"]["items"].is_array(), "no live answer");
    for path in ["/v1/popular", "/verges/v1/popular", "/verge", "/verge/verge/v1/popular"] {
        problem(&edge.get(path)?, 404)?;
    }
    Ok(())
}

/// A page of a storefront for a visitor from a country: the items it shows, and the cookies it sets.
fn page(address: &str, path: &str, country: &str, cookie: &str) -> Result<(Vec<String>, Vec<String>)> {
    let request = agent(Duration::from_secs(30)).get(&format!("{address}{path}"));
    let request = request
        .header("mf-cf-blob", json!({"country": country, "clientAcceptEncoding": "identity"}).to_string());
    let mut reply = request.header("cookie", cookie).header("sec-gpc", "1").call()?;
    ensure!(reply.status() == 200, "{path}: {}", reply.status());
    let cookies = reply.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    let cookies = cookies.map(str::to_owned).collect();
    let body = reply.body_mut().read_to_string()?;
    let items = body.split("href=\"/items/").skip(1).filter_map(|rest| rest.split_once('"'));
    Ok((items.map(|(id, _)| id.to_owned()).collect(), cookies))
}

/// Looks at an item, then comes home: the page is about it.
fn look_around(storefront: &str, edge: &Edge, country: &str, region: &str) -> Result<()> {
    let ask = |query: &str| -> Result<Vec<String>> {
        Ok(edge.get(&format!("/v1/recommendations?limit=6&region={region}&{query}"))?.ids())
    };
    let (plain, cookies) = page(storefront, "/", country, "")?;
    ensure!(plain == ask("")? && cookies.is_empty(), "another home page than Verge's: {plain:?} {cookies:?}");
    let item = plain.first().context("an empty page")?;
    let (beside, cookies) = page(storefront, &format!("/items/{item}"), country, "verge_visitor=x")?;
    ensure!(beside == ask(&format!("placement=product&item={item}"))?, "not what is similar: {beside:?}");
    let [recents, visitor] = cookies.as_slice() else { anyhow::bail!("cookies {cookies:?}") };
    ensure!(recents.starts_with(&format!("verge_recents=1|{item}:v:")), "{recents}");
    ensure!(visitor.starts_with("verge_visitor=;"), "Sec-GPC was not handed on: {visitor}");
    let cookie = recents.split(';').next().unwrap_or_default();
    let (home, _) = page(storefront, "/", country, cookie)?;
    ensure!(home != plain, "the cookie changes nothing");
    let asked = edge.request("GET", "/v1/recommendations?limit=6").country(country).cookie(cookie);
    ensure!(home == asked.send()?.ids(), "not the answer to this cookie: {home:?}");
    let (odd, _) = page(storefront, "/items/%E0%A4%A", country, "")?;
    ensure!(!odd.is_empty(), "nonsense in the address empties the page");
    Ok(())
}

fn service_binding(parts: &Parts) -> Result<()> {
    let configs = ["edge/recipes/service-binding/wrangler.toml", "wrangler.toml"];
    let storefront = Edge::start_with(&configs, &[])?;
    parts.shop()?.publish(&storefront.kv_api())?;
    storefront.until("/", |reply| String::from_utf8_lossy(&reply.body).contains("/items/"))?;
    let serving = parts.serving()?;
    look_around(&storefront.address(), serving, "GB", "gb")?;
    let (gb, _) = page(&storefront.address(), "/", "GB", "")?;
    let (fr, _) = page(&storefront.address(), "/", "FR", "")?;
    ensure!(gb != fr, "the visitor's country is lost: {gb:?}");
    Ok(())
}

fn server(parts: &Parts) -> Result<()> {
    let edge = parts.serving()?;
    popular(edge, 1)?;
    let vars = [("VERGE_URL", &*edge.address()), ("REGION", "fr")];
    let storefront = Server::start("edge/recipes/node/storefront.mjs", &vars)?;
    look_around(storefront.address(), edge, "FR", "fr")?;
    let nobody = [("VERGE_URL", "http://127.0.0.1:9")];
    let alone = Server::start("edge/recipes/node/storefront.mjs", &nobody)?;
    let (items, cookies) = page(alone.address(), "/items/a", "GB", "")?;
    ensure!(items.is_empty() && cookies.is_empty(), "from where? {items:?} {cookies:?}");
    Ok(())
}

fn contract(parts: &Parts) -> Result<()> {
    let edge = parts.serving()?;
    let served = edge.get("/openapi.json")?;
    ensure!(
        served.body == std::fs::read(xtask::root().join("edge/openapi.json"))?,
        "another file: {served:?}"
    );
    node_tests("tests/contract/contract.test.mjs", &[("VERGE_URL", &edge.address())])
}
