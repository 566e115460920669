mod ruled;

use super::*;
use crate::fixture::{self, NOW};
use crate::format::groups;
use crate::format::sales::{self, Sale};
use crate::format::signal::Signal;
use proptest::prelude::*;

fn query(text: &str) -> Query {
    Query::parse(text).unwrap()
}

fn ask<'s>(snapshot: &'s Snapshot, text: &str, recents: &[&str]) -> Answer<'s> {
    let recents = Recents::from_ids(recents.iter().copied(), NOW);
    of(snapshot, Call::Recommend, text, &recents).unwrap()
}

fn of<'s>(
    snapshot: &'s Snapshot,
    call: Call<'_>,
    text: &str,
    recents: &Recents,
) -> Result<Answer<'s>, QueryError> {
    answer(snapshot, call, &Request::new(&query(text), recents, NOW), &mut Scratch::default())
}

fn similar<'s>(snapshot: &'s Snapshot, id: &str, text: &str) -> Answer<'s> {
    of(snapshot, Call::Similar(id), text, &Recents::default()).unwrap()
}

fn ids(answer: &Answer<'_>) -> Vec<String> {
    answer.items.iter().map(|shown| shown.item.id.to_string()).collect()
}

fn shop() -> Snapshot {
    fixture::shop(&fixture::chain(4), &vec![Vec::new(); 30])
}

#[test]
fn recents_change_the_answer_and_without_them_it_is_popular() {
    let shop = shop();
    let one = ask(&shop, "limit=3&strategy=next", &["item-3"]);
    let two = ask(&shop, "limit=3&strategy=next", &["item-12", "item-3"]);
    assert_ne!(ids(&one), ids(&two));
    let none = ask(&shop, "limit=3", &[]);
    assert_eq!(ids(&none), ["item-0", "item-1", "item-3"], "item-2 is out of stock");
    assert_eq!((none.degraded, none.items[0].signal), (None, Signal::Popularity));
    let unknown = ask(&shop, "limit=3", &["gone"]);
    assert_eq!((ids(&unknown), unknown.degraded), (ids(&none), Some(Degraded::PopularOnly)));
}

#[test]
fn items_on_screen_seen_or_out_of_stock_are_excluded() {
    let shop = shop();
    let answer = ask(&shop, "placement=product&item=item-3&limit=100", &["item-7", "item-3"]);
    let shown = ids(&answer);
    assert!(!shown.contains(&"item-3".to_owned()) && !shown.contains(&"item-7".to_owned()));
    assert_eq!(shown.len(), 20 - 2, "all else that is in stock");
    assert!(answer.items.iter().all(|shown| shown.item.in_stock));
    let screen = ask(&shop, "item=item-3&strategy=next&limit=100", &["item-7"]);
    assert!(!ids(&screen).contains(&"item-3".to_owned()) && ids(&screen).contains(&"item-7".to_owned()));
}

#[test]
fn an_unknown_id_with_commas_is_a_list() {
    let shop = shop();
    let shown = |text: &str| ids(&ask(&shop, text, &[]));
    for list in ["exclude=item-0,item-1", "exclude=item-0%2Citem-1", "item=none%2Citem-0%2C&item=item-1"] {
        assert_eq!(shown(&format!("limit=2&{list}")), ["item-3", "item-4"], "{list}");
    }
    let by = |list: &str| shown(&format!("limit=3&strategy=next&recents={list}"));
    assert_eq!(by("item-12,item-3"), by("item-12%2Citem-3"));
}

#[test]
fn filters_apply_to_every_part_of_an_answer() {
    let shop = shop();
    let under = |text: &str| ids(&ask(&shop, &format!("limit=100&{text}"), &["item-8"]));
    assert_eq!(under("category=Garden").len(), 7 + 7, "ten of Garden and ten of Tools, in stock, not seen");
    assert_eq!(under("category=Garden+%3E+Tools").len(), 7);
    assert!(under("category=Gard").is_empty() && under("brand=Odd").is_empty());
    assert_eq!(under("price_min=10&price_max=12"), ["item-10", "item-12"]);
    assert!(under("brand=Even&exclude=item-0").iter().all(|id| id != "item-0"));
    assert_eq!(under("brand=Even").len(), 10);
}

