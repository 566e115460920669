//! Events and recommendations on one connection: `GET /v1/live`.

use crate::answers::{is_unharmed, popular, problem};
use crate::events::{events_of, receipts};
use crate::{Parts, Test};
use anyhow::{Context, Result, ensure};
use end_to_end::{Edge, Live};
use serde_json::{Value, json};
use std::time::Duration;

pub const TESTS: &[Test] = &[
    ("a_live_connection_answers_events_with_fresh_recommendations", conversation),
    ("a_live_connection_goes_on_where_the_last_one_ended", reconnect),
    ("events_of_a_live_connection_are_those_of_post", like_posted),
    ("what_makes_no_sense_live_is_told_and_the_connection_goes_on", nonsense),
    ("a_burst_of_live_events_is_answered_once", burst),
    ("a_live_flood_is_refused_and_ended", flood),
    ("a_live_connection_that_was_sent_4_mib_ends", much),
    ("only_own_and_configured_pages_may_connect_live", origins),
];

const PATH: &str = "/v1/live";

fn open(edge: &Edge, cookie: &str) -> Result<Live> {
    Live::open(edge, PATH, &[("cookie", cookie)])
}

fn ids(message: &Value) -> Vec<&str> {
    let items = message["answer"]["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["id"].as_str()).collect()
}

fn conversation(parts: &Parts) -> Result<()> {
    let edge = parts.serving()?;
    let items = popular(edge, 9)?;
    let (seen, bought) = (&items[3], &items[8]);
    let mut live = open(edge, "")?;
    live.say(json!({"subscribe": [
        {"limit": 5},
        {"placement": "cart", "item": [seen, bought], "limit": "3"},
    ]}))?;
    let (home, cart) = (live.hear()?, live.hear()?);
    ensure!(home["subscription"] == 0 && home["placement"] == "home" && ids(&home).len() == 5, "{home}");
    ensure!(cart["subscription"] == 1 && cart["placement"] == "cart" && ids(&cart).len() == 3, "{cart}");
    ensure!(!ids(&cart).contains(&seen.as_str()), "what is in the cart comes back: {cart}");
    let plain = edge.get("/v1/recommendations?limit=5")?.ids();
    ensure!(ids(&home) == plain, "another answer than without a connection: {home}");

    live.say(json!({"event": {"kind": "view", "item": seen}}))?;
    let ack = live.hear()?;
    ensure!(ack["ack"] == json!({"accepted": 1, "rejected": []}), "{ack}");
    let recents = ack["recents"].as_str().unwrap_or_default();
    ensure!(recents.starts_with(&format!("1|{seen}:v:")) && ack.get("visitor").is_none(), "{ack}");
    let after = live.hear()?;
    let cookie = format!("verge_recents={recents}");
    let asked = edge.request("GET", "/v1/recommendations?limit=5").cookie(cookie).send()?.ids();
    ensure!(ids(&after) == asked && asked != plain, "not the answer to these recents: {after}");
    ensure!(after["answer"]["items"][0]["because"] == seen.as_str(), "{after}");
    ensure!(live.hear()?["subscription"] == 1, "the cart is not answered again");

    live.say(json!({"subscribe": [], "event": {"kind": "purchase", "item": bought}}))?;
    let ack = live.hear()?;
    ensure!(
        ack["recents"].as_str().is_some_and(|recents| recents.starts_with(&format!("1|{bought}:p:"))),
        "{ack}"
    );
    live.say("ping")?;
    ensure!(live.hear_text()? == "pong", "an answer to no subscription");
    is_unharmed(edge)
}

fn reconnect(parts: &Parts) -> Result<()> {
    let edge = parts.serving()?;
    let seen = popular(edge, 4)?.remove(3);
    let mut first = open(edge, "")?;
    first.say(json!({"event": {"kind": "view", "item": seen}}))?;
    let recents = first.hear()?["recents"].clone();
    drop(first);
    let mut again = open(edge, "")?;
    again.say(json!({"recents": recents, "subscribe": [{"limit": 5}]}))?;
    let from_message = again.hear()?;
    ensure!(from_message["answer"]["items"][0]["because"] == seen.as_str(), "{from_message}");
    let cookie = format!("verge_recents={}", recents.as_str().unwrap_or_default());
    let mut by_cookie = open(edge, &cookie)?;
    by_cookie.say(json!({"subscribe": [{"limit": 5}]}))?;
    ensure!(ids(&by_cookie.hear()?) == ids(&from_message), "the cookie gives another answer");
    is_unharmed(edge)
}

fn like_posted(parts: &Parts) -> Result<()> {
    let (edge, origin) = (parts.serving()?, parts.origin()?);
    let told = |id: &str| -> Result<Value> {
        let events = events_of(&receipts(origin, &format!("\"{id}\""), 1)?[0])?;
        events.into_iter().find(|event| event["id"] == id).context("it is not an event's id")
    };
    let view = |id: &str| json!({"event": [{"id": id, "kind": "view", "item": "a"}]});

    let mut stranger = Live::open(edge, PATH, &[("mf-cf-blob", r#"{"country":"GB"}"#)])?;
    stranger.say(view("live-stranger"))?;
    ensure!(stranger.hear()?.get("visitor").is_none(), "an id without consent");
    let event = told("live-stranger")?;
    ensure!(event.get("visitor").is_none() && event["region"] == "gb", "{event}");

    let mut agreed = open(edge, "ok=yes")?;
    agreed.say(view("live-agreed"))?;
    let id = agreed.hear()?["visitor"].clone();
    ensure!(id.as_str().is_some_and(|id| id.len() == 22), "no id in spite of consent: {id}");
    agreed.say(view("live-again"))?;
    ensure!(agreed.hear()?["visitor"] == id, "the id changes");
    ensure!(
        told("live-agreed")?["visitor"] == id && told("live-again")?["visitor"] == id,
        "another id is told"
    );

    let cookie = format!("ok=yes; verge_visitor={}", id.as_str().unwrap_or_default());
    let mut objects = Live::open(edge, PATH, &[("cookie", &cookie), ("sec-gpc", "1")])?;
    objects.say(view("live-objects"))?;
    ensure!(objects.hear()?.get("visitor").is_none(), "the id is kept");
    ensure!(told("live-objects")?.get("visitor").is_none(), "the origin is told the id");
    Ok(())
}

fn nonsense(parts: &Parts) -> Result<()> {
    let edge = parts.serving()?;
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
        live.say(&message)?;
        let told = live.hear()?;
        ensure!(told["problem"]["status"] == 400 && told["problem"]["field"] == field, "{message}: {told}");
        ensure!(told["problem"]["detail"].is_string() && told["problem"]["title"].is_string(), "{told}");
    }
    live.say("{")?;
    ensure!(live.hear()?["problem"]["status"] == 400, "half an object is taken");
    live.say(json!({"subscribe": [{"limit": 0}, {"limit": 2}]}))?;
    let (wrong, right) = (live.hear()?, live.hear()?);
    ensure!(wrong["subscription"] == 0 && wrong["problem"]["field"] == "limit", "{wrong}");
    ensure!(right["subscription"] == 1 && ids(&right).len() == 2, "{right}");
    live.say(json!({"recents": "1"}))?;
    ensure!(live.hear()?["subscription"] == 1, "what makes no sense is asked again");
    let mut bytes = open(edge, "")?;
    bytes.say_bytes(b"{}")?;
    ensure!(bytes.end()? == 1003, "bytes are taken");
    let mut large = open(edge, "")?;
    large.say("x".repeat((64 << 10) + 1))?;
    ensure!(large.end()? == 1009, "a large message is taken");
    is_unharmed(edge)
}

fn burst(parts: &Parts) -> Result<()> {
    let edge = parts.serving()?;
    let mut live = open(edge, "")?;
    live.say(json!({"subscribe": [{"limit": 1}]}))?;
    live.hear()?;
    for number in 0..15 {
        live.say(json!({"event": {"kind": "view", "item": format!("burst-{number}")}}))?;
    }
    live.say("ping")?;
    let (mut acks, mut answers) = (0, 0);
    while acks < 15 || answers == 0 {
        let text = live.hear_text()?;
        acks += usize::from(text.contains("\"ack\""));
        answers += usize::from(text.contains("\"answer\""));
    }
    ensure!(answers < 15, "each event of a burst is answered");
    is_unharmed(edge)
}

fn flood(parts: &Parts) -> Result<()> {
    let edge = parts.serving()?;
    let mut live = open(edge, "")?;
    for _ in 0..40 {
        live.say("ping")?;
    }
    let mut refused = 0;
    for _ in 0..40 {
        let text = live.hear_text()?;
        refused += usize::from(text.contains("\"status\":429"));
    }
    ensure!((1..=20).contains(&refused), "{refused} of 40 messages are refused");
    for _ in 0..400 {
        // It may have ended meanwhile.
        let _ = live.say("ping");
    }
    ensure!(live.end()? == 1008, "a flood goes on");
    is_unharmed(edge)
}

fn much(parts: &Parts) -> Result<()> {
    let edge = parts.serving()?;
    let mut live = open(edge, "")?;
    live.say(json!({"subscribe": vec![json!({"limit": 100}); 8]}))?;
    let (mut bytes, mut heard) = (0, 0);
    let ended = loop {
        match live.hear_text() {
            Ok(text) => bytes += text.len(),
            Err(error) => break error.to_string(),
        }
        heard += 1;
        if heard % 8 == 0 {
            // As slowly as is allowed for long.
            std::thread::sleep(Duration::from_millis(100));
            live.say(json!({"recents": "1"}))?;
        }
    };
    ensure!(ended.contains("Restart") && (4 << 20..5 << 20).contains(&bytes), "{bytes} bytes, then {ended}");
    is_unharmed(edge)
}

fn origins(parts: &Parts) -> Result<()> {
    let edge = parts.serving()?;
    let from = |origin: &str| Live::open(edge, PATH, &[("origin", origin)]);
    let own = edge.address();
    for origin in [own.as_str(), "https://shop.example"] {
        from(origin)?.say("ping")?;
    }
    for origin in ["https://evil.example", "null"] {
        let Err(refused) = from(origin) else { anyhow::bail!("{origin} may connect") };
        ensure!(refused.to_string().starts_with("403"), "{refused}");
    }
    let plain = edge.get(PATH)?;
    problem(&plain, 426)?;
    problem(&edge.request("POST", PATH).body("{}").send()?, 405)?;
    is_unharmed(edge)
}
