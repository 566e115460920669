//! Filters and score factors of one request: the query and the rules that apply, resolved to indices once.

use super::known_items;
use crate::{
    format::attributes::Attributes,
    rules::{Decision, Diversify, Facet, brands_named, categories_below},
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
    /// Groups of items on screen.
    excluded_groups: SortedSet,
    /// Groups with the item that the visitor viewed, which stands for the others.
    viewed: Vec<(u32, u32)>,
    categories: Option<SortedSet>,
    brands: Option<SortedSet>,
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
        let named = |wanted| brands_named(&snapshot.attributes, std::slice::from_ref(wanted));
        let mut excluded: SortedSet = known_items(snapshot, &query.items).collect();
        excluded.extend(known_items(snapshot, &query.exclude));
        excluded.extend(seen);
        Self {
            snapshot,
            query,
            decision,
            now,
            excluded,
            excluded_groups: SortedSet::default(),
            viewed: Vec::new(),
            categories: query.category.as_ref().map(below),
            brands: query.brand.as_ref().map(named),
        }
    }

    /// Excludes the other variants of items on screen.
    pub(crate) fn exclude_groups(&mut self, on_screen: impl Iterator<Item = u32>) {
        self.excluded_groups = on_screen.filter_map(|item| self.group(item)).collect();
    }

    /// Shows variants of items on screen after all, and returns whether there may be any.
    pub(crate) fn allow_groups(&mut self) -> bool {
        !core::mem::take(&mut self.excluded_groups).numbers().is_empty()
    }

    /// Of each group, prefers the first of these items that may be shown.
    pub(crate) fn prefer(&mut self, viewed: impl Iterator<Item = u32>) {
        for item in viewed {
            let Some(group) = self.group(item) else { continue };
            if self.viewed.iter().all(|(known, _)| *known != group) && self.allows(item) {
                self.viewed.push((group, item));
            }
        }
    }

    /// Whether another item of its group is preferred to this one.
    pub(crate) fn yields(&self, group: u32, item: u32) -> bool {
        self.viewed.iter().any(|(known, viewed)| *known == group && *viewed != item)
    }

    /// The item's group of variants.
    pub(crate) fn group(&self, item: u32) -> Option<u32> {
        self.snapshot.attributes.groups().group(item)
    }

    /// The most items of a group in a list.
    pub(crate) fn group_limit(&self) -> u8 {
        self.decision.diversify.filter(|rule| rule.by == Facet::Group).map_or(1, |rule| rule.at_most)
    }

    /// The shop's id of the item's group, if other pages must not show it again.
    pub(crate) fn group_once(&self, item: u32) -> Option<&'a str> {
        let groups = self.snapshot.attributes.groups();
        groups.group(item).filter(|_| self.group_limit() == 1).and_then(|group| groups.name(group))
    }

    fn allows_group(&self, item: u32) -> bool {
        if self.snapshot.attributes.groups().is_empty() {
            return true;
        }
        let is_excluded = self.group(item).is_some_and(|group| self.excluded_groups.contains(group));
        let was_shown = || self.group_once(item).is_some_and(|id| self.query.cursor.has_shown_group(id));
        !is_excluded && (self.query.cursor.is_empty() || !was_shown())
    }

    fn allows(&self, item: u32) -> bool {
        let attributes: &Attributes = &self.snapshot.attributes;
        let in_category =
            |wanted: &SortedSet| attributes.category(item).is_some_and(|category| wanted.contains(category));
        let of_brand =
            |wanted: &SortedSet| attributes.brand(item).is_some_and(|brand| wanted.contains(brand));
        let priced = self.query.price_min.is_none() && self.query.price_max.is_none()
            || attributes.price_at(item, self.now).is_some_and(|price| {
                price >= self.query.price_min.unwrap_or(0)
                    && price <= self.query.price_max.unwrap_or(u32::MAX)
            });
        attributes.in_stock(item)
            && priced
            && !self.excluded.contains(item)
            && self.allows_group(item)
            && self.categories.as_ref().is_none_or(in_category)
            && self.brands.as_ref().is_none_or(of_brand)
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
            Facet::Group => true,
        })
    }

    /// The index of the item's category, brand or group.
    pub(crate) fn facet(&self, by: Facet, item: u32) -> Option<u32> {
        match by {
            Facet::Category => self.snapshot.attributes.category(item),
            Facet::Brand => self.snapshot.attributes.brand(item),
            Facet::Group => self.group(item),
        }
    }
}
