//! The models that were built: kept in the data directory with their recipe and how they did, so that two can be
//! compared and an earlier one served again.
//!
//! ```text
//! models/ID/model.json           what it is
//! models/ID/{blob,manifest}/…    its snapshots, as published
//! models/served.json             ids in the order in which they were promoted; the last one serves
//! ```
//! The model that serves lies in the snapshots directory too, which is what `verge publish` sends.

mod error;
pub mod holdout;

pub use error::{ModelsError, Result};

use crate::{
    pack::SnapshotSet,
    store::{Store, snapshots_dir},
};
use holdout::{Evaluation, Side};
use origin_data::{
    Dataset,
    files::{read_if_exists, replace_file},
};
use origin_learn::config::Recipe;
use serde::{Deserialize, Serialize};
use snapshots::{
    manifest::{WORLD, content_hash},
    time::Timestamp,
};
use std::path::{Path, PathBuf};

/// The most promotions that are remembered.
const MAX_SERVED: usize = 100;

/// What is known of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The day of its newest event, and a fingerprint of its recipe and snapshots: what is equal has one id.
    pub id: String,
    /// When it was built.
    pub built_at: Timestamp,
    /// Version of Verge that built it.
    pub version: String,
    /// Time of the oldest event it was learnt from.
    pub from: Timestamp,
    /// Time of the newest.
    pub to: Timestamp,
    /// Events it was learnt from.
    pub events: usize,
    /// Items it knows.
    pub items: usize,
    /// How its recipe did on held-out sessions; `None` when it was not judged.
    pub judged: Option<Evaluation>,
    /// Why it was promoted or not.
    pub decision: String,
    /// What it was learnt by.
    pub recipe: Recipe,
}

impl Model {
    /// Describes what was built at `now` from a log.
    ///
    /// # Errors
    /// The recipe has a number that is not finite.
    pub fn of(built: &SnapshotSet, log: &Dataset, recipe: &Recipe, now: Timestamp) -> Result<Self> {
        let at = |event: Option<&origin_data::LogEvent>| event.map_or(Timestamp(0), |event| event.at);
        let (from, to) = (at(log.events.first()), at(log.events.last()));
        let manifests: Vec<u8> = built.manifests.iter().flat_map(|manifest| manifest.to_json()).collect();
        let whole = content_hash(&[recipe.to_toml()?.as_bytes(), &manifests].concat());
        let day: String = to.to_string().chars().take(10).collect();
        Ok(Self {
            id: format!("{day}-{}", &whole[..8]),
            built_at: now,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            from,
            to,
            events: log.events.len(),
            items: log.items.len(),
            judged: None,
            decision: String::new(),
            recipe: recipe.clone(),
        })
    }
}

/// The models of one data directory.
pub struct Registry {
    dir: PathBuf,
    snapshots: PathBuf,
}

