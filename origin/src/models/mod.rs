//! The model registry: each build is stored with its recipe and its evaluation, so that models can be compared, promoted
//! and rolled back.
//!
//! ```text
//! models/ID/model.json           description: recipe, evaluation, decision
//! models/ID/{blob,manifest}/…    snapshots, in the layout in which they are published
//! models/served.json             ids of promoted models in order of promotion; the last one is serving
//! ```
//! The snapshots directory has a copy of the serving model, which `verge publish` sends.
//!
//! May import: `build`, `evaluate`, `pack`, `store` and the crates below.

mod error;
pub mod holdout;

pub use error::{ModelsError, Result};

use crate::{
    pack::SnapshotSet,
    store::{Store, StoreError, snapshots_dir},
};
use holdout::{Contestant, Evaluation};
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

/// Most promotions in the history.
const MAX_PROMOTIONS: usize = 100;

/// The description of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// `YYYY-MM-DD-HASH`: the day of its newest event and a hash of its recipe and snapshots. Equal models have equal ids.
    pub id: String,
    /// When it was built.
    pub built_at: Timestamp,
    /// Version of Verge that built it.
    pub version: String,
    /// Time of its oldest training event.
    pub from: Timestamp,
    /// Time of its newest training event.
    pub to: Timestamp,
    /// Number of training events.
    pub events: usize,
    /// Number of items.
    pub items: usize,
    /// Its evaluation on held-out sessions; `None` if it was not evaluated.
    pub judged: Option<Evaluation>,
    /// Why it was promoted or not.
    pub decision: String,
    /// The recipe it was trained by.
    pub recipe: Recipe,
}

