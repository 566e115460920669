//! Experiments and the assignment of visitors to variants.
//!
//! Assignment is a pure function of the visitor and the document. A hash of the layer's name and the visitor gives a
//! number from 0 to 1, and an experiment takes a range of its layer. Experiments of one layer with disjoint ranges never
//! share a visitor; those of different layers share visitors independently (Tang et al., "Overlapping Experiment
//! Infrastructure", KDD 2010). A second hash, with the experiment's salt, chooses the variant by weight.

use super::conditions::{RequestContext, When};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// An experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Experiment {
    /// Unique id: 1 to 32 of a-z, 0-9 and -.
    pub id: String,
    /// Whether the experiment runs.
    pub enabled: bool,
    /// The layer. Enabled experiments of one layer must not overlap in `traffic`.
    pub layer: String,
    /// Salt of the variant's hash: a new salt reassigns the visitors. Default: the id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub salt: String,
    /// The range of the layer's visitors, `[from, to)` with 0 ≤ from < to ≤ 1.
    pub traffic: [f32; 2],
    /// Further conditions. Experiments never apply to public answers.
    #[serde(skip_serializing_if = "When::is_always")]
    pub when: When,
    /// The variants. The first is the control.
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

/// A variant of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Variant {
    /// Name, unique in the experiment: 1 to 32 of a-z, 0-9 and -.
    pub name: String,
    /// Relative share of the experiment's visitors, above 0 up to 1,000,000.
    pub weight: f32,
    /// The strategy, unless the request names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Rules that apply although they are not enabled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules_on: Vec<String>,
    /// Rules that do not apply.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules_off: Vec<String>,
}

impl Default for Variant {
    fn default() -> Self {
        Self { name: String::new(), weight: 1.0, strategy: None, rules_on: Vec::new(), rules_off: Vec::new() }
    }
}

/// The variant of an experiment that an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Assignment<'s> {
    /// The experiment.
    pub id: &'s str,
    /// The variant.
    pub variant: &'s str,
}

/// A number in [0, 1), uniform over visitors and independent between salts.
fn uniform(salt: &str, visitor: &str) -> f64 {
    let hash = xxh3_64(format!("{salt}\n{visitor}").as_bytes());
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

impl Experiment {
    /// The variant for a visitor; `None` if the experiment does not include the visitor.
    pub fn variant(&self, visitor: &str, request: &RequestContext<'_>) -> Option<&Variant> {
        if request.surface.is_public() {
            return None;
        }
        if let Some((_, name)) = request.context.forced.filter(|(id, _)| *id == self.id) {
            return self.variants.iter().find(|variant| variant.name == name);
        }
        let [from, to] = self.traffic.map(f64::from);
        let layer =
            if self.enabled { uniform(&format!("layer {}", self.layer), visitor) } else { return None };
        if !(from..to).contains(&layer) || !self.when.holds(request) {
            return None;
        }
        let salt = if self.salt.is_empty() { &self.id } else { &self.salt };
        let all: f64 = self.variants.iter().map(|variant| f64::from(variant.weight)).sum();
        let mut left = uniform(&format!("variant {salt}"), visitor) * all;
        let chosen = self.variants.iter().find(|variant| {
            left -= f64::from(variant.weight);
            left < 0.0
        });
        // Rounding may leave a remainder, which belongs to the last variant.
        chosen.or(self.variants.last())
    }
}
