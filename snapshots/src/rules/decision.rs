//! Rules as one snapshot understands them, and which of them a request meets.

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

/// A snapshot's rules, with what they name looked up. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Ruleset(Option<Arc<VisitorContext>>);

#[derive(Debug)]
struct VisitorContext {
    rules: Rules,
    /// By rule.
    meanings: Vec<Meaning>,
}

/// What a rule's names are in a snapshot.
#[derive(Debug, Default)]
struct Meaning {
    exclude: Option<Matcher>,
    only: Option<Matcher>,
    boost: Option<(Matcher, f32)>,
    pin: Option<(u32, u8)>,
}

/// The rules and variants that count for a request.
#[derive(Debug, Default)]
pub struct Decision<'s> {
    excluded: Vec<&'s Matcher>,
    only: Vec<&'s Matcher>,
    boosts: Vec<&'s (Matcher, f32)>,
    fresh: Vec<Fresh>,
    /// The greatest factor that an item can have.
    pub most: f32,
    /// Items and the positions they are pinned at, from 1, by position.
    pub pins: Vec<(u32, u8)>,
    /// How a page varies.
    pub diversify: Option<Diversify>,
    /// Whether items that were bought are left out.
    pub exclude_bought: bool,
    /// How often something is tried.
    pub explore: Option<Explore>,
    /// The strategy to answer by, where the request names none.
    pub strategy: Option<&'s Strategy>,
    /// The experiments that the answer is part of.
    pub experiments: Vec<Assignment<'s>>,
    /// Which rules count, a bit each: equal masks filter and rank alike.
    pub mask: u128,
}

impl Ruleset {
    /// Looks up what rules name.
    pub fn new(rules: Rules, ids: &Ids, attributes: &Attributes) -> Self {
        let matcher = |wanted: &Match| Matcher::new(wanted, ids, attributes);
        let meaning = |rule: &Rule| Meaning {
            exclude: rule.exclude.as_ref().map(matcher),
            only: rule.only.as_ref().map(matcher),
            boost: rule.boost.as_ref().map(|Boost { items, by }| (matcher(items), *by)),
            pin: rule.pin.as_ref().and_then(|pin| Some((ids.index(&pin.item)?, pin.at))),
        };
        let meanings = rules.rules.iter().map(meaning).collect();
        Self(Some(Arc::new(VisitorContext { rules, meanings })))
    }

    /// The merchandiser's document; `None` where there is none.
    pub fn document(&self) -> Option<&Rules> {
        self.0.as_ref().map(|known| &known.rules)
    }

    /// A strategy of the document's.
    pub fn strategy(&self, name: &str) -> Option<&Strategy> {
        self.document()?.strategies.iter().find(|strategy| strategy.name == name)
    }

    /// What counts for a request. `named` where it names a strategy itself: then no experiment counts. `known` finds
    /// strategies.
    pub fn decide<'s>(
        &'s self,
        asked: &RequestContext<'_>,
        visitor: Option<&str>,
        named: bool,
        known: impl Fn(&str) -> Option<&'s Strategy>,
    ) -> Decision<'s> {
        let mut decision = Decision { most: 1.0, ..Decision::default() };
        let Some(VisitorContext { rules, meanings }) = self.0.as_deref() else { return decision };
        let mut variants = Vec::new();
        for experiment in rules.experiments.iter().filter(|_| !named) {
            // Who is nobody can be a tester still.
            let forced = asked.context.forced.is_some_and(|(id, _)| id == experiment.id);
            let Some(visitor) = visitor.or(forced.then_some("")) else { continue };
            let Some(variant) = experiment.variant(visitor, asked) else { continue };
            decision.experiments.push(Assignment { id: &experiment.id, variant: &variant.name });
            variants.push(variant);
        }
        let strategy = |name: &Option<String>| name.as_deref().and_then(&known);
        if !named {
            decision.strategy = variants.iter().find_map(|variant| strategy(&variant.strategy));
        }
        for ((rule, meaning), bit) in rules.rules.iter().zip(meanings).zip(0..MAX_RULES) {
            let on = variants.iter().any(|variant| variant.rules_on.contains(&rule.name));
            let off = variants.iter().any(|variant| variant.rules_off.contains(&rule.name));
            if !(rule.enabled || on) || off || !rule.when.holds(asked) {
                continue;
            }
            decision.mask |= 1 << bit;
            decision.add(rule, meaning);
            if !named {
                decision.strategy = decision.strategy.or_else(|| strategy(&rule.strategy));
            }
        }
        decision
    }
}

impl<'s> Decision<'s> {
    fn add(&mut self, rule: &'s Rule, meaning: &'s Meaning) {
        self.excluded.extend(&meaning.exclude);
        self.only.extend(&meaning.only);
        if let Some(boost) = &meaning.boost {
            self.most = (self.most * boost.1.max(1.0)).min(MAX_PRODUCT);
            self.boosts.push(boost);
        }
        if let Some(fresh) = rule.fresh {
            self.most = (self.most * fresh.by.max(1.0)).min(MAX_PRODUCT);
            self.fresh.push(fresh);
        }
        // Of two pins of one position, or of one item, the earlier rule's counts.
        if let Some(pin) =
            meaning.pin.filter(|pin| self.pins.iter().all(|known| known.0 != pin.0 && known.1 != pin.1))
        {
            let place = self.pins.partition_point(|(_, at)| *at < pin.1);
            self.pins.insert(place, pin);
        }
        self.diversify = self.diversify.or(rule.diversify);
        self.explore = self.explore.or(rule.explore);
        self.exclude_bought |= rule.exclude_bought;
    }

    /// Whether the rules let an item be shown.
    pub fn allows(&self, attributes: &Attributes, item: u32, now: Timestamp) -> bool {
        let matches = |matcher: &&Matcher| matcher.matches(attributes, item, now);
        !self.excluded.iter().any(matches) && self.only.iter().all(matches)
    }

    /// How many times as much an item scores, above 0 up to [`Decision::most`].
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