impl Model {
    /// Describes the snapshots that were built from `log` at `now`, without evaluation and decision.
    ///
    /// # Errors
    /// The recipe contains a number that is not finite.
    pub fn describe(built: &SnapshotSet, log: &Dataset, recipe: &Recipe, now: Timestamp) -> Result<Self> {
        let at = |event: Option<&origin_data::LogEvent>| event.map_or(Timestamp(0), |event| event.at);
        let (from, to) = (at(log.events.first()), at(log.events.last()));
        let manifests: Vec<u8> = built.manifests.iter().flat_map(|manifest| manifest.to_json()).collect();
        let hash =
            content_hash(&[recipe.to_toml().map_err(StoreError::from)?.as_bytes(), &manifests].concat());
        let day: String = to.to_string().chars().take(10).collect();
        Ok(Self {
            id: format!("{day}-{}", &hash[..8]),
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
    /// The registry of a data directory, which may be empty.
    pub fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("models"), snapshots: snapshots_dir(data_dir) }
    }

    /// The ids of promoted models, the serving one last.
    fn promotions(&self) -> Result<Vec<String>> {
        let path = self.dir.join("served.json");
        read_if_exists(&path)?.map_or_else(|| Ok(Vec::new()), |bytes| from_json(&path, &bytes))
    }

    fn save_promotions(&self, promotions: &[String]) -> Result<()> {
        let newest = &promotions[promotions.len().saturating_sub(MAX_PROMOTIONS)..];
        replace_file(&self.dir.join("served.json"), &to_json(newest)?)?;
        Ok(())
    }

    /// The description of a model; `None` if a build was killed before it wrote one.
    fn read_if_finished(&self, id: &str) -> Result<Option<Model>> {
        let path = self.dir.join(id).join("model.json");
        read_if_exists(&path)?.map(|bytes| from_json(&path, &bytes)).transpose()
    }

    fn read(&self, id: &str) -> Result<Model> {
        let path = self.dir.join(id).join("model.json");
        let missing = || ModelsError::file("read", &path)(std::io::ErrorKind::NotFound.into());
        self.read_if_finished(id)?.ok_or_else(missing)
    }

    /// All models, newest last.
    ///
    /// # Errors
    /// A description cannot be read; the text names the file.
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

    /// The model whose id begins with `id`.
    ///
    /// # Errors
    /// No model matches, or several do.
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

    /// The serving model; `None` before the first promotion.
    ///
    /// # Errors
    /// The history or the description cannot be read.
    pub fn serving(&self) -> Result<Option<Model>> {
        let promotions = self.promotions()?;
        promotions.last().map(|id| self.read(id)).transpose()
    }

    /// Opens a model for a comparison.
    ///
    /// # Errors
    /// Its snapshots are damaged.
    pub fn contestant<'m>(&self, model: &'m Model) -> Result<Contestant<'m>> {
        let snapshot = SnapshotSet::load(&self.dir.join(&model.id))?.open(WORLD)?;
        Ok(Contestant { recipe: &model.recipe, built: Some((snapshot, model.to)) })
    }

    /// Stores a model. The description is written last, so that an incomplete model is not listed.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn add(&self, model: &Model, built: &SnapshotSet) -> Result<()> {
        let dir = self.dir.join(&model.id);
        built.save(&dir)?;
        replace_file(&dir.join("model.json"), &to_json(model)?)?;
        Ok(())
    }

    /// Copies a model into the snapshots directory; returns the number of bytes written.
    fn copy_to_snapshots(&self, id: &str) -> Result<u64> {
        Ok(SnapshotSet::load(&self.dir.join(id))?.save(&self.snapshots)?)
    }

    /// Makes a model the serving one. Returns the number of bytes written to the snapshots directory.
    ///
    /// # Errors
    /// Its snapshots are damaged, or the directory cannot be written.
    pub fn promote(&self, id: &str) -> Result<u64> {
        let bytes = self.copy_to_snapshots(id)?;
        let mut promotions = self.promotions()?;
        if promotions.last().is_none_or(|last| last != id) {
            promotions.push(id.to_owned());
            self.save_promotions(&promotions)?;
        }
        Ok(bytes)
    }

    /// Makes the model that served before the current one the serving one again. Returns its id.
    ///
    /// # Errors
    /// There is no earlier model, or its snapshots are damaged.
    pub fn roll_back(&self) -> Result<String> {
        let mut promotions = self.promotions()?;
        promotions.pop();
        let previous = promotions.last().cloned().ok_or(ModelsError::NoPrevious)?;
        self.copy_to_snapshots(&previous)?;
        self.save_promotions(&promotions)?;
        Ok(previous)
    }

    /// Deletes all models but the newest `keep`, the serving one and the one before it. Returns the ids of the deleted
    /// ones.
    ///
    /// # Errors
    /// A file cannot be deleted.
    pub fn prune(&self, keep: usize) -> Result<Vec<String>> {
        let mut promotions = self.promotions()?;
        let mut models = self.list()?;
        models.truncate(models.len().saturating_sub(keep));
        models.retain(|model| !promotions.iter().rev().take(2).any(|id| *id == model.id));
        for model in &models {
            let dir = self.dir.join(&model.id);
            // The description goes first, so that a partly deleted model is not listed.
            std::fs::remove_file(dir.join("model.json"))
                .and_then(|()| std::fs::remove_dir_all(&dir))
                .map_err(ModelsError::file("remove", &dir))?;
        }
        let deleted: Vec<String> = models.into_iter().map(|model| model.id).collect();
        promotions.retain(|id| !deleted.contains(id));
        if !deleted.is_empty() {
            self.save_promotions(&promotions)?;
        }
        Ok(deleted)
    }
}

fn from_json<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| ModelsError::Damaged { path: path.to_owned(), source })
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec_pretty(value).map_err(anyhow::Error::from)?)
}

