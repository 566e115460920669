use super::*;
use crate::format::strategy::Repeats;
use crate::{
    fixture,
    format::strategy::{Strategy, Weights},
};
use proptest::prelude::{Strategy as _, any, prop_assert, prop_assert_eq, proptest};
use std::collections::HashMap;

fn seed(item: u32, age: u32) -> Seed {
    Seed { item, kind: Kind::View, count: 1, age }
}

fn score(snapshot: &Snapshot, strategy: &Strategy, seeds: &[Seed], scratch: &mut Scratch) -> Vec<Scored> {
    let mut candidates = scratch.candidates(snapshot, strategy, seeds);
    let mut out: Vec<Scored> = candidates.by_ref().collect();
    candidates.explain(&mut out);
    out
}

/// The formula of the module's head over hash maps, in double precision.
fn by_definition(snapshot: &Snapshot, strategy: &Strategy, seeds: &[Seed]) -> HashMap<u32, f64> {
    let seeds = &seeds[..seeds.len().min(strategy.recents.into())];
    let weight = |place: usize, seed: &Seed| {
        (place as f64 + 1.0).powf(-f64::from(strategy.position))
            * f64::from(strategy.kinds[seed.kind as usize])
            * 0.5f64.powf(f64::from(seed.age) / f64::from(strategy.half_life)).max(1e-6)
    };
    let seen = |item| seeds.iter().any(|seed| seed.item == item);
    let shown = |item| strategy.seen != Seen::Exclude || !seen(item);
    let mut weights = strategy.weights;
    if snapshot.bought.is_some() {
        // Of three tables the least counts nothing.
        let least = weights.coview.min(weights.knn).min(weights.bought);
        let kept = |weight: f32| if weight > least { weight } else { 0.0 };
        weights = Weights {
            coview: kept(weights.coview),
            knn: kept(weights.knn),
            bought: kept(weights.bought),
            ..weights
        };
    } else {
        weights = Weights { coview: weights.coview + weights.bought, bought: 0.0, ..weights };
    }
    let mut sums: [HashMap<u32, f64>; 3] = Default::default();
    let mut votes = HashMap::<u32, std::collections::HashSet<usize>>::new();
    for (place, seed) in seeds.iter().enumerate() {
        let tables = [
            (weights.coview, &snapshot.coview),
            (weights.knn, &snapshot.knn),
            (weights.bought, &snapshot.bought),
        ];
        for (sums, (_, rows)) in sums.iter_mut().zip(tables).filter(|(_, (weight, _))| *weight > 0.0) {
            let Some(rows) = rows else { continue };
            rows.for_each(seed.item, |item, value| {
                *sums.entry(item).or_default() += weight(place, seed) * f64::from(value);
                votes.entry(item).or_default().insert(place);
            });
        }
    }
    let most = |sums: &HashMap<u32, f64>| {
        sums.iter().filter(|(item, _)| shown(**item)).map(|(_, sum)| *sum).fold(0.0, f64::max)
    };
    let most = [0, 1, 2].map(|at| most(&sums[at]));
    let tables = |item: u32| {
        let part = |at: usize, weight: f32| {
            let sum = sums[at].get(&item).copied().unwrap_or(0.0);
            if most[at] > 0.0 { f64::from(weight) * sum / most[at] } else { 0.0 }
        };
        let votes = votes.get(&item).map_or(0, std::collections::HashSet::len) as f64;
        (part(0, weights.coview) + part(1, weights.knn) + part(2, weights.bought))
            * (1.0 + f64::from(strategy.votes) * (votes - 1.0).max(0.0))
    };
    let mut candidates: std::collections::HashSet<u32> = votes.keys().copied().collect();
    candidates.extend(seeds.iter().map(|seed| seed.item));
    candidates.retain(|item| shown(*item));
    let best = candidates.iter().map(|item| tables(*item)).fold(0.0, f64::max);
    let result = candidates.into_iter().map(|item| {
        let mut score = tables(item);
        if let (Some(place), Seen::Boost(repeats)) =
            (seeds.iter().position(|seed| seed.item == item), strategy.seen)
        {
            let Repeats { last_mul, mul, last_add, add, spread, fade, often } = repeats;
            let faded = f64::from(fade).powi(place.saturating_sub(1) as i32);
            let (mul, add) =
                if place == 0 { (last_mul, last_add.into()) } else { (mul, f64::from(add) * faded) };
            let often = f64::from(often).powi(i32::from(seeds[place].count.clamp(1, 3)) - 1);
            let spread = f64::from(spread).powi(seeds.len() as i32 - 1);
            score = score * f64::from(mul) * spread + best * add * often;
        }
        score += f64::from(weights.popularity * snapshot.popularity.of(item));
        score += f64::from(weights.recency * snapshot.popularity.recency(item));
        (item, score / f64::from(strategy.weights.sum()))
    });
    result.collect()
}

