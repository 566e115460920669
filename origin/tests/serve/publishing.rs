//! From a change to the destination, by a service that publishes into a directory.

use crate::service::{Service, until};
use serde_json::{Value, json};

const CONFIG: &str = "[serve]\npublish_to = \"published\"\npopularity_every_ms = 100\n";

#[test]
fn what_operators_promote_and_roll_back_is_published() {
    let service = Service::start_shop(CONFIG);
    let caller = service.with_key(&service.key("admin"));
    let tables = || {
        let manifest = std::fs::read(service.dir().join("published/manifest/world")).unwrap_or_default();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
        let blobs = manifest["blobs"].as_array().cloned().unwrap_or_default();
        blobs.iter().find(|blob| blob["name"] == "coview").map(|blob| blob["hash"].clone())
    };
    until("the first snapshot", || tables().is_some());
    let first = tables();
    service.verge(&["build", "--no-judge", "--k", "5"]);
    assert_eq!(caller.post("/v1/admin/publish", &Value::Null).status, 202);
    until("the second model", || tables() != first);
    assert_eq!(caller.post("/v1/admin/rollback", &Value::Null).status, 200);
    until("the first model", || tables() == first);
    let status = caller.get("/v1/admin/status").json();
    assert_eq!(status["publishing"]["failing"], Value::Null);
    assert!(status["publishing"]["published_at"].is_string(), "{status}");
}

#[test]
fn stock_is_published_without_being_asked_for() {
    let service = Service::start_shop(CONFIG);
    let caller = service.with_key(&service.key("catalogue"));
    let items = || {
        let manifest = std::fs::read(service.dir().join("published/manifest/world")).unwrap_or_default();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
        manifest["blobs"]
            .as_array()
            .and_then(|blobs| blobs.iter().find(|blob| blob["name"] == "items").cloned())
    };
    until("the first snapshot", || items().is_some());
    let printed = service.verge(&["recommend", "--what", "popular", "--query", "limit=1", "--json"]);
    let first: Value = serde_json::from_str(&printed).unwrap();
    let id = first["items"][0]["id"].as_str().unwrap().to_owned();
    let before = items();
    let answer = caller.send(
        "PATCH",
        &format!("/v1/items/{id}"),
        Some(json!({"in_stock":false}).to_string().as_bytes()),
    );
    assert_eq!(answer.status, 200);
    until("the change", || items() != before);
    let shown = |what: &str| service.verge(&["recommend", "--from", "published", "--what", what, "--json"]);
    assert!(!shown("popular").contains(&format!("\"id\": \"{id}\"")), "it is still popular");
}
