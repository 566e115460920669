//! Events as data layers and shop systems send them: what is stored of each.

use crate::service::{Caller, Service};
use serde_json::{Value, json};
use snapshots::time::{DAY_MS, Timestamp};

/// Sends a body, in which `$V` is the visitor; returns the answer and what is stored of this visitor.
fn sent(caller: &Caller, visitor: &str, body: &str) -> (Value, Vec<Value>) {
    let body = body.replace("$V", visitor);
    let answer = caller.send("POST", "/v1/events", Some(body.as_bytes()));
    let stored = caller.get(&format!("/v1/visitors/{visitor}")).json();
    (answer.json(), stored["events"].as_array().unwrap().clone())
}

/// Kind, item, price, currency and quantity.
fn shown(event: &Value) -> String {
    let text = |field: &str| event[field].as_str().unwrap_or("-").to_owned();
    format!(
        "{} {} {} {} x{}",
        text("kind"),
        text("item"),
        event["price"],
        text("currency"),
        event["quantity"]
    )
}

#[test]
fn events_of_other_products_are_stored_as_they_are_meant() {
    let service = Service::start();
    let caller = service.with_key(&service.key("admin"));
    for (number, (body, expected)) in [
        // Google Tag Manager, in GA4's and in Universal Analytics' form.
        (
            r#"{"event":"add_to_cart","visitor":"$V","ecommerce":{"currency":"SEK","value":99,"items":[{"item_id":"MUG-2","price":49.5,"quantity":2}]}}"#,
            &["cart MUG-2 49.5 SEK x2"][..],
        ),
        (
            r#"{"event":"eec.add","visitor":"$V","ecommerce":{"currencyCode":"SEK","add":{"products":[{"id":"MUG-2","price":"49,50","quantity":"2"}]}}}"#,
            &["cart MUG-2 49.5 SEK x2"],
        ),
        (
            r#"{"event":"transactionComplete","visitor":"$V","ecommerce":{"purchase":{"actionField":{"id":"T1"},"products":[{"id":"A","price":"3"},{"id":"B"}]}}}"#,
            &["purchase A 3.0 - x1", "purchase B null - x1"],
        ),
        (
            r#"{"event":"transaction","visitor":"$V","transactionId":"T2","transactionProducts":[{"sku":"A","price":{"amount":"3,50","currencyCode":"SEK"}}]}"#,
            &["purchase A 3.5 SEK x1"],
        ),
        // The arguments of `gtag`, as a list, as an object, and several of them.
        (r#"["event","view_item",{"user_id":"$V","currency":"SEK","items":[{"item_id":"MUG-2"}]}]"#, &["view MUG-2 null SEK x1"]),
        (r#"{"0":"event","1":"select_item","2":{"user_id":"$V","items":{"item_id":"MUG-2"}}}"#, &["click MUG-2 null - x1"]),
        (
            r#"[["event","view_item",{"user_id":"$V","items":["A"]}],["event","add_to_cart",{"user_id":"$V","items":[7.0]}]]"#,
            &["view A null - x1", "cart 7 null - x1"],
        ),
        // Measurement Protocol and BigQuery's export.
        (
            r#"{"client_id":"$V","events":{"name":"purchase","params":{"currency":"sek","items":[{"item_id":"A","price":"1.249,00","quantity":1.0}]}}}"#,
            &["purchase A 1249.0 SEK x1"],
        ),
        (
            r#"{"event_name":"view_item","user_pseudo_id":"$V","event_params":[{"key":"currency","value":{"string_value":"SEK"}}],"items":[{"item_id":"A","price":9.5,"quantity":null}]}"#,
            &["view A 9.5 SEK x1"],
        ),
        // Segment: a batch with other calls, the older names, names that Verge has too.
        (
            r#"{"batch":[{"type":"page","name":"Home"},{"type":"track","event":"Product Added","anonymousId":"$V","properties":{"sku":"A","product_id":null}}]}"#,
            &["cart A null - x1"],
        ),
        (r#"{"event":"Viewed Product","userId":"$V","anonymousId":"","properties":{"id":"A","sku":"B"}}"#, &["view A null - x1"]),
        (
            r#"{"event":"Product Viewed","anonymousId":"$V","properties":{"product_id":"A","id":"x","kind":"scarf","at":"Oslo","region":"a > b","timestamp":5}}"#,
            &["view A null - x1"],
        ),
        // A file with a byte order mark and the line ends of Windows.
        ("\u{feff}{\"kind\":\"view\",\"item\":\" A \",\"visitor\":\"$V\"}\r\n{\"kind\":\"VIEW\",\"item\":\"B\",\"visitor\":\"$V\"}\r\n", &["view A null - x1", "view B null - x1"]),
    ]
    .into_iter()
    .enumerate()
    {
        let (answer, events) = sent(&caller, &format!("v{number}"), body);
        assert_eq!(events.iter().map(shown).collect::<Vec<_>>(), expected, "{body}: {answer}");
    }
}

#[test]
fn numbers_in_texts_are_read_with_one_reading_or_left_out_and_told() {
    let service = Service::start();
    let caller = service.with_key(&service.key("admin"));
    let mut visitor = 0;
    let mut read = |field: &str, value: &Value| {
        visitor += 1;
        let event = json!({"kind": "purchase", "item": "A", "visitor": "$V", field: value});
        let (answer, events) = sent(&caller, &format!("n{visitor}"), &event.to_string());
        assert_eq!(events.len(), 1, "{event}: {answer}");
        let detail = answer["warnings"][0]["detail"].as_str().map(str::to_owned);
        (events[0][field].clone(), events[0]["currency"].as_str().map(str::to_owned), detail)
    };
    for (text, price, currency) in [
        ("12.40", 12.4, None),
        ("12,40 €", 12.4, Some("EUR")),
        ("1.240,00 zł", 1240.0, Some("PLN")),
        ("CHF 1’240.50", 1240.5, Some("CHF")),
        ("£1,240", 1240.0, Some("GBP")),
        ("kr. 1 240,00", 1240.0, None),
        ("1,24,000.00 INR", 124_000.0, Some("INR")),
        ("49,-", 49.0, None),
        ("AU$12.40", 12.4, Some("AUD")),
        ("Rs. 500", 500.0, None),
    ] {
        let (value, code, warning) = read("price", &json!(text));
        assert_eq!((value, code.as_deref(), warning), (json!(price), currency, None), "{text}");
    }
    for text in ["1.240", "1,240 EUR", "-5", "1e3", "from 5", "12.40 EUR USD"] {
        let (value, _, warning) = read("price", &json!(text));
        assert!(value.is_null() && warning.is_some_and(|warning| warning.starts_with("left out")), "{text}");
    }
    for (value, quantity) in
        [(json!("3"), 3), (json!("3.0"), 3), (json!("3,00"), 3), (json!(3.0), 3), (json!("3.000"), 3)]
    {
        assert_eq!(read("quantity", &value), (json!(quantity), None, None), "{value}");
    }
    for (value, quantity) in
        [(json!(1.5), 2), (json!("2,6"), 3), (json!(0), 1), (json!("3,000"), 1), (json!("x"), 1)]
    {
        let (read, _, warning) = read("quantity", &value);
        assert_eq!((read, warning.is_some()), (json!(quantity), true), "{value}");
    }
}

#[test]
fn empty_texts_and_placeholders_are_absent_and_no_items() {
    let service = Service::start();
    let caller = service.with_key(&service.key("admin"));
    let event = r#"{"kind":"view","item":"A","visitor":"$V","id":"","session":" ","price":"","currency":"null","quantity":"(not set)","region":"{{country}}"}"#;
    let (answer, events) = sent(&caller, "empty", event);
    assert!(events.len() == 1 && answer.get("warnings").is_none(), "{answer}");
    for placeholder in [
        "undefined",
        "NULL",
        "NaN",
        "None",
        "[object Object]",
        "(not set)",
        "\\\\N",
        "N/A",
        "{{id}}",
        "${id}",
        " ",
    ] {
        let body = format!(r#"{{"kind":"view","item":"{placeholder}","visitor":"$V"}}"#);
        let (answer, events) = sent(&caller, "placeholder", &body);
        assert!(events.is_empty() && answer["rejected"][0]["field"] == "item", "{placeholder}: {answer}");
        let feed = format!("{{\"id\":\"{placeholder}\"}}\n{{\"id\":\"ok\"}}\n");
        let report = caller.send("POST", "/v1/feeds", Some(feed.as_bytes())).json();
        assert_eq!((&report["items"], &report["errors"][0]["field"]), (&json!(1), &json!("id")), "{report}");
    }
}

#[test]
fn a_time_is_the_same_in_every_spelling() {
    let service = Service::start();
    let caller = service.with_key(&service.key("admin"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let seconds = now - 3 * 86_400;
    let at = Timestamp(seconds * 1_000).to_string();
    let (date, clock) = at.trim_end_matches('Z').split_once('T').unwrap();
    let [year, month, day] = *date.split('-').collect::<Vec<_>>() else { panic!("{at}") };
    // 1970-01-01 was a Thursday.
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(seconds / 86_400 % 7) as usize];
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let year_last =
        format!("{weekday} {} {day} {clock} UTC {year}", months[month.parse::<usize>().unwrap() - 1]);
    let ahead = Timestamp((seconds + 5_400) * 1_000).to_string();
    let ahead = ahead.trim_end_matches('Z');
    let body = |time: Value| json!({"kind": "view", "item": "A", "visitor": "$V", "at": time}).to_string();
    let bodies = [
        json!(seconds),
        json!(format!("{seconds}")),
        json!(seconds as f64),
        json!(seconds * 1_000),
        json!(format!("{seconds}000000")),
        json!(seconds * 1_000_000_000),
        json!(format!("{date}T{clock}")),
        json!(format!("{date} {clock} UTC")),
        json!(format!("{date}T{clock}+0000")),
        json!(format!("{ahead}+01:30")),
        json!(format!("{ahead}+0130")),
        json!(format!("{day}.{month}.{year} {clock}")),
        json!(year_last),
        json!(format!("{year}{month}{day}T{}Z", clock.replace(':', ""))),
    ]
    .map(body);
    let micros = seconds * 1_000_000;
    let wrapped = [
        format!(
            r#"{{"client_id":"$V","events":[{{"name":"view_item","timestamp_micros":"{micros}","params":{{"items":["A"]}}}}]}}"#
        ),
        format!(
            r#"{{"client_id":"$V","timestamp_micros":{micros},"events":[{{"name":"view_item","params":{{"items":["A"]}}}}]}}"#
        ),
        format!(
            r#"{{"event_name":"view_item","event_timestamp":"{micros}","user_pseudo_id":"$V","items":[{{"item_id":"A"}}]}}"#
        ),
    ];
    for (number, body) in bodies.iter().chain(&wrapped).enumerate() {
        let (answer, events) = sent(&caller, &format!("t{number}"), body);
        assert_eq!(events.first().map(|event| &event["at"]), Some(&json!(at)), "{body}: {answer}");
    }
    for time in [json!("03/04/2026 10:00"), json!(17), json!("yesterday"), json!(date)] {
        let (answer, events) = sent(&caller, "none", &body(time.clone()));
        assert!(events.is_empty() && answer["rejected"][0]["field"] == "at", "{time}: {answer}");
    }
}

#[test]
fn a_clock_that_is_ahead_is_corrected_by_the_time_of_sending() {
    let service = Service::start();
    let caller = service.with_key(&service.key("admin"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let ahead = |ms: i64| Timestamp(now + DAY_MS + ms).to_string();
    let event = format!(
        r#"{{"event":"Product Viewed","anonymousId":"$V","originalTimestamp":"{}","sentAt":"{}","properties":{{"product_id":"A"}}}}"#,
        ahead(-10_000),
        ahead(0)
    );
    let (answer, events) = sent(&caller, "ahead", &event);
    assert_eq!(answer["warnings"][0]["field"], "at", "{answer}");
    let at: Timestamp = serde_json::from_value(events[0]["at"].clone()).unwrap();
    assert!((at.0 - (now - 10_000)).abs() < 30_000, "{at}");
    let alone = format!(r#"{{"kind":"view","item":"A","visitor":"$V","at":"{}"}}"#, ahead(0));
    assert_eq!(sent(&caller, "alone", &alone).0["rejected"][0]["field"], "at");
}
