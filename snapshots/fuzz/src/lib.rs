//! The fuzz targets: each decodes its bytes, then uses the result like the edge does.
//!
//! A target must not panic, hang or use unbounded memory. If the decoder accepts the bytes, the result must have the
//! properties that the decoder documents.

use snapshots::{
    Bytes, Snapshot,
    answer::{Call, Request, answer},
    attributes::Attributes,
    cursor::{Cursor, MAX_SHOWN},
    envelope::Envelope,
    event::{EdgeSender, Kind, MAX_WARNINGS, Trust, parse_batch, parse_edge, parse_history},
    groups::{self, Groups},
    ids::Ids,
    manifest::{BlobRef, Manifest},
    popularity::Popularity,
    query::{MAX_LIMIT, Query},
    recents::{MAX_BYTES, MAX_ENTRIES, Recents},
    rows::{COVIEW, MAX_ROW, Rows},
    rules::{Device, Rules, Ruleset, VisitorContext},
    sales::{self, Sale, Sales},
    score::Scratch,
    strategy,
    time::Timestamp,
};

const NOW: Timestamp = Timestamp(1_795_000_000_000);
/// Number of items to look up in a decoded section.
const LOOKUPS: u32 = 100;

/// The blobs of a real snapshot of version 1.
pub const GOLDEN: [&[u8]; 4] = [
    include_bytes!("../../tests/golden/v1/items"),
    include_bytes!("../../tests/golden/v1/coview"),
    include_bytes!("../../tests/golden/v1/knn"),
    include_bytes!("../../tests/golden/v1/region"),
];

/// A snapshot. The first byte selects the golden blob that the rest replaces.
pub fn snapshot(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    let mut blobs = GOLDEN.map(Bytes::from_static);
    blobs[usize::from(*which) % GOLDEN.len()] = Bytes::copy_from_slice(bytes);
    let Ok(snapshot) = Snapshot::open(&blobs) else { return };
    let _ = snapshot.verify();
    let known = snapshot.ids.id(0).map_or(String::new(), |id| id.to_string());
    let recents = Recents::from_ids([&*known, "unknown"], NOW);
    let query = Query { limit: MAX_LIMIT, ..Query::default() };
    let mut scratch = Scratch::default();
    for call in [Call::Recommend, Call::Popular, Call::Similar(&known)] {
        let request = Request::new(&query, &recents, NOW);
        let Ok(answer) = answer(&snapshot, call, &request, &mut scratch) else { continue };
        assert!(answer.items.iter().all(|shown| shown.score.is_finite()));
        let mut shown: Vec<&str> = answer.items.iter().map(|shown| &*shown.item.id).collect();
        assert!(shown.len() <= MAX_LIMIT);
        // A corrupt dictionary may give two items the same id, a valid one may not.
        if snapshot.verify().is_ok() {
            shown.sort_unstable();
            shown.dedup();
            assert_eq!(shown.len(), answer.items.len(), "an item appears twice");
        }
    }
}

/// A shard of a table, added to a snapshot.
pub fn shard(data: &[u8]) {
    let [items, _, _, region] = GOLDEN.map(Bytes::from_static);
    let mut snapshot = Snapshot::open(&[items, region]).expect("the golden blobs without tables");
    let Ok(shard) = snapshot.open_shard(&Bytes::copy_from_slice(data)) else { return };
    let (table, item) = (shard.table, shard.rows.first());
    snapshot.add(shard.clone()).expect("the snapshot has no rows");
    if !shard.rows.is_empty() {
        assert!(snapshot.add(shard).is_err(), "the same rows of {table} were added twice");
    }
    let id = snapshot.ids.id(item).map_or(String::new(), |id| id.to_string());
    let (query, no_recents) = (Query::default(), Recents::default());
    let request = Request::new(&query, &no_recents, NOW);
    let similar = answer(&snapshot, Call::Similar(&id), &request, &mut Scratch::default());
    assert!(similar.is_ok_and(|answer| answer.items.len() <= Query::default().limit));
}

/// The item dictionary.
pub fn ids(data: &[u8]) {
    let Ok(ids) = Ids::open(&Bytes::copy_from_slice(data)) else { return };
    for index in (0..LOOKUPS).chain([u32::MAX]) {
        if let Some(id) = ids.id(index) {
            let _ = ids.index(&id);
        }
    }
    let _ = (ids.index(""), ids.index("item-7"), ids.index(&"z".repeat(128)));
}

