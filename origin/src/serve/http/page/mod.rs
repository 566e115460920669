//! The operators' page: `/admin`. Rendered here, with no script and nothing from any other host.

mod plot;
mod session;
mod views;

use crate::pack::SnapshotSet;
use crate::serve::{
    admin,
    history::Point,
    problem::{Problem, Result},
    query::{self, PathId},
    state::Shared,
};
use crate::store::snapshots_dir;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, Uri, header},
    middleware::map_response,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::Markup;
use serde::Deserialize;
use session::Operator;
use snapshots::manifest::WORLD;
use std::sync::Arc;

pub use session::Sessions;

/// What a page may load: its style from here, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The addresses of the page.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/admin", get(overview))
        .route("/admin/login", get(login).post(log_in))
        .route("/admin/logout", post(log_out))
        .route("/admin/items", get(items))
        .route("/admin/models", get(models))
        .route("/admin/models/{id}/promote", post(promote))
        .route("/admin/publish", post(publish))
        .route("/admin/learn", post(learn))
        .route("/admin/rollback", post(roll_back))
        .route("/admin/style.css", get(style))
        .layer(map_response(guarded))
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn html(markup: Markup) -> Html<String> {
    Html(markup.into_string())
}

async fn style() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, include_str!("style.css"))
}

async fn login() -> Html<String> {
    html(views::login(None))
}

async fn log_in(State(service): State<Shared>, request: Request) -> Result<Response> {
    let form = session::read_form(&service, request).await?;
    match session::log_in(&service, form.get("key").map_or("", |key| key.trim())) {
        Ok(cookie) => Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/admin")).into_response()),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNAUTHORIZED);
            Ok((status, html(views::login(Some(&problem.detail)))).into_response())
        }
    }
}

async fn log_out(State(service): State<Shared>, operator: Operator, request: Request) -> Result<Response> {
    operator.check_form(&service, request).await?;
    Ok(([(header::SET_COOKIE, operator.log_out(&service))], Redirect::to("/admin/login")).into_response())
}

async fn overview(State(service): State<Shared>, operator: Operator) -> Result<Html<String>> {
    let axum::Json(status) = admin::status(State(Arc::clone(&service))).await?;
    let history: Vec<Point> = service.history.points();
    let frame = views::Frame { operator: &operator, said: operator.said(&service), at: "/admin" };
    let publishes = service.config.serve.publish_to.as_deref();
    Ok(html(views::overview(&frame, &status, &history, publishes)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LookUp {
    region: String,
    item: String,
}

async fn items(State(service): State<Shared>, operator: Operator, uri: Uri) -> Result<Html<String>> {
    let LookUp { region, item } = query::read(&uri)?;
    let region = if region.is_empty() { WORLD.to_owned() } else { region };
    let frame = views::Frame { operator: &operator, said: operator.said(&service), at: "/admin/items" };
    let reader = Arc::clone(&service);
    let body = service
        .blocking(move || {
            let Ok(built) = SnapshotSet::load(&snapshots_dir(&reader.config.data_dir)) else {
                return Ok(views::nothing_built());
            };
            let regions: Vec<&str> = built.manifests.iter().map(|manifest| &*manifest.region).collect();
            if !regions.contains(&&*region) {
                return Err(Problem::not_found("region", format!("There is no region '{region}'.")));
            }
            let snapshot = built.open(&region)?;
            Ok(views::items(&snapshot, &regions, &region, item.trim()))
        })
        .await?;
    Ok(html(frame.around("Items", &body)))
}

async fn models(State(service): State<Shared>, operator: Operator) -> Result<Html<String>> {
    let reader = Arc::clone(&service);
    let (models, serving) = service.blocking(move || admin::models_of(&reader)).await?;
    let frame = views::Frame { operator: &operator, said: operator.said(&service), at: "/admin/models" };
    Ok(html(views::models(&frame, &models, serving.as_deref())))
}

/// Says how it went on the page that it was asked from.
fn back<T>(
    service: &Shared,
    operator: &Operator,
    to: &str,
    outcome: Result<T>,
    done: impl FnOnce(T) -> String,
) -> Result<Redirect> {
    let said = match outcome {
        Ok(value) => done(value),
        Err(problem) => problem.detail,
    };
    operator.say(service, said);
    Ok(Redirect::to(to))
}

async fn publish(State(service): State<Shared>, operator: Operator, request: Request) -> Result<Redirect> {
    operator.check_form(&service, request).await?;
    let outcome = admin::publish_now(&service);
    back(&service, &operator, "/admin", outcome, |()| "Publishing.".to_owned())
}

async fn learn(State(service): State<Shared>, operator: Operator, request: Request) -> Result<Redirect> {
    operator.check_form(&service, request).await?;
    service.publishing.learn.notify_one();
    back(&service, &operator, "/admin/models", Ok(()), |()| "Learning a new model.".to_owned())
}

async fn roll_back(State(service): State<Shared>, operator: Operator, request: Request) -> Result<Redirect> {
    operator.check_form(&service, request).await?;
    let outcome = admin::serve_model(&service, None).await;
    back(&service, &operator, "/admin/models", outcome, |now| format!("{} serves again.", now.serving))
}

async fn promote(
    State(service): State<Shared>,
    operator: Operator,
    PathId(id): PathId,
    request: Request,
) -> Result<Redirect> {
    operator.check_form(&service, request).await?;
    let outcome = admin::serve_model(&service, Some(id)).await;
    back(&service, &operator, "/admin/models", outcome, |now| format!("{} serves.", now.serving))
}
