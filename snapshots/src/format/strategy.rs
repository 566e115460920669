//! Section `strategies`: named sets of weights and decays, so that publishing changes the ranking without a deployment. A
//! MessagePack array of maps. Unknown fields are ignored; absent ones have their default.

use super::{
    error::Error,
    msgpack::{Reader, Token},
    signal::Signal,
};
use crate::wire::event::Kind;
use serde::{Deserialize, Serialize};

/// Most tables that a strategy reads. Each costs time for every candidate.
pub const TABLES: usize = 2;
/// Name of the section.
pub const NAME: &str = "strategies";
/// Version of its layout.
pub const VERSION: u32 = 1;
/// Most strategies of a snapshot.
pub const MAX_STRATEGIES: usize = 64;
/// The strategy if neither the request nor the placement names another.
pub const DEFAULT: &str = "default";
/// The strategy of `/v1/items/{id}/similar`.
pub const SIMILAR: &str = "similar";
/// The strategy of the placement `cart`.
pub const CART: &str = "cart";
/// The strategy that predicts the next item, seen items included. Evaluation uses it.
pub const NEXT: &str = "next";

/// The weights in `Σ weight · signal`; signals are from 0 to 1. Of the three tables (co-view, KNN, bought), the two with
/// the greatest weights are read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Weights {
    /// Co-view with the recents.
    pub coview: f32,
    /// Similarity to the recents.
    pub knn: f32,
    /// Bought in one order with the recents. In a snapshot without orders, co-view gets this weight.
    pub bought: f32,
    /// Popularity in the region.
    pub popularity: f32,
    /// Recency of the item in the region.
    pub recency: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { coview: 0.4, knn: 0.3, bought: 0.0, popularity: 0.2, recency: 0.1 }
    }
}

impl Weights {
    /// The sum of the weights: the greatest score without votes.
    pub fn sum(&self) -> f32 {
        self.coview + self.knn + self.bought + self.popularity + self.recency
    }
}

/// How to treat items that are among the recents. The item on screen is always excluded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Seen {
    /// Exclude them, for shops that show them in a list of their own.
    Exclude,
    /// Allow them with a higher score, since visitors return to what they viewed.
    Boost(Repeats),
}

impl Seen {
    /// Reads the name of a variant without fields, or a map from a variant's name to its fields.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut rest = *reader;
        if let Token::Text("exclude") = rest.token()? {
            *reader = rest;
            return Some(Self::Exclude);
        }
        let mut seen = None;
        reader.map(&mut |reader, key| {
            let mut repeats = Repeats::default();
            let Repeats { last_mul, mul, last_add, add, spread, fade, often } = &mut repeats;
            let names = ["last_mul", "mul", "last_add", "add", "spread", "fade", "often"];
            numbers(reader, &names, &mut [last_mul, mul, last_add, add, spread, fade, often])?;
            seen = (key == "boost").then_some(Self::Boost(repeats));
            seen.map(|_| ())
        })?;
        seen
    }
}

/// Reads the numbers of a map by their names.
fn numbers(reader: &mut Reader<'_>, names: &[&str], numbers: &mut [&mut f32]) -> Option<()> {
    reader.map(&mut |reader, key| match names.iter().position(|name| *name == key) {
        Some(place) => numbers.get_mut(place).zip(reader.f32()).map(|(number, read)| **number = read),
        None => reader.skip(),
    })
}

/// The score of items seen before. With `m` distinct recents, the recent at position `q` (0 the newest) that was seen `c`
/// times scores
///
/// ```text
/// S · mul · spread^(m−1) + max(S) · add · often^(min(c,3)−1) · fade^(q−1)
/// ```
/// where `S` is its score by the tables. The newest recent has its own `mul` and `add`, which do not fade.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Repeats {
    /// `mul` of the newest recent.
    pub last_mul: f32,
    /// `mul` of the others.
    pub mul: f32,
    /// `add` of the newest recent.
    pub last_add: f32,
    /// `add` of the others.
    pub add: f32,
    /// Factor on `mul` for every further distinct recent.
    pub spread: f32,
    /// Factor on `add` for every further position.
    pub fade: f32,
    /// Factor on `add` for every further view, at most two.
    pub often: f32,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { last_mul: 1.0, mul: 3.0, last_add: 0.4, add: 0.5, spread: 0.8, fade: 0.5, often: 2.0 }
    }
}

/// A named set of ranking parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Strategy {
    /// The name, as in `strategy=`.
    pub name: String,
    /// The weights of the signals.
    pub weights: Weights,
    /// How many recents count.
    pub recents: u8,
    /// The recent at position `q` (0 the newest) has the weight `(q + 1)^−position`.
    pub position: f32,
    /// Half-life of a recent's weight, in minutes of age; 0 for no decay.
    pub half_life: f32,
    /// Weight of a recent by its kind: impression, view, click, cart, purchase.
    pub kinds: [f32; Kind::ALL.len()],
    /// A candidate from several recents has the factor `1 + votes · (number of recents − 1)`.
    pub votes: f32,
    /// How to treat items already seen.
    pub seen: Seen,
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            name: DEFAULT.to_owned(),
            weights: Weights::default(),
            recents: 5,
            position: 2.0,
            half_life: 1_440.0,
            kinds: [0.0, 1.0, 1.0, 1.5, 1.5],
            votes: 0.3,
            seen: Seen::Exclude,
        }
    }
}

