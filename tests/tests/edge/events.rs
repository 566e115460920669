//! Events: validation, cookies, forwarding and consent.

use crate::answers::{ensure_healthy, popular, problem};
use crate::{Fixtures, Test};
use anyhow::{Result, bail, ensure};
use end_to_end::{Edge, Reply};
pub(crate) use end_to_end::{events_of, receipts};
use serde_json::{Value, json};
use snapshots::report::Report;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("views_change_the_next_answer_through_the_cookie_alone", by_the_cookie_alone),
    ("valid_events_of_a_batch_are_accepted", batch),
    ("events_of_other_products_are_read_and_changes_reported", shops),
    ("body_of_1_mb_is_rejected", large_body),
    ("invalid_body_is_rejected", invalid),
    ("events_are_forwarded_with_key_and_country", forwarded),
    ("forwarding_is_retried", retried),
    ("visitor_ids_require_consent", consent),
    ("counts_are_reported_to_the_origin", counted),
];

fn post(edge: &Edge, body: &Value, cookies: &str) -> Result<Reply> {
    edge.request("POST", "/v1/events").cookie(cookies).body(body.to_string()).send()
}

fn by_the_cookie_alone(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let items = popular(edge, 9)?;
    let plain = edge.get("/v1/recommendations")?.ids();
    let mut cookie = String::new();
    let mut before = plain.clone();
    for item in [&items[3], &items[8]] {
        let accepted = post(edge, &json!({"kind": "view", "item": item}), &cookie)?;
        ensure!(
            accepted.status == 202 && accepted.json() == json!({"accepted": 1, "rejected": []}),
            "{accepted:?}"
        );
        let set = accepted.header("set-cookie");
        for attribute in ["Max-Age=2592000", "Path=/", "Secure", "SameSite=Lax"] {
            ensure!(set.split("; ").any(|one| one == attribute), "no {attribute} in {set}");
        }
        cookie = accepted.cookies().join("; ");
        let reply = edge.request("GET", "/v1/recommendations").cookie(cookie.as_str()).send()?;
        let body = reply.json();
        let reasons = body["items"].as_array().into_iter().flatten().map(|shown| &shown["because"]);
        ensure!(
            reasons.into_iter().any(|because| because == item.as_str()),
            "no item is recommended because of {item}: {reply:?}"
        );
        ensure!(reply.ids() != before, "viewing {item} has no effect: {reply:?}");
        before = reply.ids();
    }
    ensure!(edge.get("/v1/recommendations")?.ids() == plain, "the answer without a cookie has changed too");
    Ok(())
}

fn batch(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let body =
        json!([{"kind": "view", "item": "a"}, {"kind": "veiw", "item": "b"}, {"kind": "cart", "item": "c"}]);
    let reply = post(edge, &body, "")?;
    ensure!(reply.status == 202 && reply.json()["accepted"] == 2, "{reply:?}");
    let rejected = &reply.json()["rejected"];
    ensure!(rejected[0]["index"] == 1 && rejected[0]["field"] == "kind", "{reply:?}");
    let cookies = reply.cookies();
    ensure!(cookies[0].starts_with("verge_recents=1|c:a:") && cookies[0].contains("|a:v:"), "{cookies:?}");
    let shown = post(edge, &json!({"kind": "impression", "item": "a"}), "")?;
    ensure!(shown.status == 202 && shown.cookies().is_empty(), "{shown:?}");
    Ok(())
}

