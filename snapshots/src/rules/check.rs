//! Validation of a document before it is published.

use super::{
    Boost, Diversify, Experiment, Fresh, MAX_EXPERIMENTS, MAX_FACTOR, MAX_NAMES, MAX_POSITION, MAX_PRODUCT,
    MAX_RULES, MAX_VARIANTS, Match, Pin, Rule, Rules, When,
};
use crate::{
    format::strategy,
    wire::{
        event::{MAX_ITEM_ID, is_printable},
        region::is_region,
    },
};
use core::fmt;

/// Longest name of a rule, strategy or segment, in bytes.
const MAX_NAME: usize = 64;
/// Longest category, brand or time zone, in bytes.
const MAX_TEXT: usize = 256;
/// Highest price, in units of the currency.
const MAX_PRICE: f64 = 40_000_000.0;

/// An error in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The field, such as `rules[2].boost.by`.
    pub field: String,
    /// The name of the rule or experiment; empty if the error is in neither.
    pub name: String,
    /// What is wrong, and what is expected.
    pub detail: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, name, detail } = self;
        if name.is_empty() {
            write!(out, "{field}: {detail}")
        } else {
            write!(out, "{field} ('{name}'): {detail}")
        }
    }
}

impl core::error::Error for RuleError {}

type Checked = Result<(), (String, String)>;

/// An error at `field`, unless `holds`.
fn need(holds: bool, field: impl Into<String>, detail: impl Into<String>) -> Checked {
    if holds { Ok(()) } else { Err((field.into(), detail.into())) }
}

fn names(field: &str, list: &[String], most: usize) -> Checked {
    need(list.len() <= MAX_NAMES, field, format!("more than {MAX_NAMES} names; use a category or a brand"))?;
    let bad = list.iter().position(|name| !is_printable(name, most));
    bad.map_or(Ok(()), |at| {
        need(false, format!("{field}[{at}]"), format!("expected 1 to {most} printable bytes"))
    })
}

impl Rules {
    /// Checks names, ranges and references. `strategies` lists the names of the learned strategies.
    ///
    /// # Errors
    /// The first [`RuleError`].
    pub fn check(&self, strategies: &[&str]) -> Result<(), RuleError> {
        let none = |(field, detail): (String, String)| RuleError { field, name: String::new(), detail };
        need(self.rules.len() <= MAX_RULES, "rules", format!("more than {MAX_RULES} rules")).map_err(none)?;
        let experiments = self.experiments.len() <= MAX_EXPERIMENTS;
        need(experiments, "experiments", format!("more than {MAX_EXPERIMENTS} experiments")).map_err(none)?;
        strategy::write(&self.strategies)
            .map_err(|error| none(("strategies".to_owned(), error.to_string())))?;
        for (at, strategy) in self.strategies.iter().enumerate() {
            let twice = self.strategies.iter().take(at).any(|other| other.name == strategy.name);
            let field = format!("strategies[{at}].name");
            need(
                is_printable(&strategy.name, MAX_NAME) && !twice,
                field,
                "expected a unique name of 1 to 64 printable bytes",
            )
            .map_err(none)?;
        }
        let known = |name: &Option<String>| -> Checked {
            let Some(name) = name else { return Ok(()) };
            let own = self.strategies.iter().map(|strategy| &*strategy.name);
            let known: Vec<&str> = own.chain(strategies.iter().copied()).collect();
            need(
                known.contains(&&**name),
                "strategy",
                format!("unknown '{name}'; one of {}", known.join(", ")),
            )
        };
        for (at, rule) in self.rules.iter().enumerate() {
            let twice = self.rules.iter().take(at).any(|other| other.name == rule.name);
            let checked = need(!twice, "name", "another rule has this name")
                .and_then(|()| rule.check())
                .and_then(|()| known(&rule.strategy));
            checked.map_err(|(field, detail)| RuleError {
                field: format!("rules[{at}].{field}"),
                name: rule.name.clone(),
                detail,
            })?;
        }
        for (at, experiment) in self.experiments.iter().enumerate() {
            let checked = experiment.check(self.experiments.get(..at).unwrap_or_default()).and_then(|()| {
                experiment.variants.iter().enumerate().try_for_each(|(place, variant)| {
                    let rule = |name: &String| self.rules.iter().any(|rule| rule.name == *name);
                    let named = variant.rules_on.iter().chain(&variant.rules_off);
                    let unknown = named.clone().find(|name| !rule(name)).cloned().unwrap_or_default();
                    known(&variant.strategy)
                        .and_then(|()| {
                            need(
                                named.clone().all(rule),
                                "rules_on, rules_off",
                                format!("unknown rule '{unknown}'"),
                            )
                        })
                        .map_err(|(field, detail)| (format!("variants[{place}].{field}"), detail))
                })
            });
            checked.map_err(|(field, detail)| RuleError {
                field: format!("experiments[{at}].{field}"),
                name: experiment.id.clone(),
                detail,
            })?;
        }
        let most = f64::from(MAX_PRODUCT);
        let product: f64 = self.rules.iter().map(Rule::most).product();
        need(product <= most, "rules", format!("the product of all boosts may be {most:e} at most"))
            .map_err(none)
    }
}

