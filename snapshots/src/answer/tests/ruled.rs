//! Answers with rules.

use super::{ids, query};
use crate::{
    answer::{Answer, Call, Request, answer},
    fixture::{self, NOW},
    format::signal::Signal,
    rules::{Boost, Diversify, Explore, Facet, Fresh, Match, Pin, Rule, Rules, Ruleset, VisitorContext},
    score::Scratch,
    snapshot::Snapshot,
    wire::{query::Query, recents::Recents},
};
use proptest::prelude::*;

fn shop(rules: Vec<Rule>) -> Snapshot {
    let mut shop = fixture::shop(&fixture::chain(4), &fixture::chain(2));
    let document = Rules { rules, ..Rules::default() };
    assert_eq!(document.check(&["next"]), Ok(()));
    shop.rules = Ruleset::new(document, &shop.ids, &shop.attributes);
    shop
}

fn rule(change: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = Rule { name: "rule".to_owned(), ..Rule::default() };
    change(&mut rule);
    rule
}

fn of<'s>(
    shop: &'s Snapshot,
    call: Call<'_>,
    query: &Query,
    recents: &Recents,
    random: Option<u64>,
) -> Answer<'s> {
    let context = VisitorContext { random, ..VisitorContext::default() };
    let request = Request { query, recents, context, now: NOW };
    answer(shop, call, &request, &mut Scratch::default()).unwrap()
}

fn home(shop: &Snapshot, text: &str) -> Vec<String> {
    ids(&of(shop, Call::Recommend, &query(text), &Recents::parse("1|item-3:v:1"), None))
}

fn popular(shop: &Snapshot, text: &str) -> Vec<String> {
    ids(&of(shop, Call::Popular, &query(text), &Recents::default(), None))
}

fn brand(name: &str) -> Match {
    Match { brands: vec![name.to_owned()], ..Match::default() }
}

#[test]
fn exclude_hides_items_and_only_hides_all_others() {
    let tools =
        Match { categories: vec!["Garden > Tools".into()], price_max: Some(15.0), ..Match::default() };
    let shown = home(&shop(vec![rule(|rule| rule.exclude = Some(tools.clone()))]), "limit=100");
    let number = |id: &String| id.trim_start_matches("item-").parse::<u32>().unwrap();
    assert!(!shown.iter().map(number).any(|item| (10..=15).contains(&item)), "{shown:?}");
    assert_eq!(shown.len(), 20 - 1 - 4, "20 in stock, less the one that was seen, less 10, 12, 13 and 15");
    let shown = home(&shop(vec![rule(|rule| rule.only = Some(tools))]), "limit=100");
    assert_eq!(
        {
            let mut sorted = shown;
            sorted.sort();
            sorted
        },
        ["item-10", "item-12", "item-13", "item-15"]
    );
    let garden = Match { categories: vec!["Garden".into()], ..Match::default() };
    let shown = home(&shop(vec![rule(|rule| rule.exclude = Some(garden))]), "limit=100");
    assert!(shown.iter().map(number).all(|item| item >= 20), "Gardening is not below Garden: {shown:?}");
}

#[test]
fn a_rule_compares_the_price_in_force() {
    use crate::format::sales;
    let cheap = Match { price_max: Some(1.0), ..Match::default() };
    let mut shop = shop(vec![rule(|rule| rule.only = Some(cheap))]);
    assert_eq!(popular(&shop, "limit=9"), ["item-0", "item-1"]);
    let sale = |item| (item == 9).then(|| sales::Sale::new(50, None, None));
    let section = sales::write(&(0..30).map(sale).collect::<Vec<_>>()).unwrap();
    shop.attributes.sales = sales::Sales::open(&section.into()).unwrap();
    assert_eq!(popular(&shop, "limit=9"), ["item-0", "item-1", "item-9"]);
}

