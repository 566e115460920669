use super::*;
use proptest::prelude::*;

mod senders;
mod shops;

const NOW: Timestamp = Timestamp(1_795_000_000_000);

fn parse(body: &str) -> Batch {
    let mut made = 0;
    parse_batch(body.as_bytes(), 10, NOW, &|_| true, || {
        made += 1;
        format!("made-{made}")
    })
    .unwrap()
}

fn at_edge(body: &str, sender: EdgeSender<'_>) -> Batch {
    parse_edge(body.as_bytes(), 20, NOW, sender, || "made".to_owned()).unwrap()
}

/// The only event of a body.
fn one(body: &str) -> Event {
    let batch = parse(body);
    assert!(batch.rejected.is_empty() && batch.events.len() == 1, "{body}: {batch:?}");
    batch.events[0].clone()
}

/// The only event of a body that nothing was changed in.
fn clean(body: &str) -> Event {
    assert_eq!(parse(body).warnings, [], "{body}");
    one(body)
}

/// The only event of a body and the only field of its warnings.
fn warned(body: &str) -> (Event, &'static str) {
    let warnings = parse(body).warnings;
    assert_eq!(warnings.len(), 1, "{body}: {warnings:?}");
    (one(body), warnings[0].field)
}

#[test]
fn objects_arrays_and_ndjson_are_equivalent() {
    let one = r#"{"id":"a","kind":"view","item":"85123A"}"#;
    let expected = parse(one);
    assert_eq!(expected.events.len(), 1);
    assert_eq!(expected.events[0].at, NOW);
    assert_eq!(parse(&format!("[{one}]")), expected);
    assert_eq!(parse(&format!("\u{feff}{one}\r\n")), expected);
    let two = parse(&format!("{one}\n{}\n", one.replace("\"a\"", "\"b\"")));
    assert_eq!(two.events.iter().map(|event| &*event.id).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn invalid_events_are_reported_and_valid_ones_kept() {
    let batch = parse(
        r#"[{"kind":"view","item":"a"},{"kind":"veiw","item":"a"},{"kind":"cart"},7,
           {"kind":"view","item":"a","price":-1},{"kind":"view","item":"a","quantity":0},
           {"kind":"view","item":"a","at":"2020-01-01T00:00:00Z"},
           {"kind":"view","item":"a","currency":"GB","price":2},{"kind":"view","item":"b","session":{}}]"#,
    );
    let fields: Vec<_> = batch.rejected.iter().map(|bad| (bad.index, bad.field)).collect();
    assert_eq!(fields, [(1, "kind"), (2, "item"), (3, ""), (6, "at")]);
    let fields: Vec<_> = batch.warnings.iter().map(|warning| (warning.index, warning.field)).collect();
    assert_eq!(fields, [(4, "price"), (5, "quantity"), (7, "currency"), (8, "session")]);
    assert_eq!(batch.events.len(), 5);
    assert!(batch.events.iter().all(|event| (event.price, event.quantity) == (None, None)));
    assert!(batch.rejected[0].error.contains("unknown kind 'veiw'"));
}

#[test]
fn ga4_and_segment_purchases_become_one_event_per_item() {
    let ga4 = parse(
        r#"{"client_id":"c1","events":[{"name":"purchase","params":{"currency":"GBP","items":[
           {"item_id":"a","price":2.5,"quantity":3},{"item_id":"b"}]}}]}"#,
    );
    let ids: Vec<_> = ga4.events.iter().map(|event| (&*event.id, &*event.item)).collect();
    assert_eq!(ids, [("made-1", "a"), ("made-1.1", "b")]);
    assert_eq!(ga4.events[0].visitor.as_deref(), Some("c1"));
    assert_eq!(ga4.events[0].quantity, Some(3));
    assert_eq!(ga4.events[1].currency.as_deref(), Some("GBP"));
    let segment = parse(
        r#"{"type":"track","event":"Product Added","messageId":"m","anonymousId":"v",
           "properties":{"product_id":507,"price":"18.99"}}"#,
    );
    assert_eq!((segment.events[0].kind, &*segment.events[0].item), (Kind::Cart, "507"));
    assert_eq!(segment.events[0].price, Some(18.99));
}

#[test]
fn historical_events_may_be_old_but_need_a_time() {
    let body = r#"[{"kind":"view","item":"a","at":"1999-01-01T00:00:00Z"},{"kind":"view","item":"a"},
                   {"kind":"view","item":"a","at":"2999-01-01T00:00:00Z"},{"kind":"view","item":"a","at":7}]"#;
    let batch = parse_history(body.as_bytes(), 10, NOW, String::new).unwrap();
    assert_eq!(batch.events[0].at.to_string(), "1999-01-01T00:00:00Z");
    let fields: Vec<_> = batch.rejected.iter().map(|bad| (bad.index, bad.field)).collect();
    assert_eq!(fields, [(1, "at"), (2, "at"), (3, "at")]);
}

#[test]
fn invalid_bodies_are_rejected() {
    let refuse = |body: &[u8]| parse_batch(body, 2, NOW, &|_| true, String::new).unwrap_err();
    assert!(matches!(refuse(b""), BodyError::NotJson(_)));
    assert!(matches!(refuse(b"{\"kind\":"), BodyError::NotJson(_)));
    assert!(matches!(refuse(b"\xff\xfe"), BodyError::NotJson(_)));
    assert_eq!(refuse(b"[1,2,3]"), BodyError::TooMany(2));
    let many = br#"{"kind":"purchase","items":[{"item_id":"a"},{"item_id":"b"},{"item_id":"c"}]}"#;
    assert_eq!(refuse(many), BodyError::TooMany(2));
    let invalid = br#"{"kind":"purchase","items":[{},{},{}]}"#;
    assert_eq!(refuse(invalid), BodyError::TooMany(2));
}

proptest! {
    #[test]
    fn any_bytes_parse_or_are_rejected(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_batch(&body, 10, NOW, &|_| true, String::new);
    }

    #[test]
    fn warnings_are_bounded(count in 0usize..300) {
        let body = r#"{"kind":"view","item":"a","price":[]}"#.repeat(count + 1);
        let batch = parse_batch(body.as_bytes(), 400, NOW, &|_| true, String::new).unwrap();
        prop_assert_eq!(batch.warnings.len(), (count + 1).min(MAX_WARNINGS + 1));
    }

    #[test]
    fn serialised_events_parse_to_the_same(
        id in "[!-~]{1,128}", item in "[^\\p{C}\\s]{1,9}( [^\\p{C}\\s]{1,9})?", visitor in proptest::option::of("[a-z]{1,9}"),
        kind in 0u8..5, cents in proptest::option::of(0u32..100_000_000), age in 0..MAX_AGE_MS,
        trust in proptest::option::of(any::<bool>()), bucket in proptest::option::of(0..BUCKETS),
    ) {
        prop_assume!([&id, &item].into_iter().chain(&visitor).all(|text| !is_placeholder(text)));
        let event = Event {
            id, item, visitor, kind: Kind::from_u8(kind).unwrap(), at: Timestamp(NOW.0 - age),
            price: cents.map(|cents| f64::from(cents) / 100.0), session: None, quantity: None, currency: None,
            region: None, placement: None, request: None, order: None, order_token: None, bucket,
            trust: trust.map(|keyed| if keyed { Trust::Keyed } else { Trust::Public }),
        };
        let batch = parse(&serde_json::to_string(&event).unwrap());
        prop_assert_eq!(batch.events, vec![event]);
    }
}
