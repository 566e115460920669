//! `/v1/admin/…`: status and operations for programs. [`super::page`] offers the same to people.

use crate::serve::http::{
    body,
    problem::{Problem, Result},
    query::{self, PathId},
};
use crate::serve::state::{
    feeds::Outcome,
    publishing::PublishingStatus,
    service::{Service, Shared},
};
use crate::store::{Store, recipe, releases, snapshots_dir};
use crate::{
    models::{self, Model, ModelComparison, ModelsError, Registry},
    pack::SnapshotSet,
    rules,
};
use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, Uri},
};
use origin_data::clock;
use origin_learn::{caps::Surge, config::Recipe};
use serde::{Deserialize, Serialize};
use snapshots::{
    event::{MAX_FIELD, is_printable},
    manifest::{Manifest, WORLD},
    rules::Rules,
    strategy::{self, Strategy},
    time::{DAY_MS, Timestamp},
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The most bytes of the rules.
const MAX_RULES: usize = 4 << 20;
/// The most bytes of the strategies.
const MAX_STRATEGIES: usize = 256 << 10;

/// The status of the service.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    /// Version of Verge.
    pub(crate) version: &'static str,
    /// When the service was started.
    pub(crate) started_at: Timestamp,
    /// Parts that cannot work, and why.
    pub(crate) unready: BTreeMap<&'static str, String>,
    /// Items in the catalogue.
    pub(crate) items: u64,
    /// Id of the serving model.
    pub(crate) model: Option<String>,
    /// Status of the publisher.
    pub(crate) publishing: PublishingStatus,
    /// The snapshots of the serving model, one for each region.
    pub(crate) regions: Vec<Region>,
    /// The last outcome of each feed.
    pub(crate) feeds: Vec<Outcome>,
    /// Public events that caps held back, since the beginning of the log.
    pub(crate) held: u64,
    /// Items that were held in the last day, the latest last.
    pub(crate) surges: Vec<Surge>,
}

/// The snapshot of a region.
#[derive(Debug, Serialize)]
pub(crate) struct Region {
    /// Its name.
    pub(crate) region: String,
    /// Version of the snapshot.
    pub(crate) version: String,
    /// Time of the newest event in it.
    pub(crate) built_at: Timestamp,
    /// Age of that event, in seconds.
    pub(crate) age_s: i64,
    /// Bytes that an isolate always holds.
    pub(crate) bytes: u64,
    /// Bytes in shards, which an isolate loads on demand.
    pub(crate) shard_bytes: u64,
    /// The countries that belong to it; empty for the world, which includes all.
    pub(crate) areas: Vec<String>,
}

/// The regions of the serving model; none before the first build.
fn regions_of(data_dir: &Path) -> anyhow::Result<Vec<Region>> {
    let manifests = SnapshotSet::manifests_if_built(&snapshots_dir(data_dir))?.unwrap_or_default();
    let world = manifests.iter().find(|manifest| manifest.region == WORLD);
    let region_of_area = world.map(|world| world.regions.clone()).unwrap_or_default();
    let region = |manifest: Manifest| {
        let shards = manifest.blobs.iter().filter(|blob| blob.rows.is_some());
        let areas = region_of_area.iter().filter(|(_, region)| **region == manifest.region);
        Region {
            age_s: (clock::now().0 - manifest.built_at.0) / 1000,
            bytes: manifest.resident().map(|blob| blob.bytes).sum(),
            shard_bytes: shards.map(|blob| blob.bytes).sum(),
            areas: areas.map(|(area, _)| area.clone()).collect(),
            version: manifest.version,
            built_at: manifest.built_at,
            region: manifest.region,
        }
    };
    Ok(manifests.into_iter().map(region).collect())
}

/// Reads the regions of the serving model.
///
/// # Errors
/// 500 if a manifest is damaged.
pub(crate) async fn read_regions(service: &Shared) -> Result<Vec<Region>> {
    let reader = Arc::clone(service);
    let regions = service.blocking(move || regions_of(&reader.config.data_dir)).await;
    regions.map_err(|error| Problem::damaged(&error))
}

