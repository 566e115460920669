//! Building: learns the tables from a dataset and packs them.
//!
//! May import: `pack`, `origin_learn`, `origin_data`.

pub mod neighbours;

use crate::pack::{CatalogueSections, PackOptions, SnapshotSet, pack, regions::Regions};
use anyhow::Result;
use origin_data::Dataset;
use origin_learn::{
    Table, blend,
    config::Recipe,
    popularity::Counts,
    train::{LearnedTables, TrainingData, fold_coview, learn_bought, learn_neighbours, settle},
};

/// Removes the least popular items and their events from the log until ids and attributes take at most `bytes`. Returns the
/// numbers of items and events removed.
pub fn prune(log: &mut Dataset, bytes: usize) -> (usize, usize) {
    let (items, events) = (log.items.len(), log.events.len());
    let newest = log.events.iter().map(|event| event.at).max().unwrap_or_default();
    let mut order = Counts::new(&log.events).rank(items, newest);
    loop {
        let size = CatalogueSections::new(&log.items, &order).bytes();
        if size <= bytes || order.is_empty() {
            break;
        }
        // A little less than the average size suggests, since items differ.
        order.truncate((order.len() as f64 * bytes as f64 / size as f64 * 0.99) as usize);
    }
    if order.len() < items {
        order.sort_unstable();
        log.retain_items(&order);
    }
    (items - log.items.len(), events - log.events.len())
}

/// Learns and packs everything; calls `report` after each step.
///
/// # Errors
/// The log holds no event or too many items.
pub fn build(
    log: &Dataset,
    regions: &Regions,
    recipe: &Recipe,
    options: PackOptions,
    mut report: impl FnMut(&str),
) -> Result<SnapshotSet> {
    build_with(log, regions, options, &mut report, |prepared, report| {
        let recipe = settle(prepared, recipe, report);
        let neighbours = learn_neighbours(prepared, &recipe, report);
        Ok((recipe, neighbours))
    })
}

/// As [`build`], with the recipe and the neighbours that `neighbours` returns.
///
/// # Errors
/// As [`build`], or those of `neighbours`.
pub fn build_with<R: FnMut(&str)>(
    log: &Dataset,
    regions: &Regions,
    options: PackOptions,
    mut report: &mut R,
    neighbours: impl FnOnce(&TrainingData, &mut R) -> Result<(Recipe, Table)>,
) -> Result<SnapshotSet> {
    let prepared = TrainingData::new(log)?;
    report(&format!("{} sessions of {} clicks", prepared.sessions.len(), prepared.sessions.clicks()));
    let (recipe, neighbours) = neighbours(&prepared, report)?;
    let coview = fold_coview(&prepared, &neighbours, &recipe);
    report(&format!("co-view: {} neighbours", coview.iter().map(Vec::len).sum::<usize>()));
    let k = usize::from(recipe.k);
    let content = CatalogueSections::new(&log.items, &prepared.order).content_table(k);
    let events = prepared.sessions.events(prepared.order.len());
    let knn = blend::by_evidence(&neighbours, &content, &events, recipe.few, k);
    report(&format!("knn: {} neighbours", knn.iter().map(Vec::len).sum::<usize>()));
    let (bought, repurchases) = learn_bought(log, &prepared, k, &mut report);
    let recipe = &recipe.with_repurchases(&repurchases);
    let built = pack(log, &prepared, regions, recipe, LearnedTables { coview, knn, bought }, options)?;
    report(&format!("packed for {}", regions.names().join(", ")));
    Ok(built)
}

#[cfg(test)]
mod refresh_tests;
#[cfg(test)]
mod tests;
