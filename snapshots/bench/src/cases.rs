//! The benchmark cases.

use crate::baseline::Model;
use crate::inputs::{Inputs, KS};
use crate::measure::Case;
use anyhow::{Context, Result};
use snapshots::answer::{Call, Request, answer};
use snapshots::event::Kind;
use snapshots::query::Query;
use snapshots::recents::Recents;
use snapshots::rules::{Boost, Device, Diversify, Fresh, Match, Pin, Rule, Rules, Ruleset, When};
use snapshots::score::{Scored, Scratch, Seed};
use snapshots::strategy::{NEXT, Seen, Strategy, Weights};
use snapshots::time::Timestamp;
use snapshots::{Bytes, Snapshot};
use std::collections::HashMap;
use std::rc::Rc;

/// Number of items to score for.
const TOP: usize = 20;
/// Neighbours per row in the cases on prefixes.
const USUAL_K: usize = 50;
/// Lookups per sample: a single one is shorter than the resolution of the clock.
const LOOK_UPS: usize = 256;

/// The strategy of the comparison with the baseline: the co-view table alone, without recents.
pub fn plain(recents: usize) -> Strategy {
    let weights = Weights { coview: 1.0, knn: 0.0, bought: 0.0, popularity: 0.0, recency: 0.0 };
    Strategy { weights, recents: recents as u8, seen: Seen::Exclude, ..Strategy::default() }
}

fn seeds(snapshot: &Snapshot, recents: &[String]) -> Vec<Seed> {
    let items = recents.iter().filter_map(|id| snapshot.ids.index(id));
    items.map(|item| Seed { item, kind: Kind::View, count: 1, age: 0 }).collect()
}

fn case(name: String, inputs: usize, batch: usize, call: impl FnMut(usize) -> u64 + 'static) -> Case {
    Case { name, inputs, batch, call: Box::new(call) }
}

/// All cases on these inputs.
///
/// # Errors
/// A blob is not a snapshot, or there is no prefix.
pub fn cases(inputs: Inputs) -> Result<Vec<Case>> {
    let Inputs { shops, sizes, prefixes } = inputs;
    anyhow::ensure!(!prefixes.is_empty(), "no session has two known items");
    let mut cases = Vec::new();
    for (name, blob) in sizes {
        opening(&mut cases, &name, blob.into_vec().into());
    }
    let mut shops_by_k = HashMap::new();
    for (k, blob) in KS.into_iter().zip(shops) {
        let blob: Bytes = blob.into_vec().into();
        shops_by_k.insert(k, Rc::new(Snapshot::open(&[blob])?));
    }
    let usual = shops_by_k.get(&USUAL_K).context("no shop with the usual K")?;
    let prefixes = Rc::new(prefixes);
    look_ups(&mut cases, usual);
    for (k, snapshot) in KS.iter().filter_map(|k| Some((k, shops_by_k.get(k)?))) {
        for count in [1, 5, 50] {
            let visitors = Rc::new(visitors(snapshot, &prefixes, count));
            let name = format!("score {count} recents, K {k}");
            cases.push(scoring(name, snapshot, visitors, plain(count)));
        }
    }
    let visitors: Rc<Vec<Vec<Seed>>> =
        Rc::new(prefixes.iter().map(|recents| seeds(usual, recents)).collect());
    cases.push(decoding(usual, &visitors));
    cases.push(scoring("score prefixes".to_owned(), usual, Rc::clone(&visitors), plain(5)));
    if let Some(next) = usual.strategy(NEXT) {
        cases.push(scoring("score prefixes, seen too".to_owned(), usual, visitors, next.clone()));
    }
    baseline(&mut cases, usual, &prefixes)?;
    answering(&mut cases, usual, &prefixes);
    Ok(cases)
}