/// Appends a line `PATH: OLD → NEW` to `out` for each value that differs.
fn diff_json(a: &serde_json::Value, b: &serde_json::Value, path: &str, out: &mut Vec<String>) {
    use serde_json::Value::{Array, Null, Object};
    let mut descend = |key: &str, a: Option<&serde_json::Value>, b: Option<&serde_json::Value>| {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        diff_json(a.unwrap_or(&Null), b.unwrap_or(&Null), &path, out);
    };
    match (a, b) {
        (Object(x), Object(y)) => {
            let added = y.keys().filter(|key| !x.contains_key(*key));
            x.keys().chain(added).for_each(|key| descend(key, x.get(key), y.get(key)));
        }
        (Array(x), Array(y)) => {
            (0..x.len().max(y.len())).for_each(|at| descend(&at.to_string(), x.get(at), y.get(at)));
        }
        _ if a != b => out.push(format!("{path}: {a} → {b}")),
        _ => {}
    }
}

/// The comparison of two models. Its JSON is part of the API.
#[derive(Debug, Serialize)]
pub struct ModelComparison {
    /// The two models.
    pub models: [Model; 2],
    /// Differences of their recipes: `PATH: FIRST → SECOND`.
    #[serde(rename = "differences")]
    pub recipe_differences: Vec<String>,
    /// How both were evaluated.
    #[serde(rename = "how")]
    pub method: &'static str,
    /// Second minus first model, one text per metric.
    #[serde(rename = "ahead")]
    pub metric_differences: Vec<String>,
}

/// Compares two models by their recipes and on the same held-out sessions. Takes as long as two builds if both have to be
/// retrained.
///
/// # Errors
/// There is no such model, a model is damaged, or the held-out sessions are too few.
pub fn compare(registry: &Registry, store: &Store, a: &str, b: &str) -> Result<ModelComparison> {
    let (a, b) = (registry.find(a)?, registry.find(b)?);
    let mut recipe_differences = Vec::new();
    let [first, second] =
        [&a, &b].map(|model| serde_json::to_value(&model.recipe).map_err(anyhow::Error::from));
    diff_json(&first?, &second?, "", &mut recipe_differences);
    let log = store.log()?;
    let comparison =
        holdout::compare_on_holdout(log, &registry.contestant(&b)?, Some(&registry.contestant(&a)?))?;
    let metric_differences = comparison.differences.iter().flatten().map(ToString::to_string).collect();
    Ok(ModelComparison { models: [a, b], recipe_differences, method: comparison.method, metric_differences })
}

/// Whether a new model is promoted, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The new model's evaluation; `None` if it could not be evaluated.
    pub evaluation: Option<Evaluation>,
    /// Whether to promote it.
    pub promote: bool,
    /// The reason, as text.
    pub reason: String,
}

/// Evaluates a new model by its recipe and decides whether to promote it. It is promoted unless it is significantly worse
/// than the serving model (95 % CI), and without an evaluation if the log is too short for one. If the evaluation fails,
/// it is not promoted.
///
/// # Errors
/// The serving model is damaged.
pub fn judge_and_decide(registry: &Registry, log: Dataset, recipe: &Recipe) -> Result<Decision> {
    let serving = registry.serving()?;
    let second = serving.as_ref().map(|model| registry.contestant(model)).transpose()?;
    let first = Contestant { recipe, built: None };
    let comparison = match holdout::compare_on_holdout(log, &first, second.as_ref()) {
        Ok(comparison) => comparison,
        Err(error @ (ModelsError::TooFewPredictions { .. } | ModelsError::LogTooShort)) => {
            let reason = format!("promoted without evaluation: {error}");
            return Ok(Decision { evaluation: None, promote: true, reason });
        }
        Err(error) => {
            let reason = format!("not promoted: the evaluation failed: {:#}", anyhow::Error::from(error));
            return Ok(Decision { evaluation: None, promote: false, reason });
        }
    };
    let worse = comparison.is_worse();
    let reason = match (comparison.differences, &serving) {
        (Some([hr, mrr]), Some(serving)) => format!(
            "{} than {} (95 % CI): {hr}, {mrr}; {}",
            if worse { "not promoted: significantly worse" } else { "promoted: not significantly worse" },
            serving.id,
            comparison.method
        ),
        _ => "promoted: no model is serving yet".to_owned(),
    };
    Ok(Decision { evaluation: Some(comparison.first), promote: !worse, reason })
}

#[cfg(test)]
mod tests;
