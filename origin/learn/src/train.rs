//! Training: from a dataset to the tables of a snapshot.

use crate::{
    Table, als, blend, bought,
    choose::{HoldoutSplit, Hyperparameters},
    config::{self, NeighbourModel, Recipe},
    coview, embedding, item2vec, nearest,
    orders::{self, RepurchaseStats},
    popularity::Counts,
    sessions::Sessions,
    trend, walk,
};
use anyhow::{Result, bail};
use origin_data::Dataset;
use snapshots::{ids, time::Timestamp};

/// A log prepared for learning: items in index order, and sessions of indices.
pub struct TrainingData {
    /// Time of the newest event.
    pub built_at: Timestamp,
    /// Index → item of the dataset.
    pub order: Vec<u32>,
    /// Item of the dataset → index.
    pub index: Vec<u32>,
    /// Sessions of item indices.
    pub sessions: Sessions,
    /// Event counts by the log's item numbers.
    pub counts: Counts,
}

impl TrainingData {
    /// Orders the items and splits the sessions.
    ///
    /// # Errors
    /// The log holds no event or too many items.
    pub fn new(log: &Dataset) -> Result<Self> {
        let Some(built_at) = log.events.iter().map(|event| event.at).max() else {
            bail!("the store holds no events; run `verge import` or `verge generate --into-store` first");
        };
        let count = log.items.len();
        if count > ids::MAX_ITEMS {
            bail!("{count} items; a snapshot holds at most {}", ids::MAX_ITEMS);
        }
        let counts = Counts::new(&log.events);
        let order = counts.rank(count, built_at);
        let mut index = vec![0u32; count];
        for (place, item) in (0u32..).zip(&order) {
            index[*item as usize] = place;
        }
        let sessions = Sessions::from_events(&log.events, &index);
        Ok(Self { built_at, order, index, sessions, counts })
    }
}

/// The tables of a snapshot.
pub struct LearnedTables {
    /// Co-view, with learned neighbours folded in.
    pub coview: Table,
    /// Similar items.
    pub knn: Table,
    /// Bought together; all rows are empty if the log has no orders.
    pub bought: Table,
}

/// The co-view table after the walk.
fn coview_after_walk(
    sessions: &Sessions,
    items: usize,
    params: &coview::CoviewParams,
    recipe: &Recipe,
) -> Table {
    let table = coview::learn(sessions, items, params, walk::KEPT.max(usize::from(recipe.k)));
    walk::walk(table, &sessions.events(items), recipe.walk, recipe.few)
}

/// The co-view table of a recipe, with learned neighbours folded in and weighted by trend.
pub fn fold_coview(prepared: &TrainingData, neighbours: &Table, recipe: &Recipe) -> Table {
    let (sessions, items, k) = (&prepared.sessions, neighbours.len(), usize::from(recipe.k));
    let coview = coview_after_walk(sessions, items, &recipe.coview, recipe);
    let folded = blend::fold(&coview, neighbours, recipe.fold, walk::KEPT.max(k));
    trend::apply(folded, &trend::factors(sessions, items), k)
}

/// The recipe with strategies. If it has none, their boosts are estimated from the log; if it also has the default co-view
/// hyperparameters, all of [`Hyperparameters`] are chosen.
pub fn settle(prepared: &TrainingData, recipe: &Recipe, report: &mut impl FnMut(&str)) -> Recipe {
    if !recipe.strategies.is_empty() {
        return recipe.clone();
    }
    let learn = |sessions: &Sessions, coview: &coview::CoviewParams| {
        let mut table = coview_after_walk(sessions, prepared.order.len(), coview, recipe);
        table.iter_mut().for_each(|row| row.truncate(recipe.k.into()));
        table
    };
    let holdout = HoldoutSplit::new(&prepared.sessions);
    let start = Hyperparameters { coview: recipe.coview, ..Hyperparameters::default() };
    let numbers = if recipe.coview == coview::CoviewParams::default() {
        let (numbers, changes) = holdout.choose(start, learn);
        let changes = if changes.is_empty() { "defaults kept" } else { &changes };
        report(&format!("hyperparameters tuned on the latest events: {changes}"));
        numbers
    } else {
        holdout.estimate(start, learn)
    };
    Recipe { coview: numbers.coview, strategies: config::strategies(&numbers), ..recipe.clone() }
}

/// Learns vectors and finds the neighbours of every item with training events.
pub fn learn_neighbours(prepared: &TrainingData, recipe: &Recipe, report: &mut impl FnMut(&str)) -> Table {
    let (count, epochs, sessions) = (prepared.order.len(), recipe.embedding.epochs, &prepared.sessions);
    let model = match recipe.knn {
        NeighbourModel::NextItem if epochs > 0 => {
            embedding::learn(sessions, count, &recipe.embedding, |epoch| {
                report(&format!("embedding: epoch {epoch} of {epochs}"));
            })
        }
        NeighbourModel::Item2vec => item2vec::learn(sessions, count, &recipe.item2vec),
        NeighbourModel::Als => als::learn(sessions, count, &recipe.als),
        NeighbourModel::NextItem | NeighbourModel::Content => return vec![Vec::new(); count],
    };
    let trained: Vec<bool> = sessions.events(count).into_iter().map(|events| events > 0).collect();
    let neighbours = nearest::find(&model, recipe.embedding.scale, nearest::KEPT, &trained);
    report("nearest neighbours found");
    neighbours
}

/// Learns the bought-together table and the repurchase statistics.
pub fn learn_bought(
    log: &Dataset,
    prepared: &TrainingData,
    k: usize,
    report: &mut impl FnMut(&str),
) -> (Table, RepurchaseStats) {
    let orders = orders::split(&log.events, &prepared.index);
    let repurchases = RepurchaseStats::new(&orders, prepared.order.len());
    let table = bought::learn(&orders, prepared.order.len(), &repurchases, k);
    report(&format!(
        "bought together: {} neighbours from {} orders and carts; {:.0} % of the items in later orders were bought before{}",
        table.iter().map(Vec::len).sum::<usize>(),
        orders.len(),
        repurchases.share * 100.0,
        repurchases.days.map_or(String::new(), |days| format!(", after {days:.0} days in the median")),
    ));
    (table, repurchases)
}