impl Rule {
    /// The greatest factor that the rule can give an item.
    fn most(&self) -> f64 {
        let boost = self.boost.as_ref().map_or(1.0, |boost| f64::from(boost.by).max(1.0));
        boost * self.fresh.map_or(1.0, |fresh| f64::from(fresh.by).max(1.0))
    }

    fn check(&self) -> Checked {
        let Self { name, when, exclude, only, boost, fresh, pin, diversify, explore, .. } = self;
        need(is_printable(name, MAX_NAME), "name", format!("expected 1 to {MAX_NAME} printable bytes"))?;
        when.check()?;
        for (field, items) in [("exclude", exclude), ("only", only)] {
            items.iter().try_for_each(|items| items.check(field))?;
        }
        let does = exclude.is_some() || only.is_some() || boost.is_some() || fresh.is_some() || pin.is_some();
        let does = does || diversify.is_some() || explore.is_some() || self.strategy.is_some();
        need(
            does || self.exclude_bought,
            "name",
            "the rule does nothing; give it one of exclude, only, boost, fresh, pin, diversify, exclude_bought, \
             strategy, explore",
        )?;
        if let Some(Boost { items, by }) = boost {
            items.check("boost.match")?;
            let range = 1.0 / MAX_FACTOR..=MAX_FACTOR;
            need(range.contains(by), "boost.by", format!("expected 0.01 to {MAX_FACTOR}"))?;
        }
        if let Some(Fresh { days, by }) = fresh {
            need((1..=3_650).contains(days), "fresh.days", "expected 1 to 3650")?;
            need((1.0..=MAX_FACTOR).contains(by), "fresh.by", format!("expected 1 to {MAX_FACTOR}"))?;
        }
        if let Some(Pin { item, at }) = pin {
            need(is_printable(item, MAX_ITEM_ID), "pin.item", "expected an item's id")?;
            need((1..=MAX_POSITION).contains(at), "pin.at", format!("expected 1 to {MAX_POSITION}"))?;
        }
        if let Some(Diversify { at_most, decay, .. }) = diversify {
            need(
                (1..=MAX_POSITION).contains(at_most),
                "diversify.at_most",
                format!("expected 1 to {MAX_POSITION}"),
            )?;
            need(*decay > 0.0 && *decay <= 1.0, "diversify.decay", "expected above 0 up to 1")?;
        }
        let share = explore.map_or(1.0, |explore| explore.share);
        need(share > 0.0 && share <= 1.0, "explore.share", "expected above 0 up to 1")
    }
}

