use super::*;
use std::collections::{HashMap, HashSet};

fn options(items: u32, sessions: u64) -> ShopOptions {
    ShopOptions { items, sessions, seed: 1, days: 30, until: Timestamp(1_735_689_600_000) }
}

fn bytes(options: ShopOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&options, &mut bytes).unwrap();
    bytes
}

fn drafts(options: ShopOptions) -> (DemoCatalogue, Vec<DraftEvent>) {
    let catalogue = catalogue(&options);
    let drafts = visits(&options, &catalogue).collect();
    (catalogue, drafts)
}

#[test]
fn equal_options_give_equal_bytes_and_another_seed_does_not() {
    let shop = |seed| bytes(ShopOptions { seed, ..options(200, 300) });
    assert_eq!(shop(9), shop(9));
    assert_ne!(shop(9), shop(10));
}

#[test]
fn lines_are_items_then_events_in_order_of_time() {
    let text = String::from_utf8(bytes(options(300, 500))).unwrap();
    let (items, events): (Vec<_>, Vec<_>) = text.lines().partition(|line| !line.contains("\"kind\""));
    let items: Vec<origin_data::Item> =
        items.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<Event> = events.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let added: HashMap<_, _> = items.iter().map(|item| (&item.id, item.added_at.unwrap())).collect();
    assert_eq!(added.len(), 300);
    assert!(events.is_sorted_by_key(|event| event.at));
    assert!(events.iter().all(|event| added[&event.item] <= event.at), "an event before its item was added");
    let ids: HashSet<_> = events.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn smallest_shops_have_events() {
    for (items, sessions, days) in [(1, 1, 1), (2, 50, 30), (60, 100, 1)] {
        let (_, drafts) = drafts(ShopOptions { days, ..options(items, sessions) });
        assert!(!drafts.is_empty());
    }
}

#[test]
fn popularity_is_skewed_but_most_items_have_views() {
    let (catalogue, drafts) = drafts(options(5_000, 40_000));
    let mut views = vec![0u32; catalogue.goods.len()];
    for draft in drafts.iter().filter(|draft| draft.kind == Kind::View) {
        views[draft.item as usize] += 1;
    }
    views.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
    let all: u32 = views.iter().sum();
    let top: u32 = views[..500].iter().sum();
    let seen = views.iter().filter(|count| **count > 0).count();
    // The top 10 % of the items have far more than 10 % of the views, but far from all.
    assert!((0.4..0.85).contains(&(f64::from(top) / f64::from(all))), "{top} of {all}");
    assert!(seen > 4_000, "{seen} of 5000 items viewed");
    assert!(f64::from(views[0]) / f64::from(all) < 0.02, "no single item dominates");
}

#[test]
fn consecutive_views_share_categories_and_collections() {
    let (catalogue, drafts) = drafts(options(3_000, 20_000));
    let mut last: HashMap<u64, u32> = HashMap::new();
    let (mut pairs, mut category, mut collection) = (0.0, 0.0, 0.0);
    let mut views = vec![0.0; catalogue.goods.len()];
    for draft in drafts.iter().filter(|draft| draft.kind == Kind::View) {
        views[draft.item as usize] += 1.0;
        if let Some(before) = last.insert(draft.session, draft.item) {
            let (one, other) = (catalogue.goods[before as usize], catalogue.goods[draft.item as usize]);
            pairs += 1.0;
            category += f64::from(u8::from(one.category == other.category));
            collection += f64::from(u8::from(one.collection == other.collection && before != draft.item));
        }
    }
    // Expected of two independent views.
    let all: f64 = views.iter().sum();
    let by_chance = |groups: &[Vec<u32>]| -> f64 {
        groups
            .iter()
            .map(|items| (items.iter().map(|item| views[*item as usize]).sum::<f64>() / all).powi(2))
            .sum()
    };
    let (by_category, by_collection) = (by_chance(&catalogue.categories), by_chance(&catalogue.collections));
    assert!(category / pairs > 5.0 * by_category, "{} against {by_category}", category / pairs);
    assert!(collection / pairs > 8.0 * by_collection, "{} against {by_collection}", collection / pairs);
}

#[test]
fn the_funnel_narrows_and_countries_differ() {
    let (catalogue, drafts) = drafts(options(3_000, 30_000));
    let count = |kind| drafts.iter().filter(|draft| draft.kind == kind).count() as f64;
    let views = count(Kind::View);
    assert_eq!(count(Kind::Impression), 0.0);
    assert!((0.02..0.2).contains(&(count(Kind::Cart) / views)));
    assert!((0.2..0.8).contains(&(count(Kind::Purchase) / count(Kind::Cart))));
    let visitors: HashSet<_> = drafts.iter().map(|draft| draft.visitor).collect();
    assert!((10_000..25_000).contains(&visitors.len()), "{} visitors of 30000 sessions", visitors.len());
    let top = |country: u8| -> HashSet<u32> {
        let mut views = HashMap::<u32, u32>::new();
        for draft in drafts.iter().filter(|draft| draft.country == country && draft.kind == Kind::View) {
            *views.entry(draft.item).or_default() += 1;
        }
        let mut views: Vec<_> = views.into_iter().collect();
        views.sort_unstable_by_key(|(item, count)| (std::cmp::Reverse(*count), *item));
        views.into_iter().take(50).map(|(item, _)| item).collect()
    };
    let shared = top(0).intersection(&top(2)).count();
    assert!((3..45).contains(&shared), "gb and de share {shared} of their 50 top items");
    let carts_and_orders = drafts.iter().filter(|draft| draft.kind >= Kind::Cart);
    assert!(carts_and_orders.into_iter().all(|draft| catalogue.goods[draft.item as usize].in_stock));
}

#[test]
fn the_store_receives_the_events_of_the_file_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut into = Store::open(dir.path()).unwrap();
    let options = options(100, 200);
    let events = write_into_store(&options, &mut into).unwrap();
    assert_eq!(write_into_store(&options, &mut into).unwrap(), events);
    let log = into.log().unwrap();
    assert_eq!(log.events.len() as u64, events);
    assert_eq!(log.items.len(), 100);
    let lines = bytes(options).split(|byte| *byte == b'\n').count() as u64;
    assert_eq!(lines - 1, events + 100);
}