fn opening(cases: &mut Vec<Case>, name: &str, blob: Bytes) {
    let bytes = blob.clone();
    let open = move |_| Snapshot::open(std::slice::from_ref(&bytes)).map_or(0, |opened| opened.len() as u64);
    cases.push(case(format!("open {name}"), 1, 1, open));
    let read = move |_| {
        let (words, _) = blob.as_chunks::<8>();
        words.iter().fold(0u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
    };
    cases.push(case(format!("read {name} once"), 1, 1, read));
}

fn look_ups(cases: &mut Vec<Case>, snapshot: &Rc<Snapshot>) {
    // An order that defeats caches: a stride that is coprime to the size of most catalogues.
    let items = snapshot.len();
    let scattered = move |number: usize| (number as u64 * 7_919 % items as u64) as u32;
    let by_index = Rc::clone(snapshot);
    let id = move |number| by_index.ids.id(scattered(number)).map_or(0, |id| id.len() as u64);
    cases.push(case("look up an id by index".to_owned(), items, LOOK_UPS, id));
    let ids: Vec<String> = (0..items)
        .map(|number| snapshot.ids.id(scattered(number)).map_or(String::new(), |id| id.to_string()))
        .collect();
    let map: HashMap<String, u32> = ids.iter().cloned().zip((0..items).map(scattered)).collect();
    let by_id = Rc::clone(snapshot);
    let ids = Rc::new(ids);
    let lookup_ids = Rc::clone(&ids);
    let index = move |number: usize| by_id.ids.index(&lookup_ids[number]).map_or(0, u64::from);
    cases.push(case("look up an index by id".to_owned(), items, LOOK_UPS, index));
    let index = move |number: usize| map.get(&ids[number]).copied().map_or(0, u64::from);
    cases.push(case("baseline: look up an index by id".to_owned(), items, LOOK_UPS, index));
}

/// Visitors with `count` recents each; those with too few get recents of others.
fn visitors(snapshot: &Snapshot, prefixes: &[Vec<String>], count: usize) -> Vec<Vec<Seed>> {
    let visitors = prefixes.len().min(2_000);
    let visitor = |number: usize| {
        let others = prefixes.iter().cycle().skip(number * prefixes.len() / visitors).take(1_000);
        let mut recents: Vec<Seed> = Vec::new();
        for seed in others.flat_map(|recents| seeds(snapshot, recents)) {
            if recents.len() < count && recents.iter().all(|known| known.item != seed.item) {
                recents.push(seed);
            }
            if recents.len() == count {
                break;
            }
        }
        recents
    };
    (0..visitors).map(visitor).collect()
}

fn scoring(name: String, snapshot: &Rc<Snapshot>, visitors: Rc<Vec<Vec<Seed>>>, strategy: Strategy) -> Case {
    let snapshot = Rc::clone(snapshot);
    let (mut scratch, mut out): (_, Vec<Scored>) = (Scratch::default(), Vec::new());
    case(name, visitors.len(), 1, move |number| {
        let mut candidates = scratch.candidates(&*snapshot, &strategy, &visitors[number]);
        out.clear();
        out.extend(candidates.by_ref().take(TOP));
        candidates.explain(&mut out);
        out.first().map_or(0, |best| best.item.into())
    })
}

/// The lower bound of scoring: reads the rows of the prefixes without using them.
fn decoding(snapshot: &Rc<Snapshot>, visitors: &Rc<Vec<Vec<Seed>>>) -> Case {
    let (snapshot, visitors) = (Rc::clone(snapshot), Rc::clone(visitors));
    case("only read the prefixes' rows".to_owned(), visitors.len(), 1, move |number| {
        let (mut items, mut weights) = (0u64, 0.0);
        for seed in visitors[number].iter().take(5) {
            if let Some(table) = &snapshot.coview {
                table.for_each(seed.item, |item, weight| {
                    items += u64::from(item);
                    weights += weight;
                });
            }
        }
        items + u64::from(weights.to_bits())
    })
}

fn baseline(cases: &mut Vec<Case>, snapshot: &Rc<Snapshot>, prefixes: &Rc<Vec<Vec<String>>>) -> Result<()> {
    let packed = rmp_serde::to_vec(&Model::from_snapshot(snapshot))?;
    let model: Model = rmp_serde::from_slice(&packed)?;
    let open = move |_| {
        rmp_serde::from_slice::<Model>(&packed).map_or(0, |model| u64::from(size_of_val(&model) > 0))
    };
    cases.push(case("baseline: deserialise the shop".to_owned(), 1, 1, open));
    let (prefixes, strategy) = (Rc::clone(prefixes), plain(5));
    cases.push(case("baseline: score prefixes".to_owned(), prefixes.len(), 1, move |number| {
        let found = model.recommend(&strategy, &prefixes[number], TOP);
        found.first().map_or(0, |best| best.0.len() as u64)
    }));
    Ok(())
}

/// The snapshot with ten rules of all kinds that rank or filter.
fn ruled(snapshot: &Snapshot) -> Snapshot {
    let first = |names: &mut dyn Iterator<Item = &str>| names.take(1).map(str::to_owned).collect::<Vec<_>>();
    let category = Match { categories: first(&mut snapshot.attributes.categories()), ..Match::default() };
    let brand = Match { brands: first(&mut snapshot.attributes.brands()), ..Match::default() };
    let popular: Vec<String> = snapshot
        .popularity
        .order()
        .take(20)
        .filter_map(|item| Some(snapshot.ids.id(item)?.to_string()))
        .collect();
    let items = |from: usize| Match {
        items: popular.iter().skip(from).take(5).cloned().collect(),
        ..Match::default()
    };
    let cheap = Match { price_max: Some(2.0), ..Match::default() };
    let rules = vec![
        Rule { exclude: Some(items(0)), ..Rule::default() },
        Rule { exclude: Some(cheap), ..Rule::default() },
        Rule { boost: Some(Boost { items: category.clone(), by: 1.2 }), ..Rule::default() },
        Rule { boost: Some(Boost { items: brand, by: 1.3 }), ..Rule::default() },
        Rule { boost: Some(Boost { items: items(5), by: 0.5 }), ..Rule::default() },
        Rule { fresh: Some(Fresh { days: 30, by: 1.5 }), ..Rule::default() },
        Rule { pin: popular.get(10).map(|item| Pin { item: item.clone(), at: 3 }), ..Rule::default() },
        Rule { diversify: Some(Diversify { at_most: 4, ..Diversify::default() }), ..Rule::default() },
        Rule { exclude_bought: true, ..Rule::default() },
        Rule {
            when: When { devices: vec![Device::Mobile], ..When::default() },
            boost: Some(Boost { items: category, by: 2.0 }),
            ..Rule::default()
        },
    ];
    let rules = Rules { rules, ..Rules::default() };
    Snapshot { rules: Ruleset::new(rules, &snapshot.ids, &snapshot.attributes), ..snapshot.clone() }
}

/// Complete answers; the last case also serialises them as JSON, like the Worker.
fn answering(cases: &mut Vec<Case>, snapshot: &Rc<Snapshot>, prefixes: &Rc<Vec<Vec<String>>>) {
    let filtered = |limit| {
        let mut categories = snapshot.attributes.categories();
        Query {
            limit,
            category: categories.next().and_then(|path| path.split(" > ").next()).map(str::to_owned),
            price_min: Some(500),
            price_max: Some(15_000),
            exclude: prefixes
                .iter()
                .step_by(prefixes.len().div_ceil(20))
                .filter_map(|recents| recents.first().cloned())
                .collect(),
            ..Query::default()
        }
    };
    let plain_query = |limit| Query { limit, ..Query::default() };
    let ruled = &Rc::new(ruled(snapshot));
    for (name, snapshot, query, as_json) in [
        ("page of 12", snapshot, plain_query(12), false),
        ("page of 100", snapshot, plain_query(100), false),
        ("page of 12, filtered", snapshot, filtered(12), false),
        ("page of 100, filtered", snapshot, filtered(100), false),
        ("page of 12, by rules", ruled, plain_query(12), false),
        ("page of 100, by rules", ruled, plain_query(100), false),
        ("page of 12 as JSON", snapshot, plain_query(12), true),
    ] {
        let (snapshot, now) = (Rc::clone(snapshot), Timestamp(1_795_000_000_000));
        let recents: Vec<Recents> =
            prefixes.iter().map(|recents| Recents::from_ids(recents.iter().map(|id| &**id), now)).collect();
        let mut scratch = Scratch::default();
        cases.push(case(name.to_owned(), recents.len(), 1, move |number| {
            let request = Request::new(&query, &recents[number], now);
            let Ok(answer) = answer(&snapshot, Call::Recommend, &request, &mut scratch) else { return 0 };
            if as_json {
                return serde_json::to_vec(&answer.items).map_or(0, |json| json.len() as u64);
            }
            answer.items.len() as u64
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::small;
    use crate::measure::{Clock, measure};

    #[test]
    fn every_case_computes_something() {
        let clock = Clock::new(|| {
            use std::{sync::OnceLock, time::Instant};
            static BEGAN: OnceLock<Instant> = OnceLock::new();
            BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as f64
        });
        for mut case in cases(small()).unwrap() {
            assert!((0..case.inputs.min(20)).any(|number| (case.call)(number) > 0), "{}", case.name);
            let figures = measure(&clock, &mut case, 0.0);
            assert!(figures.p50.unwrap() <= figures.p99.unwrap());
        }
    }

    #[test]
    fn baseline_finds_the_same_items() {
        let inputs = small();
        let snapshot = Snapshot::open(&[inputs.shops[1].to_vec().into()]).unwrap();
        let model = Model::from_snapshot(&snapshot);
        let mut scratch = Scratch::default();
        assert!(inputs.prefixes.len() > 1_000);
        for recents in inputs.prefixes.iter().take(1_000) {
            let seeds = seeds(&snapshot, recents);
            let found: Vec<Scored> = scratch.candidates(&snapshot, &plain(5), &seeds).take(TOP).collect();
            let baseline = model.recommend(&plain(5), recents, TOP);
            assert_eq!(found.len(), baseline.len());
            // The baseline orders items of equal score arbitrarily.
            for (own, (_, score)) in found.iter().zip(&baseline) {
                assert!((own.score / found[0].score - score / baseline[0].1).abs() < 1e-5);
            }
        }
    }
}
