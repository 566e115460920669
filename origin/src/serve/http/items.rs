//! `/v1/items/{id}`: one item of the catalogue. A change notifies the publisher and is in the snapshots within seconds.

use crate::catalogue::{FIELDS, from_json};
use crate::serve::http::{
    body,
    problem::{Problem, Result},
    query::PathId,
};
use crate::serve::state::service::Shared;
use axum::{Json, extract::Request, extract::State, http::StatusCode};
use origin_data::Item;
use serde_json::{Map, Value};

/// The most bytes of an item's JSON.
const MAX_BODY: usize = 64 << 10;

fn unknown_item() -> Problem {
    Problem::not_found("id", "The catalogue has no item with this id.")
}

/// `GET`.
///
/// # Errors
/// 404 if the catalogue does not contain it.
pub(crate) async fn show(State(service): State<Shared>, PathId(id): PathId) -> Result<Json<Item>> {
    service.with_store(move |store| store.item(&id)).await?.map(Json).ok_or_else(unknown_item)
}

/// `PUT`: replaces the whole item, or creates it.
///
/// # Errors
/// 400 that names the field.
pub(crate) async fn put(
    State(service): State<Shared>,
    PathId(id): PathId,
    request: Request,
) -> Result<(StatusCode, Json<Item>)> {
    let sent = body::read_json(&service, request, MAX_BODY).await?;
    let item = with_id(sent, &id)?;
    let stored = item.clone();
    let is_new = service
        .change_catalogue(move |change| {
            change.curate()?;
            change.replace(&stored)
        })
        .await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(item)))
}

/// `PATCH`: changes the fields in the body; null removes a field (RFC 7396).
///
/// # Errors
/// 404 if the catalogue does not contain the item, 400 that names the field.
pub(crate) async fn patch(
    State(service): State<Shared>,
    PathId(id): PathId,
    request: Request,
) -> Result<Json<Item>> {
    let sent: Map<String, Value> = body::read_json(&service, request, MAX_BODY).await?;
    let patched = service
        .change_catalogue(move |change| {
            let Some(old) = change.item(&id)? else { return Ok(Err(unknown_item())) };
            let Ok(Value::Object(mut fields)) = serde_json::to_value(old) else {
                return Ok(Err(unknown_item()));
            };
            for (name, value) in sent {
                match value {
                    Value::Null if FIELDS.contains(&name.as_str()) => fields.remove(&name),
                    value => fields.insert(name, value),
                };
            }
            let item = with_id(fields, &id);
            if let Ok(item) = &item {
                change.replace(item)?;
            }
            Ok(item)
        })
        .await?;
    patched.map(Json)
}

/// `DELETE`: the item is no longer recommended. Only its id is kept, because the log refers to it.
///
/// # Errors
/// The store cannot be written.
pub(crate) async fn delete(State(service): State<Shared>, PathId(id): PathId) -> Result<StatusCode> {
    service.change_catalogue(move |change| change.remove(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The item in a body, which may omit the id, since the path has it.
fn with_id(mut fields: Map<String, Value>, id: &str) -> Result<Item> {
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let detail = format!("Unknown field; the fields of an item are {}.", FIELDS.join(", "));
        return Err(Problem::bad_request(unknown, detail));
    }
    if *fields.entry("id").or_insert_with(|| id.into()) != id {
        return Err(Problem::bad_request("id", "The id in the body differs from the id in the path."));
    }
    from_json(fields).map_err(|wrong| {
        Problem::bad_request(if wrong.field.is_empty() { "body" } else { &wrong.field }, wrong.error)
    })
}