fn table() -> impl proptest::strategy::Strategy<Value = fixture::Table> {
    // proptest's sampler of f32 ranges fails an assertion of its own now and then.
    let weight = (10u16..5_000).prop_map(|weight| f32::from(weight) / 1_000.0);
    let row = proptest::collection::btree_map(0..fixture::ITEMS, weight, 0..8).prop_map(|row| {
        let mut row: Vec<(u32, f32)> = row.into_iter().collect();
        row.sort_by(|a, b| b.1.total_cmp(&a.1));
        row
    });
    proptest::collection::vec(row, fixture::ITEMS as usize)
}

proptest! {
    #[test]
    fn scores_are_those_of_the_formula(
        coview in table(), knn in table(), bought in proptest::option::of(table()), boosted in any::<bool>(),
        votes in 0u8..100, bought_weight in 0u8..100,
        seeds in proptest::collection::hash_map(0..fixture::ITEMS, (0u32..9_000, 1u8..5, 1u8..5), 0..8),
    ) {
        let mut snapshot = fixture::shop(&coview, &knn);
        snapshot.bought = bought.map(|table| fixture::rows(&table));
        let seen = if boosted { fixture::boost() } else { Seen::Exclude };
        // Never that of another table: of two equal ones either may be left out.
        let weights = Weights { bought: (f32::from(bought_weight) + 0.5) / 100.0, ..Weights::default() };
        let votes = f32::from(votes) / 100.0;
        let strategy = Strategy { votes, seen, weights, ..Strategy::default() };
        let seeds: Vec<Seed> = seeds
            .into_iter()
            .map(|(item, (age, kind, count))| Seed { item, kind: Kind::from_u8(kind).unwrap(), count, age })
            .collect();
        let mut scratch = Scratch::default();
        let expected = by_definition(&snapshot, &strategy, &seeds);
        // Twice: what one request leaves behind must not reach the next.
        for _ in 0..2 {
            let scored = score(&snapshot, &strategy, &seeds, &mut scratch);
            prop_assert_eq!(scored.len(), expected.len());
            for item in &scored {
                let exact = expected[&item.item];
                prop_assert!((f64::from(item.score) - exact).abs() < 1e-4, "{:?} {}", item, exact);
            }
            prop_assert!(scored.is_sorted_by(|a, b| a.score > b.score || a.score == b.score && a.item < b.item));
        }
    }
}

/// A snapshot whose co-view and KNN tables are unpacked.
struct Unpacked<'a> {
    snapshot: &'a Snapshot,
    tables: [fixture::Table; 2],
}

impl<'a> Unpacked<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let tables = [&snapshot.coview, &snapshot.knn].map(|table| {
            let row = |item| {
                let mut row = Vec::new();
                table.iter().for_each(|table| {
                    table.for_each(item, |neighbour, weight| row.push((neighbour, weight)))
                });
                row
            };
            (0..fixture::ITEMS).map(row).collect()
        });
        Self { snapshot, tables }
    }
}

impl Source for Unpacked<'_> {
    type Table = fixture::Table;

    fn items(&self) -> usize {
        self.snapshot.len()
    }

    fn has_orders(&self) -> bool {
        false
    }

    fn table(&self, signal: Signal) -> Option<&fixture::Table> {
        let [coview, knn] = &self.tables;
        Some(if signal == Signal::Knn { knn } else { coview })
    }

    fn popularity(&self, item: u32) -> f32 {
        self.snapshot.popularity.of(item)
    }

    fn recency(&self, item: u32) -> f32 {
        self.snapshot.popularity.recency(item)
    }
}

