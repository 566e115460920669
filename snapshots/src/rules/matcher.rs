//! The items that a rule applies to.

use crate::{
    format::{
        attributes::Attributes,
        category::{Wanted, WantedName},
        ids::Ids,
    },
    set::SortedSet,
    wire::time::{DAY_MS, Timestamp},
};
use serde::{Deserialize, Serialize};

/// Selects items that meet all given criteria.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Match {
    /// The item has one of these ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// The item is in one of these categories or a subcategory (`Garden` includes `Garden > Tools`); case is ignored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// The item has one of these brands; case is ignored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brands: Vec<String>,
    /// Lowest price in force, in units of the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_min: Option<f64>,
    /// Highest price in force, in units of the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_max: Option<f64>,
    /// The item was added to the catalogue at most so many days ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_than_days: Option<u16>,
}

/// A [`Match`] resolved to the indices of one snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    items: Option<SortedSet>,
    categories: Option<SortedSet>,
    brands: Option<SortedSet>,
    prices: Option<(u32, u32)>,
    newer_than_days: Option<u16>,
}

/// A price in hundredths. Checked documents have prices from 0 to 40 million.
fn hundredths(units: f64) -> u32 {
    (units * 100.0).round() as u32
}

/// The indices of the `wanted` categories and their subcategories.
pub(crate) fn categories_below(attributes: &Attributes, wanted: &[String]) -> SortedSet {
    let wanted: Vec<Wanted> = wanted.iter().map(|wanted| Wanted::new(wanted)).collect();
    places(attributes.categories(), |path| wanted.iter().any(|wanted| wanted.includes(path))).collect()
}

/// The indices of the `wanted` brands.
pub(crate) fn brands_named(attributes: &Attributes, wanted: &[String]) -> SortedSet {
    let wanted: Vec<WantedName> = wanted.iter().map(|wanted| WantedName::new(wanted)).collect();
    places(attributes.brands(), |name| wanted.iter().any(|wanted| wanted.is(name))).collect()
}

/// The indices of the wanted names in a list.
fn places<'a>(
    names: impl Iterator<Item = &'a str>,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = u32> {
    (0u32..).zip(names).filter(move |(_, name)| wanted(name)).map(|(place, _)| place)
}

impl Matcher {
    /// Resolves names. Unknown names match nothing.
    pub(crate) fn new(wanted: &Match, ids: &Ids, attributes: &Attributes) -> Self {
        let given = |list: &[String]| !list.is_empty();
        Self {
            items: given(&wanted.items).then(|| wanted.items.iter().filter_map(|id| ids.index(id)).collect()),
            categories: given(&wanted.categories).then(|| categories_below(attributes, &wanted.categories)),
            brands: given(&wanted.brands).then(|| brands_named(attributes, &wanted.brands)),
            prices: (wanted.price_min.is_some() || wanted.price_max.is_some()).then(|| {
                (wanted.price_min.map_or(0, hundredths), wanted.price_max.map_or(u32::MAX, hundredths))
            }),
            newer_than_days: wanted.newer_than_days,
        }
    }

    /// Whether the item matches.
    pub(crate) fn matches(&self, attributes: &Attributes, item: u32, now: Timestamp) -> bool {
        let among = |set: &Option<SortedSet>, place: Option<u32>| {
            set.as_ref().is_none_or(|set| place.is_some_and(|place| set.contains(place)))
        };
        among(&self.items, Some(item))
            && (self.categories.is_none() || among(&self.categories, attributes.category(item)))
            && (self.brands.is_none() || among(&self.brands, attributes.brand(item)))
            && self.prices.is_none_or(|(least, most)| {
                attributes.price_at(item, now).is_some_and(|price| (least..=most).contains(&price))
            })
            && self
                .newer_than_days
                .is_none_or(|days| age_days(attributes, item, now).is_some_and(|age| age <= days))
    }
}

/// How many days ago an item was added to the catalogue; `None` if unknown.
pub(crate) fn age_days(attributes: &Attributes, item: u32, now: Timestamp) -> Option<u16> {
    let added = attributes.added(item)?;
    Some((now.0.div_euclid(DAY_MS) - i64::from(added)).clamp(0, u16::MAX.into()) as u16)
}
