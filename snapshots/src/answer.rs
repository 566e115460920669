//! Answers: what the three callers give back, from a query, the recents and a snapshot.

use crate::{
    attributes::Attributes,
    event::Kind,
    ids::ItemId,
    query::{Placement, Query, QueryError},
    recents::Recents,
    rows,
    score::{MAX_SEEDS, Scored, Scratch, Seed, Signal, personal},
    set::Set,
    snapshot::Snapshot,
    strategy::{DEFAULT, SIMILAR, Seen, Strategy},
    time::Timestamp,
};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// How many items of the popularity order one request looks at to fill a filtered page: a bound on the time of
/// a filter that almost nothing passes.
const MAX_SCAN: usize = 50_000;
const _: () = assert!(MAX_SCAN <= crate::popularity::MAX_ORDER);

/// An item as a page shows it. Empty and unknown fields are left out.
#[derive(Clone, Debug, Serialize)]
pub struct ItemView<'s> {
    /// The shop's id.
    #[serde(serialize_with = "as_text")]
    pub id: ItemId,
    /// Name.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: Cow<'s, str>,
    /// Category path.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub category: &'s str,
    /// Brand.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub brand: &'s str,
    /// Address of a picture.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub image: Cow<'s, str>,
    /// Address of the item's page.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub url: Cow<'s, str>,
    /// Price in units of the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// ISO 4217 code of the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'s str>,
    /// Whether it can be bought now.
    pub in_stock: bool,
}

/// A recommended item and why it is here.
#[derive(Clone, Debug, Serialize)]
pub struct Recommended<'s> {
    /// From 0, four decimals; falls along the answer.
    pub score: f64,
    /// What chiefly put it here.
    pub signal: Signal,
    /// The recent it came from.
    #[serde(serialize_with = "as_optional_text")]
    pub because: Option<ItemId>,
    /// The item.
    #[serde(flatten)]
    pub item: ItemView<'s>,
}

/// Why an answer is less than it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// The snapshot could not be refreshed for long.
    Stale,
    /// There were recents, but the tables know none of them.
    PopularOnly,
    /// There was no snapshot.
    Static,
}

/// A page of items.
#[derive(Clone, Debug, Serialize)]
pub struct Answer<'s> {
    /// The items, best first.
    pub items: Vec<Recommended<'s>>,
    /// The cursor of the next page; `None` where paging ends.
    pub next: Option<String>,
    /// Name of the strategy that was used.
    pub strategy: &'s str,
    /// Why it is less than it could be.
    pub degraded: Option<Degraded>,
}

fn as_text<S: Serializer>(id: &ItemId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id)
}

fn as_optional_text<S: Serializer>(id: &Option<ItemId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.as_deref().serialize(serializer)
}

/// Prices are whole hundredths, so this is the nearest `f64` to what the shop wrote.
fn units(hundredths: u32) -> f64 {
    f64::from(hundredths) / 100.0
}

fn view(snapshot: &Snapshot, item: u32) -> Option<ItemView<'_>> {
    let id = snapshot.ids.id(item)?;
    let attributes = snapshot.attributes.item(item, &id);
    Some(ItemView {
        id,
        name: attributes.name,
        category: attributes.category,
        brand: attributes.brand,
        image: attributes.image,
        url: attributes.url,
        price: attributes.price.map(units),
        currency: attributes.price.map(|_| snapshot.attributes.currency()).filter(|code| !code.is_empty()),
        in_stock: attributes.in_stock,
    })
}

/// One item by its id; `None` when the snapshot does not know it.
pub fn item<'s>(snapshot: &'s Snapshot, id: &str) -> Option<ItemView<'s>> {
    view(snapshot, snapshot.ids.index(id)?)
}

/// What a query lets pass, resolved to indices once.
struct Filter<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query,
    excluded: Set,
    categories: Option<Set>,
    brand: Option<Option<u32>>,
}

fn places<'a>(
    names: impl Iterator<Item = &'a str>,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = u32> {
    (0u32..).zip(names).filter(move |(_, name)| wanted(name)).map(|(place, _)| place)
}

