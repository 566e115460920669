//! Filters and score factors of one request: the query and the rules that apply, resolved to indices once.

use super::known_items;
use crate::{
    format::attributes::Attributes,
    rules::{Decision, Diversify, Facet, categories_below, places},
    set::SortedSet,
    snapshot::Snapshot,
    wire::{query::Query, time::Timestamp},
};

/// Decides which items may be shown and how their scores are adjusted.
pub(crate) struct ItemFilter<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query,
    decision: &'a Decision<'a>,
    now: Timestamp,
    excluded: SortedSet,
    categories: Option<SortedSet>,
    brand: Option<Option<u32>>,
}

impl<'a> ItemFilter<'a> {
    /// The filter of a request. `seen` items are excluded in addition to those of the query.
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        query: &'a Query,
        decision: &'a Decision<'a>,
        now: Timestamp,
        seen: impl Iterator<Item = u32>,
    ) -> Self {
        let below = |wanted| categories_below(&snapshot.attributes, std::slice::from_ref(wanted));
        let brand = |wanted: &String| places(snapshot.attributes.brands(), |name| name == wanted).next();
        let mut excluded: SortedSet = known_items(snapshot, &query.items).collect();
        excluded.extend(known_items(snapshot, &query.exclude));
        excluded.extend(seen);
        Self {
            snapshot,
            query,
            decision,
            now,
            excluded,
            categories: query.category.as_ref().map(below),
            brand: query.brand.as_ref().map(brand),
        }
    }

    fn allows(&self, item: u32) -> bool {
        let attributes: &Attributes = &self.snapshot.attributes;
        let in_category =
            |wanted: &SortedSet| attributes.category(item).is_some_and(|category| wanted.contains(category));
        let of_brand = |wanted: Option<u32>| wanted.is_some() && attributes.brand(item) == wanted;
        let priced = self.query.price_min.is_none() && self.query.price_max.is_none()
            || attributes.price_at(item, self.now).is_some_and(|price| {
                price >= self.query.price_min.unwrap_or(0)
                    && price <= self.query.price_max.unwrap_or(u32::MAX)
            });
        attributes.in_stock(item)
            && priced
            && !self.excluded.contains(item)
            && self.categories.as_ref().is_none_or(in_category)
            && self.brand.is_none_or(of_brand)
            && self.decision.allows(attributes, item, self.now)
            && (self.query.cursor.is_empty()
                || self.snapshot.ids.id(item).is_some_and(|id| !self.query.cursor.has_shown(&id)))
    }

    /// The factor on the item's score; 0 if it may not be shown.
    pub(crate) fn factor(&self, item: u32) -> f32 {
        if self.allows(item) { self.decision.factor(&self.snapshot.attributes, item, self.now) } else { 0.0 }
    }

    /// How to diversify the page; `None` if the query filters by the same attribute.
    pub(crate) fn diversify(&self) -> Option<Diversify> {
        self.decision.diversify.filter(|rule| match rule.by {
            Facet::Category => self.query.category.is_none(),
            Facet::Brand => self.query.brand.is_none(),
        })
    }

    /// The index of the item's category or brand.
    pub(crate) fn facet(&self, by: Facet, item: u32) -> Option<u32> {
        match by {
            Facet::Category => self.snapshot.attributes.category(item),
            Facet::Brand => self.snapshot.attributes.brand(item),
        }
    }
}
