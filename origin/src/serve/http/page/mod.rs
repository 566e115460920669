//! The operators' page, `/admin`: rendered here, without scripts, and loading nothing from other hosts.

mod plot;
mod session;
mod views;

use crate::audit::read;
use crate::pack::SnapshotSet;
use crate::serve::http::{
    admin, audit,
    problem::{Problem, Result},
    query::{self, PathId},
};
use crate::serve::state::service::Shared;
use crate::store::{KeyHash, snapshots_dir};
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
use std::{sync::Arc, time::Duration};

/// What a page may load: the style sheet of this service, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Entries of the audit log on its page.
const SHOWN_ENTRIES: usize = 200;
/// How long a failed log-in is answered late.
const FAILED_LOGIN_PAUSE: Duration = Duration::from_secs(1);

/// The routes of the page.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/admin", get(overview))
        .route("/admin/login", get(login).post(log_in))
        .route("/admin/logout", post(log_out))
        .route("/admin/items", get(items))
        .route("/admin/models", get(models))
        .route("/admin/models/{id}/promote", post(promote))
        .route("/admin/audit", get(audit_log))
        .route("/admin/publish", post(publish))
        .route("/admin/learn", post(learn))
        .route("/admin/rollback", post(roll_back))
        .route("/admin/surges/{id}/release", post(release_surge))
        .route("/admin/style.css", get(style))
        .layer(map_response(with_security_headers))
}

