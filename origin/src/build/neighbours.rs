//! A file of learned neighbours and chosen hyperparameters, next to the models. They take most of a build's time and change
//! little in an hour, so `verge build --tables` reads them from here.

use anyhow::{Context, Result};
use origin_data::Dataset;
use origin_data::files::replace_file;
use origin_learn::train::TrainingData;
use origin_learn::{Table, config::Recipe, coview};
use serde::{Deserialize, Serialize};
use snapshots::strategy::Strategy;
use std::{collections::HashMap, path::Path};

/// The file in the data directory.
const FILE: &str = "neighbours.zst";

#[derive(Serialize, Deserialize)]
struct SavedNeighbours {
    ids: Vec<String>,
    /// By id, its neighbours by their places in `ids`, with weights.
    rows: Table,
    coview: coview::CoviewParams,
    strategies: Vec<Strategy>,
}

/// Saves a table under the ids of its items, with the hyperparameters of a settled recipe.
///
/// # Errors
/// The file cannot be written.
pub fn save(
    table: &Table,
    prepared: &TrainingData,
    log: &Dataset,
    recipe: &Recipe,
    data_dir: &Path,
) -> Result<()> {
    let ids = prepared.order.iter().map(|item| log.items[*item as usize].id.clone()).collect();
    let strategies = recipe.strategies.clone();
    let saved = SavedNeighbours { ids, rows: table.clone(), coview: recipe.coview, strategies };
    let bytes = rmp_serde::to_vec(&saved).context("cannot write neighbours")?;
    replace_file(&data_dir.join(FILE), &zstd::encode_all(&bytes[..], 1)?)?;
    Ok(())
}

/// Loads the saved table for the items of a log; newer items have no neighbours in it. A recipe without strategies gets the
/// saved hyperparameters.
///
/// # Errors
/// The file is missing or damaged; a full build writes it.
pub fn load(
    prepared: &TrainingData,
    log: &Dataset,
    recipe: &Recipe,
    data_dir: &Path,
) -> Result<(Recipe, Table)> {
    let path = data_dir.join(FILE);
    let read = || -> Result<SavedNeighbours> {
        Ok(rmp_serde::from_slice(&zstd::decode_all(&std::fs::read(&path)?[..])?)?)
    };
    let SavedNeighbours { ids, rows, coview, strategies } = read().with_context(|| {
        format!("cannot read {}; run `verge build` without --tables first", path.display())
    })?;
    let of_id: HashMap<&str, u32> =
        log.items.iter().zip(&prepared.index).map(|(item, index)| (item.id.as_str(), *index)).collect();
    let index: Vec<Option<u32>> = ids.iter().map(|id| of_id.get(id.as_str()).copied()).collect();
    let mut table = vec![Vec::new(); prepared.order.len()];
    for (item, row) in index.iter().zip(rows) {
        let Some(item) = item else { continue };
        let known = |(place, weight): (u32, f32)| Some(((*index.get(place as usize)?)?, weight));
        table[*item as usize] = row.into_iter().filter_map(known).collect();
    }
    let settled = !recipe.strategies.is_empty();
    let recipe = if settled { recipe.clone() } else { Recipe { coview, strategies, ..recipe.clone() } };
    Ok((recipe, table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use origin_data::{Item, LogEvent};
    use snapshots::{event::Kind, time::Timestamp};

    fn log(ids: &[&str]) -> Dataset {
        let event = |item: u32| LogEvent::new(Timestamp(i64::from(item)), Kind::View, item, 1);
        Dataset {
            events: (0..ids.len() as u32).map(event).collect(),
            items: ids.iter().map(|id| Item { id: (*id).to_owned(), ..Item::default() }).collect(),
            areas: vec![String::new()],
        }
    }

    #[test]
    fn neighbours_and_hyperparameters_are_loaded_for_a_changed_catalogue() {
        let dir = tempfile::tempdir().unwrap();
        let before = log(&["a", "b", "c"]);
        let prepared = TrainingData::new(&before).unwrap();
        let unsettled = Recipe { k: 9, ..Recipe::default() };
        assert!(load(&prepared, &before, &unsettled, dir.path()).is_err());
        let at = |prepared: &TrainingData, item: usize| prepared.index[item];
        let mut table = vec![Vec::new(); 3];
        table[at(&prepared, 0) as usize] = vec![(at(&prepared, 1), 2.0), (at(&prepared, 2), 1.0)];
        let coview = coview::CoviewParams { a: 0.75, ..coview::CoviewParams::default() };
        let settled = Recipe { coview, strategies: vec![Strategy::default()], ..unsettled.clone() };
        save(&table, &prepared, &before, &settled, dir.path()).unwrap();
        assert_eq!(load(&prepared, &before, &unsettled, dir.path()).unwrap(), (settled, table));
        let after = log(&["0", "a", "c"]);
        let prepared = TrainingData::new(&after).unwrap();
        let own = Recipe { strategies: vec![Strategy::default(); 2], ..unsettled };
        let (recipe, table) = load(&prepared, &after, &own, dir.path()).unwrap();
        assert_eq!(recipe, own, "a recipe with strategies stays as it is");
        assert_eq!(table[at(&prepared, 1) as usize], [(at(&prepared, 2), 1.0)]);
        assert!(table[at(&prepared, 0) as usize].is_empty());
    }
}
