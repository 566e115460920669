use super::*;
use crate::pack::lite;
use origin_data::{Item, LogEvent};
use snapshots::{
    Snapshot,
    answer::{Answer, Call, Request, answer},
    event::Kind,
    manifest::WORLD,
    query::Query,
    recents::Recents,
    score::Scratch,
    time::Timestamp,
};

fn log(items: u32) -> Dataset {
    let item = |number: u32| Item {
        id: format!("item-{number:05}"),
        name: Some(format!("Thing {number}")),
        ..Item::default()
    };
    let click = |number: u32| {
        // Items with higher numbers are viewed less often.
        let item = (number * 7_919 % items).min(number * 104_729 % items);
        LogEvent::new(Timestamp(i64::from(number) * 1_000), Kind::Click, item, u64::from(number / 6) + 1)
    };
    Dataset {
        events: (0..items * 20).map(click).collect(),
        items: (0..items).map(item).collect(),
        areas: vec![String::new()],
    }
}

#[test]
fn sharded_tables_read_as_whole_ones() {
    let (log, recipe) = (log(400), Recipe { k: 20, ..Recipe::default() });
    let regions = Regions::automatic(&log.events, &log.areas, usize::MAX);
    let build = |whole| {
        let options = PackOptions { whole, shard: 4_096, ..PackOptions::default() };
        build(&log, &regions, &recipe, options, |_| {}).unwrap()
    };
    let (whole, sharded) = (build(1 << 20), build(0));
    let shards = || sharded.manifests[0].blobs.iter().filter(|blob| blob.rows.is_some());
    assert!(!whole.manifests[0].is_sharded() && shards().count() > 3);
    assert!(shards().all(|blob| blob.bytes <= 4_096), "{:?}", sharded.manifests[0].blobs);
    let (whole, sharded) = (whole.open(WORLD).unwrap(), sharded.open(WORLD).unwrap());
    let rows = |snapshot: &Snapshot, item| {
        let mut row = Vec::new();
        for table in [&snapshot.coview, &snapshot.knn] {
            table.as_ref().unwrap().for_each(item, |neighbour, _| row.push(neighbour));
        }
        row
    };
    for item in 0..400 {
        assert_eq!(rows(&whole, item), rows(&sharded, item), "row {item}");
    }
}

#[test]
fn pruning_a_catalogue_keeps_the_most_popular_items() {
    let mut small = log(400);
    let all = small.clone();
    assert_eq!(prune(&mut small, 1 << 20), (0, 0));
    assert_eq!(small, all);
    let (items, events) = prune(&mut small, 2_500);
    assert!(
        (100..300).contains(&items)
            && small.items.len() == 400 - items
            && small.events.len() == all.events.len() - events
    );
    let order: Vec<u32> = (0..small.items.len() as u32).collect();
    assert!(CatalogueSections::new(&small.items, &order).bytes() <= 2_500);
    let events = |log: &Dataset, id: &str| {
        log.events.iter().filter(|event| log.items[event.item as usize].id == id).count()
    };
    for item in &small.items {
        assert_eq!(events(&small, &item.id), events(&all, &item.id), "{}", item.id);
    }
    let share = small.events.len() as f64 / all.events.len() as f64;
    assert!(share > small.items.len() as f64 / 400.0, "the least popular items are removed");
}

/// The recommendations for a visitor with two recents.
fn recommended(snapshot: &Snapshot, now: Timestamp) -> Answer<'_> {
    let (query, mut recents) = (Query { limit: 20, ..Query::default() }, Recents::default());
    recents.touch("item-00003", Kind::View, now);
    recents.touch("item-00007", Kind::Cart, now);
    answer(snapshot, Call::Recommend, &Request::new(&query, &recents, now), &mut Scratch::default()).unwrap()
}

#[test]
fn a_lite_snapshot_answers_as_the_whole_one_or_holds_its_most_popular_items() {
    let log = log(400);
    let regions = Regions::automatic(&log.events, &log.areas, usize::MAX);
    let recipe = Recipe { k: 20, ..Recipe::default() };
    let built = build(&log, &regions, &recipe, PackOptions::default(), |_| {}).unwrap();
    let whole = built.open(WORLD).unwrap();
    let lite = |bytes: usize| {
        let blob = lite::lite(&whole, bytes).unwrap().write().unwrap();
        assert!(blob.len() <= bytes, "{} of {bytes} bytes", blob.len());
        let snapshot = Snapshot::open(&[blob.into()]).unwrap();
        snapshot.verify().unwrap();
        snapshot
    };
    let (all, now) = (lite(lite::BYTES), whole.built_at);
    let shown = |snapshot| serde_json::to_value(recommended(snapshot, now)).unwrap();
    assert_eq!(shown(&all), shown(&whole));
    assert!(all.popularity.order().eq(whole.popularity.order()));

    let head = lite(8_192);
    assert!((30..300).contains(&head.len()), "{} items", head.len());
    let ids = |snapshot: &Snapshot| -> Vec<String> {
        let order = snapshot.popularity.order().take(head.len());
        order.filter_map(|item| Some(snapshot.ids.id(item)?.to_string())).collect()
    };
    assert_eq!(ids(&head), ids(&whole));
    assert_eq!(recommended(&head, now).items.len(), 20);
}
