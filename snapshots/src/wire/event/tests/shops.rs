//! Events as shops send them.

use super::*;

const DAY: &str = "2026-11-18T11:06:40Z";

fn public(body: &str) -> Batch {
    at_edge(body, EdgeSender { visitor: Some("cookie"), ..EdgeSender::default() })
}

#[test]
fn wrappers_of_other_products_are_read() {
    for (body, kind) in [
        (
            r#"{"event":"view_item","ecommerce":{"currency":"SEK","items":[{"item_id":"CUP-9","price":80}]}}"#,
            Kind::View,
        ),
        (
            r#"{"event":"view_item","eventModel":{"currency":"SEK","items":[{"id":"CUP-9","price":80}]}}"#,
            Kind::View,
        ),
        (
            r#"{"event":"productDetail","ecommerce":{"currencyCode":"SEK","detail":{"products":[{"id":"CUP-9","price":"80"}]}}}"#,
            Kind::View,
        ),
        (
            r#"{"ecommerce":{"currencyCode":"SEK","add":{"products":[{"id":"CUP-9","price":"80"}]}}}"#,
            Kind::Cart,
        ),
        (
            r#"{"event":"eec.click","ecommerce":{"currencyCode":"SEK","click":{"products":[{"id":"CUP-9","price":"80.00"}]}}}"#,
            Kind::Click,
        ),
        (
            r#"{"event":"gtm","ecommerce":{"currencyCode":"SEK","impressions":[{"id":"CUP-9","price":"80"}]}}"#,
            Kind::Impression,
        ),
        (
            r#"["event","add_to_cart",{"currency":"SEK","items":[{"item_id":"CUP-9","price":80}]}]"#,
            Kind::Cart,
        ),
        (
            r#"[["event","add_to_cart",{"currency":"SEK","items":[{"item_id":"CUP-9","price":80}]}]]"#,
            Kind::Cart,
        ),
        (
            r#"{"0":"event","1":"select_item","2":{"currency":"SEK","items":{"0":{"item_id":"CUP-9","price":80}}}}"#,
            Kind::Click,
        ),
        (
            r#"{"batch":[{"type":"track","event":"Added Product","properties":{"id":"CUP-9","sku":"x","price":80,"currency":"sek"}}]}"#,
            Kind::Cart,
        ),
        (
            r#"{"events":{"name":"purchase","params":{"currency":"SEK","items":[{"item_id":"CUP-9","price":80.0}]}}}"#,
            Kind::Purchase,
        ),
        (
            r#"[{"events":[{"name":"view_item_list","params":{"currency":"SEK","items":[{"item_id":"CUP-9","price":80.0}]}}]}]"#,
            Kind::Impression,
        ),
        (
            r#"{"event":"Product Clicked","properties":{"product_id":"CUP-9","sku":"x","price":"SEK 80"}}"#,
            Kind::Click,
        ),
        (
            r#"{"event":"product_viewed","event_text":"Product Viewed","product_id":"CUP-9","price":80,"currency":"SEK"}"#,
            Kind::View,
        ),
        (
            r#"{"event_name":"view_item","items":[{"item_id":"CUP-9","price":80}],"event_params":[{"key":"currency","value":{"string_value":"SEK","int_value":null}}]}"#,
            Kind::View,
        ),
        (
            r#"{"event":"unstruct","event_name":"snowplow_ecommerce_action",
            "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1":{"type":"product_view"},
            "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1":[{"id":"CUP-9","price":80,"currency":"SEK"}]}"#,
            Kind::View,
        ),
        (
            r#"{"event":"unstruct","event_name":"add_to_cart",
            "unstruct_event_com_snowplowanalytics_snowplow_add_to_cart_1":{"sku":"CUP-9","unit_price":80,"currency":"SEK"}}"#,
            Kind::Cart,
        ),
    ] {
        let event = clean(body);
        assert_eq!((event.kind, &*event.item, event.price), (kind, "CUP-9", Some(80.0)), "{body}");
        assert_eq!(event.currency.as_deref(), Some("SEK"), "{body}");
    }
}