/// A table.
pub fn rows(data: &[u8]) {
    let Ok(rows) = Rows::open(COVIEW, &Bytes::copy_from_slice(data)) else { return };
    for item in (0..LOOKUPS).chain([rows.first(), rows.end(), u32::MAX]) {
        let (mut count, mut last) = (0, None);
        rows.for_each(item, |neighbour, weight| {
            assert!((0.0..=1e9).contains(&weight));
            assert!(last < Some(neighbour), "the neighbours are not in order");
            last = Some(neighbour);
            count += 1;
        });
        assert!(count <= MAX_ROW);
    }
}

/// The sales of the items.
pub fn sales(data: &[u8]) {
    let Ok(sales) = Sales::open(&Bytes::copy_from_slice(data)) else { return };
    for item in (0..LOOKUPS).chain([u32::MAX]) {
        let _ = sales.sale(item).map(|sale| sale.holds(NOW));
    }
    let _ = (sales.changes(NOW), sales.changes(Timestamp(i64::MIN)), sales.changes(Timestamp(i64::MAX)));
}

/// The groups of the items. The first byte is their number.
pub fn groups(data: &[u8]) {
    let Some((count, bytes)) = data.split_first() else { return };
    let Ok(groups) = Groups::open(&Bytes::copy_from_slice(bytes), usize::from(*count)) else { return };
    for item in (0..LOOKUPS).chain([u32::MAX]) {
        let _ = groups.group(item).map(|group| groups.name(group));
    }
}

/// The attributes of the items.
pub fn attributes(data: &[u8]) {
    let Ok(attributes) = Attributes::open(&Bytes::copy_from_slice(data)) else { return };
    let _ = attributes.currency();
    for item in (0..LOOKUPS).chain([u32::MAX]) {
        let _ = attributes.item(item, "item-7");
        let _ = (
            attributes.in_stock(item),
            attributes.price(item),
            attributes.category(item),
            attributes.brand(item),
        );
    }
    let _ = (attributes.categories().take(1_000).count(), attributes.brands().take(1_000).count());
}

/// A region's popularity.
pub fn popularity(data: &[u8]) {
    let Ok(popularity) = Popularity::open(&Bytes::copy_from_slice(data)) else { return };
    for item in popularity.order().take(1_000).chain([u32::MAX]) {
        assert!((0.0..=1.0).contains(&popularity.of(item)));
        assert!((0.0..=1.0).contains(&popularity.recency(item)));
    }
}

/// The strategies.
pub fn strategies(data: &[u8]) {
    if let Ok(strategies) = strategy::open(data) {
        let again = strategy::write(&strategies).expect("decoded strategies can be written");
        assert_eq!(strategy::open(&again).expect("written strategies can be read"), strategies);
    }
}

/// The rules, applied to a real snapshot.
pub fn rules(data: &[u8]) {
    let Ok(rules) = Rules::open(data) else { return };
    let mut snapshot = Snapshot::open(&GOLDEN.map(Bytes::from_static)).expect("the golden blobs");
    let mut enabled = rules;
    enabled.rules.iter_mut().for_each(|rule| rule.enabled = true);
    snapshot.rules = Ruleset::new(enabled, &snapshot.ids, &snapshot.attributes);
    let recents = Recents::parse("1|item-3:p:1|item-5:v:2");
    let query = Query { segments: vec!["vip".to_owned()], ..Query::default() };
    let clock = |_: Option<&str>| Some(600);
    let (device, random) = (Some(Device::Mobile), Some(data.len() as u64));
    let context = VisitorContext { device, random, clock: Some(&clock), ..VisitorContext::default() };
    let request = Request { query: &query, recents: &recents, context, now: NOW };
    for call in [Call::Recommend, Call::Popular, Call::Similar("item-3")] {
        let Ok(answer) = answer(&snapshot, call, &request, &mut Scratch::default()) else { continue };
        assert!(answer.items.len() <= query.limit);
        assert!(answer.items.iter().all(|shown| shown.item.in_stock && shown.score.is_finite()));
    }
}

/// A manifest.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        assert_eq!(Manifest::parse(&manifest.to_json()).as_ref(), Ok(&manifest));
        let _ = manifest.region_of("gb");
    }
}

/// The recents cookie.
pub fn recents(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let mut recents = Recents::parse(text);
    assert!(recents.entries().len() <= MAX_ENTRIES);
    recents.touch("item-7", Kind::Cart, NOW);
    let encoded = recents.encode();
    assert!(encoded.len() <= MAX_BYTES);
    assert_eq!(Recents::parse(&encoded).entries()[0].item, "item-7");
}

/// A cursor.
pub fn cursor(data: &[u8]) {
    let Some(cursor) = core::str::from_utf8(data).ok().and_then(Cursor::parse) else { return };
    assert!(cursor.len() <= MAX_SHOWN);
    if let Some(next) = cursor.after(["item-7"], ["group"]) {
        let next = Cursor::parse(&next).expect("a generated cursor is valid");
        assert!(next.has_shown("item-7") && next.has_shown_group("group") && next.len() >= cursor.len());
    }
}

