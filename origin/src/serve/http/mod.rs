//! HTTP: routes, handlers, middleware and the operators' page.
//!
//! A request passes [`connections`] → [`observe`] → [`head`] → [`auth`] → [`audit`] → its handler. Handlers read bodies with [`body`] and answer
//! errors with a [`problem::Problem`]. Blocking work (SQLite, files) runs in `Service::blocking`.
//!
//! May import: `jobs`, `state`, and the layers below `serve`.

mod admin;
mod audit;
mod auth;
mod body;
pub(crate) mod connections;
mod edge;
mod events;
mod feeds;
mod head;
mod health;
mod items;
mod metrics;
mod observe;
mod page;
mod problem;
mod query;
mod visitors;

use crate::serve::state::service::Shared;
use crate::store::Role;
use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::{from_fn, from_fn_with_state, map_response},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use problem::Problem;

/// All routes, each with the role that it requires.
pub(crate) fn router(service: &Shared) -> Router {
    let open = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(openapi));
    let events =
        Router::new().route("/v1/events", post(events::ingest)).route("/v1/metrics/edge", post(edge::report));
    let metrics = Router::new().route("/metrics", get(metrics::show));
    let item = get(items::show).put(items::put).patch(items::patch).delete(items::delete);
    let catalogue = Router::new().route("/v1/items/{id}", item).route("/v1/feeds", post(feeds::upload));
    let admin = Router::new()
        .route("/v1/admin/status", get(admin::status))
        .route("/v1/admin/regions", get(admin::regions))
        .route("/v1/admin/strategies", get(admin::strategies).put(admin::set_strategies))
        .route("/v1/admin/rules", get(admin::rules).put(admin::set_rules))
        .route("/v1/admin/publish", post(admin::publish))
        .route("/v1/admin/learn", post(admin::learn))
        .route("/v1/admin/rollback", post(admin::roll_back))
        .route("/v1/admin/surges/{id}/release", post(admin::release_surge))
        .route("/v1/admin/models", get(admin::models))
        .route("/v1/admin/models/compare", get(admin::compare))
        .route("/v1/admin/models/{id}/promote", post(admin::promote))
        .route("/v1/visitors/{id}", get(visitors::export).delete(visitors::erase));
    let audited = |role, routes: Router<Shared>| {
        (role, routes.route_layer(from_fn_with_state((service.clone(), role), audit::record)))
    };
    let guarded = [
        (Role::Events, events),
        audited(Role::Catalogue, catalogue),
        (Role::Metrics, metrics),
        audited(Role::Admin, admin),
    ];
    let all = guarded.into_iter().fold(open, |all, (role, routes)| {
        all.merge(routes.route_layer(from_fn_with_state((service.clone(), role), auth::require)))
    });
    all.merge(page::routes())
        .fallback(|| async { Problem::not_found("path", "There is no such address.") })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(from_fn(head::check))
        .layer(from_fn_with_state(service.clone(), observe::observe))
        .layer(map_response(no_sniffing))
        .with_state(service.clone())
}

/// `GET /openapi.json`. The file is written by hand, as the contract that clients are generated from: tests hold the
/// routes, methods and roles of the service to it, and `cargo xtask test` runs schemathesis against it. Generating it
/// (`utoipa`, `aide`) would need a schema annotation on every type, also those of `snapshots`, and handlers that take
/// extractors in place of [`body`], which bounds memory and names the invalid field.
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../../../openapi.json"))
}

async fn no_sniffing(mut response: Response) -> Response {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