#[test]
fn pins_and_diversification_know_variants() {
    use super::with_variants;
    let pinned = |item: &str, at| rule(|rule| rule.pin = Some(Pin { item: item.to_owned(), at }));
    let mut later = pinned("item-3", 3);
    later.name = "later".to_owned();
    let pins = with_variants(shop(vec![pinned("item-4", 1), later]));
    assert_eq!(
        popular(&pins, "limit=4"),
        ["item-4", "item-0", "item-6", "item-9"],
        "one of item-3 and item-4"
    );
    let diversify = |at_most, decay| Diversify { by: Facet::Group, at_most, decay };
    let vary = |at_most, decay| {
        with_variants(shop(vec![rule(|rule| rule.diversify = Some(diversify(at_most, decay)))]))
    };
    assert_eq!(popular(&vary(1, 1.0), "limit=3"), ["item-0", "item-3", "item-6"]);
    assert_eq!(popular(&vary(2, 1.0), "limit=4"), ["item-0", "item-1", "item-3", "item-4"]);
    // 1/2 · 0.4 is less than 1/4.
    assert_eq!(popular(&vary(2, 0.4), "limit=3"), ["item-0", "item-3", "item-1"]);
    let boosted = rule(|rule| {
        let items = Match { items: vec!["item-1".to_owned()], ..Match::default() };
        rule.boost = Some(Boost { items, by: 3.0 });
    });
    assert_eq!(
        popular(&with_variants(shop(vec![boosted])), "limit=2"),
        ["item-1", "item-3"],
        "the best after boosts"
    );
}

#[test]
fn boosts_reorder_personal_and_popular_lists_and_low_factors_move_items_to_the_end() {
    let plain = shop(Vec::new());
    assert_eq!(popular(&plain, "limit=4"), ["item-0", "item-1", "item-3", "item-4"]);
    let by = |by| shop(vec![rule(|rule| rule.boost = Some(Boost { items: brand("Even"), by }))]);
    // Popularity is 1 / (item + 1): 12 counts 3/13, between 3 at 1/4 and 7 at 1/8, each times the factor.
    assert_eq!(popular(&by(3.0), "limit=6"), ["item-0", "item-4", "item-1", "item-6", "item-10", "item-3"]);
    let buried = popular(&by(0.01), "limit=100");
    assert_eq!(buried.len(), 20);
    assert_eq!(buried[..3], ["item-1", "item-3", "item-7"]);
    assert_eq!(home(&plain, "limit=3"), ["item-4", "item-6", "item-7"]);
    let last = Match { items: vec!["item-7".into()], ..Match::default() };
    let boosted = shop(vec![rule(|rule| rule.boost = Some(Boost { items: last, by: 20.0 }))]);
    assert_eq!(home(&boosted, "limit=3"), ["item-7", "item-4", "item-6"]);
}

#[test]
fn items_of_unknown_age_are_not_fresh() {
    // No item of the fixture says when it joined.
    let fresh = |days| shop(vec![rule(|rule| rule.fresh = Some(Fresh { days, by: 100.0 }))]);
    assert_eq!(popular(&fresh(3_650), "limit=100"), popular(&shop(Vec::new()), "limit=100"));
}

#[test]
fn pinned_items_have_their_position_once_over_all_pages() {
    let pin = |item: &str, at| rule(|rule| rule.pin = Some(Pin { item: item.to_owned(), at }));
    let named = |mut rule: Rule, name: &str| {
        rule.name = name.to_owned();
        rule
    };
    let rules = vec![
        named(pin("item-28", 5), "a"),
        named(pin("item-27", 2), "b"),
        named(pin("item-28", 6), "d"),
        named(pin("item-29", 1), "c"),
    ];
    let shop = shop(rules);
    let (query, nobody) = (query("limit=3"), Recents::default());
    let first = of(&shop, Call::Popular, &query, &nobody, None);
    assert_eq!(ids(&first), ["item-0", "item-27", "item-1"], "item-29 is out of stock");
    assert_eq!(first.items[1].signal, Signal::Pinned);
    assert!(first.items.is_sorted_by(|a, b| a.score >= b.score));
    let next = super::query(&format!("limit=3&cursor={}", first.next.unwrap()));
    let second = of(&shop, Call::Popular, &next, &nobody, None);
    assert_eq!(ids(&second), ["item-3", "item-28", "item-4"]);
    assert_eq!(popular(&shop, "limit=3&exclude=item-27"), ["item-0", "item-1", "item-3"]);
}

