//! Refreshing a snapshot set that was built.

use crate::{
    build,
    pack::{PackOptions, SnapshotSet, lite, refresh::Refresher, regions::Regions},
};
use origin_data::{Dataset, Interner, Item, LogEvent};
use origin_learn::{
    config::Recipe,
    popularity::{Counts, PopularityCounts},
};
use snapshots::{
    envelope::{Envelope, Section},
    event::Kind,
    ids,
    manifest::{BlobRef, WORLD},
    time::Timestamp,
};

fn log(events: u32) -> Dataset {
    let item = |number: u32| Item {
        id: format!("i{number}"),
        name: Some(format!("Thing {number}")),
        price: Some(f64::from(number)),
        currency: Some("GBP".to_owned()),
        sale_price: (number % 5 == 1).then_some(0.5),
        group: (number < 20).then(|| format!("g{}", number / 2)),
        ..Item::default()
    };
    let event = |number: u32| LogEvent {
        area: (number % 3) as u16,
        ..LogEvent::new(
            Timestamp(1_700_000_000_000 + i64::from(number) * 60_000),
            [Kind::View, Kind::Click, Kind::Purchase][number as usize % 3],
            (number * 7_919 % 40).min(number * 104_729 % 40),
            u64::from(number / 6) + 1,
        )
    };
    Dataset {
        events: (0..events).map(event).collect(),
        items: (0..50).map(item).collect(),
        areas: ["", "fr", "gb"].map(String::from).into(),
    }
}

fn build(log: &Dataset) -> SnapshotSet {
    let regions = Regions::automatic(&log.events, &log.areas, 10);
    build::build(log, &regions, &Recipe::default(), PackOptions::default(), |_| {}).unwrap()
}

fn ids(log: &Dataset) -> Interner {
    log.items.iter().map(|item| &item.id).collect()
}

fn areas(log: &Dataset) -> Interner {
    log.areas.iter().collect()
}

#[test]
fn refreshing_an_unchanged_shop_gives_equal_bytes() {
    let log = log(900);
    let built = build(&log);
    let (blobs, manifests) = (built.blobs.clone(), built.manifests.clone());
    let mut refresher = Refresher::new(built).unwrap();
    let counts = Counts::new(&log.events);
    let (items, areas, newest) = (&ids(&log), &areas(&log), log.events.last().unwrap().at);
    refresher.popularity(&PopularityCounts { counts: &counts, items, areas, newest }).unwrap();
    refresher.attributes(&log.items, None).unwrap();
    assert_eq!(refresher.built().manifests, manifests);
    assert_eq!(refresher.built().blobs, blobs);
}

#[test]
fn sales_and_groups_come_and_go_with_the_catalogue() {
    let log = log(900);
    let mut built = build(&log);
    built.add_lite().unwrap();
    let manifests = built.manifests.clone();
    let mut refresher = Refresher::new(built).unwrap();
    let regular = |item: &Item| Item { sale_price: None, group: None, ..item.clone() };
    refresher.attributes(&log.items.iter().map(regular).collect::<Vec<_>>(), None).unwrap();
    let sections = refresher.built().open(WORLD).unwrap().sections;
    assert!(sections.iter().all(|section| section.name != "sales" && section.name != "groups"));
    refresher.attributes(&log.items, None).unwrap();
    assert_eq!(refresher.built().open(WORLD).unwrap().sections.len(), sections.len() + 2);
    assert_eq!(refresher.built().manifests, manifests);
}

#[test]
fn popularity_and_attributes_change_and_tables_stay() {
    let (before, mut after) = (log(900), log(900));
    let newest = after.events.last().unwrap().at;
    let bought = |item| LogEvent {
        at: Timestamp(newest.0 + 1),
        kind: Kind::Purchase,
        item,
        area: 2,
        ..after.events[0]
    };
    // The last item of the catalogue, which had no events before.
    after.events.extend([bought(49); 500]);
    let mut refresher = Refresher::new(build(&before)).unwrap();
    let coview = |built: &SnapshotSet| -> BlobRef {
        built.manifests[0].blobs.iter().find(|blob| blob.name == "coview").unwrap().clone()
    };
    let table = coview(refresher.built());
    let counts = Counts::new(&after.events);
    let (items, areas, last) = (&ids(&after), &areas(&after), after.events.last().unwrap().at);
    refresher.popularity(&PopularityCounts { counts: &counts, items, areas, newest: last }).unwrap();
    let changed = Item { in_stock: Some(false), ..after.items[3].clone() };
    after.items[3] = changed;
    after.items[3].sale_price = Some(2.0);
    after.items[1].sale_price = None;
    refresher.attributes(&after.items, None).unwrap();
    assert_eq!(coview(refresher.built()), table);
    for (region, first) in [("gb", true), (WORLD, true), ("fr", false)] {
        let snapshot = refresher.built().open(region).unwrap();
        let top = snapshot.popularity.order().next().unwrap();
        assert_eq!(snapshot.ids.id(top).unwrap().to_string() == "i49", first, "{region}");
        let in_stock = |id| snapshot.attributes.in_stock(snapshot.ids.index(id).unwrap());
        assert_eq!(["i3", "i8"].map(in_stock), [false, true]);
        let price = |id| snapshot.attributes.price_at(snapshot.ids.index(id).unwrap(), newest);
        assert_eq!(["i1", "i3", "i6"].map(price), [Some(100), Some(200), Some(50)]);
        assert_eq!(snapshot.built_at.0, newest.0 + 1);
    }
}

/// A set whose lite snapshot has these sections.
fn with_lite(sections: impl Fn(&mut Vec<Section>)) -> SnapshotSet {
    let mut built = build(&log(900));
    built.add_lite().unwrap();
    for place in 0..built.manifests.len() {
        let lite = built.manifests[place].lite.clone().unwrap();
        let mut envelope = Envelope::open(&built.blobs[&lite.hash].clone().into()).unwrap();
        sections(&mut envelope.sections);
        let lite = built.add(lite::NAME, &envelope).unwrap();
        built.manifests[place] = built.manifests[place].clone().with_lite(Some(lite));
    }
    built
}

#[test]
fn a_lite_snapshot_with_damaged_ids_is_an_error_and_not_an_empty_one() {
    let refresh = |built| Refresher::new(built).unwrap().attributes(&log(900).items, None);
    assert!(refresh(with_lite(|_| {})).is_ok());
    let without_ids = with_lite(|sections| sections.retain(|section| section.name != ids::NAME));
    assert!(format!("{:#}", refresh(without_ids).unwrap_err()).contains("ids"));
    let damaged = with_lite(|sections| {
        for section in sections.iter_mut().filter(|section| section.name == ids::NAME) {
            *section = Section::new(ids::NAME, ids::VERSION, vec![0xff; 64]);
        }
    });
    assert!(refresh(damaged).is_err());
}