impl Strategy {
    /// The tables that the strategy reads and their weights. `orders`: whether the snapshot has the table `bought`.
    pub fn tables(&self, orders: bool) -> [(Signal, f32); TABLES] {
        let Weights { coview, knn, bought, .. } = self.weights;
        let (coview, bought) = if orders { (coview, bought) } else { (coview + bought, 0.0) };
        let least = coview.min(knn).min(bought);
        let [first, second, third] = [(Signal::Coview, coview), (Signal::Knn, knn), (Signal::Bought, bought)];
        if bought == least {
            [first, second]
        } else if knn == least {
            [first, third]
        } else {
            [second, third]
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::default();
        reader.map(&mut |reader, key| {
            match key {
                "name" => read.name = reader.str()?.to_owned(),
                "weights" => {
                    let Weights { coview, knn, bought, popularity, recency } = &mut read.weights;
                    let names = ["coview", "knn", "bought", "popularity", "recency"];
                    numbers(reader, &names, &mut [coview, knn, bought, popularity, recency])?;
                }
                "recents" => read.recents = reader.u64()?.try_into().ok()?,
                "position" => read.position = reader.f32()?,
                "half_life" => read.half_life = reader.f32()?,
                "kinds" => {
                    reader.array().filter(|count| *count as usize == read.kinds.len())?;
                    for weight in &mut read.kinds {
                        *weight = reader.f32()?;
                    }
                }
                "votes" => read.votes = reader.f32()?,
                "seen" => read.seen = Seen::read(reader)?,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }

    fn is_usable(&self) -> bool {
        let Weights { coview, knn, bought, popularity, recency } = self.weights;
        let mut numbers = vec![coview, knn, bought, popularity, recency];
        numbers.extend([self.position, self.half_life, self.votes]);
        numbers.extend(self.kinds);
        if let Seen::Boost(Repeats { last_mul, mul, last_add, add, spread, fade, often }) = self.seen {
            numbers.extend([last_mul, mul, last_add, add]);
            // These are raised to powers, so their range is smaller.
            if ![spread, fade, often].iter().all(|number| (0.0..=10.0).contains(number)) {
                return false;
            }
        }
        // This range keeps every product finite.
        numbers.iter().all(|number| (0.0..=1e6).contains(number)) && self.weights.sum() > 0.0
    }
}

/// Reads the section.
///
/// # Errors
/// [`Error::Section`] if it is damaged, or a number is negative, not finite or too large: above a million, or above ten
/// for those raised to powers.
pub fn open(section: &[u8]) -> Result<Vec<Strategy>, Error> {
    read(&mut Reader(section))
}

/// Like [`open`], within a larger document.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Vec<Strategy>, Error> {
    let bad = |detail| Error::Section { section: NAME, detail };
    let count = reader.array().ok_or(bad("it is not a list of strategies"))? as usize;
    if count > MAX_STRATEGIES {
        return Err(bad("more than 64 strategies"));
    }
    let strategies: Option<Vec<_>> = (0..count).map(|_| Strategy::read(reader)).collect();
    let strategies = strategies.ok_or(bad("a strategy is truncated, or a field has an unexpected type"))?;
    if !strategies.iter().all(Strategy::is_usable) {
        return Err(bad("a strategy has a number that is negative, not finite or too large"));
    }
    Ok(strategies)
}

/// Encodes strategies.
///
/// # Errors
/// [`Error::Section`] if one of them could not be read back.
pub fn write(strategies: &[Strategy]) -> Result<Vec<u8>, Error> {
    let bad = |_| Error::Section { section: NAME, detail: "it cannot be written" };
    let section = rmp_serde::to_vec_named(strategies).map_err(bad)?;
    open(&section)?;
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_read_as_they_were_written_and_absent_fields_take_the_default() {
        let boost = Seen::Boost(Repeats { often: 1.5, ..Repeats::default() });
        let next = Strategy { name: NEXT.to_owned(), seen: boost, ..Strategy::default() };
        // No field has its default, so that the round trip covers all.
        let other = Strategy {
            name: "other".to_owned(),
            weights: Weights { coview: 1.0, knn: 2.0, bought: 3.0, popularity: 4.0, recency: 5.0 },
            recents: 6,
            position: 7.0,
            half_life: 8.0,
            kinds: [9.0, 10.0, 11.0, 12.0, 13.0],
            votes: 14.0,
            seen: Seen::Boost(Repeats {
                last_mul: 15.0,
                mul: 16.0,
                last_add: 17.0,
                add: 18.0,
                spread: 1.9,
                fade: 2.5,
                often: 2.1,
            }),
        };
        let section = write(&[Strategy::default(), next.clone(), other.clone()]).unwrap();
        assert_eq!(open(&section).unwrap(), [Strategy::default(), next, other]);
        let sparse = rmp_serde::to_vec_named(&serde_json::json!([{"name": "x", "new": 1}])).unwrap();
        assert_eq!(open(&sparse).unwrap()[0].weights, Weights::default());
    }

    #[test]
    fn numbers_that_would_make_scores_infinite_are_rejected() {
        for votes in [f32::NAN, f32::INFINITY, -1.0, 1e30] {
            assert!(write(&[Strategy { votes, ..Strategy::default() }]).is_err());
        }
        assert!(open(b"\xc1").is_err());
    }
}
