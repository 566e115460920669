//! Building: trains on a dataset and packs what was learned.
//!
//! May import: `pack`, `origin_learn`, `origin_data`.

pub mod neighbours;

use crate::pack::{Catalogue, PackOptions, SnapshotSet, pack, regions::Regions};
use anyhow::Result;
use origin_data::Dataset;
use origin_learn::{
    Table, blend,
    config::Recipe,
    popularity::Counts,
    train::{LearnedTables, TrainingData, fold_coview, learn_bought, learn_neighbours, settle},
};

/// Leaves the least wanted items, with their events, out of the log until their ids and attributes take at most
/// `bytes`. Returns how many items and events went.
pub fn prune(log: &mut Dataset, bytes: usize) -> (usize, usize) {
    let (items, events) = (log.items.len(), log.events.len());
    let newest = log.events.iter().map(|event| event.at).max().unwrap_or_default();
    let mut order = Counts::of(&log.events).rank(items, newest);
    loop {
        let takes = Catalogue::new(&log.items, &order).bytes();
        if takes <= bytes || order.is_empty() {
            break;
        }
        // A little less than the average allows, as items differ.
        order.truncate((order.len() as f64 * bytes as f64 / takes as f64 * 0.99) as usize);
    }
    if order.len() < items {
        order.sort_unstable();
        log.retain_items(&order);
    }
    (items - log.items.len(), events - log.events.len())
}

/// Learns and packs everything; `report` is told each step when it is done.
///
/// # Errors
/// The log holds no event or too many items.
pub fn build(
    log: &Dataset,
    regions: &Regions,
    recipe: &Recipe,
    packing: PackOptions,
    mut report: impl FnMut(&str),
) -> Result<SnapshotSet> {
    build_with(log, regions, packing, &mut report, |prepared, report| {
        let recipe = settle(prepared, recipe, report);
        let learnt = learn_neighbours(prepared, &recipe, report);
        Ok((recipe, learnt))
    })
}

/// As [`build`], with the recipe and the neighbours that `learnt` finds.
pub fn build_with<R: FnMut(&str)>(
    log: &Dataset,
    regions: &Regions,
    packing: PackOptions,
    mut report: &mut R,
    learnt: impl FnOnce(&TrainingData, &mut R) -> Result<(Recipe, Table)>,
) -> Result<SnapshotSet> {
    let prepared = TrainingData::new(log)?;
    report(&format!("{} sessions of {} clicks", prepared.sessions.len(), prepared.sessions.clicks()));
    let (recipe, learnt) = learnt(&prepared, report)?;
    let coview = fold_coview(&prepared, &learnt, &recipe);
    report(&format!("co-view: {} neighbours", coview.iter().map(Vec::len).sum::<usize>()));
    let k = usize::from(recipe.k);
    let content = Catalogue::new(&log.items, &prepared.order).content_table(k);
    let events = prepared.sessions.events(prepared.order.len());
    let knn = blend::by_evidence(&learnt, &content, &events, recipe.few, k);
    report(&format!("knn: {} neighbours", knn.iter().map(Vec::len).sum::<usize>()));
    let (bought, again) = learn_bought(log, &prepared, k, &mut report);
    let recipe = &recipe.for_buying(&again);
    let built = pack(log, &prepared, regions, recipe, LearnedTables { coview, knn, bought }, packing)?;
    report(&format!("packed for {}", regions.names().join(", ")));
    Ok(built)
}

#[cfg(test)]
mod tests;