/// Reads the models, the newest last, and the id of the serving one.
///
/// # Errors
/// 500 if the description of a model is damaged.
pub(crate) async fn read_models(service: &Shared) -> Result<Models> {
    let reader = Arc::clone(service);
    let models = service
        .blocking(move || {
            let registry = Registry::new(&reader.config.data_dir);
            let serving = registry.serving()?.map(|model| model.id);
            anyhow::Ok(Models { models: registry.list()?, serving })
        })
        .await;
    models.map_err(|error| Problem::damaged(&error))
}

/// The status, with these regions.
///
/// # Errors
/// The store or a model cannot be read.
pub(crate) async fn read_status(service: &Shared, regions: Vec<Region>) -> Result<Status> {
    let items = service.with_store(|store| store.count_items()).await?;
    let since = clock::now().0 - DAY_MS;
    let (held, surges) = {
        let tables = service.tables.lock();
        let recent = tables.caps.surges().iter().filter(|surge| surge.to.0 > since);
        (tables.caps.held(), recent.cloned().collect())
    };
    Ok(Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: service.started_at,
        unready: service.unready(),
        items,
        model: read_models(service).await?.serving,
        publishing: service.publishing.status(),
        regions,
        feeds: service.feeds.outcomes(),
        held,
        surges,
    })
}

/// `GET /v1/admin/status`.
///
/// # Errors
/// The store, a model or a snapshot cannot be read.
pub(crate) async fn status(State(service): State<Shared>) -> Result<Json<Status>> {
    let regions = read_regions(&service).await?;
    read_status(&service, regions).await.map(Json)
}

/// `GET /v1/admin/regions`.
///
/// # Errors
/// 500 if a snapshot is damaged.
pub(crate) async fn regions(State(service): State<Shared>) -> Result<Json<Vec<Region>>> {
    read_regions(&service).await.map(Json)
}

/// The strategies of the serving model; `None` before the first build.
fn serving_strategies(data_dir: &Path) -> anyhow::Result<Option<Vec<Strategy>>> {
    let built = SnapshotSet::load_if_built(&snapshots_dir(data_dir))?;
    built.map(|built| Ok(built.open(WORLD)?.strategies)).transpose()
}

/// `GET /v1/admin/strategies`: those of the serving model.
///
/// # Errors
/// 404 before the first build; 500 if the snapshot is damaged.
pub(crate) async fn strategies(State(service): State<Shared>) -> Result<Json<Vec<Strategy>>> {
    let reader = Arc::clone(&service);
    let strategies = service.blocking(move || serving_strategies(&reader.config.data_dir)).await;
    match strategies.map_err(|error| Problem::damaged(&error))? {
        Some(strategies) => Ok(Json(strategies)),
        None => Err(Problem::not_found("path", "No model was built yet; run `verge build`.")),
    }
}

