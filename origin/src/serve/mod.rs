//! `verge serve`: the origin as a service that a shop leaves running.
//!
//! A request passes [`connections`] → [`metrics::observe`] → [`auth::require`] → its handler. Handlers read
//! bodies by [`body`] and answer a [`problem::Problem`] on error. What blocks (SQLite, learning, publishing) runs
//! by [`state::Service::blocking`].

pub mod admin;
pub mod auth;
pub mod body;
pub mod connections;
pub mod edge;
pub mod events;
pub mod feeds;
pub mod health;
pub mod history;
pub mod items;
pub mod limit;
pub mod metrics;
pub mod page;
pub mod problem;
pub mod publisher;
pub mod query;
pub mod state;
pub mod tables;
pub mod traces;
pub mod visitors;

use crate::store::Role;
use anyhow::{Context, Result};
use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::{from_fn_with_state, map_response},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use problem::Problem;
use state::Shared;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How soon changes of keys and catalogue by other commands are taken over.
const REFRESH: Duration = Duration::from_secs(1);

/// Every address, and the role that it takes.
pub fn router(service: &Shared) -> Router {
    let open = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(openapi));
    let events =
        Router::new().route("/v1/events", post(events::take)).route("/v1/metrics/edge", post(edge::report));
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
        .route("/v1/admin/models", get(admin::models))
        .route("/v1/admin/models/compare", get(admin::compare))
        .route("/v1/admin/models/{id}/promote", post(admin::promote))
        .route("/v1/visitors/{id}", get(visitors::export).delete(visitors::erase));
    let guarded = [
        (Role::Events, events),
        (Role::Catalogue, catalogue),
        (Role::Metrics, metrics),
        (Role::Admin, admin),
    ];
    let all = guarded.into_iter().fold(open, |all, (role, routes)| {
        all.merge(routes.route_layer(from_fn_with_state((service.clone(), role), auth::require)))
    });
    all.merge(page::routes())
        .fallback(|| async { Problem::not_found("path", "There is nothing at this address.") })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(from_fn_with_state(service.clone(), metrics::observe))
        .layer(map_response(no_sniffing))
        .with_state(service.clone())
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../../openapi.json"))
}

async fn no_sniffing(mut response: Response) -> Response {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Serves until a signal ends it.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(service: Shared) -> Result<()> {
    let listener = connections::bind(&service).await?;
    stop_on_signal(&service)?;
    if service.keys().is_empty() {
        tracing::warn!("no keys: every request is refused until `verge keys add NAME --role ROLE` makes one");
    }
    tracing::info!(address = %listener.local_addr()?, "listening");
    let refreshing = tokio::spawn(refresh(service.clone()));
    tokio::spawn(history::keep(service.clone()));
    for feed in &service.config.feeds {
        tokio::spawn(feeds::watch(service.clone(), feed.clone()));
    }
    let forgetting = tokio::spawn(visitors::forget(service.clone()));
    let threads = [tables::follow(&service)?, publisher::start(&service)?];
    connections::serve(&service, listener, router(&service)).await;
    refreshing.abort();
    forgetting.abort();
    // A panic of a thread has been told of; there is nothing left to do about it.
    let _ = tokio::task::spawn_blocking(|| threads.map(|thread| thread.join())).await;
    tracing::info!("stopped");
    Ok(())
}

fn stop_on_signal(service: &Shared) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let service = service.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: requests under way are finished");
        service.set_unready("service", Some("it is stopping".to_owned()));
        service.stop.send_replace(true);
    });
    Ok(())
}

async fn refresh(service: Shared) {
    loop {
        tokio::time::sleep(REFRESH).await;
        let refreshed = {
            let service = service.clone();
            tokio::task::spawn_blocking(move || service.refresh()).await
        };
        match refreshed {
            Ok(Ok(())) => service.set_unready("store", None),
            Ok(Err(error)) => service.set_unready("store", Some(format!("{error:#}"))),
            Err(_) => {}
        }
    }
}
