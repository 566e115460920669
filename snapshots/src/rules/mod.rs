//! Section `rules`: merchandising rules and experiments.
//!
//! The section is the merchandiser's document as a MessagePack map of `rules`, `strategies` and `experiments`. It refers
//! to items, categories and brands by name, so that one document fits every build of a catalogue. [`Ruleset`] resolves
//! the names once, when a snapshot is opened. [`Rules::check`] validates a document before it is published.
//!
//! A rule applies if its `when` holds. [`crate::answer`] evaluates it for the scorer's best candidates only.
//!
//! May import `crate::format`, `crate::wire` and `crate::set`.

mod check;
mod conditions;
mod decision;
mod experiment;
mod matcher;
mod read;

pub use check::RuleError;
pub use conditions::{Clock, Day, Device, Hours, RequestContext, Surface, TimeOfDay, VisitorContext, When};
pub use decision::{Decision, Ruleset};
pub use experiment::{Assignment, Experiment, Variant};
pub use matcher::Match;
pub(crate) use matcher::{brands_named, categories_below};

use crate::format::strategy::Strategy;
use serde::{Deserialize, Serialize};

/// Name of the section.
pub const NAME: &str = "rules";
/// Version of its layout.
pub const VERSION: u32 = 1;
/// Most rules of a document: the bits of [`Decision::mask`].
pub const MAX_RULES: usize = 128;
/// Most experiments of a document.
pub const MAX_EXPERIMENTS: usize = 64;
/// Most variants of an experiment.
pub const MAX_VARIANTS: usize = 16;
/// Most names in one list of a rule.
pub const MAX_NAMES: usize = 1_000;
/// Greatest factor of a boost; the least is its reciprocal.
pub const MAX_FACTOR: f32 = 100.0;
/// Greatest product of all boosts of one item. It keeps scores finite.
pub const MAX_PRODUCT: f32 = 1e9;
/// Last position that an item can be pinned to.
pub const MAX_POSITION: u8 = 100;

/// A merchandiser's document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rules {
    /// The schema of this file, for editors. Otherwise ignored.
    #[serde(rename = "$schema", skip_serializing)]
    pub schema: Option<String>,
    /// The rules. Boosts multiply. If two rules pin the same position or item, choose a strategy or diversify, the first
    /// one wins.
    pub rules: Vec<Rule>,
    /// Additional strategies. They replace learned ones of the same name.
    pub strategies: Vec<Strategy>,
    /// The experiments.
    pub experiments: Vec<Experiment>,
}

/// A rule: a condition, and one or more effects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rule {
    /// Unique name, 1 to 64 printable bytes.
    pub name: String,
    /// Whether the rule applies, unless an experiment's variant says otherwise.
    pub enabled: bool,
    /// When the rule applies. Default: always.
    #[serde(skip_serializing_if = "When::is_always")]
    pub when: When,
    /// Never show these items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Match>,
    /// Show only these items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Match>,
    /// Multiply the score of these items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boost: Option<Boost>,
    /// Raise the score of new items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Fresh>,
    /// Place an item at a fixed position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// Limit similar items on a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversify: Option<Diversify>,
    /// Never show items that the visitor's recents list as purchased.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub exclude_bought: bool,
    /// Use the strategy with this name, unless the request names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Show a random item in a share of the answers, to learn how it performs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explore: Option<Explore>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            name: String::new(),
            enabled: true,
            when: When::default(),
            exclude: None,
            only: None,
            boost: None,
            fresh: None,
            pin: None,
            diversify: None,
            exclude_bought: false,
            strategy: None,
            explore: None,
        }
    }
}

/// A score factor for some items.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Boost {
    /// The items.
    #[serde(rename = "match")]
    pub items: Match,
    /// The factor, 0.01 to 100. Below 1 it lowers the items.
    pub by: f32,
}

/// A score factor for new items that fades with their age. An item added to the catalogue `age` days ago has the factor
/// `1 + (by − 1) · (1 − age / days)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fresh {
    /// How many days an item counts as new, 1 to 3,650.
    pub days: u16,
    /// The factor on its first day, 1 to 100.
    pub by: f32,
}

/// An item at a fixed position, if filters and stock allow it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pin {
    /// The item's id.
    pub item: String,
    /// The position over all pages, 1 to 100.
    pub at: u8,
}

/// The attribute that [`Diversify`] compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Facet {
    /// The category.
    #[default]
    Category,
    /// The brand.
    Brand,
    /// The product that the item is a variant of. Without a rule, a list has one item of each.
    Group,
}

/// Diversifies a page greedily, like maximal marginal relevance (Carbonell and Goldstein, 1998) with equality of one
/// attribute as the similarity. Each position gets the candidate with the highest
/// `score · decay^(items above it with the same value)`, among those below `at_most`. Has no effect on the attribute
/// that the request filters by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diversify {
    /// The attribute.
    pub by: Facet,
    /// Most items with the same value on a page, 1 to 100. Exceeded only if the best candidates, four times as many as
    /// the page holds, have no others.
    pub at_most: u8,
    /// Factor on a score for each item above it with the same value, above 0 up to 1.
    pub decay: f32,
}

impl Default for Diversify {
    fn default() -> Self {
        Self { by: Facet::Category, at_most: MAX_POSITION, decay: 1.0 }
    }
}

/// Epsilon-greedy exploration. In a share of the personal answers, the last position gets an item drawn uniformly from
/// the candidates after the page. Its signal is `exploration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explore {
    /// The share of answers, above 0 up to 1.
    pub share: f32,
}

#[cfg(test)]
mod tests;