async fn with_security_headers(mut response: Response) -> Response {
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
    let from = audit::address(request.extensions());
    let form = session::read_form(&service, request).await?;
    let key = form.get("key").map_or("", |key| key.trim());
    let outcome = session::log_in(&service, key);
    let status = outcome.as_ref().map_or_else(|problem| problem.status.to_string(), |_| "ok".to_owned());
    let holder = outcome.is_ok().then(|| KeyHash::of(key));
    audit::record_operator(&service, holder, "log in to /admin", from, &status).await;
    if outcome.is_err() {
        tracing::warn!(status, "failed to log in to /admin");
        tokio::time::sleep(FAILED_LOGIN_PAUSE).await;
    }
    match outcome {
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
    // The page shows the rest of the status also if the snapshots are damaged.
    let (regions, damage) = match admin::read_regions(&service).await {
        Ok(regions) => (regions, None),
        Err(problem) => (Vec::new(), Some(problem.detail)),
    };
    let status = admin::read_status(&service, regions).await?;
    let frame =
        views::Frame { operator: &operator, message: operator.take_message(&service), path: "/admin" };
    let overview = views::Overview {
        status: &status,
        damage: damage.as_deref(),
        history: &service.history.points(),
        destination: service.config.serve.publish_to.as_deref(),
    };
    Ok(html(views::overview(&frame, &overview)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ItemsQuery {
    region: String,
    item: String,
}

async fn items(State(service): State<Shared>, operator: Operator, uri: Uri) -> Result<Response> {
    let ItemsQuery { region, item } = query::read(&uri)?;
    let region = if region.is_empty() { WORLD.to_owned() } else { region };
    let message = operator.take_message(&service);
    let frame = views::Frame { operator: &operator, message, path: "/admin/items" };
    let reader = Arc::clone(&service);
    let render = move || {
        let built = SnapshotSet::load_if_built(&snapshots_dir(&reader.config.data_dir));
        let Some(built) = built.map_err(|error| Problem::damaged(&error))? else {
            return Ok(views::nothing_built());
        };
        let regions: Vec<&str> = built.manifests.iter().map(|manifest| &*manifest.region).collect();
        if !regions.contains(&&*region) {
            return Err(Problem::not_found("region", format!("There is no region '{region}'.")));
        }
        let snapshot = built.open(&region).map_err(|error| Problem::damaged(&error))?;
        Ok(views::items(&snapshot, &regions, &region, item.trim()))
    };
    match service.blocking(render).await {
        Ok(body) => Ok(html(frame.around("Items", &body)).into_response()),
        Err(problem) => Ok(page_of_problem(&frame, "Items", &problem)),
    }
}

async fn models(State(service): State<Shared>, operator: Operator) -> Response {
    let message = operator.take_message(&service);
    let frame = views::Frame { operator: &operator, message, path: "/admin/models" };
    match admin::read_models(&service).await {
        Ok(admin::Models { models, serving }) => {
            html(views::models(&frame, &models, serving.as_deref())).into_response()
        }
        Err(problem) => page_of_problem(&frame, "Models", &problem),
    }
}

async fn audit_log(State(service): State<Shared>, operator: Operator) -> Response {
    let message = operator.take_message(&service);
    let frame = views::Frame { operator: &operator, message, path: "/admin/audit" };
    let dir = service.config.data_dir.clone();
    match service.blocking(move || anyhow::Ok(read(&dir, None, SHOWN_ENTRIES)?)).await {
        Ok(found) => html(views::audit(&frame, &found)).into_response(),
        Err(error) => page_of_problem(&frame, "Audit log", &Problem::damaged(&error)),
    }
}

/// A page that shows a problem, with its status.
fn page_of_problem(frame: &views::Frame<'_>, title: &str, problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, html(frame.around(title, &views::alert(title, &problem.detail)))).into_response()
}

/// Records the outcome of a form in the audit log, and redirects to a page that shows it.
async fn redirect<T>(
    service: &Shared,
    operator: &Operator,
    (action, to): (&str, &str),
    outcome: Result<T>,
    success: impl FnOnce(T) -> String,
) -> Redirect {
    let (message, status) = match outcome {
        Ok(value) => (success(value), "ok".to_owned()),
        Err(problem) => (problem.detail, problem.status.to_string()),
    };
    audit::record_operator(service, Some(operator.key()), action, operator.address(), &status).await;
    operator.set_message(service, message);
    Redirect::to(to)
}

async fn publish(State(service): State<Shared>, operator: Operator, request: Request) -> Result<Redirect> {
    operator.check_form(&service, request).await?;
    let outcome = admin::request_publish(&service);
    Ok(redirect(&service, &operator, ("publish", "/admin"), outcome, |()| "Publishing.".to_owned()).await)
}

async fn learn(State(service): State<Shared>, operator: Operator, request: Request) -> Result<Redirect> {
    operator.check_form(&service, request).await?;
    service.publishing.learn_requested.notify_one();
    let message = |()| "Learning a new model.".to_owned();
    Ok(redirect(&service, &operator, ("learn", "/admin/models"), Ok(()), message).await)
}

async fn roll_back(State(service): State<Shared>, operator: Operator, request: Request) -> Result<Redirect> {
    operator.check_form(&service, request).await?;
    let outcome = admin::roll_back_model(&service).await;
    let message = |now: admin::Serving| format!("Rolled back: {} serves again.", now.serving);
    Ok(redirect(&service, &operator, ("roll back the model", "/admin/models"), outcome, message).await)
}

async fn release_surge(
    State(service): State<Shared>,
    operator: Operator,
    PathId(item): PathId,
    request: Request,
) -> Result<Redirect> {
    operator.check_form(&service, request).await?;
    let action = format!("release the surge of {item}");
    let outcome = admin::release_item(&service, item.clone()).await;
    let message = |()| format!("Released: what was held of '{item}' counts within seconds.");
    Ok(redirect(&service, &operator, (&action, "/admin"), outcome, message).await)
}

async fn promote(
    State(service): State<Shared>,
    operator: Operator,
    PathId(id): PathId,
    request: Request,
) -> Result<Redirect> {
    operator.check_form(&service, request).await?;
    let action = format!("promote the model {id}");
    let outcome = admin::promote_model(&service, id).await;
    let message = |now: admin::Serving| format!("Promoted: {} serves.", now.serving);
    Ok(redirect(&service, &operator, (&action, "/admin/models"), outcome, message).await)
}