#[test]
fn a_cart_recommends_items_bought_with_it_and_never_its_own() {
    let mut shop = shop();
    let weights = crate::format::strategy::Weights {
        coview: 0.2,
        bought: 0.8,
        knn: 0.0,
        popularity: 0.0,
        recency: 0.0,
    };
    let usual = crate::format::strategy::Strategy::default();
    let cart = crate::format::strategy::Strategy { name: "cart".to_owned(), weights, position: 0.0, ..usual };
    shop.strategies.push(cart);
    let asked = "placement=cart&item=item-3&item=item-6&limit=4";
    let coview = ask(&shop, asked, &["item-12"]);
    assert_eq!((coview.strategy, coview.items[0].signal), ("cart", Signal::Coview), "co-view stands in");
    // 3 is bought with 24, 6 with 27; 6 and 3 are in the cart.
    let mut bought: fixture::Table = vec![Vec::new(); 30];
    bought[3] = vec![(24, 1.0), (6, 1.0)];
    bought[6] = vec![(27, 0.9), (3, 0.9)];
    shop.bought = Some(fixture::rows(&bought));
    let answer = ask(&shop, asked, &["item-12"]);
    assert_eq!(ids(&answer)[..2], ["item-24", "item-27"]);
    assert_eq!(
        (answer.items[0].signal, answer.items[0].because.as_deref()),
        (Signal::Bought, Some("item-3"))
    );
    assert!(!ids(&answer).iter().any(|id| id == "item-3" || id == "item-6"));
}

#[test]
fn similar_starts_with_the_row_and_never_contains_the_item() {
    let shop = shop();
    let answer = similar(&shop, "item-3", "limit=5");
    assert_eq!(ids(&answer)[0], "item-4");
    assert_eq!(answer.items[0].because.as_deref(), Some("item-3"));
    let unknown = similar(&shop, "gone", "limit=5");
    assert_eq!((unknown.degraded, unknown.items.len()), (Some(Degraded::PopularOnly), 5));
}

/// The shop with this sale of item-4, which costs 4.00, and of item-7, which costs 7.00.
fn on_sale(sale: Sale) -> Snapshot {
    let mut shop = shop();
    let sales = (0..30).map(|item| [4, 7].contains(&item).then_some(sale));
    let section = sales::write(&sales.collect::<Vec<_>>()).unwrap();
    shop.attributes.sales = sales::Sales::open(&section.into()).unwrap();
    shop
}