proptest! {
    #[test]
    fn unpacked_tables_score_as_packed_ones(
        coview in table(), knn in table(), boosted in any::<bool>(),
        seeds in proptest::collection::hash_map(0..fixture::ITEMS, (0u32..9_000, 1u8..5, 1u8..5), 0..8),
    ) {
        let snapshot = fixture::shop(&coview, &knn);
        let unpacked = Unpacked::new(&snapshot);
        let seen = if boosted { fixture::boost() } else { Seen::Exclude };
        let strategy = Strategy { seen, ..Strategy::default() };
        let seeds: Vec<Seed> = seeds
            .into_iter()
            .map(|(item, (age, kind, count))| Seed { item, kind: Kind::from_u8(kind).unwrap(), count, age })
            .collect();
        let mut scratch = Scratch::default();
        let mut candidates = scratch.candidates(&unpacked, &strategy, &seeds);
        let mut scored: Vec<Scored> = candidates.by_ref().collect();
        candidates.explain(&mut scored);
        drop(candidates);
        prop_assert_eq!(&scored, &score(&snapshot, &strategy, &seeds, &mut scratch));
        let mut unsorted = Vec::new();
        scratch.for_each(&unpacked, &strategy, &seeds, |item, _| unsorted.push(item));
        unsorted.sort_unstable();
        let mut items: Vec<u32> = scored.iter().map(|scored| scored.item).collect();
        items.sort_unstable();
        prop_assert_eq!(unsorted, items);
    }
}

#[test]
fn each_item_names_the_recent_it_came_from() {
    let snapshot = fixture::shop(&fixture::chain(3), &vec![Vec::new(); 30]);
    let only_tables = Weights { popularity: 0.0, recency: 0.0, ..Weights::default() };
    let strategy = Strategy { weights: only_tables, ..Strategy::default() };
    let scored = score(&snapshot, &strategy, &[seed(3, 0), seed(20, 0)], &mut Scratch::default());
    let because = |item| scored.iter().find(|scored| scored.item == item).unwrap().because;
    assert_eq!((because(4), because(6), because(21)), (Some(3), Some(3), Some(20)));
    assert!(scored.iter().all(|scored| scored.signal == Signal::Coview));
}

#[test]
fn a_strategy_of_the_least_and_the_greatest_numbers_gives_finite_scores() {
    let snapshot = fixture::shop(&fixture::chain(3), &fixture::chain(1));
    let ends = [0.0, f32::MIN_POSITIVE / 8.0, 1e-30, 1e6];
    for (kind, weight, votes) in ends.iter().flat_map(|kind| {
        ends.iter().skip(1).flat_map(move |weight| ends.map(|votes| (*kind, *weight, votes)))
    }) {
        let weights = Weights { coview: weight, knn: 1e6, ..Weights::default() };
        let strategy = Strategy { weights, kinds: [kind; 5], votes, ..Strategy::default() };
        for position in ends {
            let strategy = Strategy { position, seen: fixture::boost(), ..strategy.clone() };
            let seeds = [seed(3, 0), seed(20, 0), seed(21, 7)];
            let scored = score(&snapshot, &strategy, &seeds, &mut Scratch::default());
            assert!(scored.iter().all(|scored| scored.score.is_finite()), "{strategy:?}");
        }
    }
}

#[test]
fn old_recents_and_unknown_indices_do_no_harm() {
    let snapshot = fixture::shop(&fixture::chain(3), &fixture::chain(1));
    let mut scratch = Scratch::default();
    let old = score(&snapshot, &Strategy::default(), &[seed(3, u32::MAX)], &mut scratch);
    let new = score(&snapshot, &Strategy::default(), &[seed(3, 0)], &mut scratch);
    assert_eq!(old, new, "with one recent its age changes nothing");
    assert_eq!(score(&snapshot, &Strategy::default(), &[seed(u32::MAX, 0)], &mut scratch), []);
    assert_eq!(score(&snapshot, &Strategy::default(), &[], &mut scratch), []);
}
