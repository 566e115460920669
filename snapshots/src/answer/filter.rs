//! What may be shown, and how much it counts: the filters of a query and the rules that hold, resolved to indices once.

use crate::{
    format::attributes::Attributes,
    rules::{Decision, Diversify, Facet, categories_below, places},
    set::SortedSet,
    snapshot::Snapshot,
    wire::{query::Query, time::Timestamp},
};

/// A request's view of the items.
pub struct ItemFilter<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query,
    decision: &'a Decision<'a>,
    now: Timestamp,
    excluded: SortedSet,
    categories: Option<SortedSet>,
    brand: Option<Option<u32>>,
}

impl<'a> ItemFilter<'a> {
    /// Of a request that must not be answered with what is `seen`, besides what its query excludes.
    pub fn new(
        snapshot: &'a Snapshot,
        query: &'a Query,
        decision: &'a Decision<'a>,
        now: Timestamp,
        seen: impl Iterator<Item = u32>,
    ) -> Self {
        let index = |id: &String| snapshot.ids.index(id);
        let below = |wanted| categories_below(&snapshot.attributes, std::slice::from_ref(wanted));
        let brand = |wanted: &String| places(snapshot.attributes.brands(), |name| name == wanted).next();
        let mut excluded: SortedSet = query.items.iter().chain(&query.exclude).filter_map(index).collect();
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

    fn lets_pass(&self, item: u32) -> bool {
        let attributes: &Attributes = &self.snapshot.attributes;
        let in_category =
            |wanted: &SortedSet| attributes.category(item).is_some_and(|category| wanted.contains(category));
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
            && self.decision.allows(attributes, item, self.now)
            && (self.query.cursor.is_empty()
                || self.snapshot.ids.id(item).is_some_and(|id| !self.query.cursor.has_shown(&id)))
    }

    /// By how much the item's score counts; 0 where it may not be shown.
    pub fn factor(&self, item: u32) -> f32 {
        if self.lets_pass(item) {
            self.decision.factor(&self.snapshot.attributes, item, self.now)
        } else {
            0.0
        }
    }

    /// How the page varies: not by what the caller asked for one of.
    pub fn diversify(&self) -> Option<Diversify> {
        self.decision.diversify.filter(|rule| match rule.by {
            Facet::Category => self.query.category.is_none(),
            Facet::Brand => self.query.brand.is_none(),
        })
    }

    /// An item's kind, where it has one.
    pub fn kind(&self, by: Facet, item: u32) -> Option<u32> {
        match by {
            Facet::Category => self.snapshot.attributes.category(item),
            Facet::Brand => self.snapshot.attributes.brand(item),
        }
    }
}
