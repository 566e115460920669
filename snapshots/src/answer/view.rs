//! Items and pages as they go over the wire.

use crate::{
    format::{ids::ItemId, signal::Signal},
    rules::Assignment,
    score::Scored,
    snapshot::Snapshot,
};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

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
    /// The experiments that it is part of.
    pub experiments: Vec<Assignment<'s>>,
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

/// Items as a page shows them. Scores fall along it.
pub(super) fn shown<'s>(snapshot: &'s Snapshot, found: &[Scored]) -> Vec<Recommended<'s>> {
    let mut best = f32::INFINITY;
    let mut items = Vec::with_capacity(found.len());
    // A few recents lead to all of a page.
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
        if let Some(item) = view(snapshot, scored.item) {
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