fn shops(fixtures: &Fixtures) -> Result<()> {
    let (edge, origin) = (fixtures.serving()?, fixtures.origin()?);
    let order = json!({"client_id": "shops.1", "events": [{"name": "purchase", "params": {"transaction_id": "shops-7",
        "currency": "EUR", "items": [{"item_id": 18.0, "price": "1.200,50"}, {"item_id": "undefined"}]}}]});
    let gtag = json!(["event", "view_item", {"items": [{"item_id": "shops-cup", "price": "1.200"}]}]);
    let ahead = json!({"event": "Product Viewed", "messageId": "shops-ahead", "originalTimestamp": "2999-01-01T00:00:00Z",
        "properties": {"id": "shops-jug"}});
    let batch = json!([order, gtag, ahead]);
    let reply = post(edge, &batch, "")?;
    let body = reply.json();
    ensure!(reply.status == 202 && body["accepted"] == 3, "{reply:?}");
    ensure!(body["rejected"][0]["line"] == 1 && body["rejected"][0]["field"] == "item", "{reply:?}");
    let warned = body["warnings"].as_array().into_iter().flatten().map(|warning| &warning["field"]);
    ensure!(warned.collect::<Vec<_>>() == ["price", "at"], "{reply:?}");
    let received = receipts(origin, "shops-ahead", 1)?.remove(0);
    let events = events_of(&received)?;
    let line = events.iter().find(|event| event["item"] == "18");
    let Some(line) = line else { bail!("no line of the order: {events:?}") };
    ensure!(line["price"] == 1200.5 && line["currency"] == "EUR" && line["order"] == "shops-7", "{line}");
    ensure!(
        post(edge, &json!([order, {"id": "shops-again", "kind": "view", "item": "a"}]), "")?.status == 202
    );
    let again = events_of(&receipts(origin, "shops-again", 1)?.remove(0))?;
    ensure!(
        again.iter().any(|event| event["id"] == line["id"]),
        "the order's line has another id: {again:?}"
    );
    Ok(())
}

fn large_body(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let event = r#"{"kind":"view","item":"a"},"#;
    let large = event.repeat((1 << 20) / event.len());
    for body in [large.into_bytes(), vec![0; 1 << 20], vec![b'['; 1 << 20]] {
        let with_length = edge.request("POST", "/v1/events").body(body.clone()).send()?;
        ensure!(problem(&with_length, 413)?["field"] == "body", "{with_length:?}");
        let chunked = edge.request("POST", "/v1/events").body(body).chunked().send()?;
        problem(&chunked, 413)?;
        ensure_healthy(edge)?;
    }
    let too_many = Value::Array(vec![json!({"kind": "view", "item": "a"}); 501]);
    problem(&post(edge, &too_many, "")?, 413)?;
    let max = Value::Array(vec![json!({"kind": "view", "item": "a"}); 500]);
    let reply = post(edge, &max, "")?;
    ensure!(reply.status == 202 && reply.json()["accepted"] == 500, "{reply:?}");
    Ok(())
}

fn invalid(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let deep = "[".repeat(200_000);
    for body in ["", "{", "null", "[]", "\u{0}", "{\"kind\":\"view\"}", "[1,2,3]", deep.as_str()] {
        let reply = edge.request("POST", "/v1/events").body(body).send()?;
        ensure!(problem(&reply, 400)?["field"] == "body", "{reply:?}");
        ensure_healthy(edge)?;
    }
    let reply = edge.request("POST", "/v1/events").body(vec![0xff, 0xfe, 0x00]).send()?;
    problem(&reply, 400)?;
    Ok(())
}

fn forwarded(fixtures: &Fixtures) -> Result<()> {
    let (edge, origin) = (fixtures.serving()?, fixtures.origin()?);
    let body = json!([{"id": "to-the-origin", "kind": "view", "item": "a"}, {"kind": "cart", "item": "b", "region": "fr"}]);
    let reply = edge.request("POST", "/v1/events").country("GB").body(body.to_string()).send()?;
    ensure!(reply.status == 202, "{reply:?}");
    let received = receipts(origin, "to-the-origin", 1)?.remove(0);
    ensure!((&*received.method, &*received.path) == ("POST", "/v1/events"), "{received:?}");
    ensure!(received.authorization == "Bearer sesame", "{received:?}");
    let events = events_of(&received)?;
    ensure!(events[0]["region"] == "gb" && events[0]["id"] == "to-the-origin", "{events:?}");
    ensure!(events[1]["region"] == "gb" && events[1]["kind"] == "cart", "{events:?}");
    ensure!(events.iter().all(|event| event["trust"] == "public"), "{events:?}");
    ensure!(events[1]["id"].as_str().is_some_and(|id| id.len() == 26), "no id was generated: {events:?}");
    ensure!(events[0]["at"].is_string() && events[0].get("visitor").is_none(), "{events:?}");
    Ok(())
}