impl<'a> Filter<'a> {
    fn new(snapshot: &'a Snapshot, query: &'a Query) -> Self {
        let index = |id: &String| snapshot.ids.index(id);
        let below = |wanted: &String| {
            places(snapshot.attributes.categories(), |path| {
                path.strip_prefix(wanted.as_str()).is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with(crate::attributes::PATH_SEPARATOR)
                })
            })
            .collect()
        };
        let brand = |wanted: &String| places(snapshot.attributes.brands(), |name| name == wanted).next();
        Self {
            snapshot,
            query,
            excluded: query.items.iter().chain(&query.exclude).filter_map(index).collect(),
            categories: query.category.as_ref().map(below),
            brand: query.brand.as_ref().map(brand),
        }
    }

    fn lets_pass(&self, item: u32) -> bool {
        let attributes: &Attributes = &self.snapshot.attributes;
        let in_category =
            |wanted: &Set| attributes.category(item).is_some_and(|category| wanted.contains(category));
        let of_brand = |wanted: Option<u32>| wanted.is_some() && attributes.brand(item) == wanted;
        let priced = self.query.price_min.is_none() && self.query.price_max.is_none()
            || attributes.price(item).is_some_and(|price| {
                price >= self.query.price_min.unwrap_or(0)
                    && price <= self.query.price_max.unwrap_or(u32::MAX)
            });
        attributes.in_stock(item)
            && priced
            && !self.excluded.contains(item)
            && self.categories.as_ref().is_none_or(in_category)
            && self.brand.is_none_or(of_brand)
            && (self.query.cursor.is_empty()
                || self.snapshot.ids.id(item).is_some_and(|id| !self.query.cursor.has_shown(&id)))
    }
}

fn choose<'s>(snapshot: &'s Snapshot, query: &Query, usual: &str) -> Result<&'s Strategy, QueryError> {
    if let Some(name) = &query.strategy {
        return snapshot.strategy(name).ok_or_else(|| {
            let names: Vec<&str> = snapshot.strategies.iter().map(|known| &*known.name).collect();
            QueryError { field: "strategy", detail: format!("unknown; one of {}", names.join(", ")) }
        });
    }
    let chosen =
        snapshot.strategy(usual).or_else(|| snapshot.strategy(DEFAULT)).or(snapshot.strategies.first());
    chosen
        .ok_or_else(|| QueryError { field: "strategy", detail: "the snapshot holds no strategy".to_owned() })
}

fn seeds(snapshot: &Snapshot, query: &Query, recents: &Recents, now: Timestamp) -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    let mut add = |id: &str, kind, count, age| {
        let Some(item) = snapshot.ids.index(id) else { return };
        if seeds.len() < MAX_SEEDS && !seeds.iter().any(|seed| seed.item == item) {
            seeds.push(Seed { item, kind, count, age });
        }
    };
    for id in &query.items {
        let kind = if query.placement == Placement::Cart { Kind::Cart } else { Kind::View };
        add(id, kind, 1, 0);
    }
    for id in query.recents.iter().flatten() {
        add(id, Kind::View, 1, 0);
    }
    if query.recents.is_none() {
        for recent in recents.entries() {
            add(&recent.item, recent.kind, recent.count, now.minutes().saturating_sub(recent.minutes));
        }
    }
    seeds
}

fn seeds_like(snapshot: &Snapshot, id: &str) -> Vec<Seed> {
    let item = snapshot.ids.index(id);
    item.map(|item| Seed { item, kind: Kind::View, count: 1, age: 0 }).into_iter().collect()
}

