//! Which items a rule means.

use crate::{
    attributes::Attributes,
    category,
    ids::Ids,
    set::Set,
    time::{DAY_MS, Timestamp},
};
use serde::{Deserialize, Serialize};

/// Items for which all that is given holds; every item where nothing is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Match {
    /// With one of these ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// In one of these categories or below it (`Garden` means `Garden > Tools` too), whatever the case of the letters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Of one of these brands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brands: Vec<String>,
    /// Of this price at least, in units of the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_min: Option<f64>,
    /// Of this price at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_max: Option<f64>,
    /// That joined the catalogue within so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_than_days: Option<u16>,
}

/// The same as places and numbers in one snapshot.
#[derive(Clone, Debug)]
pub struct Matcher {
    items: Option<Set>,
    categories: Option<Set>,
    brands: Option<Set>,
    prices: Option<(u32, u32)>,
    newer_than_days: Option<u16>,
}

/// A price in hundredths. Only checked documents come here: finite, not negative, at most four thousand million.
fn hundredths(units: f64) -> u32 {
    (units * 100.0).round() as u32
}

/// The places of the categories that `wanted` names, with those below them.
pub fn categories_below(attributes: &Attributes, wanted: &[String]) -> Set {
    places(attributes.categories(), |path| wanted.iter().any(|wanted| category::is_within(path, wanted)))
        .collect()
}

/// The places in a list of names of those that are wanted.
pub fn places<'a>(
    names: impl Iterator<Item = &'a str>,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = u32> {
    (0u32..).zip(names).filter(move |(_, name)| wanted(name)).map(|(place, _)| place)
}

impl Matcher {
    /// What a rule means in one snapshot. Names that it does not know match nothing.
    pub fn new(wanted: &Match, ids: &Ids, attributes: &Attributes) -> Self {
        let named = |list: &[String], name: &str| list.iter().any(|wanted| wanted == name);
        let given = |list: &[String]| !list.is_empty();
        Self {
            items: given(&wanted.items).then(|| wanted.items.iter().filter_map(|id| ids.index(id)).collect()),
            categories: given(&wanted.categories).then(|| categories_below(attributes, &wanted.categories)),
            brands: given(&wanted.brands)
                .then(|| places(attributes.brands(), |name| named(&wanted.brands, name)).collect()),
            prices: (wanted.price_min.is_some() || wanted.price_max.is_some()).then(|| {
                (wanted.price_min.map_or(0, hundredths), wanted.price_max.map_or(u32::MAX, hundredths))
            }),
            newer_than_days: wanted.newer_than_days,
        }
    }

    /// Whether an item is meant.
    pub fn matches(&self, attributes: &Attributes, item: u32, now: Timestamp) -> bool {
        let among = |set: &Option<Set>, place: Option<u32>| {
            set.as_ref().is_none_or(|set| place.is_some_and(|place| set.contains(place)))
        };
        among(&self.items, Some(item))
            && (self.categories.is_none() || among(&self.categories, attributes.category(item)))
            && (self.brands.is_none() || among(&self.brands, attributes.brand(item)))
            && self.prices.is_none_or(|(least, most)| {
                attributes.price(item).is_some_and(|price| (least..=most).contains(&price))
            })
            && self
                .newer_than_days
                .is_none_or(|days| age_days(attributes, item, now).is_some_and(|age| age <= days))
    }
}

/// How many days ago an item joined the catalogue; `None` where that is not known.
pub fn age_days(attributes: &Attributes, item: u32, now: Timestamp) -> Option<u16> {
    let added = attributes.added(item)?;
    Some((now.0.div_euclid(DAY_MS) - i64::from(added)).clamp(0, u16::MAX.into()) as u16)
}
