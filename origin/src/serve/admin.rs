//! `/v1/admin/…`: what operators look at and do, for programs. [`super::page`] shows the same to people.

use crate::serve::{
    body,
    feeds::Outcome,
    problem::{Problem, Result},
    query::{self, PathId},
    state::{Service, Shared},
};
use crate::store::{Store, recipe, snapshots_dir};
use crate::{
    models::{self, Compared, Model, Registry},
    pack::SnapshotSet,
    rules,
};
use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, Uri},
};
use origin_learn::config::Recipe;
use serde::{Deserialize, Serialize};
use snapshots::{
    event::{MAX_FIELD, is_printable},
    manifest::{Manifest, WORLD},
    rules::Rules,
    strategy::{self, Strategy},
    time::Timestamp,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most bytes of the rules.
const MAX_RULES: usize = 4 << 20;
/// The most bytes of the strategies.
const MAX_BODY: usize = 256 << 10;

/// How the service does.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Version of Verge.
    pub version: &'static str,
    /// When the service was started.
    pub started_at: Timestamp,
    /// Parts that cannot do their work, and why.
    pub unready: BTreeMap<&'static str, String>,
    /// Items in the catalogue.
    pub items: u64,
    /// The model that serves.
    pub model: Option<String>,
    /// How publishing goes.
    pub publishing: super::publisher::Status,
    /// The snapshots that `verge build` made, a region each.
    pub regions: Vec<Region>,
    /// How each feed went the last time that it was taken.
    pub feeds: Vec<Outcome>,
}

/// A region's snapshot.
#[derive(Debug, Serialize)]
pub struct Region {
    /// Its name.
    pub region: String,
    /// Version of the snapshot.
    pub version: String,
    /// Time of the newest event in it.
    pub built_at: Timestamp,
    /// Seconds since then.
    pub age_s: i64,
    /// Bytes that an isolate holds.
    pub bytes: u64,
    /// Bytes that it reads when they are needed.
    pub shard_bytes: u64,
    /// The areas that it takes in; none of the world, which takes in all.
    pub areas: Vec<String>,
}

/// The time.
pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// The regions that are built; none before the first build.
pub fn regions_of(service: &Service) -> Vec<Region> {
    let manifests = SnapshotSet::manifests(&snapshots_dir(&service.config.data_dir)).unwrap_or_default();
    let of_area =
        manifests.iter().find(|manifest| manifest.region == WORLD).map(|world| world.regions.clone());
    let of_area = of_area.unwrap_or_default();
    let region = |manifest: Manifest| {
        let shards = manifest.blobs.iter().filter(|blob| blob.rows.is_some());
        let areas = of_area.iter().filter(|(_, region)| **region == manifest.region);
        Region {
            age_s: (now().0 - manifest.built_at.0) / 1000,
            bytes: manifest.resident().map(|blob| blob.bytes).sum(),
            shard_bytes: shards.map(|blob| blob.bytes).sum(),
            areas: areas.map(|(area, _)| area.clone()).collect(),
            version: manifest.version,
            built_at: manifest.built_at,
            region: manifest.region,
        }
    };
    manifests.into_iter().map(region).collect()
}

/// The models, the newest last, and the id of the one that serves.
///
/// # Errors
/// One cannot be read.
pub fn models_of(service: &Service) -> anyhow::Result<(Vec<Model>, Option<String>)> {
    let registry = Registry::new(&service.config.data_dir);
    Ok((registry.list()?, registry.serving()?.map(|model| model.id)))
}

/// `GET /v1/admin/status`.
///
/// # Errors
/// The store or a model cannot be read.
pub async fn status(State(service): State<Shared>) -> Result<Json<Status>> {
    let items = service.with_store(|store| store.count_items()).await?;
    let reader = Arc::clone(&service);
    let work = move || anyhow::Ok((regions_of(&reader), models_of(&reader)?.1));
    let (regions, model) = service.blocking(work).await?;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: service.started_at,
        unready: service.unready(),
        items,
        model,
        publishing: service.publishing.status(),
        regions,
        feeds: service.feeds.all(),
    }))
}

/// `GET /v1/admin/regions`.
///
/// # Errors
/// None of its own.
pub async fn regions(State(service): State<Shared>) -> Result<Json<Vec<Region>>> {
    let reader = Arc::clone(&service);
    service.blocking(move || anyhow::Ok(Json(regions_of(&reader)))).await
}

/// `GET /v1/admin/strategies`: those of the snapshots that serve.
///
/// # Errors
/// 404 before the first build.
pub async fn strategies(State(service): State<Shared>) -> Result<Json<Vec<Strategy>>> {
    let dir = snapshots_dir(&service.config.data_dir);
    service
        .blocking(move || match SnapshotSet::load(&dir).and_then(|built| built.open(WORLD)) {
            Ok(snapshot) => Ok(Json(snapshot.strategies)),
            Err(_) => Err(Problem::not_found("path", "Nothing was built yet; `verge build` does.")),
        })
        .await
}