/// `PUT /v1/admin/strategies`: sets the strategies of the next model in recipe.toml in the data directory; `[]` restores the
/// defaults.
///
/// # Errors
/// 400 that names the field.
pub(crate) async fn set_strategies(State(service): State<Shared>, request: Request) -> Result<StatusCode> {
    let strategies: Vec<Strategy> = body::read_json(&service, request, MAX_STRATEGIES).await?;
    strategy::write(&strategies).map_err(|error| Problem::bad_request("body", error.to_string()))?;
    for (place, strategy) in strategies.iter().enumerate() {
        let is_taken = strategies.iter().take(place).any(|other| other.name == strategy.name);
        if is_taken || !is_printable(&strategy.name, MAX_FIELD) {
            let detail = format!("expected 1 to {MAX_FIELD} printable bytes, unique among the strategies");
            return Err(Problem::bad_request(&format!("[{place}].name"), detail));
        }
    }
    let dir = service.config.data_dir.clone();
    service.blocking(move || recipe::save(&Recipe { strategies, ..recipe::load(&dir)? }, &dir)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/admin/rules`: the rules document.
///
/// # Errors
/// 500 if the document in the data directory is invalid.
pub(crate) async fn rules(State(service): State<Shared>) -> Result<Json<Rules>> {
    let reader = Arc::clone(&service);
    let rules = service.blocking(move || rules::load(&reader.config.data_dir)).await;
    rules.map(Json).map_err(|error| Problem::damaged(&error))
}

/// `PUT /v1/admin/rules`: sets the rules document, which is published within seconds.
///
/// # Errors
/// 400 that names the field; 500 if the snapshot, whose strategies the rules may name, is damaged.
pub(crate) async fn set_rules(State(service): State<Shared>, request: Request) -> Result<StatusCode> {
    let document: Rules = body::read_json(&service, request, MAX_RULES).await?;
    let writer = Arc::clone(&service);
    service
        .blocking(move || {
            let data_dir = &writer.config.data_dir;
            let names = rules::strategy_names(data_dir).map_err(|error| Problem::damaged(&error))?;
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            document.check(&names).map_err(|error| {
                Problem::bad_request(&error.field, format!("'{}': {}", error.name, error.detail))
            })?;
            rules::save(&document, data_dir).map_err(Problem::from)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/admin/publish`: publishes now. `GET /v1/admin/status` shows the outcome.
///
/// # Errors
/// 409 if no destination is configured.
pub(crate) async fn publish(State(service): State<Shared>) -> Result<StatusCode> {
    request_publish(&service)?;
    Ok(StatusCode::ACCEPTED)
}

/// Requests a publish from the publisher.
///
/// # Errors
/// 409 if no destination is configured.
pub(crate) fn request_publish(service: &Service) -> Result<()> {
    if service.config.serve.publish_to.is_none() {
        return Err(Problem::conflict(
            "No destination is configured; set `publish_to` under [serve] in verge.toml, or VERGE_PUBLISH_TO.",
        ));
    }
    service.publishing.publish_requested.notify_one();
    Ok(())
}

/// `POST /v1/admin/learn`: learns a model now. `GET /v1/admin/status` shows the outcome.
pub(crate) async fn learn(State(service): State<Shared>) -> StatusCode {
    service.publishing.learn_requested.notify_one();
    StatusCode::ACCEPTED
}

/// `POST /v1/admin/surges/{id}/release`: the item is not held for a week, and what was held since yesterday counts within
/// seconds.
///
/// # Errors
/// 500 if the releases cannot be read or written.
pub(crate) async fn release_surge(State(service): State<Shared>, PathId(item): PathId) -> Result<StatusCode> {
    release_item(&service, item).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Releases an item.
///
/// # Errors
/// As for [`release_surge`].
pub(crate) async fn release_item(service: &Shared, item: String) -> Result<()> {
    // With the store, so that two releases do not overwrite each other.
    let writer = Arc::clone(service);
    service
        .with_store(move |_| releases::release(&writer.config.data_dir, &item, clock::now()))
        .await
        .map_err(|error| Problem::damaged(&anyhow::Error::from(error)))
}

/// The models, and which of them serves.
#[derive(Debug, Serialize)]
pub(crate) struct Models {
    /// The models, the newest last.
    pub(crate) models: Vec<Model>,
    /// Id of the serving model.
    pub(crate) serving: Option<String>,
}

/// `GET /v1/admin/models`.
///
/// # Errors
/// 500 if the description of a model is damaged.
pub(crate) async fn models(State(service): State<Shared>) -> Result<Json<Models>> {
    read_models(&service).await.map(Json)
}

/// Answers an error of the registry: with `unknown` if no model, or several, match the id that was sent.
fn registry_problem(error: ModelsError, unknown: impl FnOnce(String) -> Problem) -> Problem {
    match error {
        ModelsError::Empty | ModelsError::Unknown { .. } | ModelsError::Ambiguous { .. } => {
            unknown(error.to_string())
        }
        error => Problem::damaged(&error.into()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CompareQuery {
    a: String,
    b: String,
}

/// `GET /v1/admin/models/compare?a=…&b=…`: takes as long as two builds if both have to be learned again.
///
/// # Errors
/// 400 that names the parameter; 409 while another comparison runs, or if the log has too few sessions to compare on.
pub(crate) async fn compare(State(service): State<Shared>, uri: Uri) -> Result<Json<ModelComparison>> {
    let CompareQuery { a, b } = query::read(&uri)?;
    let Ok(permit) = Arc::clone(&service.comparing).try_acquire_owned() else {
        return Err(Problem::conflict("Another comparison is running; try again when it is finished."));
    };
    let reader = Arc::clone(&service);
    service
        .blocking(move || {
            let _permit = permit;
            let registry = Registry::new(&reader.config.data_dir);
            for (field, id) in [("a", &a), ("b", &b)] {
                let unknown = |detail: String| Problem::not_found(field, detail);
                registry.find(id).map_err(|error| registry_problem(error, unknown))?;
            }
            let store = Store::open(&reader.config.data_dir)?;
            match models::compare(&registry, &store, &a, &b) {
                Ok(compared) => Ok(Json(compared)),
                Err(error @ (ModelsError::TooFewPredictions { .. } | ModelsError::LogTooShort)) => {
                    Err(Problem::conflict(error.to_string()))
                }
                Err(error) => Err(Problem::damaged(&error.into())),
            }
        })
        .await
}

/// `POST /v1/admin/models/{id}/promote`: the model serves, and is published if a destination is configured.
///
/// # Errors
/// 404 if no model, or several, match the id; 500 if the model is damaged.
pub(crate) async fn promote(State(service): State<Shared>, PathId(id): PathId) -> Result<Json<Serving>> {
    promote_model(&service, id).await.map(Json)
}

/// `POST /v1/admin/rollback`: the previous model serves again, and is published if a destination is configured.
///
/// # Errors
/// 409 if there is no previous model; 500 if it is damaged.
pub(crate) async fn roll_back(State(service): State<Shared>) -> Result<Json<Serving>> {
    roll_back_model(&service).await.map(Json)
}

/// The model that serves now.
#[derive(Debug, Serialize)]
pub(crate) struct Serving {
    /// Its id.
    pub(crate) serving: String,
}

/// Promotes a model and requests a publish.
///
/// # Errors
/// As for [`promote`].
pub(crate) async fn promote_model(service: &Shared, id: String) -> Result<Serving> {
    let not_found = |detail| Problem::not_found("id", detail);
    switch_model(service, move |registry| {
        let model = registry.find(&id).map_err(|error| registry_problem(error, not_found))?;
        registry.promote(&model.id).map_err(|error| registry_problem(error, not_found))?;
        Ok(model.id)
    })
    .await
}

/// Rolls back to the previous model and requests a publish.
///
/// # Errors
/// As for [`roll_back`].
pub(crate) async fn roll_back_model(service: &Shared) -> Result<Serving> {
    switch_model(service, |registry| match registry.roll_back() {
        Err(error @ ModelsError::NoPrevious) => Err(Problem::conflict(error.to_string())),
        outcome => outcome.map_err(|error| Problem::damaged(&error.into())),
    })
    .await
}

async fn switch_model(
    service: &Shared,
    switch: impl FnOnce(&Registry) -> Result<String> + Send + 'static,
) -> Result<Serving> {
    let writer = Arc::clone(service);
    let serving = service.blocking(move || switch(&Registry::new(&writer.config.data_dir))).await?;
    tracing::info!(model = serving, "promoted");
    if service.config.serve.publish_to.is_some() {
        service.publishing.publish_requested.notify_one();
    }
    Ok(Serving { serving })
}