/// A row that an answer reads: its table, one of [`rows::TABLES`], and its item.
pub type RowKey = (&'static str, u32);

/// The rows that a strategy reads for these seeds.
fn rows_read(strategy: &Strategy, seeds: &[Seed]) -> Vec<RowKey> {
    let name = |(signal, weight)| match signal {
        _ if weight <= 0.0 => None,
        Signal::Bought => Some(rows::BOUGHT),
        Signal::Knn => Some(rows::KNN),
        _ => Some(rows::COVIEW),
    };
    // Of a table whose shards are not here it cannot be told whether there is one.
    let mut tables: Vec<&str> = Vec::new();
    for table in [true, false].into_iter().flat_map(|orders| strategy.tables(orders)).filter_map(name) {
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    let seeds = seeds.iter().take(strategy.recents.into());
    seeds.flat_map(|seed| tables.iter().map(|table| (*table, seed.item))).collect()
}

/// The rows that [`recommend`] reads: where tables are cut into shards, what to have at hand.
pub fn recommend_reads(snapshot: &Snapshot, query: &Query, recents: &Recents, now: Timestamp) -> Vec<RowKey> {
    let strategy = choose(snapshot, query, query.placement.name());
    strategy.map_or(Vec::new(), |strategy| rows_read(strategy, &seeds(snapshot, query, recents, now)))
}

/// The rows that [`similar`] reads.
pub fn similar_reads(snapshot: &Snapshot, id: &str, query: &Query) -> Vec<RowKey> {
    let strategy = choose(snapshot, query, SIMILAR);
    strategy.map_or(Vec::new(), |strategy| rows_read(strategy, &seeds_like(snapshot, id)))
}

fn page<'s>(
    snapshot: &'s Snapshot,
    query: &Query,
    strategy: &'s Strategy,
    seeds: &[Seed],
    scratch: &mut Scratch,
) -> Answer<'s> {
    let mut filter = Filter::new(snapshot, query);
    if strategy.seen == Seen::Exclude {
        // All of them, also those too old to lead anywhere.
        filter.excluded.extend(seeds.iter().map(|seed| seed.item));
    }
    // One more than asked for tells whether there is another page.
    let wanted = query.limit + 1;
    let mut found: Vec<Scored> = Vec::with_capacity(wanted);
    personal(snapshot, strategy, seeds, wanted, scratch, |item| filter.lets_pass(item), &mut found);
    if found.len() < wanted {
        fill(snapshot, strategy, wanted, &filter, &mut found);
    }
    let more = found.len() > query.limit;
    let mut best = f32::INFINITY;
    let mut items = Vec::with_capacity(query.limit);
    for scored in found.iter().take(query.limit) {
        best = best.min(scored.score);
        if let Some(item) = view(snapshot, scored.item) {
            items.push(Recommended {
                score: (f64::from(best) * 1e4).round() / 1e4,
                signal: scored.signal,
                because: scored.because.and_then(|seed| snapshot.ids.id(seed)),
                item,
            });
        }
    }
    let next = more.then(|| query.cursor.after(items.iter().map(|shown| &*shown.item.id))).flatten();
    Answer { items, next, strategy: &strategy.name, degraded: None }
}

/// Appends the region's most wanted, then anything that can be bought.
fn fill(
    snapshot: &Snapshot,
    strategy: &Strategy,
    wanted: usize,
    filter: &Filter<'_>,
    found: &mut Vec<Scored>,
) {
    let mut taken: Set = found.iter().map(|scored| scored.item).collect();
    let rest = 0..u32::try_from(snapshot.len()).unwrap_or(u32::MAX);
    for item in snapshot.popularity.order().chain(rest).take(MAX_SCAN) {
        if found.len() >= wanted {
            return;
        }
        if filter.lets_pass(item) && taken.insert(item) {
            let score = strategy.weights.popularity * snapshot.popularity.of(item) / strategy.weights.sum();
            found.push(Scored { item, score, signal: Signal::Popularity, because: None });
        }
    }
}

/// Recommendations for a visitor. Falls from personal to popular; `query.items` (on screen, or in the cart) lead
/// and are never answered.
///
/// # Errors
/// [`QueryError`] when the strategy asked for does not exist.
pub fn recommend<'s>(
    snapshot: &'s Snapshot,
    query: &Query,
    recents: &Recents,
    now: Timestamp,
    scratch: &mut Scratch,
) -> Result<Answer<'s>, QueryError> {
    let strategy = choose(snapshot, query, query.placement.name())?;
    let seeds = seeds(snapshot, query, recents, now);
    let mut answer = page(snapshot, query, strategy, &seeds, scratch);
    let asked = match &query.recents {
        Some(given) => !given.is_empty(),
        None => !recents.entries().is_empty(),
    };
    if seeds.is_empty() && (asked || !query.items.is_empty()) {
        answer.degraded = Some(Degraded::PopularOnly);
    }
    Ok(answer)
}

/// What the region wants most.
///
/// # Errors
/// [`QueryError`] when the strategy asked for does not exist.
pub fn popular<'s>(
    snapshot: &'s Snapshot,
    query: &Query,
    scratch: &mut Scratch,
) -> Result<Answer<'s>, QueryError> {
    let strategy = choose(snapshot, query, DEFAULT)?;
    Ok(page(snapshot, query, strategy, &[], scratch))
}

/// Items like the one with this id, filled with what the region wants.
///
/// # Errors
/// [`QueryError`] when the strategy asked for does not exist.
pub fn similar<'s>(
    snapshot: &'s Snapshot,
    id: &str,
    query: &Query,
    scratch: &mut Scratch,
) -> Result<Answer<'s>, QueryError> {
    let strategy = choose(snapshot, query, SIMILAR)?;
    let query = Query { items: vec![id.to_owned()], ..query.clone() };
    let seeds = seeds_like(snapshot, id);
    let mut answer = page(snapshot, &query, strategy, &seeds, scratch);
    if seeds.is_empty() {
        answer.degraded = Some(Degraded::PopularOnly);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests;