/// `PUT /v1/admin/strategies`: what the next learning gives the snapshots; `[]` for the defaults. They are kept in
/// recipe.toml in the data directory.
///
/// # Errors
/// 400 that names the field.
pub async fn set_strategies(State(service): State<Shared>, request: Request) -> Result<StatusCode> {
    let strategies: Vec<Strategy> = body::read_json(&service, request, MAX_BODY).await?;
    strategy::write(&strategies).map_err(|error| Problem::bad_request("body", error.to_string()))?;
    for (place, strategy) in strategies.iter().enumerate() {
        let taken = strategies.iter().take(place).any(|other| other.name == strategy.name);
        if taken || !is_printable(&strategy.name, MAX_FIELD) {
            let expected = format!("expected 1 to {MAX_FIELD} printable bytes that no strategy before has");
            return Err(Problem::bad_request(&format!("[{place}].name"), expected));
        }
    }
    let dir = service.config.data_dir.clone();
    service.blocking(move || recipe::save(&Recipe { strategies, ..recipe::load(&dir)? }, &dir)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/admin/rules`: what the merchandiser decided.
///
/// # Errors
/// The document in the data directory makes no sense.
pub async fn rules(State(service): State<Shared>) -> Result<Json<Rules>> {
    let reader = Arc::clone(&service);
    service.blocking(move || rules::load(&reader.config.data_dir).map(Json)).await
}

/// `PUT /v1/admin/rules`: counts from the next publishing on, which is within seconds.
///
/// # Errors
/// 400 that names the field.
pub async fn set_rules(State(service): State<Shared>, request: Request) -> Result<StatusCode> {
    let document: Rules = body::read_json(&service, request, MAX_RULES).await?;
    let writer = Arc::clone(&service);
    service
        .blocking(move || {
            let learnt = rules::strategy_names(&writer.config.data_dir);
            let learnt: Vec<&str> = learnt.iter().map(|name| &**name).collect();
            document.check(&learnt).map_err(|error| {
                Problem::bad_request(&error.field, format!("'{}': {}", error.name, error.detail))
            })?;
            rules::save(&document, &writer.config.data_dir).map_err(Problem::from)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/admin/publish`: at once, not when it is due. `GET /v1/admin/status` tells how it went.
///
/// # Errors
/// 409 when there is nowhere to publish to.
pub async fn publish(State(service): State<Shared>) -> Result<StatusCode> {
    publish_now(&service)?;
    Ok(StatusCode::ACCEPTED)
}

/// Asks the publisher to publish at once.
///
/// # Errors
/// 409 when there is nowhere to publish to.
pub fn publish_now(service: &Service) -> Result<()> {
    if service.config.serve.publish_to.is_none() {
        return Err(Problem::conflict(
            "The service publishes nowhere; set `publish_to` under [serve] in verge.toml, or VERGE_PUBLISH_TO.",
        ));
    }
    service.publishing.now.notify_one();
    Ok(())
}

/// `POST /v1/admin/learn`: at once, not when it is due. `GET /v1/admin/status` tells how it went.
pub async fn learn(State(service): State<Shared>) -> StatusCode {
    service.publishing.learn.notify_one();
    StatusCode::ACCEPTED
}

/// The models, and which one serves.
#[derive(Debug, Serialize)]
pub struct Models {
    /// The newest last.
    models: Vec<Model>,
    /// The id of the one that serves.
    serving: Option<String>,
}

/// `GET /v1/admin/models`.
///
/// # Errors
/// One cannot be read.
pub async fn models(State(service): State<Shared>) -> Result<Json<Models>> {
    let reader = Arc::clone(&service);
    let (models, serving) = service.blocking(move || models_of(&reader)).await?;
    Ok(Json(Models { models, serving }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    a: String,
    b: String,
}

/// `GET /v1/admin/models/compare?a=…&b=…`: takes as long as two builds where both have to be learnt anew.
///
/// # Errors
/// 400 that names the parameter; 409 while another comparison runs, or when there is nothing to judge by.
pub async fn compare(State(service): State<Shared>, uri: Uri) -> Result<Json<Compared>> {
    let Pair { a, b } = query::read(&uri)?;
    let Ok(alone) = Arc::clone(&service.comparing).try_acquire_owned() else {
        return Err(Problem::conflict("Two models are being compared already; try again when they are."));
    };
    let reader = Arc::clone(&service);
    service
        .blocking(move || {
            let _alone = alone;
            let registry = Registry::new(&reader.config.data_dir);
            for (field, id) in [("a", &a), ("b", &b)] {
                registry.find(id).map_err(|error| Problem::bad_request(field, error.to_string()))?;
            }
            let compared = Store::open(&reader.config.data_dir)
                .and_then(|store| models::compare(&registry, &store, &a, &b));
            compared.map(Json).map_err(|error| Problem::conflict(format!("{error:#}")))
        })
        .await
}

/// `POST /v1/admin/models/{id}/promote`: the model serves, and is published if there is anywhere to publish to.
///
/// # Errors
/// 404 when there is no such model.
pub async fn promote(State(service): State<Shared>, PathId(id): PathId) -> Result<Json<Serves>> {
    serve_model(&service, Some(id)).await.map(Json)
}

/// `POST /v1/admin/rollback`: the model before the present one serves again, and is published.
///
/// # Errors
/// 409 when there was none.
pub async fn roll_back(State(service): State<Shared>) -> Result<Json<Serves>> {
    serve_model(&service, None).await.map(Json)
}

/// What serves now.
#[derive(Debug, Serialize)]
pub struct Serves {
    /// The model's id.
    pub serving: String,
}

/// Promotes a model, or goes back to the one before, and publishes it.
///
/// # Errors
/// As for [`promote`] and [`roll_back`].
pub async fn serve_model(service: &Shared, id: Option<String>) -> Result<Serves> {
    let writer = Arc::clone(service);
    let serving = service
        .blocking(move || {
            let registry = Registry::new(&writer.config.data_dir);
            match id {
                Some(id) => {
                    let found =
                        registry.find(&id).map_err(|error| Problem::not_found("id", error.to_string()))?;
                    registry.promote(&found.id)?;
                    Ok(found.id)
                }
                None => registry.roll_back().map_err(|error| Problem::conflict(error.to_string())),
            }
        })
        .await?;
    tracing::info!(model = serving, "promoted");
    if service.config.serve.publish_to.is_some() {
        service.publishing.now.notify_one();
    }
    Ok(Serves { serving })
}
