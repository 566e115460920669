//! `/v1/items/{id}`: one item of the catalogue. What changes here is in the tables' attributes with the next publish,
//! which [`super::state::Service::catalogue`] asks for.

use crate::catalogue::{FIELDS, from_json};
use crate::serve::{
    body,
    problem::{Problem, Result},
    query::PathId,
    state::Shared,
};
use axum::{Json, extract::Request, extract::State, http::StatusCode};
use origin_data::Item;
use serde_json::{Map, Value};

/// The most bytes of an item's JSON.
const MAX_BODY: usize = 64 << 10;

fn unknown() -> Problem {
    Problem::not_found("id", "The catalogue holds no item of this id.")
}

/// `GET`.
///
/// # Errors
/// 404 when the catalogue does not hold it.
pub async fn show(State(service): State<Shared>, PathId(id): PathId) -> Result<Json<Item>> {
    service.with_store(move |store| store.item(&id)).await?.map(Json).ok_or_else(unknown)
}

/// `PUT`: the item is what is sent, and nothing else.
///
/// # Errors
/// 400 that names the field.
pub async fn put(
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

/// `PATCH`: the fields that are sent change, those sent as null are forgotten (RFC 7396).
///
/// # Errors
/// 404 when the catalogue does not hold it, 400 that names the field.
pub async fn patch(
    State(service): State<Shared>,
    PathId(id): PathId,
    request: Request,
) -> Result<Json<Item>> {
    let sent: Map<String, Value> = body::read_json(&service, request, MAX_BODY).await?;
    let patched = service
        .change_catalogue(move |change| {
            let Some(old) = change.item(&id)? else { return Ok(Err(unknown())) };
            let Value::Object(mut fields) = serde_json::to_value(old)? else { return Ok(Err(unknown())) };
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

/// `DELETE`: the item is recommended no more, and nothing is kept of it but its id, which the log still names.
///
/// # Errors
/// None of its own.
pub async fn delete(State(service): State<Shared>, PathId(id): PathId) -> Result<StatusCode> {
    service.change_catalogue(move |change| change.remove(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The item that a body describes, which may leave out the id that the path names.
fn with_id(mut fields: Map<String, Value>, id: &str) -> Result<Item> {
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let detail = format!("There is no such field; an item has {}.", FIELDS.join(", "));
        return Err(Problem::bad_request(unknown, detail));
    }
    if *fields.entry("id").or_insert_with(|| id.into()) != id {
        return Err(Problem::bad_request("id", "The body names another item than the path."));
    }
    from_json(fields).map_err(|wrong| {
        Problem::bad_request(if wrong.field.is_empty() { "body" } else { &wrong.field }, wrong.error)
    })
}