#[test]
fn a_sale_price_holds_from_its_start_until_before_its_end() {
    let at = |seconds: i64| Timestamp(NOW.0 + seconds * 1_000);
    let shop = on_sale(Sale::new(150, Some(at(10)), Some(at(20))));
    let prices = |now| {
        let shown = item(&shop, "item-4", now).unwrap();
        (shown.price, shown.regular_price)
    };
    for (second, expected) in
        [(9, (4.0, None)), (10, (1.5, Some(4.0))), (19, (1.5, Some(4.0))), (20, (4.0, None))]
    {
        assert_eq!(prices(at(second)), (Some(expected.0), expected.1), "{second}");
    }
    let text = |now| serde_json::to_string(&item(&shop, "item-4", now).unwrap()).unwrap();
    assert!(text(at(10)).contains(r#""price":1.5,"regular_price":4.0,"#), "{}", text(at(10)));
    assert!(!text(at(20)).contains("regular_price"));
    let cheap = |now| {
        let (query, nobody) = (query("limit=100&price_max=2"), Recents::default());
        ids(&answer(&shop, Call::Popular, &Request::new(&query, &nobody, now), &mut Scratch::default())
            .unwrap())
    };
    assert_eq!(cheap(at(9)), ["item-0", "item-1"]);
    assert_eq!(cheap(at(10)), ["item-0", "item-1", "item-4", "item-7"]);
    let changes = [9, 10, 19, 20].map(|second| shop.attributes.sales().changes(at(second)));
    assert_eq!(changes, [0, 1, 1, 2]);
}

#[test]
fn a_sale_price_that_is_the_regular_one_is_no_sale() {
    let shop = on_sale(Sale::new(400, None, None));
    let shown = |id| item(&shop, id, NOW).map(|item| (item.price, item.regular_price));
    assert_eq!(shown("item-4"), Some((Some(4.0), None)));
    assert_eq!(shown("item-7"), Some((Some(4.0), Some(7.0))));
}

/// The shop with groups of three neighbours: item-0, item-1 and item-2 are variants, and so on up to item-17.
pub(super) fn with_variants(mut shop: Snapshot) -> Snapshot {
    let names: Vec<String> =
        (0..30).map(|item| if item < 18 { format!("g{}", item / 3) } else { String::new() }).collect();
    let section = groups::write(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    shop.attributes.groups = groups::Groups::open(&section.into(), 30).unwrap();
    shop
}

#[test]
fn a_list_has_the_best_of_variants_or_the_one_viewed() {
    let shop = with_variants(shop());
    let popular = |text: &str| ids(&of(&shop, Call::Popular, text, &Recents::default()).unwrap());
    assert_eq!(popular("limit=4"), ["item-0", "item-3", "item-6", "item-9"]);
    assert_eq!(popular("limit=2&exclude=item-0"), ["item-1", "item-3"]);
    assert_eq!(popular("limit=2&item=item-0"), ["item-3", "item-6"], "no variants of what is on screen");
    assert_eq!(popular("limit=9&category=Garden&price_max=1"), ["item-0"]);
    // The strategy shows what was seen: of its group, the one viewed.
    let viewed = ids(&ask(&shop, "limit=100&strategy=next", &["item-4"]));
    assert!(viewed.contains(&"item-4".to_owned()), "{viewed:?}");
    assert!(!viewed.contains(&"item-3".to_owned()) && !viewed.contains(&"item-5".to_owned()), "{viewed:?}");
    // The default does not; its variants may be shown.
    let seen = ids(&ask(&shop, "limit=100", &["item-4"]));
    assert!(!seen.contains(&"item-4".to_owned()) && seen.contains(&"item-3".to_owned()), "{seen:?}");
    let similar = ids(&similar(&shop, "item-3", "limit=100"));
    assert!(similar.iter().all(|id| !["item-3", "item-4", "item-5"].contains(&&**id)), "{similar:?}");
}

#[test]
fn variants_of_an_item_on_screen_are_better_than_nothing() {
    let shop = with_variants(shop());
    let shown = |text: &str| ids(&of(&shop, Call::Similar("item-3"), text, &Recents::default()).unwrap());
    assert_eq!(shown("price_min=3&price_max=5"), ["item-4"], "item-5 is out of stock");
}

#[test]
fn an_unknown_strategy_is_an_error_that_lists_the_known() {
    let error = of(&shop(), Call::Popular, "strategy=best", &Recents::default()).unwrap_err();
    assert_eq!((&*error.field, error.detail.contains("default")), ("strategy", true));
}

#[test]
fn json_has_the_documented_shape() {
    let shop = shop();
    let json = serde_json::to_value(ask(&shop, "limit=1&strategy=next", &["item-3"])).unwrap();
    assert_eq!(json["items"][0]["id"], "item-4");
    assert_eq!(json["items"][0]["because"], "item-3");
    assert_eq!(json["items"][0]["price"], 4.0);
    assert_eq!(json["items"][0]["currency"], "EUR");
    assert_eq!((&json["strategy"], &json["degraded"]), (&"next".into(), &serde_json::Value::Null));
    assert!(json["next"].is_string() && json["items"][0]["score"].is_number());
    assert!(item(&shop, "item-4", NOW).is_some() && item(&shop, "gone", NOW).is_none());
}

proptest! {
    #[test]
    fn pages_show_every_item_once_whatever_changes_between_them(
        limit in 1usize..9, recents in proptest::collection::vec(0u32..30, 0..12),
    ) {
        let shop = shop();
        let mut shown = Vec::new();
        let mut cursor = String::new();
        // The visitor goes on looking at items while paging.
        for step in 0.. {
            let recents: Vec<String> = recents.iter().take(step).map(|item| fixture::id(*item)).collect();
            let recents: Vec<&str> = recents.iter().map(|id| &**id).collect();
            let page = ask(&shop, &format!("limit={limit}&cursor={cursor}&strategy=next"), &recents);
            shown.extend(ids(&page));
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        let mut distinct = shown.clone();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), shown.len(), "an item came twice");
        prop_assert_eq!(shown.len(), 20, "an item in stock was left out");
    }

    #[test]
    fn pages_show_one_variant_of_each_group(limit in 1usize..9, viewed in proptest::collection::vec(0u32..30, 0..9)) {
        let shop = with_variants(shop());
        let viewed: Vec<String> = viewed.iter().map(|item| fixture::id(*item)).collect();
        let viewed: Vec<&str> = viewed.iter().map(|id| &**id).collect();
        for strategy in ["default", "next"] {
            let (mut groups, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = ask(&shop, &format!("limit={limit}&cursor={cursor}&strategy={strategy}"), &viewed);
                let number = |id: &String| id.trim_start_matches("item-").parse::<u32>().unwrap();
                groups.extend(ids(&page).iter().map(number).map(|item| if item < 18 { item / 3 } else { item }));
                match page.next {
                    Some(next) => cursor = next,
                    None => break,
                }
            }
            let count = groups.len();
            groups.sort_unstable();
            groups.dedup();
            prop_assert_eq!(count, groups.len(), "two variants");
            // Six groups, and eight items in stock without a group; the default shows none that was seen.
            let seen = viewed.iter().collect::<std::collections::BTreeSet<_>>().len();
            prop_assert!(count <= 14 && count + seen * usize::from(strategy == "default") >= 14, "{count}");
        }
    }

    #[test]
    fn damaged_blobs_are_rejected_or_answered_without_panic(
        blob in 0usize..4, at in any::<usize>(), to in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut blobs = fixture::blobs(&fixture::chain(4), &fixture::chain(2));
        let bytes = &mut blobs[blob];
        let at = at % bytes.len();
        let old = bytes[at];
        if cut { bytes.truncate(at) } else { bytes[at] = to }
        if let Ok(shop) = fixture::open(&blobs) {
            prop_assert!(!cut);
            let _ = ask(&shop, "limit=100", &["item-3", "item-4"]).items.len();
            let _ = similar(&shop, "item-5", "");
            if to != old {
                // Outside the sections only text that nothing reads can differ.
                let _ = shop.verify();
            }
        }
    }
}