fn retried(fixtures: &Fixtures) -> Result<()> {
    let (edge, origin) = (fixtures.serving()?, fixtures.origin()?);
    let reply = post(edge, &json!({"id": "try-again", "kind": "view", "item": "a"}), "")?;
    ensure!(reply.status == 202, "{reply:?}");
    let received = receipts(origin, "try-again", 2)?;
    ensure!(received[0].body == received[1].body, "the second attempt has another body: {received:?}");
    Ok(())
}

fn counted(fixtures: &Fixtures) -> Result<()> {
    let (edge, origin) = (fixtures.serving()?, fixtures.origin()?);
    let deadline = Instant::now() + Duration::from_secs(30);
    let request = loop {
        ensure_healthy(edge)?;
        let received = origin.received();
        if let Some(request) = received.iter().find(|one| one.path == "/v1/metrics/edge") {
            break request.clone();
        }
        ensure!(Instant::now() < deadline, "no counts within 30 s");
        thread::sleep(Duration::from_millis(250));
    };
    ensure!(request.method == "POST" && request.authorization == "Bearer sesame", "{request:?}");
    let report: Report = serde_json::from_slice(&request.body)?;
    ensure!(report.wrong_field().is_none(), "the origin would reject {report:?}");
    ensure!(report.requests() > 0 && report.cache_hits > 0, "no requests are counted: {report:?}");
    ensure!(report.requests() == report.cache_hits + report.cache_misses, "{report:?}");
    Ok(())
}

fn consent(fixtures: &Fixtures) -> Result<()> {
    let (edge, origin) = (fixtures.serving()?, fixtures.origin()?);
    let visitor = |reply: &Reply| {
        let cookies = reply.cookies();
        cookies.iter().find_map(|cookie| cookie.strip_prefix("verge_visitor=").map(str::to_owned))
    };
    let view = |id: &str| json!({"id": id, "kind": "view", "item": "a"});
    let without_consent = post(edge, &view("without-consent"), "")?;
    ensure!(visitor(&without_consent).is_none(), "an id without consent: {without_consent:?}");
    let with_consent = post(edge, &view("with-consent"), "ok=yes")?;
    let Some(id) = visitor(&with_consent) else { bail!("no id despite consent: {with_consent:?}") };
    ensure!(id.len() == 22, "not 128 bits in base64url: {id}");
    let events = events_of(&receipts(origin, "\"with-consent\"", 1)?[0])?;
    ensure!(
        events.iter().any(|event| event["visitor"] == id.as_str()),
        "the origin received another id than {id}: {events:?}"
    );
    let again = post(edge, &view("again"), &format!("ok=yes; verge_visitor={id}"))?;
    ensure!(visitor(&again).as_ref() == Some(&id), "the id changes: {again:?}");
    let opted_out = edge
        .request("POST", "/v1/events")
        .cookie(format!("ok=yes; verge_visitor={id}"))
        .header("sec-gpc", "1")
        .body(view("opted-out").to_string())
        .send()?;
    ensure!(visitor(&opted_out).as_deref() == Some(""), "the id is not removed: {opted_out:?}");
    let forwarded = events_of(&receipts(origin, "\"opted-out\"", 1)?[0])?;
    let forwarded = forwarded.iter().find(|event| event["id"] == "opted-out");
    ensure!(
        forwarded.is_some_and(|event| event.get("visitor").is_none()),
        "the origin received the id: {forwarded:?}"
    );
    ensure!(opted_out.cookies()[0].starts_with("verge_recents=1|a:"), "no recents: {opted_out:?}");
    Ok(())
}
