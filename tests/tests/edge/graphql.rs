//! `POST /graphql`: the GraphQL Worker in front of the Worker.

use crate::answers::popular;
use crate::{Fixtures, Test};
use anyhow::{Result, ensure};
use end_to_end::{Edge, Reply};
use serde_json::{Value, json};

pub(crate) const TESTS: &[Test] = &[
    ("graphql_answers_equal_those_of_the_rest_calls", together),
    ("graphql_rejects_expensive_and_invalid_queries", rejected),
    ("graphql_introspection_can_be_enabled", introspection),
];

const CONFIGS: [&str; 2] = ["edge/graphql/wrangler.toml", "wrangler.toml"];

fn start(fixtures: &Fixtures, introspection: &str) -> Result<Edge> {
    let edge = Edge::start_with(&CONFIGS, &[("INTROSPECTION", introspection)])?;
    fixtures.shop()?.publish(&edge.kv_api())?;
    execute(&edge, "{popular(limit: 1) {region}}", json!({}))?;
    Ok(edge)
}

fn post(edge: &Edge, body: &Value) -> Result<Reply> {
    edge.request("POST", "/graphql").header("content-type", "application/json").body(body.to_string()).send()
}

/// Sends a query until the Worker has loaded the snapshot, and returns the data.
fn execute(edge: &Edge, query: &str, variables: Value) -> Result<Value> {
    let mut last = Value::Null;
    for _ in 0..100 {
        let reply = post(edge, &json!({"query": query, "variables": variables}))?;
        ensure!(
            reply.status == 200 && reply.header("content-type").starts_with("application/json"),
            "{reply:?}"
        );
        last = reply.json();
        if last.get("errors").is_none() {
            return Ok(last["data"].take());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    anyhow::bail!("{last}")
}

fn together(fixtures: &Fixtures) -> Result<()> {
    let (edge, serving) = (start(fixtures, "false")?, fixtures.serving()?);
    let ids = popular(serving, 9)?;
    let (seen, other) = (&ids[3], &ids[8]);
    let query = "
        query Home($seen: [ID!], $ids: [ID!]!, $one: ID!, $limit: Int = 4) {
            home: recommendations(recents: $seen, limit: $limit, region: \"gb\") { ...shown next request strategy }
            cart: recommendations(placement: CART, item: $seen, limit: 2, region: \"gb\") { ...shown }
            popular(limit: 3, region: \"gb\", filter: {priceMin: 1.5}) { ...shown degraded snapshot { version builtAt ageS } }
            similar(id: $one, limit: 2, region: \"gb\") {
                items { item { id similar(limit: 1, region: \"gb\") { items { item { id } } } } }
            }
            items(ids: $ids, region: \"gb\") { id name price currency inStock }
        }
        fragment shown on Answer { region items { score signal because item { id price } } }";
    let variables = json!({"seen": [seen], "ids": [other, "never-seen", seen], "one": other});
    let data = execute(&edge, query, variables)?;
    let expected = |path: &str| -> Result<Value> {
        let mut answer = serving.get(&format!("/v1/{path}region=gb"))?.json();
        let items = answer["items"].as_array().into_iter().flatten().map(|one| {
            let signal = one["signal"].as_str().unwrap_or_default().to_uppercase();
            json!({"score": one["score"], "signal": signal, "because": one["because"],
                "item": {"id": one["id"], "price": one["price"]}})
        });
        answer["items"] = items.collect();
        Ok(answer)
    };
    let home = expected(&format!("recommendations?recents={seen}&limit=4&"))?;
    ensure!(data["home"]["items"] == home["items"] && data["home"]["items"][3].is_object(), "{data}");
    ensure!(data["home"]["next"].is_string() && data["home"]["strategy"] == home["strategy"], "{data}");
    let cart = expected(&format!("recommendations?placement=cart&item={seen}&limit=2&"))?;
    ensure!(data["cart"]["items"] == cart["items"], "{data}");
    let popular = expected("popular?limit=3&price_min=1.5&")?;
    ensure!(data["popular"]["items"] == popular["items"] && data["popular"]["degraded"].is_null(), "{data}");
    ensure!(data["popular"]["snapshot"]["version"] == popular["snapshot"]["version"], "{data}");
    ensure!(data["popular"]["snapshot"]["builtAt"] == popular["snapshot"]["built_at"], "{data}");
    let similar = serving.get(&format!("/v1/items/{other}/similar?limit=2&region=gb"))?.ids();
    for (one, id) in data["similar"]["items"].as_array().into_iter().flatten().zip(&similar) {
        let similar = serving.get(&format!("/v1/items/{id}/similar?limit=1&region=gb"))?.ids();
        ensure!(one["item"]["id"] == id.as_str(), "{data}");
        ensure!(one["item"]["similar"]["items"][0]["item"]["id"] == similar[0].as_str(), "{data}");
    }
    let known = serving.get(&format!("/v1/items/{other}?region=gb"))?.json();
    ensure!(data["items"][0]["name"] == known["name"] && data["items"][0]["inStock"] == true, "{data}");
    ensure!(data["items"][1].is_null() && data["items"][2]["id"] == seen.as_str(), "{data}");

    let body = json!({"query": "{recommendations(limit: 4) {region items {item {id}}}}"}).to_string();
    let cookie = format!("verge_recents=1|{seen}:v:0");
    let request =
        edge.request("POST", "/graphql").header("content-type", "application/json").cookie(&*cookie);
    let answer = request.country("GB").body(body).send()?.json()["data"]["recommendations"].take();
    let plain =
        serving.request("GET", "/v1/recommendations?limit=4").cookie(&*cookie).country("GB").send()?;
    let shown = answer["items"].as_array().into_iter().flatten().map(|one| one["item"]["id"].clone());
    let plain_ids: Vec<Value> = plain.ids().into_iter().map(Value::from).collect();
    ensure!(
        answer["region"] == "gb" && shown.collect::<Vec<_>>() == plain_ids,
        "the visitor's cookie or country is not forwarded: {answer}"
    );

    let reply =
        post(&edge, &json!({"query": "{popular(limit: 0) {next} similar(id: \"a\", limit: 1) {next}}"}))?;
    let body = reply.json();
    ensure!(body["data"]["popular"].is_null() && body["data"]["similar"].is_object(), "{body}");
    let error = &body["errors"][0];
    ensure!(
        error["path"] == json!(["popular"]) && error["extensions"]["problem"]["field"] == "limit",
        "{body}"
    );
    Ok(())
}

fn rejected(fixtures: &Fixtures) -> Result<()> {
    let edge = start(fixtures, "false")?;
    let aliases: String = (0..41).map(|number| format!("a{number}: popular(limit: 1) {{next}} ")).collect();
    let within = "similar(limit: 1) {items {item {".repeat(3);
    let deep = format!("{{popular(limit: 1) {{items {{item {{{within} id {}}}}}}}}}", "}}}".repeat(3));
    let doubled: String = (0..60)
        .map(|number| format!("fragment f{number} on Query {{...f{0} ...f{0}}} ", number + 1))
        .collect();
    let ids: Vec<String> = (0..41).map(|number| number.to_string()).collect();
    for (query, reason) in [
        (format!("{{{aliases}}}"), "40 calls"),
        ("{popular(limit: 40) {items {item {similar {next}}}}}".to_owned(), "40 calls"),
        ("{popular(limit: -999) {items {item {similar {next}}}} a: popular(limit: 50) {items {item {similar {next}}}}}".to_owned(), "40 calls"),
        (format!("{{items(ids: {ids:?}) {{id}}}}"), "40 calls"),
        (deep, "8 fields deep"),
        (format!("{doubled} fragment f60 on Query {{__typename}} {{...f0}}"), "1000 fields"),
        (format!("{{popular {{{}}}}}", "next ".repeat(1_000)), "token"),
        ("{__schema {types {name}}}".to_owned(), "introspection"),
        ("{popular {nxt}}".to_owned(), "nxt"),
        ("{popular {next".to_owned(), "Syntax Error"),
        ("query($limit: Int!) {popular(limit: $limit) {next}}".to_owned(), "$limit"),
        ("query A {popular {next}} query B {popular {next}}".to_owned(), "operationName"),
        ("mutation {popular {next}}".to_owned(), "mutation"),
    ] {
        let reply = post(&edge, &json!({"query": query}))?;
        let message = reply.json()["errors"][0]["message"].as_str().unwrap_or_default().to_owned();
        ensure!(reply.status == 200 && message.contains(reason) && reply.json().get("data").is_none(), "{query}: {reply:?}");
        ensure!(!message.contains("Did you mean"), "the message reveals the schema: {message}");
        let modern = edge.request("POST", "/graphql").header("content-type", "application/json");
        let modern = modern.header("accept", "application/graphql-response+json");
        let reply = modern.body(json!({"query": query}).to_string()).send()?;
        ensure!(reply.status == 400 && reply.header("content-type").contains("graphql-response"), "{reply:?}");
    }
    for body in [json!([]), json!({}), json!({"query": 1}), json!({"query": "{a}", "variables": []})] {
        let reply = post(&edge, &body)?;
        ensure!(reply.status == 400 && reply.json()["errors"][0]["message"].is_string(), "{body}: {reply:?}");
    }
    let send = |method, path, kind: &str, body: Vec<u8>| {
        edge.request(method, path).header("content-type", kind).body(body).send()
    };
    for (method, path, kind, body, status) in [
        ("POST", "/graphql", "application/json", b"{".to_vec(), 400),
        ("POST", "/graphql", "application/json", vec![0xff, 0x00], 400),
        ("POST", "/graphql", "text/plain", br#"{"query":"{popular{next}}"}"#.to_vec(), 415),
        ("POST", "/graphql", "application/json", vec![b'['; 1 << 20], 413),
        ("GET", "/graphql", "application/json", Vec::new(), 405),
        ("POST", "/v1/popular", "application/json", b"{}".to_vec(), 404),
    ] {
        let reply = send(method, path, kind, body)?;
        ensure!(
            reply.status == status && reply.json()["errors"][0]["message"].is_string(),
            "{status}: {reply:?}"
        );
    }
    execute(&edge, "{popular(limit: 1) {region}}", Value::Null)?;
    Ok(())
}

fn introspection(fixtures: &Fixtures) -> Result<()> {
    let edge = start(fixtures, "true")?;
    let data = execute(
        &edge,
        "{__schema {queryType {fields {name}}} __type(name: \"Signal\") {enumValues {name}}}",
        Value::Null,
    )?;
    let names = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.filter_map(|one| one["name"].as_str().map(str::to_owned)).collect()
    };
    ensure!(
        names(&data["__schema"]["queryType"]["fields"]) == ["recommendations", "popular", "similar", "items"],
        "{data}"
    );
    let document: Value = serde_json::from_slice(&std::fs::read(xtask::root().join("edge/openapi.json"))?)?;
    let signals = &document["components"]["schemas"]["Recommended"]["properties"]["signal"]["enum"];
    let signals = signals.as_array().into_iter().flatten();
    let signals: Vec<_> = signals.filter_map(|one| one.as_str().map(str::to_uppercase)).collect();
    ensure!(names(&data["__type"]["enumValues"]) == signals, "not the signals of the OpenAPI file: {data}");
    Ok(())
}
