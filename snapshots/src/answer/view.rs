//! The JSON shape of items and answers.

use crate::{
    format::{ids::ItemId, signal::Signal},
    rules::Assignment,
    score::Scored,
    snapshot::Snapshot,
    wire::time::Timestamp,
};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// An item as a page shows it. JSON omits empty and unknown fields.
#[derive(Clone, Debug, Serialize)]
pub struct ItemView<'s> {
    /// The shop's id of the item.
    #[serde(serialize_with = "as_text")]
    pub id: ItemId,
    /// The name.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: Cow<'s, str>,
    /// The category path, such as `Garden > Tools`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub category: &'s str,
    /// The brand.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub brand: &'s str,
    /// URL of an image.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub image: Cow<'s, str>,
    /// URL of the item's page.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub url: Cow<'s, str>,
    /// The price in force, in units of the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// The regular price, while a sale with another price holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regular_price: Option<f64>,
    /// ISO 4217 code of the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'s str>,
    /// Whether the item is in stock.
    pub in_stock: bool,
}

/// A recommended item and the reason for it.
#[derive(Clone, Debug, Serialize)]
pub struct Recommended<'s> {
    /// The score, not negative, four decimals. Never increases along the answer.
    pub score: f64,
    /// The signal that contributed most.
    pub signal: Signal,
    /// The recent that led to the item; `None` for other signals than the tables'.
    #[serde(serialize_with = "as_optional_text")]
    pub because: Option<ItemId>,
    /// The item.
    #[serde(flatten)]
    pub item: ItemView<'s>,
}

/// Why an answer is degraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// The snapshot could not be loaded or refreshed.
    Stale,
    /// The snapshot knows none of the recents.
    PopularOnly,
    /// There is no snapshot.
    Static,
}

/// A page of items.
#[derive(Clone, Debug, Serialize)]
pub struct Answer<'s> {
    /// The items, best first.
    pub items: Vec<Recommended<'s>>,
    /// The cursor of the next page; `None` on the last page.
    pub next: Option<String>,
    /// The name of the strategy.
    pub strategy: &'s str,
    /// The assigned variants.
    pub experiments: Vec<Assignment<'s>>,
    /// Why the answer is degraded; `None` if it is not.
    pub degraded: Option<Degraded>,
}

fn as_text<S: Serializer>(id: &ItemId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id)
}

fn as_optional_text<S: Serializer>(id: &Option<ItemId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.as_deref().serialize(serializer)
}

/// The price in units: the `f64` nearest to the decimal number.
fn units(hundredths: u32) -> f64 {
    f64::from(hundredths) / 100.0
}

fn view(snapshot: &Snapshot, item: u32, now: Timestamp) -> Option<ItemView<'_>> {
    let id = snapshot.ids.id(item)?;
    let attributes = snapshot.attributes.item(item, &id);
    let price = attributes.sale.filter(|sale| sale.holds(now)).map(|sale| sale.price).or(attributes.price);
    Some(ItemView {
        id,
        name: attributes.name,
        category: attributes.category,
        brand: attributes.brand,
        image: attributes.image,
        url: attributes.url,
        price: price.map(units),
        regular_price: attributes.price.filter(|regular| price != Some(*regular)).map(units),
        currency: price.map(|_| snapshot.attributes.currency()).filter(|code| !code.is_empty()),
        in_stock: attributes.in_stock,
    })
}

/// An item by its id, with its price at `now`; `None` if the snapshot does not contain it.
pub fn item<'s>(snapshot: &'s Snapshot, id: &str, now: Timestamp) -> Option<ItemView<'s>> {
    view(snapshot, snapshot.ids.index(id)?, now)
}

/// The items of an answer, with scores that never increase.
pub(super) fn shown<'s>(snapshot: &'s Snapshot, found: &[Scored], now: Timestamp) -> Vec<Recommended<'s>> {
    let mut best = f32::INFINITY;
    let mut items = Vec::with_capacity(found.len());
    // All items of a page come from a few recents.
    let mut known: Vec<(u32, ItemId)> = Vec::new();
    let mut because = |seed: u32| {
        if let Some((_, id)) = known.iter().find(|(known, _)| *known == seed) {
            return Some(id.clone());
        }
        let id = snapshot.ids.id(seed)?;
        known.push((seed, id.clone()));
        Some(id)
    };
    for scored in found {
        best = best.min(scored.score);
        if let Some(item) = view(snapshot, scored.item, now) {
            items.push(Recommended {
                score: (f64::from(best) * 1e4).round() / 1e4,
                signal: scored.signal,
                because: scored.because.and_then(&mut because),
                item,
            });
        }
    }
    items
}
