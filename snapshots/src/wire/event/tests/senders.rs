//! What senders say of themselves, and who is believed.

use super::*;

#[test]
fn only_a_key_may_name_visitors_sessions_and_regions_at_the_edge() {
    let body = r#"[{"kind":"view","item":"a"},{"kind":"view","item":"a","visitor":"named","session":"s","region":"fr"},
        {"event":"Product Viewed","anonymousId":"named","properties":{"sku":"a","session_id":"s"}}]"#;
    let of = |sender| {
        let batch = at_edge(body, sender);
        let fields = |event: &Event| {
            [&event.visitor, &event.session, &event.region].map(|field| field.clone().unwrap_or_default())
        };
        let warned: Vec<_> = batch.warnings.iter().map(|warning| (warning.index, warning.field)).collect();
        (batch.events.iter().map(fields).collect::<Vec<_>>(), warned)
    };
    let open = EdgeSender { visitor: Some("cookie"), region: Some("gb"), ..EdgeSender::default() };
    let owned = |fields: [[&str; 3]; 3]| fields.map(|event| event.map(str::to_owned)).to_vec();
    let (events, warned) = of(open);
    assert_eq!(events, owned([["cookie", "", "gb"], ["cookie", "s", "gb"], ["cookie", "s", "gb"]]));
    assert_eq!(warned, [(1, "visitor"), (1, "region")]);
    let (events, _) = of(EdgeSender { visitor: None, ..open });
    assert_eq!(events, owned([["", "", "gb"]; 3]), "nothing links events without consent");
    let keyed = EdgeSender { is_keyed: true, ..open };
    let (events, warned) = of(keyed);
    assert_eq!(events, owned([["cookie", "", "gb"], ["named", "s", "fr"], ["named", "s", "gb"]]));
    assert_eq!(warned, []);
    for sender in [open, keyed] {
        let (events, _) = of(EdgeSender { opted_out: true, ..sender });
        assert!(
            events.iter().all(|[visitor, session, _]| visitor.is_empty() && session.is_empty()),
            "{events:?}"
        );
    }
    // What holds anyway is no reason for a warning.
    assert_eq!(at_edge(r#"{"kind":"view","item":"a","visitor":"cookie","region":"gb"}"#, open).warnings, []);
}

#[test]
fn a_region_that_the_origin_does_not_know_is_left_out() {
    let read = |region: &str| {
        let body = format!(r#"{{"kind":"view","item":"a","region":"{region}"}}"#);
        parse_batch(body.as_bytes(), 1, NOW, &|area| area == "gb", String::new).unwrap()
    };
    assert_eq!((read("gb").events[0].region.as_deref(), read("gb").warnings), (Some("gb"), vec![]));
    let made_up = read("atlantis");
    assert_eq!((made_up.events[0].region.as_deref(), made_up.warnings[0].field), (None, "region"));
}

#[test]
fn the_edge_says_who_vouches_and_a_body_cannot() {
    let body = r#"{"kind":"view","item":"a","trust":"keyed","bucket":7}"#;
    let sender = EdgeSender { bucket: Some(9), ..EdgeSender::default() };
    let event = |batch: Batch| batch.events.first().map(|event| (event.trust, event.bucket)).unwrap();
    assert_eq!(event(at_edge(body, sender)), (Some(Trust::Public), Some(9)));
    let keyed = EdgeSender { is_keyed: true, ..EdgeSender::default() };
    assert_eq!(event(at_edge(&body.replace("keyed", "public"), keyed)), (Some(Trust::Keyed), None));
    assert_eq!(event(parse(body)), (Some(Trust::Keyed), Some(7)));
    assert_eq!(event(parse(&body.replace("keyed", "public"))), (Some(Trust::Public), Some(7)));
    assert_eq!(clean(r#"{"kind":"view","item":"a"}"#).trust, None);
    for (fields, field) in [
        (r#""trust":"order""#, "trust"),
        (r#""trust":1"#, "trust"),
        (r#""bucket":4096"#, "bucket"),
        (r#""bucket":-1"#, "bucket"),
        (r#""bucket":"7""#, "bucket"),
    ] {
        let (event, warned) = warned(&format!(r#"{{"kind":"view","item":"a",{fields}}}"#));
        assert_eq!((warned, event.bucket), (field, None), "{fields}");
        assert_eq!(
            event.trust,
            (field == "trust").then_some(Trust::Public),
            "not understood is not believed"
        );
    }
}

#[test]
fn each_line_of_an_order_has_its_token() {
    let (one, two) = ("a1".repeat(32), "B2".repeat(32));
    let batch = parse(&format!(
        r#"{{"name":"purchase","params":{{"transaction_id":"7","items":[{{"item_id":"a","order_token":"{one}"}},
            {{"item_id":"b","quantity":2,"order_token":"{two}"}},{{"item_id":"a","order_token":"{one}"}},{{"item_id":"c"}}]}}}}"#
    ));
    let tokens: Vec<_> =
        batch.events.iter().map(|event| (event.order.as_deref(), event.order_token.as_deref())).collect();
    assert_eq!(tokens, [(Some("7"), Some(&*one)), (Some("7"), Some(&*two)), (Some("7"), None)]);
    let single = clean(&format!(r#"{{"kind":"purchase","order":"7","item":"a","order_token":"{one}"}}"#));
    assert_eq!(single.order_token.as_deref(), Some(&*one));
    for token in ["\"\"", "\"abc\"", "7", "{}"] {
        let batch = parse(&format!(r#"{{"kind":"purchase","order":"7","item":"a","order_token":{token}}}"#));
        assert_eq!(batch.events[0].order_token, None, "{token}");
    }
    assert_eq!(clean(&format!(r#"{{"kind":"cart","item":"a","order_token":"{one}"}}"#)).order_token, None);
    assert_eq!(order_token_text("7", "a", 2), "7\na\n2");
}