#[test]
fn bigquery_rows_have_visitor_session_time_and_order() {
    let row = r#"{"event_date":"20261117","event_timestamp":"1794909996789000","event_name":"purchase",
        "user_pseudo_id":"41.9","event_params":[{"key":"ga_session_id","value":{"int_value":"88"}}],
        "ecommerce":{"transaction_id":"T5","purchase_revenue":12},
        "items":[{"item_id":"a","quantity":"2"},{"item_id":"(not set)"},{"item_id":"b","quantity":null}]}"#;
    let batch = parse(row);
    assert_eq!(batch.events.len(), 2);
    let event = &batch.events[0];
    assert_eq!(event.at.to_string(), "2026-11-17T10:06:36.789Z");
    assert_eq!(
        (event.visitor.as_deref(), event.session.as_deref(), event.quantity),
        (Some("41.9"), Some("88"), Some(2))
    );
    let again = parse(r#"{"kind":"purchase","order":"T5","item":"a","visitor":"41.9"}"#);
    assert_eq!(event.id, again.events[0].id);
    assert_eq!(
        (batch.rejected[0].index, batch.rejected[0].line, batch.rejected[0].field),
        (0, Some(1), "item")
    );
}

#[test]
fn fields_of_a_wrapper_are_those_of_its_events() {
    let batch = parse(
        r#"{"client_id":"7.7","timestamp_micros":"1794909996789000","events":[
            {"name":"view_item","params":{"items":[{"item_id":"a"}]}},
            {"name":"view_item","timestamp_micros":1794909990000000,"params":{"items":[{"item_id":"b"}]}}]}"#,
    );
    let at: Vec<_> = batch.events.iter().map(|event| event.at.to_string()).collect();
    assert_eq!(at, ["2026-11-17T10:06:36.789Z", "2026-11-17T10:06:30Z"]);
    assert!(batch.events.iter().all(|event| event.visitor.as_deref() == Some("7.7")));
    let segment = clean(
        r#"{"batch":[{"type":"track","messageId":"m4","anonymousId":"","userId":8,"event":"Product Viewed","properties":{"sku":4}}]}"#,
    );
    assert_eq!((&*segment.id, segment.visitor.as_deref(), &*segment.item), ("m4", Some("8"), "4"));
}

#[test]
fn own_names_among_properties_are_not_ours() {
    let body = r#"{"messageId":"m9","event":"Product Added","anonymousId":"v","properties":{"product_id":"55","id":"x",
        "event_id":"y","kind":"vase","at":"Rome","region":"South > East","timestamp":5,"placement":3,"request":{},"item":"Vase",
        "visitor":"no","session":[],"order":"no"}}"#;
    let event = clean(body);
    assert_eq!((&*event.id, event.kind, &*event.item, event.at), ("m9", Kind::Cart, "55", NOW));
    assert_eq!((event.region, event.placement, event.request, event.session), (None, None, None, None));
    assert_eq!(event.visitor.as_deref(), Some("v"));
    let event = clean(
        r#"{"name":"view_item","params":{"id":"other","timestamp":1,"items":[{"item_id":"55","item":"Vase"}]}}"#,
    );
    assert_eq!((&*event.id, &*event.item, event.at), ("made-1", "55", NOW));
}

