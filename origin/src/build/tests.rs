use super::*;
use crate::store::{Item, LogEvent};
use snapshots::{Snapshot, event::Kind};

fn log(items: u32) -> Log {
    let item = |number: u32| Item {
        id: format!("item-{number:05}"),
        name: Some(format!("Thing {number}")),
        ..Item::default()
    };
    let click = |number: u32| LogEvent {
        at: Timestamp(i64::from(number) * 1_000),
        kind: Kind::Click,
        // Items with a high number are met less often.
        item: (number * 7_919 % items).min(number * 104_729 % items),
        visitor: u64::from(number / 6) + 1,
        session: 0,
        area: 0,
        quantity: 1,
    };
    Log {
        events: (0..items * 20).map(click).collect(),
        items: (0..items).map(item).collect(),
        areas: vec![String::new()],
    }
}

#[test]
fn tables_above_the_limit_are_cut_and_read_as_whole() {
    let (log, recipe) = (log(400), Recipe { k: 20, ..Recipe::default() });
    let regions = Regions::automatic(&log.events, &log.areas, usize::MAX);
    let build = |whole| {
        let packing = Packing { whole, shard: 4_096, ..Packing::default() };
        build(&log, &regions, &recipe, packing, |_| {}).unwrap()
    };
    let (whole, cut) = (build(1 << 20), build(0));
    let shards = || cut.manifests[0].blobs.iter().filter(|blob| blob.rows.is_some());
    assert!(!whole.manifests[0].is_sharded() && shards().count() > 3);
    assert!(shards().all(|blob| blob.bytes <= 4_096), "{:?}", cut.manifests[0].blobs);
    let (whole, cut) = (whole.open(WORLD).unwrap(), cut.open(WORLD).unwrap());
    let rows = |snapshot: &Snapshot, item| {
        let mut row = Vec::new();
        for table in [&snapshot.coview, &snapshot.knn] {
            table.as_ref().unwrap().for_each(item, |neighbour, _| row.push(neighbour));
        }
        row
    };
    for item in 0..400 {
        assert_eq!(rows(&whole, item), rows(&cut, item), "row {item}");
    }
}

#[test]
fn of_a_large_catalogue_the_most_wanted_stay() {
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
    assert!(Catalogue::new(&small.items, &order).bytes() <= 2_500);
    let met = |log: &Log, id: &str| {
        log.events.iter().filter(|event| log.items[event.item as usize].id == id).count()
    };
    for item in &small.items {
        assert_eq!(met(&small, &item.id), met(&all, &item.id), "{}", item.id);
    }
    let share = small.events.len() as f64 / all.events.len() as f64;
    assert!(share > small.items.len() as f64 / 400.0, "the least wanted were to go");
}
