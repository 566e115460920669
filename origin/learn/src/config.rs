//! The recipe: all hyperparameters of learning, and the strategies of serving. `recipe.toml` in the data directory holds
//! those of a shop, as `verge tune` writes it; defaults replace whatever is absent.

use crate::{als, choose::Hyperparameters, coview, embedding, item2vec, orders::RepurchaseStats};
use serde::{Deserialize, Serialize};
use snapshots::{
    score::MAX_SEEDS,
    strategy::{self, Repeats, Seen, Strategy, Weights},
};

/// Share of repurchases in later orders from which on `cart` boosts items bought before.
const MIN_REPURCHASE_SHARE: f32 = 0.1;

/// The model that learns the neighbours of the KNN table and those folded into the co-view table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourModel {
    /// Vectors that predict the next item.
    #[default]
    NextItem,
    /// Vectors that predict the surrounding items of a session.
    Item2vec,
    /// Vectors that predict which sessions have the item.
    Als,
    /// None: the KNN table is from content alone.
    Content,
}

/// All hyperparameters of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Neighbours per row, 1 to 255.
    pub k: u8,
    /// μ of the walk from an item without events; 0 for none.
    pub walk: f32,
    /// ν: mass of the learned neighbours that are folded into the co-view rows; 0 for none.
    pub fold: f32,
    /// Number of events at which a KNN row is half content and half learned, and the walk has half of μ.
    pub few: f32,
    /// Model of the neighbours.
    pub knn: NeighbourModel,
    /// Hyperparameters of the co-view table.
    pub coview: coview::CoviewParams,
    /// Hyperparameters of `next-item`.
    pub embedding: embedding::EmbeddingParams,
    /// Hyperparameters of `item2vec`.
    pub item2vec: item2vec::Item2vecParams,
    /// Hyperparameters of `als`.
    pub als: als::AlsParams,
    /// The strategies of the snapshot. If empty: [`strategies`], with hyperparameters chosen from the log; those of co-view are
    /// chosen too if they are the defaults.
    pub strategies: Vec<Strategy>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            k: 50,
            walk: 3.0,
            fold: 0.5,
            few: 5.0,
            knn: NeighbourModel::default(),
            coview: coview::CoviewParams::default(),
            embedding: embedding::EmbeddingParams::default(),
            item2vec: item2vec::Item2vecParams::default(),
            als: als::AlsParams::default(),
            strategies: Vec::new(),
        }
    }
}

/// The strategies of every snapshot unless the recipe has its own. `next` alone boosts seen items.
///
/// `cart` counts everything in the cart, and viewed items a little. It weights co-view and bought together equally: a shop has
/// fewer orders than views, and with many orders both tables are nearly the same.
///
/// `next` reads the co-view table alone: learned neighbours are folded into it, and a bonus for popularity costs accuracy. On
/// YooChoose 1/64 (co-view and walk, variant (a)) HR@20 was .715 with co-view alone; with a weight of .7 for co-view it was
/// .713 with .02 for popularity, .710 with .1 for recency, and .698 with .2 and .1 for both. In `default`, the hybrid,
/// popularity and recency therefore only decide between nearly equal candidates and fill the rest of a page. With weights of
/// .2 and .1, recommendations for a single recent in a gift shop were mostly the region's, without a recent as their reason.
pub fn strategies(numbers: &Hyperparameters) -> Vec<Strategy> {
    let hybrid = Weights { coview: 0.55, knn: 0.4, bought: 0.0, popularity: 0.04, recency: 0.01 };
    let similar = Weights { coview: 0.3, knn: 0.6, bought: 0.0, popularity: 0.0, recency: 0.0 };
    let boost = Seen::Boost(numbers.repeats);
    let tuned = || numbers.apply(Strategy::default());
    let cart = Weights { coview: 0.5, knn: 0.0, bought: 0.5, popularity: 0.0, recency: 0.0 };
    let tables = Weights { coview: 1.0, knn: 0.0, bought: 0.0, popularity: 0.0, recency: 0.0 };
    vec![
        Strategy { weights: hybrid, ..tuned() },
        Strategy { name: strategy::SIMILAR.to_owned(), weights: similar, ..tuned() },
        Strategy {
            name: strategy::CART.to_owned(),
            weights: cart,
            recents: MAX_SEEDS as u8,
            position: 1.0,
            votes: 0.0,
            kinds: [0.0, 0.1, 0.1, 1.0, 0.1],
            ..Strategy::default()
        },
        Strategy { name: strategy::NEXT.to_owned(), weights: tables, seen: boost, ..tuned() },
    ]
}

impl Recipe {
    /// The recipe for a shop with these repurchases. If at least a tenth of the items of later orders were bought before, `cart`
    /// boosts seen items: it adds [`RepurchaseStats::share`] of the greatest score, and twice that to items seen twice.
    /// Otherwise `cart` excludes them. A strategy with boosts of its own stays. The home page excludes seen items in any case:
    /// the boost does not distinguish items bought from items viewed, and a page of items just viewed is of no use.
    #[must_use]
    pub fn with_repurchases(&self, repurchases: &RepurchaseStats) -> Self {
        let mut recipe = self.clone();
        let named = |name: &str| self.strategies.iter().position(|strategy| strategy.name == name);
        let Some(cart) = named(strategy::CART).filter(|at| self.strategies[*at].seen == Seen::Exclude) else {
            return recipe;
        };
        if repurchases.share < MIN_REPURCHASE_SHARE {
            return recipe;
        }
        let flat =
            Repeats { last_mul: 1.0, mul: 1.0, spread: 1.0, fade: 1.0, often: 2.0, ..Repeats::default() };
        let seen = Seen::Boost(Repeats { last_add: repurchases.share, add: repurchases.share, ..flat });
        recipe.strategies[cart].seen = seen;
        recipe
    }

    /// As TOML.
    ///
    /// # Errors
    /// A number is not finite.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_round_trips_and_defaults_fill_what_is_absent() {
        let recipe = Recipe { walk: 0.25, ..Recipe::default() };
        assert_eq!(toml::from_str::<Recipe>(&recipe.to_toml().unwrap()).unwrap(), recipe);
        let sparse: Recipe = toml::from_str("walk = 0.25\nknn = \"item2vec\"\n[coview]\na = 0.75\n").unwrap();
        assert_eq!(sparse.knn, NeighbourModel::Item2vec);
        assert_eq!(
            (sparse.coview.a, sparse.coview.g, sparse.k),
            (0.75, coview::CoviewParams::default().g, 50)
        );
    }

    #[test]
    fn cart_boosts_seen_items_where_visitors_buy_again() {
        let seen = |recipe: &Recipe, name| {
            recipe.strategies.iter().find(|strategy| strategy.name == name).map(|strategy| strategy.seen)
        };
        let recipe = Recipe { strategies: strategies(&Hyperparameters::default()), ..Recipe::default() };
        assert_eq!(
            recipe.with_repurchases(&RepurchaseStats { share: 0.03, ..RepurchaseStats::default() }),
            recipe
        );
        let grocer = recipe.with_repurchases(&RepurchaseStats { share: 0.4, ..RepurchaseStats::default() });
        let Some(Seen::Boost(repeats)) = seen(&grocer, strategy::CART) else { panic!("{grocer:?}") };
        assert_eq!((repeats.add, repeats.last_add), (0.4, 0.4));
        assert_eq!(seen(&grocer, strategy::DEFAULT), Some(Seen::Exclude));
        assert_eq!(
            grocer.with_repurchases(&RepurchaseStats { share: 0.9, ..RepurchaseStats::default() }),
            grocer,
            "explicit boosts stay"
        );
    }
}