#[test]
fn a_page_is_diversified_as_far_as_the_candidates_allow() {
    let vary = |at_most, decay| {
        shop(vec![rule(|rule| rule.diversify = Some(Diversify { by: Facet::Category, at_most, decay }))])
    };
    let kind = |id: &String| id.trim_start_matches("item-").parse::<usize>().unwrap() / 10;
    let kinds =
        |shown: &[String]| [0, 1, 2].map(|wanted| shown.iter().filter(|id| kind(id) == wanted).count());
    assert_eq!(kinds(&popular(&shop(Vec::new()), "limit=6")), [6, 0, 0]);
    assert_eq!(kinds(&popular(&vary(2, 1.0), "limit=6")), [2, 2, 2]);
    assert_eq!(
        kinds(&popular(&vary(1, 1.0), "limit=6")).iter().sum::<usize>(),
        6,
        "a full page matters more than variety"
    );
    assert_eq!(popular(&vary(1, 1.0), "limit=3&category=Garden+%3E+Tools").len(), 3, "asked for");
    // 1, 1/2 · 0.1, …: the best of the next category, 1/11, comes second.
    assert_eq!(popular(&vary(100, 0.1), "limit=2"), ["item-0", "item-10"]);
}

#[test]
fn the_share_of_answers_that_explore_is_marked() {
    let shop = shop(vec![rule(|rule| rule.explore = Some(Explore { share: 0.25 }))]);
    let (query, recents) = (query("limit=3"), Recents::parse("1|item-3:v:1"));
    let usual = of(&shop, Call::Recommend, &query, &recents, None);
    let mut tried = std::collections::BTreeSet::new();
    let mut count = 0;
    for number in 0..4_000u64 {
        let random = xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes());
        let answer = of(&shop, Call::Recommend, &query, &recents, Some(random));
        assert_eq!(ids(&answer)[..2], ids(&usual)[..2]);
        if answer.items[2].signal == Signal::Exploration {
            count += 1;
            tried.insert(ids(&answer)[2].clone());
        } else {
            assert_eq!(ids(&answer), ids(&usual));
        }
    }
    // Six standard deviations of the binomial distribution.
    assert!((1_000i32 - count).abs() < 165, "{count} of 4000");
    assert!(tried.len() > 5 && !tried.contains(&ids(&usual)[2]), "{tried:?}");
}

#[test]
fn a_rule_excludes_purchased_items() {
    let recents = Recents::parse("1|item-0:p:1|item-3:v:1");
    let shown =
        |shop: &Snapshot| ids(&of(shop, Call::Recommend, &query("limit=100&strategy=next"), &recents, None));
    assert!(shown(&shop(Vec::new())).contains(&"item-0".to_owned()));
    let bought = shown(&shop(vec![rule(|rule| rule.exclude_bought = true)]));
    assert!(!bought.contains(&"item-0".to_owned()) && bought.contains(&"item-3".to_owned()));
}

fn matches() -> impl Strategy<Value = Match> {
    let item = proptest::collection::vec((0u32..32).prop_map(fixture::id), 1..6);
    let category = prop_oneof![Just("Garden"), Just("Garden > Tools"), Just("Gardening"), Just("None")];
    prop_oneof![
        item.prop_map(|items| Match { items, ..Match::default() }),
        category.prop_map(|name| Match { categories: vec![name.to_owned()], ..Match::default() }),
        (0u32..20, 0u32..20).prop_map(|(from, more)| Match {
            price_min: Some(from.into()),
            price_max: Some((from + more).into()),
            ..Match::default()
        }),
        Just(brand("Even")),
    ]
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let one = prop_oneof![
        matches().prop_map(|items| rule(|rule| rule.exclude = Some(items))),
        matches().prop_map(|items| rule(|rule| rule.only = Some(items))),
        (matches(), 1u8..40).prop_map(|(items, by)| {
            rule(|rule| rule.boost = Some(Boost { items, by: f32::from(by) / 10.0 }))
        }),
        ((0u32..32).prop_map(fixture::id), 1u8..12)
            .prop_map(|(item, at)| { rule(|rule| rule.pin = Some(Pin { item, at })) }),
        (any::<bool>(), 1u8..4, 1u8..=10).prop_map(|(brand, at_most, decay)| {
            let by = if brand { Facet::Brand } else { Facet::Category };
            rule(|rule| rule.diversify = Some(Diversify { by, at_most, decay: f32::from(decay) / 10.0 }))
        }),
        Just(rule(|rule| rule.explore = Some(Explore { share: 0.5 }))),
        Just(rule(|rule| rule.exclude_bought = true)),
    ];
    proptest::collection::vec(one, 0..6).prop_map(|mut rules| {
        for (number, rule) in rules.iter_mut().enumerate() {
            rule.name = number.to_string();
        }
        rules
    })
}

