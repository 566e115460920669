//! Other ways to call the Worker: below a path of the shop, from another Worker, from a storefront's server.

use crate::answers::{popular, problem};
use crate::{Fixtures, Test};
use anyhow::{Context, Result, ensure};
use end_to_end::{Edge, Live, Server, node_tests};
use serde_json::json;
use std::time::Duration;
use xtask::wrangler::agent;

pub(crate) const TESTS: &[Test] = &[
    ("worker_answers_below_a_base_path", mounted),
    ("storefront_worker_calls_through_a_service_binding", service_binding),
    ("storefront_server_forwards_cookies", server),
    ("examples_in_the_openapi_file_are_answered_as_documented", contract),
    ("live_connections_have_time_limits", |_| node_tests("tests/live/limits.test.mjs", &[])),
];

fn mounted(fixtures: &Fixtures) -> Result<()> {
    let edge = Edge::start(&[("BASE_PATH", "/verge")])?;
    fixtures.shop()?.publish(&edge.kv_api())?;
    edge.until("/verge/v1/popular", |reply| reply.status == 200)?;
    let item = edge.get("/verge/v1/popular?limit=1")?.ids().remove(0);
    for path in ["recommendations".to_owned(), format!("items/{item}"), format!("items/{item}/similar")] {
        let reply = edge.get(&format!("/verge/v1/{path}"))?;
        ensure!(reply.status == 200, "{path}: {reply:?}");
    }
    ensure!(edge.get("/verge/healthz")?.status == 200, "no health check");
    let view = json!({"kind": "view", "item": item}).to_string();
    let accepted = edge.request("POST", "/verge/v1/events").body(view).send()?;
    ensure!(accepted.status == 202 && accepted.header("set-cookie").contains("Path=/;"), "{accepted:?}");
    let mut live = Live::open(&edge, "/verge/v1/live", &[])?;
    live.send(json!({"subscribe": [{"limit": 1}]}))?;
    ensure!(live.receive()?["answer"]["items"].is_array(), "no live answer");
    for path in ["/v1/popular", "/verges/v1/popular", "/verge", "/verge/verge/v1/popular"] {
        problem(&edge.get(path)?, 404)?;
    }
    Ok(())
}

/// Requests a page of a storefront as a visitor from a country. Returns the ids of its items and its `Set-Cookie` headers.
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

/// Views an item, then the home page, which must reflect the view.
fn browse(storefront: &str, edge: &Edge, country: &str, region: &str) -> Result<()> {
    let ask = |query: &str| -> Result<Vec<String>> {
        Ok(edge.get(&format!("/v1/recommendations?limit=6&region={region}&{query}"))?.ids())
    };
    let (plain, cookies) = page(storefront, "/", country, "")?;
    ensure!(
        plain == ask("")? && cookies.is_empty(),
        "the home page differs from Verge's answer: {plain:?} {cookies:?}"
    );
    let item = plain.first().context("an empty page")?;
    let (similar, cookies) = page(storefront, &format!("/items/{item}"), country, "verge_visitor=x")?;
    ensure!(similar == ask(&format!("placement=product&item={item}"))?, "not the similar items: {similar:?}");
    let [recents, visitor] = cookies.as_slice() else { anyhow::bail!("cookies {cookies:?}") };
    ensure!(recents.starts_with(&format!("verge_recents=1|{item}:v:")), "{recents}");
    ensure!(visitor.starts_with("verge_visitor=;"), "Sec-GPC was not forwarded: {visitor}");
    let cookie = recents.split(';').next().unwrap_or_default();
    let (home, _) = page(storefront, "/", country, cookie)?;
    ensure!(home != plain, "the cookie has no effect");
    let asked = edge.request("GET", "/v1/recommendations?limit=6").country(country).cookie(cookie);
    ensure!(home == asked.send()?.ids(), "not the answer for this cookie: {home:?}");
    let (invalid, _) = page(storefront, "/items/%E0%A4%A", country, "")?;
    ensure!(!invalid.is_empty(), "an invalid path empties the page");
    Ok(())
}

fn service_binding(fixtures: &Fixtures) -> Result<()> {
    let configs = ["edge/recipes/service-binding/wrangler.toml", "wrangler.toml"];
    let storefront = Edge::start_with(&configs, &[])?;
    fixtures.shop()?.publish(&storefront.kv_api())?;
    storefront.until("/", |reply| String::from_utf8_lossy(&reply.body).contains("/items/"))?;
    let serving = fixtures.serving()?;
    browse(&storefront.address(), serving, "GB", "gb")?;
    let (gb, _) = page(&storefront.address(), "/", "GB", "")?;
    let (fr, _) = page(&storefront.address(), "/", "FR", "")?;
    ensure!(gb != fr, "the visitor's country is not forwarded: {gb:?}");
    Ok(())
}

fn server(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    popular(edge, 1)?;
    let vars = [("VERGE_URL", &*edge.address()), ("REGION", "fr")];
    let storefront = Server::start("edge/recipes/node/storefront.mjs", &vars)?;
    browse(storefront.address(), edge, "FR", "fr")?;
    let unreachable = [("VERGE_URL", "http://127.0.0.1:9")];
    let fallback = Server::start("edge/recipes/node/storefront.mjs", &unreachable)?;
    let (items, cookies) = page(fallback.address(), "/items/a", "GB", "")?;
    ensure!(items.is_empty() && cookies.is_empty(), "an answer without Verge: {items:?} {cookies:?}");
    Ok(())
}

fn contract(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let served = edge.get("/openapi.json")?;
    ensure!(
        served.body == std::fs::read(xtask::root().join("edge/openapi.json"))?,
        "the file differs: {served:?}"
    );
    node_tests("tests/contract/contract.test.mjs", &[("VERGE_URL", &edge.address())])
}