/// A query string.
pub fn query(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match Query::parse(text) {
        Ok(query) => assert!((1..=MAX_LIMIT).contains(&query.limit)),
        Err(error) => assert!(!error.field.is_empty() && !error.detail.is_empty()),
    }
}

/// A body of events.
pub fn event(data: &[u8]) {
    let made = || "generated".to_owned();
    let sender = EdgeSender { visitor: Some("visitor"), region: Some("gb"), ..EdgeSender::default() };
    if let Ok(text) = core::str::from_utf8(data)
        && let Some(at) = Timestamp::read(text)
    {
        assert_eq!(Timestamp::read(&at.to_string()), Some(at));
    }
    let public = parse_edge(data, 50, NOW, sender, made);
    for event in public.iter().flat_map(|batch| &batch.events) {
        assert!(event.at <= NOW && event.trust == Some(Trust::Public));
        assert!(event.visitor.as_deref() == Some("visitor") && event.region.as_deref() == Some("gb"));
    }
    for batch in [public, parse_history(data, 50, NOW, made), parse_batch(data, 50, NOW, &|_| true, made)].into_iter().flatten() {
        assert!(batch.events.len() + batch.rejected.len() <= 100 && batch.warnings.len() <= MAX_WARNINGS + 1);
        for event in &batch.events {
            assert!((1..=128).contains(&event.item.len()) && (1..=128).contains(&event.id.len()));
        }
    }
}

/// Seeds from real inputs for each target.
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let section = |name: &str| {
        let opened = GOLDEN.iter().filter_map(|blob| Envelope::open(&Bytes::from_static(blob)).ok());
        let found = opened.flat_map(|envelope| envelope.sections).find(|section| section.name == name);
        found.map(|section| section.bytes.to_vec()).into_iter().collect::<Vec<_>>()
    };
    let whole = (0u8..).zip(GOLDEN).map(|(which, blob)| [&[which], blob].concat());
    let text = |text: &str| text.as_bytes().to_vec();
    let blob = BlobRef { bytes: 1, ..BlobRef::new("items", GOLDEN[0]) };
    let regions = [("gb".to_owned(), "uk".to_owned())].into();
    let rules: Rules = serde_json::from_str(include_str!("../../tests/rules.json")).expect("the document is valid");
    let rules = rules.write().expect("the rules can be written");
    let next = Cursor::default().after(["item-1", "item-2"], ["a"]).unwrap_or_default();
    let sale = Some(Sale { price: 150, from: 0, until: 1_795_000_000 });
    let groups = [vec![2], groups::write(&["shirt", "shirt"]).unwrap_or_default()].concat();
    vec![
        ("snapshot", whole.collect()),
        ("sales", sales::write(&[sale, None]).into_iter().collect()),
        ("groups", vec![groups]),
        ("ids", section("ids")),
        ("shard", vec![GOLDEN[1].to_vec(), GOLDEN[2].to_vec()]),
        ("rows", [section("coview"), section("knn")].concat()),
        ("attributes", section("attributes")),
        ("popularity", section("popularity")),
        ("strategies", section("strategies")),
        ("rules", vec![rules]),
        ("manifest", vec![Manifest::new("world", NOW, vec![blob], regions).to_json()]),
        ("recents", vec![text("1|85123A:v:ht7ui|a%7Cb:c3:0|x")]),
        ("cursor", vec![next.into_bytes()]),
        (
            "query",
            vec![text(
                "placement=cart&item=a,b&limit=3&exclude=c%26d&category=Garden&price_max=12.75&region=gb",
            )],
        ),
        (
            "event",
            vec![
                text(r#"[{"id":"a","kind":"view","item":"85123A","price":2.5,"at":"2026-11-18T11:06:40Z"}]"#),
                text(r#"["event","view_item",{"items":[{"item_id":18,"price":"1.299,00 EUR","quantity":"2"}]}]"#),
                text(
                    r#"{"batch":[{"event":"Completed Order","messageId":"m","originalTimestamp":"Wed, 18 Nov 2026 11:06:40 GMT","properties":{"orderId":7,"products":[{"id":"a"}]}}],"sentAt":1795000000}"#,
                ),
                text(
                    r#"{"event":"x","ecommerce":{"currencyCode":"USD","add":{"products":{"0":{"id":"a","price":"1,299"}}}}}"#,
                ),
                text(
                    r#"{"client_id":"c","events":[{"name":"purchase","params":{"items":[{"item_id":"a","quantity":3}]}}]}"#,
                ),
            ],
        ),
    ]
}
