//! From a dataset to the tables of a snapshot.

use crate::{
    Table, als, blend, bought,
    choose::{HoldoutSplit, Hyperparameters},
    config::{self, Recipe, Source},
    coview, embedding, item2vec, nearest,
    orders::{self, RepurchaseStats},
    popularity::Counts,
    sessions::Sessions,
    trend, walk,
};
use anyhow::{Result, bail};
use origin_data::Dataset;
use snapshots::{ids, time::Timestamp};

/// A log made ready for learning: items in index order and sessions of their indices.
pub struct TrainingData {
    /// Time of the newest event.
    pub built_at: Timestamp,
    /// Index → item of the dataset.
    pub order: Vec<u32>,
    /// Item of the dataset → index.
    pub index: Vec<u32>,
    /// Sessions of item indices.
    pub sessions: Sessions,
    /// Every item's events, by the log's numbers.
    pub counts: Counts,
}

impl TrainingData {
    /// Orders the items and cuts the sessions.
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
        let counts = Counts::of(&log.events);
        let order = counts.rank(count, built_at);
        let mut index = vec![0u32; count];
        for (place, item) in (0u32..).zip(&order) {
            index[*item as usize] = place;
        }
        let sessions = Sessions::cut(&log.events, &index);
        Ok(Self { built_at, order, index, sessions, counts })
    }
}

/// The tables of a snapshot.
pub struct LearnedTables {
    /// What visitors meet together, with what was learnt from it folded in.
    pub coview: Table,
    /// What is alike.
    pub knn: Table,
    /// What is bought together; all rows empty where the log holds no orders.
    pub bought: Table,
}

/// The co-view table of sessions by a recipe, walked.
fn walked_coview(sessions: &Sessions, items: usize, coview: &coview::CoviewParams, recipe: &Recipe) -> Table {
    let table = coview::learn(sessions, items, coview, walk::KEPT.max(usize::from(recipe.k)));
    walk::walk(table, &sessions.events(items), recipe.walk, recipe.few)
}

/// The co-view table by a recipe, with learnt neighbours folded in, what is wanted lately first.
pub fn fold_coview(prepared: &TrainingData, learnt: &Table, recipe: &Recipe) -> Table {
    let (sessions, items, k) = (&prepared.sessions, learnt.len(), usize::from(recipe.k));
    let coview = walked_coview(sessions, items, &recipe.coview, recipe);
    let folded = blend::fold(&coview, learnt, recipe.fold, walk::KEPT.max(k));
    trend::follow(folded, &trend::factors(sessions, items), k)
}

/// The recipe with strategies. Where it names none the log makes them: it tells the boosts of what was seen and, if the
/// recipe leaves co-view at its defaults, chooses the numbers of [`Hyperparameters`].
pub fn settle(prepared: &TrainingData, recipe: &Recipe, report: &mut impl FnMut(&str)) -> Recipe {
    if !recipe.strategies.is_empty() {
        return recipe.clone();
    }
    let learn = |sessions: &Sessions, coview: &coview::CoviewParams| {
        let mut table = walked_coview(sessions, prepared.order.len(), coview, recipe);
        table.iter_mut().for_each(|row| row.truncate(recipe.k.into()));
        table
    };
    let held = HoldoutSplit::new(&prepared.sessions);
    let start = Hyperparameters { coview: recipe.coview, ..Hyperparameters::default() };
    let numbers = if recipe.coview == coview::CoviewParams::default() {
        let (numbers, told) = held.choose(start, learn);
        report(&format!("chosen by the log's end: {}", if told.is_empty() { "the defaults" } else { &told }));
        numbers
    } else {
        held.estimate(start, learn)
    };
    Recipe { coview: numbers.coview, strategies: config::strategies(&numbers), ..recipe.clone() }
}

/// Learns vectors and finds the neighbours of every item that training met.
pub fn learn_neighbours(prepared: &TrainingData, recipe: &Recipe, report: &mut impl FnMut(&str)) -> Table {
    let (count, passes, sessions) = (prepared.order.len(), recipe.embedding.epochs, &prepared.sessions);
    let model = match recipe.knn {
        Source::NextItem if passes > 0 => embedding::learn(sessions, count, &recipe.embedding, |pass| {
            report(&format!("embedding: {pass} of {passes} passes"));
        }),
        Source::Item2vec => item2vec::learn(sessions, count, &recipe.item2vec),
        Source::Als => als::learn(sessions, count, &recipe.als),
        Source::NextItem | Source::Content => return vec![Vec::new(); count],
    };
    let taught: Vec<bool> = sessions.events(count).into_iter().map(|events| events > 0).collect();
    let learnt = nearest::find(&model, recipe.embedding.scale, nearest::KEPT, &taught);
    report("nearest found");
    learnt
}

/// Learns what is bought together, and again.
pub fn learn_bought(
    log: &Dataset,
    prepared: &TrainingData,
    k: usize,
    report: &mut impl FnMut(&str),
) -> (Table, RepurchaseStats) {
    let orders = orders::cut(&log.events, &prepared.index);
    let again = RepurchaseStats::count(&orders, prepared.order.len());
    let table = bought::learn(&orders, prepared.order.len(), &again, k);
    report(&format!(
        "bought together: {} neighbours from {} orders and carts; {:.0} % of later orders bought before{}",
        table.iter().map(Vec::len).sum::<usize>(),
        orders.len(),
        again.share * 100.0,
        again.days.map_or(String::new(), |days| format!(", typically {days:.0} days before")),
    ));
    (table, again)
}
