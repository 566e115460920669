//! Rules resolved for a snapshot, and the decision which of them apply to a request.

use super::{
    Boost, Diversify, Explore, Fresh, MAX_PRODUCT, MAX_RULES, Rule, Rules,
    conditions::RequestContext,
    experiment::Assignment,
    matcher::{Match, Matcher, age_days},
};
use crate::{
    format::{attributes::Attributes, ids::Ids, strategy::Strategy},
    wire::time::Timestamp,
};
use std::sync::Arc;

/// A snapshot's rules with resolved names. Clones share the data.
#[derive(Clone, Debug, Default)]
pub struct Ruleset(Option<Arc<Resolved>>);

#[derive(Debug)]
struct Resolved {
    rules: Rules,
    /// In the order of the rules.
    resolved_rules: Vec<ResolvedRule>,
}

/// A rule's names as indices of a snapshot.
#[derive(Debug, Default)]
struct ResolvedRule {
    exclude: Option<Matcher>,
    only: Option<Matcher>,
    boost: Option<(Matcher, f32)>,
    pin: Option<(u32, u8)>,
}

/// The rules and variants that apply to a request.
#[derive(Debug, Default)]
pub struct Decision<'s> {
    excluded: Vec<&'s Matcher>,
    only: Vec<&'s Matcher>,
    boosts: Vec<&'s (Matcher, f32)>,
    fresh: Vec<Fresh>,
    /// An upper bound on the factor of any item.
    pub most: f32,
    /// Pinned items with their positions from 1, in order of position.
    pub pins: Vec<(u32, u8)>,
    /// How to diversify the page.
    pub diversify: Option<Diversify>,
    /// Whether purchased items are excluded.
    pub exclude_bought: bool,
    /// How often to explore.
    pub explore: Option<Explore>,
    /// The strategy, unless the request names one.
    pub strategy: Option<&'s Strategy>,
    /// The assigned variants.
    pub experiments: Vec<Assignment<'s>>,
    /// The rules that apply, one bit each. Equal masks mean equal filters and factors.
    pub mask: u128,
}

impl Ruleset {
    /// Resolves the names in the rules.
    pub fn new(rules: Rules, ids: &Ids, attributes: &Attributes) -> Self {
        let matcher = |wanted: &Match| Matcher::new(wanted, ids, attributes);
        let resolved = |rule: &Rule| ResolvedRule {
            exclude: rule.exclude.as_ref().map(matcher),
            only: rule.only.as_ref().map(matcher),
            boost: rule.boost.as_ref().map(|Boost { items, by }| (matcher(items), *by)),
            pin: rule.pin.as_ref().and_then(|pin| Some((ids.index(&pin.item)?, pin.at))),
        };
        let resolved_rules = rules.rules.iter().map(resolved).collect();
        Self(Some(Arc::new(Resolved { rules, resolved_rules })))
    }

    /// The merchandiser's document; `None` if the snapshot has no rules.
    pub fn document(&self) -> Option<&Rules> {
        self.0.as_ref().map(|resolved| &resolved.rules)
    }

    /// A strategy of the document.
    pub fn strategy(&self, name: &str) -> Option<&Strategy> {
        self.document()?.strategies.iter().find(|strategy| strategy.name == name)
    }

    /// Decides which rules and variants apply to a request. If the request names a strategy itself (`named`), no
    /// experiment applies. `known` finds a strategy by its name.
    pub fn decide<'s>(
        &'s self,
        request: &RequestContext<'_>,
        visitor: Option<&str>,
        named: bool,
        known: impl Fn(&str) -> Option<&'s Strategy>,
    ) -> Decision<'s> {
        let mut decision = Decision { most: 1.0, ..Decision::default() };
        let Some(Resolved { rules, resolved_rules }) = self.0.as_deref() else { return decision };
        let mut variants = Vec::new();
        for experiment in rules.experiments.iter().filter(|_| !named) {
            // A tester without an id sees the forced variant too.
            let forced = request.context.forced.is_some_and(|(id, _)| id == experiment.id);
            let Some(visitor) = visitor.or(forced.then_some("")) else { continue };
            let Some(variant) = experiment.variant(visitor, request) else { continue };
            decision.experiments.push(Assignment { id: &experiment.id, variant: &variant.name });
            variants.push(variant);
        }
        let strategy = |name: &Option<String>| name.as_deref().and_then(&known);
        if !named {
            decision.strategy = variants.iter().find_map(|variant| strategy(&variant.strategy));
        }
        for ((rule, resolved), bit) in rules.rules.iter().zip(resolved_rules).zip(0..MAX_RULES) {
            let on = variants.iter().any(|variant| variant.rules_on.contains(&rule.name));
            let off = variants.iter().any(|variant| variant.rules_off.contains(&rule.name));
            if !(rule.enabled || on) || off || !rule.when.holds(request) {
                continue;
            }
            decision.mask |= 1 << bit;
            decision.add(rule, resolved);
            if !named {
                decision.strategy = decision.strategy.or_else(|| strategy(&rule.strategy));
            }
        }
        decision
    }
}

impl<'s> Decision<'s> {
    fn add(&mut self, rule: &'s Rule, resolved: &'s ResolvedRule) {
        self.excluded.extend(&resolved.exclude);
        self.only.extend(&resolved.only);
        if let Some(boost) = &resolved.boost {
            self.most = (self.most * boost.1.max(1.0)).min(MAX_PRODUCT);
            self.boosts.push(boost);
        }
        if let Some(fresh) = rule.fresh {
            self.most = (self.most * fresh.by.max(1.0)).min(MAX_PRODUCT);
            self.fresh.push(fresh);
        }
        // Of two pins of one position, or of one item, the earlier rule's counts.
        if let Some(pin) =
            resolved.pin.filter(|pin| self.pins.iter().all(|known| known.0 != pin.0 && known.1 != pin.1))
        {
            let place = self.pins.partition_point(|(_, at)| *at < pin.1);
            self.pins.insert(place, pin);
        }
        self.diversify = self.diversify.or(rule.diversify);
        self.explore = self.explore.or(rule.explore);
        self.exclude_bought |= rule.exclude_bought;
    }

    /// Whether the rules allow an item.
    pub fn allows(&self, attributes: &Attributes, item: u32, now: Timestamp) -> bool {
        let matches = |matcher: &&Matcher| matcher.matches(attributes, item, now);
        !self.excluded.iter().any(matches) && self.only.iter().all(matches)
    }

    /// The factor on an item's score, above 0 up to [`Decision::most`].
    pub fn factor(&self, attributes: &Attributes, item: u32, now: Timestamp) -> f32 {
        let mut factor = 1.0;
        for (matcher, by) in &self.boosts {
            if matcher.matches(attributes, item, now) {
                factor *= by;
            }
        }
        for Fresh { days, by } in &self.fresh {
            if let Some(age) = age_days(attributes, item, now).filter(|age| age < days) {
                factor *= 1.0 + (by - 1.0) * (1.0 - f32::from(age) / f32::from(*days));
            }
        }
        factor.min(self.most)
    }
}
