//! Events and recommendations on one connection: `GET /v1/live`.

use crate::answers::{ensure_healthy, popular, problem};
use crate::events::{events_of, receipts};
use crate::{Fixtures, Test};
use anyhow::{Context, Result, ensure};
use end_to_end::{Edge, Live};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const TESTS: &[Test] = &[
    ("live_events_are_answered_with_new_recommendations", conversation),
    ("live_reconnection_keeps_recents", reconnect),
    ("live_events_equal_posted_events", like_posted),
    ("invalid_live_messages_get_problems_and_the_connection_stays_open", invalid),
    ("bursts_of_live_events_are_answered_together", burst),
    ("live_floods_are_refused_and_closed", flood),
    ("live_connections_close_after_4_mib", byte_limit),
    ("live_connections_require_an_allowed_origin", origins),
];

const PATH: &str = "/v1/live";

fn open(edge: &Edge, cookie: &str) -> Result<Live> {
    Live::open(edge, PATH, &[("cookie", cookie)])
}

fn ids(message: &Value) -> Vec<&str> {
    let items = message["answer"]["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["id"].as_str()).collect()
}

fn conversation(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let items = popular(edge, 9)?;
    let (seen, bought) = (&items[3], &items[8]);
    let mut live = open(edge, "")?;
    live.send(json!({"subscribe": [
        {"limit": 5},
        {"placement": "cart", "item": [seen, bought], "limit": "3"},
    ]}))?;
    let (home, cart) = (live.receive()?, live.receive()?);
    ensure!(home["subscription"] == 0 && home["placement"] == "home" && ids(&home).len() == 5, "{home}");
    ensure!(cart["subscription"] == 1 && cart["placement"] == "cart" && ids(&cart).len() == 3, "{cart}");
    ensure!(!ids(&cart).contains(&seen.as_str()), "an item of the cart is recommended: {cart}");
    let plain = edge.get("/v1/recommendations?limit=5")?.ids();
    ensure!(ids(&home) == plain, "the answer differs from GET: {home}");

    live.send(json!({"event": {"kind": "view", "item": seen}}))?;
    let ack = live.receive()?;
    ensure!(ack["ack"] == json!({"accepted": 1, "rejected": []}), "{ack}");
    let recents = ack["recents"].as_str().unwrap_or_default();
    ensure!(recents.starts_with(&format!("1|{seen}:v:")) && ack.get("visitor").is_none(), "{ack}");
    let after = live.receive()?;
    let cookie = format!("verge_recents={recents}");
    let expected = edge.request("GET", "/v1/recommendations?limit=5").cookie(cookie).send()?.ids();
    ensure!(ids(&after) == expected && expected != plain, "not the answer for these recents: {after}");
    ensure!(after["answer"]["items"][0]["because"] == seen.as_str(), "{after}");
    ensure!(live.receive()?["subscription"] == 1, "the cart is not updated");

    live.send(json!({"subscribe": [], "event": {"kind": "purchase", "item": bought}}))?;
    let ack = live.receive()?;
    ensure!(
        ack["recents"].as_str().is_some_and(|recents| recents.starts_with(&format!("1|{bought}:p:"))),
        "{ack}"
    );
    live.send("ping")?;
    ensure!(live.receive_text()? == "pong", "an answer without a subscription");
    ensure_healthy(edge)
}

fn reconnect(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let seen = popular(edge, 4)?.remove(3);
    let mut first = open(edge, "")?;
    first.send(json!({"event": {"kind": "view", "item": seen}}))?;
    let recents = first.receive()?["recents"].clone();
    drop(first);
    let mut again = open(edge, "")?;
    again.send(json!({"recents": recents, "subscribe": [{"limit": 5}]}))?;
    let from_message = again.receive()?;
    ensure!(from_message["answer"]["items"][0]["because"] == seen.as_str(), "{from_message}");
    let cookie = format!("verge_recents={}", recents.as_str().unwrap_or_default());
    let mut by_cookie = open(edge, &cookie)?;
    by_cookie.send(json!({"subscribe": [{"limit": 5}]}))?;
    ensure!(
        ids(&by_cookie.receive()?) == ids(&from_message),
        "the cookie and the message give different answers"
    );
    ensure_healthy(edge)
}

fn like_posted(fixtures: &Fixtures) -> Result<()> {
    let (edge, origin) = (fixtures.serving()?, fixtures.origin()?);
    let received = |id: &str| -> Result<Value> {
        let events = events_of(&receipts(origin, &format!("\"{id}\""), 1)?[0])?;
        events.into_iter().find(|event| event["id"] == id).context("no event has this id")
    };
    let view = |id: &str| json!({"event": [{"id": id, "kind": "view", "item": "a"}]});

    let mut without_consent = Live::open(edge, PATH, &[("mf-cf-blob", r#"{"country":"GB"}"#)])?;
    without_consent.send(view("live-without-consent"))?;
    ensure!(without_consent.receive()?.get("visitor").is_none(), "an id without consent");
    let event = received("live-without-consent")?;
    ensure!(event.get("visitor").is_none() && event["region"] == "gb", "{event}");

    let mut with_consent = open(edge, "ok=yes")?;
    with_consent.send(view("live-with-consent"))?;
    let id = with_consent.receive()?["visitor"].clone();
    ensure!(id.as_str().is_some_and(|id| id.len() == 22), "no id despite consent: {id}");
    with_consent.send(view("live-again"))?;
    ensure!(with_consent.receive()?["visitor"] == id, "the id changes");
    ensure!(
        received("live-with-consent")?["visitor"] == id && received("live-again")?["visitor"] == id,
        "the origin received another id"
    );

    let cookie = format!("ok=yes; verge_visitor={}", id.as_str().unwrap_or_default());
    let mut opted_out = Live::open(edge, PATH, &[("cookie", &cookie), ("sec-gpc", "1")])?;
    opted_out.send(view("live-opted-out"))?;
    ensure!(opted_out.receive()?.get("visitor").is_none(), "the id is not removed");
    ensure!(received("live-opted-out")?.get("visitor").is_none(), "the origin received the id");
    Ok(())
}

fn invalid(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let mut live = open(edge, "\u{fffd}=;;=; verge_recents=\"")?;
    for (message, field) in [
        (json!("text"), Value::Null),
        (json!({"subscribed": []}), Value::Null),
        (json!({"subscribe": {}}), json!("subscribe")),
        (json!({"subscribe": [[]]}), json!("subscribe")),
        (json!({"subscribe": [{"item": {}}]}), json!("subscribe")),
        (json!({"subscribe": vec![json!({}); 9]}), json!("subscribe")),
        (json!({"recents": "1|a:v:0; verge_visitor=x"}), json!("recents")),
        (json!({"recents": 1}), json!("recents")),
        (json!({"event": {"kind": "veiw", "item": "a"}}), json!("body")),
        (json!({"event": null}), json!("body")),
    ] {
        live.send(&message)?;
        let reply = live.receive()?;
        ensure!(
            reply["problem"]["status"] == 400 && reply["problem"]["field"] == field,
            "{message}: {reply}"
        );
        ensure!(reply["problem"]["detail"].is_string() && reply["problem"]["title"].is_string(), "{reply}");
    }
    live.send("{")?;
    ensure!(live.receive()?["problem"]["status"] == 400, "half an object is accepted");
    live.send(json!({"subscribe": [{"limit": 0}, {"limit": 2}]}))?;
    let (invalid, valid) = (live.receive()?, live.receive()?);
    ensure!(invalid["subscription"] == 0 && invalid["problem"]["field"] == "limit", "{invalid}");
    ensure!(valid["subscription"] == 1 && ids(&valid).len() == 2, "{valid}");
    live.send(json!({"recents": "1"}))?;
    ensure!(live.receive()?["subscription"] == 1, "an invalid subscription is kept");
    let mut bytes = open(edge, "")?;
    bytes.send_bytes(b"{}")?;
    ensure!(bytes.close_code()? == 1003, "a binary message is accepted");
    let mut large = open(edge, "")?;
    large.send("x".repeat((64 << 10) + 1))?;
    ensure!(large.close_code()? == 1009, "a message above the limit is accepted");
    ensure_healthy(edge)
}

fn burst(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let mut live = open(edge, "")?;
    live.send(json!({"subscribe": [{"limit": 1}]}))?;
    live.receive()?;
    for number in 0..15 {
        live.send(json!({"event": {"kind": "view", "item": format!("burst-{number}")}}))?;
    }
    live.send("ping")?;
    let (mut acks, mut answers) = (0, 0);
    while acks < 15 || answers == 0 {
        let text = live.receive_text()?;
        acks += usize::from(text.contains("\"ack\""));
        answers += usize::from(text.contains("\"answer\""));
    }
    ensure!(answers < 15, "each event of a burst gets its own answer");
    ensure_healthy(edge)
}

fn flood(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let mut live = open(edge, "")?;
    for _ in 0..40 {
        live.send("ping")?;
    }
    let mut refused = 0;
    for _ in 0..40 {
        let text = live.receive_text()?;
        refused += usize::from(text.contains("\"status\":429"));
    }
    ensure!((1..=20).contains(&refused), "{refused} of 40 messages are refused");
    for _ in 0..400 {
        // The connection may be closed by now.
        let _ = live.send("ping");
    }
    ensure!(live.close_code()? == 1008, "the flood is not stopped");
    ensure_healthy(edge)
}

fn byte_limit(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let mut live = open(edge, "")?;
    live.send(json!({"subscribe": vec![json!({"limit": 100}); 8]}))?;
    let (mut bytes, mut messages) = (0, 0);
    let reason = loop {
        match live.receive_text() {
            Ok(text) => bytes += text.len(),
            Err(error) => break error.to_string(),
        }
        messages += 1;
        if messages % 8 == 0 {
            // At the rate limit of the connection.
            std::thread::sleep(Duration::from_millis(100));
            live.send(json!({"recents": "1"}))?;
        }
    };
    ensure!(
        reason.contains("Restart") && (4 << 20..5 << 20).contains(&bytes),
        "{bytes} bytes, then {reason}"
    );
    ensure_healthy(edge)
}

fn origins(fixtures: &Fixtures) -> Result<()> {
    let edge = fixtures.serving()?;
    let from = |origin: &str| Live::open(edge, PATH, &[("origin", origin)]);
    let own = edge.address();
    for origin in [own.as_str(), "https://shop.example"] {
        from(origin)?.send("ping")?;
    }
    for origin in ["https://evil.example", "null"] {
        let Err(refused) = from(origin) else { anyhow::bail!("{origin} is allowed to connect") };
        ensure!(refused.to_string().starts_with("403"), "{refused}");
    }
    let plain = edge.get(PATH)?;
    problem(&plain, 426)?;
    problem(&edge.request("POST", PATH).body("{}").send()?, 405)?;
    ensure_healthy(edge)
}
