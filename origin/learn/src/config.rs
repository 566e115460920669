//! The recipe: every number that learning takes, and the strategies that serving takes. `recipe.toml` in the data
//! directory holds a shop's own, as `verge tune` found it; without it, or for what it leaves out, the defaults
//! apply.

use crate::{als, choose::Hyperparameters, coview, embedding, item2vec, orders::RepurchaseStats};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use snapshots::{
    score::MAX_SEEDS,
    strategy::{self, Repeats, Seen, Strategy, Weights},
};
/// ShardMut of later orders that was bought before, from which on people re-buy.
const REBUYING: f32 = 0.1;

/// What the neighbours in the KNN table, and those folded into the co-view table, are learnt by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Vectors that predict the next item.
    #[default]
    NextItem,
    /// Vectors that predict the items beside it in a session.
    Item2vec,
    /// Vectors whose product tells sessions that hold the item.
    Als,
    /// None: the KNN table is of content alone.
    Content,
}

/// All numbers of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Neighbours kept a row, 1 to 255.
    pub k: u8,
    /// μ of the walk from an item without events; 0 for none.
    pub walk: f32,
    /// ν: mass of the learnt neighbours that are folded into the co-view rows; 0 for none.
    pub fold: f32,
    /// An item with so many events has a KNN row half from content, half learnt, and walks with half of μ.
    pub few: f32,
    /// What learns the neighbours.
    pub knn: Source,
    /// The co-view table.
    pub coview: coview::CoviewParams,
    /// The vectors of `next-item`.
    pub embedding: embedding::EmbeddingParams,
    /// Those of `item2vec`.
    pub item2vec: item2vec::Item2vecParams,
    /// Those of `als`.
    pub als: als::AlsParams,
    /// The strategies of the snapshot. None given: [`strategies`], by numbers that the log chooses; co-view's too, where they are the defaults.
    pub strategies: Vec<Strategy>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            k: 50,
            walk: 3.0,
            fold: 0.5,
            few: 5.0,
            knn: Source::default(),
            coview: coview::CoviewParams::default(),
            embedding: embedding::EmbeddingParams::default(),
            item2vec: item2vec::Item2vecParams::default(),
            als: als::AlsParams::default(),
            strategies: Vec::new(),
        }
    }
}

/// The strategies every snapshot carries unless a recipe names others, by the numbers that the log chose. `next` alone
/// boosts what was seen.
///
/// `cart` counts everything in the cart, and a little of what was met before. It reads co-view and bought together
/// alike: a shop has fewer orders than views, and where orders are many they say nearly the same.
///
/// `next` reads the co-view table alone: what vectors learnt is folded into it, and popularity as a bonus on what
/// the recents name costs accuracy. On YooChoose 1/64 (co-view and walk, variant (a)) HR@20 was .715 with co-view
/// alone; beside a weight of .7 for co-view it was .713 with .02 for popularity, .710 with .1 for recency, and
/// .698 with .2 and .1 for the two. So `default`, the hybrid, lets the region tip the scales between near equals and
/// fill what the recents leave open; with a fifth for popularity and a tenth for recency, answers to one recent of
/// a gift shop were mostly the region's, and gave no recent as their reason.
pub fn strategies(numbers: &Hyperparameters) -> Vec<Strategy> {
    let hybrid = Weights { coview: 0.55, knn: 0.4, bought: 0.0, popularity: 0.04, recency: 0.01 };
    let similar = Weights { coview: 0.3, knn: 0.6, bought: 0.0, popularity: 0.0, recency: 0.0 };
    let boost = Seen::Boost(numbers.repeats);
    let chosen = || numbers.apply(Strategy::default());
    let cart = Weights { coview: 0.5, knn: 0.0, bought: 0.5, popularity: 0.0, recency: 0.0 };
    let tables = Weights { coview: 1.0, knn: 0.0, bought: 0.0, popularity: 0.0, recency: 0.0 };
    vec![
        Strategy { weights: hybrid, ..chosen() },
        Strategy { name: strategy::SIMILAR.to_owned(), weights: similar, ..chosen() },
        Strategy {
            name: strategy::CART.to_owned(),
            weights: cart,
            recents: MAX_SEEDS as u8,
            position: 1.0,
            votes: 0.0,
            kinds: [0.0, 0.1, 0.1, 1.0, 0.1],
            ..Strategy::default()
        },
        Strategy { name: strategy::NEXT.to_owned(), weights: tables, seen: boost, ..chosen() },
    ]
}

impl Recipe {
    /// The recipe for a shop whose visitors buy again like this. Where a tenth or more of what they put into later orders
    /// was bought before, what they met comes back to them in `cart`: [`RepurchaseStats::share`] of the greatest score is added
    /// to the items seen, twice that for those met twice. Elsewhere `cart` leaves them out. A strategy that says
    /// otherwise is left alone. The home page leaves them out everywhere: the boost does not tell what was bought
    /// from what was looked at, and a page that opens with what one has just seen helps nobody.
    #[must_use]
    pub fn for_buying(&self, again: &RepurchaseStats) -> Self {
        let mut recipe = self.clone();
        let named = |name: &str| self.strategies.iter().position(|strategy| strategy.name == name);
        let Some(cart) = named(strategy::CART).filter(|at| self.strategies[*at].seen == Seen::Exclude) else {
            return recipe;
        };
        if again.share < REBUYING {
            return recipe;
        }
        let flat =
            Repeats { last_mul: 1.0, mul: 1.0, spread: 1.0, fade: 1.0, often: 2.0, ..Repeats::default() };
        let seen = Seen::Boost(Repeats { last_add: again.share, add: again.share, ..flat });
        recipe.strategies[cart].seen = seen;
        recipe
    }

    /// As TOML.
    ///
    /// # Errors
    /// Never, with numbers that are finite.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_reads_as_it_was_written_and_names_what_it_does_not_know() {
        let recipe = Recipe { walk: 0.25, ..Recipe::default() };
        assert_eq!(toml::from_str::<Recipe>(&recipe.to_toml().unwrap()).unwrap(), recipe);
        let sparse: Recipe = toml::from_str("walk = 0.25\nknn = \"item2vec\"\n[coview]\na = 0.75\n").unwrap();
        assert_eq!(sparse.knn, Source::Item2vec);
        assert_eq!(
            (sparse.coview.a, sparse.coview.g, sparse.k),
            (0.75, coview::CoviewParams::default().g, 50)
        );
    }

    #[test]
    fn what_was_bought_comes_back_where_people_buy_again() {
        let seen = |recipe: &Recipe, name| {
            recipe.strategies.iter().find(|strategy| strategy.name == name).map(|strategy| strategy.seen)
        };
        let recipe = Recipe { strategies: strategies(&Hyperparameters::default()), ..Recipe::default() };
        assert_eq!(recipe.for_buying(&RepurchaseStats { share: 0.03, ..RepurchaseStats::default() }), recipe);
        let grocer = recipe.for_buying(&RepurchaseStats { share: 0.4, ..RepurchaseStats::default() });
        let Some(Seen::Boost(repeats)) = seen(&grocer, strategy::CART) else { panic!("{grocer:?}") };
        assert_eq!((repeats.add, repeats.last_add), (0.4, 0.4));
        assert_eq!(seen(&grocer, strategy::DEFAULT), Some(Seen::Exclude));
        assert_eq!(
            grocer.for_buying(&RepurchaseStats { share: 0.9, ..RepurchaseStats::default() }),
            grocer,
            "a choice is left alone"
        );
    }
}
