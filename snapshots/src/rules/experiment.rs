//! Experiments: which variant a visitor sees.
//!
//! Assignment needs no state: it is a function of the visitor and the document. A visitor has a place from 0 to 1
//! in every layer, by a hash of the layer's name and the visitor; an experiment has a range of places of its layer. Experiments
//! of one layer whose ranges do not meet never share a visitor, and those of different layers share visitors independently (Tang
//! et al., "Overlapping Experiment Infrastructure", KDD 2010). Among its visitors a second hash, of the experiment's
//! salt, chooses the variant by weight.

use super::conditions::{RequestContext, When};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// An experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Experiment {
    /// Its name: 1 to 32 of a-z, 0-9 and -; no other experiment has it.
    pub id: String,
    /// Whether it runs.
    pub enabled: bool,
    /// Its layer: experiments of one layer must not overlap in traffic.
    pub layer: String,
    /// Begins another assignment of variants; the experiment's own name where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub salt: String,
    /// The part of its layer's visitors that it takes, from and up to, 0 to 1.
    pub traffic: [f32; 2],
    /// Whom else it asks for. Experiments never count in answers that are the same for everybody.
    #[serde(skip_serializing_if = "When::is_always")]
    pub when: When,
    /// The variants; the first is what others are compared with.
    pub variants: Vec<Variant>,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            id: String::new(),
            enabled: true,
            layer: "default".to_owned(),
            salt: String::new(),
            traffic: [0.0, 1.0],
            when: When::default(),
            variants: Vec::new(),
        }
    }
}

/// What some of an experiment's visitors see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Variant {
    /// Its name: 1 to 32 of a-z, 0-9 and -; no other variant of the experiment has it.
    pub name: String,
    /// Its share of the experiment's visitors, beside the others' weights, above 0 up to 1,000,000.
    pub weight: f32,
    /// The strategy that answers, where the request names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Rules that count though they are not enabled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules_on: Vec<String>,
    /// Rules that do not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules_off: Vec<String>,
}

impl Default for Variant {
    fn default() -> Self {
        Self { name: String::new(), weight: 1.0, strategy: None, rules_on: Vec::new(), rules_off: Vec::new() }
    }
}

/// The variant of an experiment that an answer was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Assignment<'s> {
    /// The experiment.
    pub id: &'s str,
    /// The variant.
    pub variant: &'s str,
}

/// A visitor's place from 0 up to 1 in what `salt` names, equally likely anywhere, independent of those in others.
fn place(salt: &str, visitor: &str) -> f64 {
    let hash = xxh3_64(format!("{salt}\n{visitor}").as_bytes());
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

impl Experiment {
    /// The variant for this visitor, if the experiment takes it.
    pub fn variant(&self, visitor: &str, asked: &RequestContext<'_>) -> Option<&Variant> {
        if asked.surface.is_public() {
            return None;
        }
        if let Some((_, name)) = asked.context.forced.filter(|(id, _)| *id == self.id) {
            return self.variants.iter().find(|variant| variant.name == name);
        }
        let [from, to] = self.traffic.map(f64::from);
        let layer =
            if self.enabled { place(&format!("layer {}", self.layer), visitor) } else { return None };
        if !(from..to).contains(&layer) || !self.when.holds(asked) {
            return None;
        }
        let salt = if self.salt.is_empty() { &self.id } else { &self.salt };
        let all: f64 = self.variants.iter().map(|variant| f64::from(variant.weight)).sum();
        let mut left = place(&format!("variant {salt}"), visitor) * all;
        let chosen = self.variants.iter().find(|variant| {
            left -= f64::from(variant.weight);
            left < 0.0
        });
        // What rounding leaves over is the last one's.
        chosen.or(self.variants.last())
    }
}
