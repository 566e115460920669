//! Middleware that records changes, exports and erasures in the audit log.

use crate::audit::{self, Durability, Entry};
use crate::serve::{
    http::{auth::SenderKey, connections::Peer},
    state::service::Shared,
};
use crate::store::{KeyHash, Role};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{Extensions, Method},
    middleware::Next,
    response::Response,
};
use origin_data::clock;

/// The routes of one visitor, whose id is replaced by its hash.
const VISITORS: &str = "/v1/visitors/";

/// Records a request that changes, exports or erases something. Requires [`SenderKey`].
pub(crate) async fn record(
    State((service, role)): State<(Shared, Role)>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let is_recorded = !request.method().is_safe() || path.starts_with(VISITORS);
    if !is_recorded {
        return next.run(request).await;
    }
    let route = request.extensions().get::<MatchedPath>().map_or(path, MatchedPath::as_str);
    let action = action(request.method(), route);
    let target = match path.strip_prefix(VISITORS) {
        Some(_) => None,
        None => route.contains('{').then(|| path.to_owned()),
    };
    let visitor = path.strip_prefix(VISITORS).map(percent_decoded);
    let key = request.extensions().get::<SenderKey>().map_or("unknown", |SenderKey(id)| id);
    let (actor, from) = (format!("key {key}"), address(request.extensions()));
    let response = next.run(request).await;
    let target = match visitor {
        Some(id) => {
            let hash = service.with_store(move |store| anyhow::Ok(store.visitor_hash(&id))).await;
            hash.ok().map(|hash| format!("visitor {hash:016x}"))
        }
        None => target,
    };
    // A shop may change thousands of items a second; each entry of them is not synced.
    let durability = if role == Role::Admin { Durability::Synced } else { Durability::Written };
    let outcome = response.status().as_u16().to_string();
    append(&service, Entry { at: clock::now(), actor, action, target, from, outcome }, durability).await;
    response
}

/// Records an action on the operators' page, by the holder of a key.
pub(crate) async fn record_operator(
    service: &Shared,
    key: Option<KeyHash>,
    action: &str,
    from: Option<String>,
    outcome: &str,
) {
    let actor = key.map_or_else(|| "unknown".to_owned(), |key| format!("key {}", key.short()));
    let (action, outcome) = (action.to_owned(), outcome.to_owned());
    let entry = Entry { at: clock::now(), actor, action, target: None, from, outcome };
    append(service, entry, Durability::Synced).await;
}

async fn append(service: &Shared, entry: Entry, durability: Durability) {
    let dir = service.config.data_dir.clone();
    let written = service.blocking(move || Ok(audit::append(&dir, &entry, durability)?)).await;
    let problem = written.err().map(|error: anyhow::Error| format!("{error:#}"));
    if let Some(error) = &problem {
        tracing::error!(error, "cannot write the audit log");
    }
    service.set_unready("audit", problem);
}

fn action(method: &Method, route: &str) -> String {
    format!("{method} {route}")
}

/// The address of the client.
pub(crate) fn address(extensions: &Extensions) -> Option<String> {
    extensions.get::<Peer>().map(|Peer(address)| address.to_string())
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