impl Registry {
    /// Of a data directory; there need not be any model yet.
    pub fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("models"), snapshots: snapshots_dir(data_dir) }
    }

    fn served(&self) -> Result<Vec<String>> {
        let path = self.dir.join("served.json");
        read_if_exists(&path)?.map_or_else(|| Ok(Vec::new()), |bytes| from_json(&path, &bytes))
    }

    fn remember(&self, served: &[String]) -> Result<()> {
        let newest = &served[served.len().saturating_sub(MAX_SERVED)..];
        replace_file(&self.dir.join("served.json"), &to_json(newest)?)?;
        Ok(())
    }

    /// The description of a model; `None` for a directory that a build did not finish.
    fn read_if_finished(&self, id: &str) -> Result<Option<Model>> {
        let path = self.dir.join(id).join("model.json");
        read_if_exists(&path)?.map(|bytes| from_json(&path, &bytes)).transpose()
    }

    fn read(&self, id: &str) -> Result<Model> {
        let path = self.dir.join(id).join("model.json");
        let missing = || ModelsError::file("read", &path)(std::io::ErrorKind::NotFound.into());
        self.read_if_finished(id)?.ok_or_else(missing)
    }

    /// All models, the newest last.
    ///
    /// # Errors
    /// One cannot be read; the text names the file.
    pub fn list(&self) -> Result<Vec<Model>> {
        let mut models = Vec::new();
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(models),
            entries => entries.map_err(ModelsError::file("read", &self.dir))?,
        };
        for entry in entries {
            let entry = entry.map_err(ModelsError::file("read", &self.dir))?;
            if entry.path().is_dir() {
                models.extend(self.read_if_finished(&entry.file_name().to_string_lossy())?);
            }
        }
        models.sort_by(|a, b| (a.built_at, &a.id).cmp(&(b.built_at, &b.id)));
        Ok(models)
    }

    /// The model whose id begins so.
    ///
    /// # Errors
    /// There is none, or several.
    pub fn find(&self, id: &str) -> Result<Model> {
        let mut models = self.list()?;
        let ids: Vec<String> = models.iter().map(|model| model.id.clone()).collect();
        models.retain(|model| model.id.starts_with(id));
        match (models.pop(), models.is_empty()) {
            (Some(model), true) => Ok(model),
            (Some(_), false) => Err(ModelsError::Ambiguous { id: id.to_owned(), known: ids.join(", ") }),
            (None, _) if ids.is_empty() => Err(ModelsError::Empty),
            (None, _) => Err(ModelsError::Unknown { id: id.to_owned(), known: ids.join(", ") }),
        }
    }

    /// The model that serves.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn serving(&self) -> Result<Option<Model>> {
        let served = self.served()?;
        served.last().map(|id| self.read(id)).transpose()
    }

    /// A model as one side of a contest.
    ///
    /// # Errors
    /// Its snapshots are damaged.
    pub fn side<'m>(&self, model: &'m Model) -> Result<Side<'m>> {
        let snapshot = SnapshotSet::load(&self.dir.join(&model.id))?.open(WORLD)?;
        Ok(Side { recipe: &model.recipe, built: Some((snapshot, model.to)) })
    }

    /// Keeps a model. Its description is written last: what is half written is no model.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn add(&self, model: &Model, built: &SnapshotSet) -> Result<()> {
        let dir = self.dir.join(&model.id);
        built.save(&dir)?;
        replace_file(&dir.join("model.json"), &to_json(model)?)?;
        Ok(())
    }

    fn serve(&self, id: &str) -> Result<u64> {
        Ok(SnapshotSet::load(&self.dir.join(id))?.save(&self.snapshots)?)
    }

    /// Makes a model the one that serves; returns the bytes that changed in the snapshots directory.
    ///
    /// # Errors
    /// Its snapshots are damaged, or the directory cannot be written.
    pub fn promote(&self, id: &str) -> Result<u64> {
        let wrote = self.serve(id)?;
        let mut served = self.served()?;
        if served.last().is_none_or(|last| last != id) {
            served.push(id.to_owned());
            self.remember(&served)?;
        }
        Ok(wrote)
    }

    /// Makes the model that served before the present one serve again; returns its id.
    ///
    /// # Errors
    /// There is none, or its snapshots are damaged.
    pub fn roll_back(&self) -> Result<String> {
        let mut served = self.served()?;
        served.pop();
        let before = served.last().cloned().ok_or(ModelsError::NothingBefore)?;
        self.serve(&before)?;
        self.remember(&served)?;
        Ok(before)
    }

    /// Removes all but the newest `keep` models, the one that serves, and the one before it. Returns the ids of those
    /// that went.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn prune(&self, keep: usize) -> Result<Vec<String>> {
        let mut served = self.served()?;
        let mut models = self.list()?;
        models.truncate(models.len().saturating_sub(keep));
        models.retain(|model| !served.iter().rev().take(2).any(|id| *id == model.id));
        for model in &models {
            let dir = self.dir.join(&model.id);
            // Without its description first, so that a kill leaves no half of a model.
            std::fs::remove_file(dir.join("model.json"))
                .and_then(|()| std::fs::remove_dir_all(&dir))
                .map_err(ModelsError::file("remove", &dir))?;
        }
        let gone: Vec<String> = models.into_iter().map(|model| model.id).collect();
        served.retain(|id| !gone.contains(id));
        if !gone.is_empty() {
            self.remember(&served)?;
        }
        Ok(gone)
    }
}

