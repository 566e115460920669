//! Section `rules`: what a merchandiser decides beside what the tables know, and the experiments that run.
//!
//! The section is the merchandiser's own document, a MessagePack map of `rules`, `strategies` and `experiments`. Items,
//! categories and brands stay names, so that one document fits every build of a catalogue; what they name is looked
//! up once, when a snapshot is opened ([`Ruleset`]). A document is checked before it is published
//! ([`Rules::check`]); at the edge one that breaks a bound is no snapshot's.
//!
//! A rule counts where its `when` holds. What it does is evaluated with the scorer's best candidates only: see
//! [`crate::answer`].

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
pub(crate) use matcher::{categories_below, places};

use crate::format::strategy::Strategy;
use serde::{Deserialize, Serialize};

/// Name of the section.
pub const NAME: &str = "rules";
/// Version of its layout.
pub const VERSION: u32 = 1;
/// The most rules: as many as a mask has bits.
pub const MAX_RULES: usize = 128;
/// The most experiments.
pub const MAX_EXPERIMENTS: usize = 64;
/// The most variants of an experiment.
pub const MAX_VARIANTS: usize = 16;
/// The most names in one list of a rule.
pub const MAX_NAMES: usize = 1_000;
/// The greatest factor of a boost; the least is one divided by it.
pub const MAX_FACTOR: f32 = 100.0;
/// The greatest product of all boosts that meet in one item: it keeps scores finite.
pub const MAX_PRODUCT: f32 = 1e9;
/// The last position that an item can be pinned at.
pub const MAX_POSITION: u8 = 100;

/// What a merchandiser decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rules {
    /// For editors: where the schema of this file is. Means nothing here.
    #[serde(rename = "$schema", skip_serializing)]
    pub schema: Option<String>,
    /// The rules. Boosts multiply; of two rules that pin one position or one item, or that choose a strategy or how
    /// a page varies, the earlier wins.
    pub rules: Vec<Rule>,
    /// Strategies besides those that were learnt, or in place of those of the same name.
    pub strategies: Vec<Strategy>,
    /// The experiments.
    pub experiments: Vec<Experiment>,
}

/// A rule: when it counts, and one or more things that it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rule {
    /// Its name: 1 to 64 printable bytes that no other rule has.
    pub name: String,
    /// Whether it counts where no experiment says otherwise.
    pub enabled: bool,
    /// When it counts: always where nothing is said.
    #[serde(skip_serializing_if = "When::is_always")]
    pub when: When,
    /// Never these items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Match>,
    /// No items but these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Match>,
    /// These items score so many times as much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boost: Option<Boost>,
    /// New items score more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Fresh>,
    /// An item stands at a fixed position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// A page does not hold too many items of one kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversify: Option<Diversify>,
    /// Never items that the visitor's recents say were bought.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub exclude_bought: bool,
    /// The strategy by this name, where the request names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Now and then an item is shown that would not be, to learn how it does.
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

/// A factor for some items.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Boost {
    /// The items.
    #[serde(rename = "match")]
    pub items: Match,
    /// Their score times this, 0.01 to 100; below 1 it buries them.
    pub by: f32,
}

/// A factor for new items, which fades day by day: an item that joined the catalogue `age` days ago scores
/// `1 + (by − 1) · (1 − age / days)` times as much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fresh {
    /// For how many days an item is new, 1 to 3,650.
    pub days: u16,
    /// The factor on its first day, 1 to 100.
    pub by: f32,
}

/// An item at a fixed position, where all else lets it be shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pin {
    /// The item's id.
    pub item: String,
    /// The position, 1 the first, counted over all pages; 1 to 100.
    pub at: u8,
}

/// What may not repeat on a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Facet {
    /// The category.
    #[default]
    Category,
    /// The brand.
    Brand,
}

/// Variety on a page, greedily as in maximal marginal relevance (Carbonell and Goldstein, 1998) with "of one kind" as the
/// similarity: each place goes to the candidate of the highest `score · decay^(items of its kind above it)`, of
/// those whose kind has not its fill. Where the caller asked for one category or brand, that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diversify {
    /// The kind.
    pub by: Facet,
    /// The most items of one kind on a page, 1 to 100, as long as there are others among the best candidates, four times
    /// as many as the page takes.
    pub at_most: u8,
    /// What each item leaves of the score of the others of its kind, above 0 up to 1.
    pub decay: f32,
}

impl Default for Diversify {
    fn default() -> Self {
        Self { by: Facet::Category, at_most: MAX_POSITION, decay: 1.0 }
    }
}

/// Exploration (epsilon-greedy): in a share of the personal answers the page's last place goes to an item drawn from the
/// candidates that come after the page, each as likely, and marked `exploration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explore {
    /// The share of answers, above 0 up to 1.
    pub share: f32,
}

#[cfg(test)]
mod tests;