#[test]
fn numbers_and_blanks_are_read_as_meant() {
    let cases = [
        (r#""item":507"#, "507"),
        (r#""item":507.0"#, "507"),
        (r#""item":" A 7\t""#, "A 7"),
        (r#""item":"\u00a0A7""#, "A7"),
        (r#""item":1.5"#, "1.5"),
        (r#""item":"00507.0""#, "00507.0"),
        (r#""item":null,"sku":"","product_id":"A7""#, "A7"),
        (r#""items":["A7"]"#, "A7"),
        (r#""items":{"sku":"A7"}"#, "A7"),
    ];
    for (fields, item) in cases {
        assert_eq!(clean(&format!(r#"{{"kind":"view",{fields}}}"#)).item, item, "{fields}");
    }
    let event = clean(
        r#"{"kind":"cart","item":"a","id":"","visitor":"","session":" ","at":"","price":"","currency":"","quantity":"","region":null}"#,
    );
    let plain = clean(r#"{"kind":"cart","item":"a"}"#);
    assert_eq!(event, plain);
    for (quantity, expected) in [("3", 3), ("\"3\"", 3), ("3.0", 3), ("\" 3.000 \"", 3), ("\"3,0\"", 3)] {
        let event = clean(&format!(r#"{{"kind":"cart","item":"a","quantity":{quantity}}}"#));
        assert_eq!(event.quantity, Some(expected), "{quantity}");
    }
    for (quantity, expected) in [
        ("2.5", Some(3)),
        ("0.2", Some(1)),
        ("0", None),
        ("-1", None),
        ("\"1,000\"", None),
        ("\"two\"", None),
        ("5e9", None),
        ("true", None),
        ("[]", None),
    ] {
        let (event, field) = warned(&format!(r#"{{"kind":"cart","item":"a","quantity":{quantity}}}"#));
        assert_eq!((event.quantity, field), (expected, "quantity"), "{quantity}");
    }
}

#[test]
fn prices_with_one_reading_are_taken_and_others_left_out() {
    for (price, expected) in [
        ("\"2,499.00\"", 2499.0),
        ("\"2.499,00\"", 2499.0),
        ("\"7,25\"", 7.25),
        ("\"€ 7.25\"", 7.25),
        ("\"EUR 7.25\"", 7.25),
        ("7.125", 7.125),
    ] {
        let event = clean(&format!(r#"{{"kind":"cart","item":"a","currency":"eur","price":{price}}}"#));
        assert_eq!((event.price, event.currency.as_deref()), (Some(expected), Some("EUR")), "{price}");
    }
    for price in ["\"2.499\"", "\"free\"", "\"£ 7.25\"", "-1", "1e13", "{}", "false"] {
        let (event, field) =
            warned(&format!(r#"{{"kind":"cart","item":"a","currency":"EUR","price":{price}}}"#));
        assert_eq!((event.price, event.currency.as_deref(), field), (None, Some("EUR"), "price"), "{price}");
    }
    let money = r#"{"kind":"cart","item":"a","price":{"amount":"2.499,00","currencyCode":"EUR"}}"#;
    let event = clean(money);
    assert_eq!((event.price, event.currency.as_deref()), (Some(2499.0), Some("EUR")));
    let other = money.replace("\"price\"", "\"currency\":\"GBP\",\"price\"");
    assert_eq!(warned(&other).0.price, None);
    let (event, field) = warned(r#"{"kind":"cart","item":"a","currency":"POUND","price":3}"#);
    assert_eq!((event.price, event.currency, field), (None, None, "currency"));
    let both = parse(r#"{"kind":"purchase","currency":"USD","price":9,"quantity":4,"items":["a","b"]}"#);
    assert!(both.events.iter().all(|event| event.price.is_none() && event.quantity.is_none()), "{both:?}");
}

#[test]
fn placeholders_are_never_ids() {
    for id in
        ["undefined", "null", "NaN", "[object Object]", " Null ", "(not set)", "{{product.id}}", "", "\\\\N"]
    {
        let batch = parse(&format!(
            r#"[{{"kind":"view","item":"{id}"}},{{"name":"view_item","params":{{"items":[{{"item_id":"{id}"}}]}}}}]"#
        ));
        let rejected: Vec<_> = batch.rejected.iter().map(|bad| (bad.index, bad.line, bad.field)).collect();
        assert_eq!(rejected, [(0, None, "item"), (1, Some(0), "item")], "{id}");
        let event = clean(&format!(
            r#"{{"kind":"purchase","item":"a","id":"{id}","visitor":"{id}","order":"{id}"}}"#
        ));
        assert_eq!((&*event.id, event.visitor), ("made-1", None), "{id}");
    }
    for item in ["true", "{}", "[]", "12345678901234567890123"] {
        let batch = parse(&format!(r#"{{"kind":"view","item":{item}}}"#));
        assert_eq!((batch.events.len(), batch.rejected[0].field), (0, "item"), "{item}");
    }
}

#[test]
fn a_bad_line_does_not_lose_the_others() {
    let batch = parse(
        r#"{"kind":"purchase","id":"p","items":[{"item_id":"a"},{"item_id":null},{"sku":"b","price":"x"},7,{"id":"c"},[]]}"#,
    );
    let events: Vec<_> = batch.events.iter().map(|event| (&*event.id, &*event.item)).collect();
    assert_eq!(events, [("p", "a"), ("p.2", "b"), ("p.3", "7"), ("p.4", "c")]);
    let rejected: Vec<_> = batch.rejected.iter().map(|bad| bad.line).collect();
    assert_eq!(rejected, [Some(1), Some(5)]);
    assert_eq!((batch.warnings[0].line, batch.warnings[0].field), (Some(2), "price"));
}

#[test]
fn a_line_of_an_order_has_one_id() {
    let id = |body: &str| one(body).id;
    let first = id(r#"{"id":"e1","kind":"purchase","order":"7","item":"a","visitor":"v"}"#);
    for same in [
        r#"{"id":"e2","kind":"purchase","order":7,"item":"a","visitor":"v","at":"2026-11-17T00:00:00Z"}"#,
        r#"{"event":"Order Completed","messageId":"m","anonymousId":"v","properties":{"order_id":"7","products":[{"product_id":"a"}]}}"#,
        r#"{"event":"Completed Order","anonymousId":"v","properties":{"orderId":"7","products":[{"id":"a","sku":"x"}]}}"#,
        r#"{"client_id":"v","events":[{"name":"purchase","params":{"transaction_id":"7","items":[{"item_id":"a"}]}}]}"#,
        r#"{"event":"purchase","visitor":"v","ecommerce":{"transaction_id":"7","items":[{"item_id":"a"}]}}"#,
        r#"{"event":"transaction","visitor":"v","ecommerce":{"purchase":{"actionField":{"id":"7"},"products":[{"id":"a"}]}}}"#,
    ] {
        assert_eq!(id(same), first, "{same}");
    }
    for other in [
        r#"{"id":"e1","kind":"purchase","order":"7","item":"b","visitor":"v"}"#,
        r#"{"id":"e1","kind":"purchase","order":"7","item":"a","visitor":"w"}"#,
        r#"{"id":"e1","kind":"purchase","order":"8","item":"a","visitor":"v"}"#,
        r#"{"id":"e1","kind":"cart","order":"7","item":"a","visitor":"v"}"#,
    ] {
        assert_ne!(id(other), first, "{other}");
    }
    let cookie = public(r#"{"kind":"purchase","order":"7","item":"a"}"#).events[0].id.clone();
    assert_ne!(cookie, first);
    assert_eq!(cookie, id(r#"{"kind":"purchase","order":"7","item":"a","visitor":"cookie"}"#));
}

#[test]
fn lines_of_an_order_with_one_item_are_added_up() {
    let batch = parse(
        r#"{"name":"purchase","params":{"transaction_id":"7","currency":"EUR","items":[{"item_id":"a","price":10,"quantity":3},
            {"item_id":"b"},{"item_id":"a","price":6}]}}"#,
    );
    let lines: Vec<_> =
        batch.events.iter().map(|event| (&*event.item, event.quantity, event.price)).collect();
    assert_eq!(lines, [("a", Some(4), Some(9.0)), ("b", None, None)]);
    assert_eq!((batch.warnings[0].line, batch.warnings[0].field), (Some(2), "item"));
}

#[test]
fn times_are_read_in_every_unit_and_spelling() {
    let seconds = NOW.0 / 1_000;
    for at in [
        format!("\"{DAY}\""),
        format!("{seconds}"),
        format!("\"{seconds}\""),
        format!("{seconds}000"),
        format!("{seconds}.0"),
        format!("{seconds}000000"),
        format!("\"{seconds}000000000\""),
        "\"2026-11-18 11:06:40\"".to_owned(),
        "\"2026-11-18T12:06:40+0100\"".to_owned(),
        "\"Wed, 18 Nov 2026 11:06:40 GMT\"".to_owned(),
    ] {
        let body = format!(r#"{{"kind":"view","item":"a","at":{at}}}"#);
        let receivers =
            [parse(&body), public(&body), parse_history(body.as_bytes(), 1, NOW, String::new).unwrap()];
        assert!(receivers.iter().all(|batch| batch.events[0].at == NOW && batch.warnings.is_empty()), "{at}");
    }
    for at in ["0", "1", "true", "\"now\"", "\"2026-11-18\"", "1e300", "[]"] {
        let batch = public(&format!(r#"{{"kind":"view","item":"a","at":{at}}}"#));
        assert_eq!((batch.events.len(), batch.rejected[0].field), (0, "at"), "{at}");
    }
}

#[test]
fn clocks_are_corrected_at_the_edge() {
    let time = |offset: i64| Timestamp(NOW.0 + offset * 1_000);
    let event = |fields: &str| format!(r#"{{"event":"Product Viewed","properties":{{"sku":"a"}},{fields}}}"#);
    for ahead in [240, 600, 3_600, 70_000_000] {
        let body = event(&format!(r#""at":"{}""#, time(ahead)));
        let batch = public(&body);
        assert_eq!((batch.events[0].at, batch.warnings[0].field), (NOW, "at"), "{ahead}");
        assert_eq!(parse(&body).rejected.is_empty(), ahead <= 300, "{ahead}");
    }
    // A clock that is an hour ahead or behind, and an event ten minutes before it was sent.
    for offset in [3_600, -3_600, -90_000_000] {
        let (at, sent) = (time(offset - 600), time(offset));
        let fields = format!(r#""originalTimestamp":"{at}","sentAt":"{sent}""#);
        let batch = public(&event(&fields));
        assert_eq!((batch.events[0].at, batch.warnings[0].field), (time(-600), "at"), "{offset}");
        let wrapped =
            format!(r#"{{"batch":[{}],"sentAt":"{sent}"}}"#, event(&format!(r#""timestamp":"{at}""#)));
        assert_eq!(public(&wrapped).events[0].at, time(-600));
    }
    // A `sentAt` that cannot be of the same clock.
    for sent in [time(-700), time(90_000_000)] {
        let batch = public(&event(&format!(r#""timestamp":"{}","sentAt":"{sent}""#, time(-600))));
        assert_eq!((batch.events[0].at, batch.warnings[0].field), (time(-600), "at"));
    }
    // What Segment has corrected already.
    let corrected = format!(
        r#""timestamp":"{}","originalTimestamp":"{}","sentAt":"{}","receivedAt":"{}""#,
        time(-600),
        time(3_000),
        time(3_600),
        time(0)
    );
    assert_eq!(public(&event(&corrected)).events[0].at, time(-600));
    // The time that a request takes is no wrong clock.
    let soon = format!(r#""timestamp":"{}","sentAt":"{}""#, time(-20), time(-10));
    let batch = public(&event(&soon));
    assert_eq!((batch.events[0].at, batch.warnings.len()), (time(-20), 0));
}

#[test]
fn events_of_other_kinds_are_refused_by_name() {
    for body in [
        r#"{"event":"Product Removed","properties":{"product_id":"a"}}"#,
        r#"{"event":"removeFromCart","ecommerce":{"remove":{"products":[{"id":"a"}]}}}"#,
        r#"{"event":"eec.remove","ecommerce":{"add":{"products":[{"id":"a"}]}}}"#,
        r#"{"event":"Product Added to Wishlist","properties":{"product_id":"a"}}"#,
        r#"{"name":"refund","params":{"transaction_id":"7","items":[{"item_id":"a"}]}}"#,
        r#"{"type":"identify","userId":"u"}"#,
        r#"["config","G-1",{"items":[{"item_id":"a"}]}]"#,
        r#"{"0":"js","1":{}}"#,
        r#"{"kind":"vu","event":"view_item","item":"a"}"#,
    ] {
        let batch = parse(body);
        assert!(
            batch.events.is_empty() && matches!(batch.rejected[0].field, "kind" | ""),
            "{body}: {batch:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_spelling_of_a_kind_is_that_kind(name in "(view item|add to cart|product added|order completed|select item)", style in 0..4) {
        let spelt = match style {
            0 => name.replace(' ', "_"),
            1 => name.to_uppercase(),
            2 => name.split(' ').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..])).collect(),
            _ => name.replace(' ', "-"),
        };
        prop_assert_eq!(Kind::from_name(&spelt), Kind::from_name(&name));
        prop_assert!(Kind::from_name(&name).is_some());
    }

    #[test]
    fn any_value_of_an_optional_field_keeps_the_event(
        field in "(price|quantity|currency|visitor|session|region|placement|request|order|order_token|trust|bucket|sentAt|originalTimestamp)",
        value in "\"\\PC{0,20}\"|-?[0-9]{1,20}|null|true|\\[\\]|\\{\\}",
    ) {
        let body = format!(r#"{{"kind":"purchase","item":"a","at":"{DAY}","{field}":{value}}}"#);
        if serde_json::from_str::<serde_json::Value>(&body).is_ok() {
            let batch = parse(&body);
            prop_assert_eq!(batch.events.len(), 1, "{}", body);
        }
    }
}