impl Match {
    fn check(&self, field: &str) -> Checked {
        let at = |name: &str| format!("{field}.{name}");
        need(
            *self != Self::default(),
            field,
            "it names no items; give it items, categories, brands or prices",
        )?;
        names(&at("items"), &self.items, MAX_ITEM_ID)?;
        names(&at("categories"), &self.categories, MAX_TEXT)?;
        names(&at("brands"), &self.brands, MAX_TEXT)?;
        for (name, price) in [("price_min", self.price_min), ("price_max", self.price_max)] {
            let legal = price.is_none_or(|price| (0.0..=MAX_PRICE).contains(&price));
            need(legal, at(name), format!("expected 0 to {MAX_PRICE}"))?;
        }
        let some = self.price_min.unwrap_or(0.0) <= self.price_max.unwrap_or(MAX_PRICE);
        need(some, at("price_min"), "greater than price_max")
    }
}

impl When {
    fn check(&self) -> Checked {
        let region = self.regions.iter().position(|region| !is_region(region));
        if let Some(at) = region {
            return need(false, format!("when.regions[{at}]"), "expected 1 to 32 of a-z, 0-9 and -");
        }
        names("when.regions", &self.regions, 32)?;
        names("when.segments", &self.segments, MAX_NAME)?;
        let some = self.from.zip(self.until).is_none_or(|(from, until)| from < until);
        need(some, "when.until", "not after when.from")?;
        // Only the platform's clock knows the zones; this rejects what cannot be a zone's name.
        let zone = |name: &String| {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
            is_printable(name, MAX_NAME) && name.bytes().all(legal)
        };
        let legal = self.hours.as_ref().and_then(|hours| hours.timezone.as_ref()).is_none_or(zone);
        need(legal, "when.hours.timezone", "expected a name such as Europe/Berlin")
    }
}

impl Experiment {
    /// Checks the experiment, and that it does not overlap those `before` it.
    fn check(&self, before: &[Self]) -> Checked {
        need(is_region(&self.id), "id", "expected 1 to 32 of a-z, 0-9 and -")?;
        need(before.iter().all(|other| other.id != self.id), "id", "another experiment has this id")?;
        need(
            is_printable(&self.layer, MAX_NAME),
            "layer",
            format!("expected 1 to {MAX_NAME} printable bytes"),
        )?;
        let salted = self.salt.is_empty() || is_printable(&self.salt, MAX_NAME);
        need(salted, "salt", format!("expected at most {MAX_NAME} printable bytes"))?;
        let [from, to] = self.traffic;
        need(
            (0.0..1.0).contains(&from) && from < to && to <= 1.0,
            "traffic",
            "expected [from, to] with 0 ≤ from < to ≤ 1",
        )?;
        let meets = |other: &&Self| {
            let [other_from, other_to] = other.traffic;
            self.enabled && other.enabled && other.layer == self.layer && from < other_to && other_from < to
        };
        if let Some(other) = before.iter().find(meets) {
            let detail = format!(
                "overlaps experiment '{}' of the same layer; give it another layer or range",
                other.id
            );
            return need(false, "traffic", detail);
        }
        self.when.check()?;
        let count = self.variants.len();
        need((1..=MAX_VARIANTS).contains(&count), "variants", format!("expected 1 to {MAX_VARIANTS}"))?;
        for (at, variant) in self.variants.iter().enumerate() {
            let twice = self.variants.iter().take(at).any(|other| other.name == variant.name);
            let field = |name: &str| format!("variants[{at}].{name}");
            need(is_region(&variant.name), field("name"), "expected 1 to 32 of a-z, 0-9 and -")?;
            need(!twice, field("name"), "another variant has this name")?;
            let weight = variant.weight > 0.0 && variant.weight <= 1e6;
            need(weight, field("weight"), "expected above 0 up to 1000000")?;
            names(&field("rules_on"), &variant.rules_on, MAX_NAME)?;
            names(&field("rules_off"), &variant.rules_off, MAX_NAME)?;
        }
        Ok(())
    }
}
