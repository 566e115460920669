//! Attacks on what the tables learn, and honest crowds that look like one.

use crate::service::{Caller, Service, until};
use serde_json::{Value, json};

const CONFIG: &str =
    "[regions]\ngb = [\"gb\"]\n[serve]\npublish_to = \"dir:published\"\npopularity_every_ms = 100\n";
const PUBLIC: [(&str, &str); 1] = [("verge-door", "public")];

struct Shop {
    service: Service,
    events: Caller,
    admin: Caller,
}

impl Shop {
    /// A shop with a month of history, and a hundred shoppers who look at the first of these items today.
    fn start() -> (Self, [String; 5]) {
        let service = Service::start_shop(CONFIG);
        let (events, admin) =
            (service.with_key(&service.key("events")), service.with_key(&service.key("admin")));
        let shop = Self { service, events, admin };
        until("the first snapshot", || shop.service.dir().join("published/manifest/gb").exists());
        let listed = shop.popular(99);
        let items: [String; 5] = listed.into_iter().rev().take(5).collect::<Vec<_>>().try_into().unwrap();
        shop.send(
            &[],
            (0..100).map(|visitor| json!({"item": items[0], "visitor": format!("honest {visitor}")})),
        );
        until("the shoppers' choice", || shop.first() == items[0]);
        (shop, items)
    }

    fn send(&self, headers: &[(&str, &str)], events: impl IntoIterator<Item = Value>) {
        let events: Vec<Value> = events
            .into_iter()
            .map(|mut event| {
                event["region"] = json!("gb");
                event.as_object_mut().unwrap().entry("kind").or_insert(json!("view"));
                event
            })
            .collect();
        let answer =
            self.events.send_with("POST", "/v1/events", Some(json!(events).to_string().as_bytes()), headers);
        assert_eq!((answer.status, &answer.json()["accepted"]), (202, &json!(events.len())));
    }

    /// The most popular items of the country, as published.
    fn popular(&self, count: usize) -> Vec<String> {
        let limit = format!("limit={count}");
        let arguments = [
            "recommend",
            "--from",
            "published",
            "--region",
            "gb",
            "--what",
            "popular",
            "--query",
            &limit,
            "--json",
        ];
        let printed: Value = serde_json::from_str(&self.service.verge(&arguments)).unwrap();
        printed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    }

    fn first(&self) -> String {
        self.popular(1).remove(0)
    }

    fn status(&self) -> Value {
        self.admin.get("/v1/admin/status").json()
    }

    /// Waits until at least as many events are held, and asserts that the shoppers' choice stays number one.
    fn is_held(&self, held: u64, choice: &str) {
        until("the attack to be counted", || self.status()["held"].as_u64().unwrap() >= held);
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        assert_eq!(self.first(), choice);
    }

    fn surges(&self) -> Vec<String> {
        let surges = self.status()["surges"].clone();
        surges.as_array().unwrap().iter().map(|surge| surge["item"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn one_sender_does_not_make_an_item_number_one() {
    let (shop, [choice, posted, looked, swarmed, _]) = Shop::start();
    // One POST of made-up purchases, by as many made-up visitors, from one address.
    let made_up = |number| json!({"kind": "purchase", "item": posted, "visitor": format!("no {number}"), "order": format!("T-{number}"), "bucket": 7});
    shop.send(&PUBLIC, (0..500).map(made_up));
    shop.is_held(450, &choice);
    assert_eq!(shop.surges(), [&*posted]);
    // One visitor looks 300 times, also where a server vouches for the events.
    shop.send(&[], (0..300).map(|_| json!({"item": looked, "visitor": "fan"})));
    shop.is_held(450 + 200, &choice);
    // Many visitors behind twenty addresses.
    let many = |number: u64| json!({"item": swarmed, "visitor": format!("bot {number}"), "bucket": 1_000 + number % 20});
    shop.send(&PUBLIC, (0..600).map(many));
    shop.is_held(450 + 200 + 540, &choice);
    assert_eq!(shop.surges(), [&*posted, &*swarmed]);
    assert_eq!(shop.service.metric("surges_held_total"), Some(2.0));
}

#[test]
fn a_released_surge_counts_within_seconds() {
    let (shop, [choice, item, _, _, _]) = Shop::start();
    let swarm = |number: u64| json!({"item": item, "visitor": format!("v {number}"), "bucket": number % 20});
    shop.send(&PUBLIC, (0..600).map(swarm));
    shop.is_held(540, &choice);
    assert_eq!(shop.surges(), [&*item]);
    let released = shop.admin.post(&format!("/v1/admin/surges/{item}/release"), &Value::Null);
    assert_eq!(released.status, 202);
    until("the surge to count", || shop.first() == item);
    assert!(shop.surges().is_empty());
    let audit = shop.service.verge(&["audit"]);
    assert!(audit.contains("/v1/admin/surges/{id}/release") && audit.contains(&item), "{audit}");
    shop.service.verge(&["surge", "release", "cup"]);
    assert!(shop.service.verge(&["surge", "list"]).contains("cup"));
}

#[test]
fn honest_crowds_pass() {
    let (shop, [_, promoted, _, _, office]) = Shop::start();
    // A promotion: hundreds of visitors from everywhere within a minute.
    let visitor = |number: u64| json!({"item": promoted, "visitor": format!("new {number}"), "bucket": number * 7 % 4_096});
    shop.send(&PUBLIC, (0..500).map(visitor));
    until("the promotion", || shop.first() == promoted);
    assert!(shop.surges().is_empty());
    // Visitors behind the address of an office.
    let held = shop.status()["held"].as_u64();
    shop.send(
        &PUBLIC,
        (0..8).map(|number| json!({"item": office, "visitor": format!("clerk {number}"), "bucket": 99})),
    );
    until("the office to be counted", || shop.service.metric("log_lag_events") == Some(0.0));
    assert_eq!(shop.status()["held"].as_u64(), held);
}