fn from_json<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| ModelsError::Damaged { path: path.to_owned(), source })
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec_pretty(value).map_err(anyhow::Error::from)?)
}

/// Where two recipes differ: the place of a number, and its two values.
fn differences(a: &serde_json::Value, b: &serde_json::Value, place: &str, out: &mut Vec<String>) {
    use serde_json::Value::{Array, Null, Object};
    let mut under = |key: &str, a: Option<&serde_json::Value>, b: Option<&serde_json::Value>| {
        let place = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
        differences(a.unwrap_or(&Null), b.unwrap_or(&Null), &place, out);
    };
    match (a, b) {
        (Object(x), Object(y)) => {
            let added = y.keys().filter(|key| !x.contains_key(*key));
            x.keys().chain(added).for_each(|key| under(key, x.get(key), y.get(key)));
        }
        (Array(x), Array(y)) => {
            (0..x.len().max(y.len())).for_each(|at| under(&at.to_string(), x.get(at), y.get(at)));
        }
        _ if a != b => out.push(format!("{place}: {a} → {b}")),
        _ => {}
    }
}

/// Two models side by side.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// The two.
    pub models: [Model; 2],
    /// Where their recipes differ: the place of a number, and its two values.
    pub differences: Vec<String>,
    /// What they were judged on.
    pub how: &'static str,
    /// How far the second is ahead, by measure.
    pub ahead: Vec<String>,
}

/// Compares two models by their recipes and on the same held-out sessions; as long as two builds, where both have to
/// be learnt anew.
///
/// # Errors
/// There is no such model, one is damaged, or the log has nothing to judge by.
pub fn compare(registry: &Registry, store: &Store, a: &str, b: &str) -> Result<Compared> {
    let (a, b) = (registry.find(a)?, registry.find(b)?);
    let mut found = Vec::new();
    let [first, second] =
        [&a, &b].map(|model| serde_json::to_value(&model.recipe).map_err(anyhow::Error::from));
    differences(&first?, &second?, "", &mut found);
    let log = store.log()?;
    let outcome = holdout::compare_on_holdout(log, &registry.side(&b)?, Some(&registry.side(&a)?))?;
    let ahead = outcome.ahead.iter().flatten().map(ToString::to_string).collect();
    Ok(Compared { models: [a, b], differences: found, how: outcome.how, ahead })
}

/// Judges what was just built and says whether it is to be promoted, and why. It is promoted unless significantly worse
/// than the model that serves (95 % CI), and unjudged where the log is too short for a judgement. If judging fails,
/// nothing is promoted.
///
/// # Errors
/// The model that serves is damaged.
pub fn decide(
    registry: &Registry,
    log: Dataset,
    recipe: &Recipe,
) -> Result<(Option<Evaluation>, bool, String)> {
    let serving = registry.serving()?;
    let second = serving.as_ref().map(|model| registry.side(model)).transpose()?;
    let outcome = match holdout::compare_on_holdout(log, &Side { recipe, built: None }, second.as_ref()) {
        Ok(outcome) => outcome,
        Err(error @ ModelsError::TooFew { .. }) => {
            return Ok((None, true, format!("promoted unjudged: {error}")));
        }
        Err(error) => {
            let error = anyhow::Error::from(error);
            return Ok((None, false, format!("not promoted: judging failed: {error:#}")));
        }
    };
    let worse = outcome.is_worse();
    let why = match (outcome.ahead, &serving) {
        (Some([hr, mrr]), Some(serving)) => format!(
            "{}: {hr}, {mrr} from {}, {}",
            if worse { "not promoted, as it is worse beyond noise" } else { "promoted, as it is no worse" },
            serving.id,
            outcome.how
        ),
        _ => "promoted, as nothing serves yet".to_owned(),
    };
    Ok((Some(outcome.first), !worse, why))
}

#[cfg(test)]
mod tests;