/// Whether a rule forbids an item of the fixture, by what the document says.
fn forbidden(rule: &Rule, item: u32) -> bool {
    let path = ["Garden", "Garden > Tools", "Gardening"][item as usize / 10];
    let meant = |wanted: &Match| {
        let below = |name: &String| path == name || path.starts_with(&format!("{name} > "));
        (wanted.items.is_empty() || wanted.items.contains(&fixture::id(item)))
            && (wanted.categories.is_empty() || wanted.categories.iter().any(below))
            && (wanted.brands.is_empty() || item.is_multiple_of(2))
            && wanted.price_min.is_none_or(|least| f64::from(item) >= least)
            && wanted.price_max.is_none_or(|most| f64::from(item) <= most)
    };
    rule.exclude.as_ref().is_some_and(meant) || rule.only.as_ref().is_some_and(|wanted| !meant(wanted))
}

proptest! {
    #[test]
    fn no_answer_contains_forbidden_repeated_or_out_of_stock_items(
        rules in rules(), later in rules(), limit in 1usize..9, cookie in "1(\\|item-[0-9]{1,2}:[vcap][1-9]?:[0-9a-z]{1,5}){0,8}",
        random in any::<u64>(), placement in prop_oneof![Just("home"), Just("product"), Just("cart"), Just("email")],
        on_screen in 0u32..30,
    ) {
        // The rules change while the visitor pages.
        let (first, then) = (shop(rules.clone()), shop(later.clone()));
        let recents = Recents::parse(&cookie);
        for call in [Call::Recommend, Call::Popular, Call::Similar("item-5")] {
            let (mut shown, mut cursor) = (Vec::new(), String::new());
            for page in 0..40 {
                let (shop, rules) = if page < 2 { (&first, &rules) } else { (&then, &later) };
                let asked = format!("limit={limit}&placement={placement}&item=item-{on_screen}&cursor={cursor}");
                let asked = query(&asked);
                let answered = of(shop, call, &asked, &recents, Some(random));
                let again = of(shop, call, &asked, &recents, Some(random));
                prop_assert_eq!(ids(&answered), ids(&again), "same input, same answer");
                prop_assert!(answered.items.len() <= limit);
                prop_assert!(answered.items.is_sorted_by(|a, b| a.score >= b.score));
                let bought = rules.iter().any(|rule| rule.exclude_bought);
                for item in &answered.items {
                    let number: u32 = item.item.id.trim_start_matches("item-").parse().unwrap();
                    prop_assert!(number % 3 != 2 && number != on_screen, "{number} is out of stock or on screen");
                    prop_assert!(!rules.iter().any(|rule| forbidden(rule, number)), "{number} is forbidden");
                    let met = recents.entries().iter().find(|recent| recent.item == *item.item.id);
                    prop_assert!(!(bought && met.is_some_and(|recent| recent.kind == crate::wire::event::Kind::Purchase)));
                }
                shown.extend(ids(&answered));
                match answered.next {
                    Some(next) => cursor = next,
                    None => break,
                }
            }
            let distinct: std::collections::BTreeSet<_> = shown.iter().collect();
            prop_assert_eq!(distinct.len(), shown.len(), "an item came twice");
        }
    }

    #[test]
    fn rules_that_only_reorder_lose_no_item(
        rules in rules().prop_map(|mut rules| {
            rules.retain(|rule| rule.exclude.is_none() && rule.only.is_none());
            rules
        }),
        limit in 1usize..9, random in any::<u64>(),
    ) {
        let shop = shop(rules);
        let (mut shown, mut cursor) = (Vec::new(), String::new());
        loop {
            let asked = query(&format!("limit={limit}&cursor={cursor}"));
            let answered = of(&shop, Call::Popular, &asked, &Recents::default(), Some(random));
            shown.extend(ids(&answered));
            match answered.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        prop_assert_eq!(shown.len(), 20, "{:?}", shown);
    }
}
