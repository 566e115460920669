use super::*;
use proptest::prelude::*;

const NOON: Timestamp = Timestamp(20_000 * DAY_MS + DAY_MS / 2);

fn public(visitor: u64, bucket: u16) -> Arrival<'static> {
    Arrival {
        at: NOON,
        kind: Kind::View,
        standing: Standing::Unconfirmed,
        is_public: true,
        bucket: Some(bucket),
        visitor,
        session: 0,
        item: "cup",
        area: "gb",
    }
}

fn keyed(visitor: u64) -> Arrival<'static> {
    Arrival { standing: Standing::Confirmed, is_public: false, bucket: None, ..public(visitor, 0) }
}

fn counted<'a>(caps: &mut Caps, events: impl IntoIterator<Item = Arrival<'a>>) -> usize {
    events.into_iter().filter(|event| caps.pass(event)).count()
}

fn alone<'a>(events: impl IntoIterator<Item = Arrival<'a>>) -> usize {
    counted(&mut Caps::default(), events)
}

fn later(event: Arrival<'_>, ms: i64) -> Arrival<'_> {
    Arrival { at: Timestamp(event.at.0 + ms), ..event }
}

#[test]
fn one_visitor_is_not_five_hundred_shoppers() {
    for of in [keyed(1), Arrival { visitor: 0, session: 9, ..keyed(0) }] {
        assert_eq!(alone(vec![of; 300]), 74);
    }
    assert_eq!(alone((1..=500).map(keyed)), 500);
    let kinds = [Kind::View, Kind::Cart, Kind::Purchase].map(|kind| vec![Arrival { kind, ..keyed(1) }; 20]);
    assert_eq!(alone(kinds.concat()), 60, "many views do not hold back a purchase");
    assert_eq!(alone(vec![Arrival { kind: Kind::Impression, ..keyed(1) }; 99]), 99);
    assert_eq!(alone((0..10).flat_map(|day| [later(keyed(1), day * DAY_MS); 20])), 200);
}

#[test]
fn a_post_of_made_up_purchases_is_a_few_views() {
    let made_up = Arrival { kind: Kind::Purchase, ..public(0, 7) };
    assert!((30..=45).contains(&alone(vec![made_up; 500])));
    // Another visitor each, and times of a month.
    let visitors = (0..500)
        .map(|number| later(Arrival { visitor: number + 1, ..made_up }, -(number as i64) * DAY_MS / 20));
    assert!((30..=45).contains(&alone(visitors)));
    let unknown = Arrival { bucket: None, ..made_up };
    assert!((30..=45).contains(&alone(vec![unknown; 500])), "an unknown address is one address");
}

#[test]
fn a_slow_attack_is_bounded_by_the_day() {
    let hours = |of: Arrival<'static>| (0..12 * 60).map(move |minute| later(of, (minute - 720) * MINUTE_MS));
    assert!(alone(hours(public(1, 7))) <= 40);
    let crowd: Vec<_> =
        (0..12 * 60).map(|minute| later(public(minute + 1, 7), minute as i64 * MINUTE_MS)).collect();
    assert!(alone(crowd) <= 80, "two days");
}

#[test]
fn a_crowd_passes_and_an_office_is_heard() {
    let promotion = |minutes: i64| {
        (0..600u64).map(move |visitor| {
            later(
                public(visitor + 1, (visitor * 7 % 4096) as u16),
                visitor as i64 * minutes * MINUTE_MS / 600,
            )
        })
    };
    assert_eq!(alone(promotion(20)), 600);
    assert!(alone(promotion(1)) >= 150, "even within a minute");
    // Ten visitors behind one address look at forty items, each at two of them twice.
    let items: Vec<String> = (0..40).map(|item| format!("item {item}")).collect();
    let office = (0..10u64).flat_map(|visitor| {
        let seen = items
            .iter()
            .skip(visitor as usize * 3)
            .take(8)
            .chain(items.iter().skip(visitor as usize * 3).take(2));
        seen.map(move |item| Arrival { item, ..public(visitor + 1, 7) })
    });
    assert_eq!(alone(office), 100);
    // Keyed senders have one address.
    assert_eq!(alone((1..=5_000).map(keyed)), 5_000);
}

#[test]
fn a_bucket_may_grow_with_the_others() {
    let mut caps = Caps::default();
    assert_eq!(
        counted(&mut caps, (0..300).map(|of| later(public(of + 1, of as u16), of as i64 * 10_000))),
        300
    );
    let after = |of: u64| later(public(of + 1_000, 900), 3_000_000 + of as i64 * 10_000);
    assert_eq!(counted(&mut caps, (0..45).map(after)), 45);
}

proptest! {
    #[test]
    fn a_restart_changes_nothing(
        events in proptest::collection::vec((0u64..4, 0u16..3, 0usize..3, 1u8..5, any::<bool>(), 0..2 * DAY_MS), 0..300),
        at in 0usize..300,
    ) {
        let items = ["cup", "jug", "lid"];
        let events: Vec<_> = events.into_iter().map(|(visitor, bucket, item, kind, door, ms)| {
            let of = if door { public(visitor, bucket) } else { keyed(visitor) };
            later(Arrival { item: items[item], kind: Kind::from_u8(kind).unwrap(), ..of }, ms)
        }).collect();
        let (mut whole, mut first) = (Caps::default(), Caps::default());
        let all: Vec<bool> = events.iter().map(|event| whole.pass(event)).collect();
        let (before, after) = events.split_at(at.min(events.len()));
        let mut passed: Vec<bool> = before.iter().map(|event| first.pass(event)).collect();
        let mut restarted = Caps::load(first.save());
        passed.extend(after.iter().map(|event| restarted.pass(event)));
        prop_assert_eq!(&passed, &all);
        prop_assert_eq!(&restarted, &whole);
        prop_assert_eq!(whole.held(), all.iter().filter(|passes| !**passes).count() as u64);
    }

    #[test]
    fn one_bucket_gains_little_from_more_events(count in 1usize..3_000, visitors in 1u64..3_000) {
        let flood = (0..count as u64).map(|number| public(number % visitors + 1, 7));
        let most = f64::from(BUCKET_ITEM) * (2.0 + (count as f64 / f64::from(BUCKET_ITEM)).ln().max(0.0));
        prop_assert!(alone(flood) as f64 <= most);
    }
}
