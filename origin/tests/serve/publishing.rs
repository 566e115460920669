//! Publishing to a directory.

use crate::service::{Service, until};
use origin::pack::SnapshotSet;
use serde_json::{Value, json};
use snapshots::rules::Rules;

const CONFIG: &str = "[serve]\npublish_to = \"dir:published\"\npopularity_every_ms = 100\n";

#[test]
fn a_promotion_and_a_rollback_are_published() {
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
fn a_change_of_stock_is_published_automatically() {
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

#[test]
fn rules_are_validated_and_published_within_seconds() {
    let service = Service::start_shop(CONFIG);
    let caller = service.with_key(&service.key("admin"));
    assert_eq!(
        caller.get("/v1/admin/rules").json(),
        json!({"rules": [], "strategies": [], "experiments": []})
    );
    let put = |rules: &Value| caller.send("PUT", "/v1/admin/rules", Some(rules.to_string().as_bytes()));
    let published =
        || SnapshotSet::load(&service.dir().join("published")).and_then(|built| built.open("world"));
    let names = |rules: &Rules| rules.rules.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>();
    let in_force = || published().ok().and_then(|shop| shop.rules.document().map(names)).unwrap_or_default();
    until("a snapshot without rules", || published().is_ok_and(|shop| shop.rules.document().is_none()));
    let hero = json!({"rules": [{"name": "hero", "pin": {"item": "cup", "at": 1}}]});
    assert_eq!(put(&hero).status, 204);
    until("the rule", || in_force() == ["hero"]);
    let kept = &caller.get("/v1/admin/rules").json()["rules"][0];
    assert_eq!((&kept["name"], &kept["pin"]), (&json!("hero"), &json!({"item": "cup", "at": 1})));
    for (rules, field) in [
        (json!({"rules": [{"name": "hero", "pin": {"item": "cup", "at": 0}}]}), "rules[0].pin.at"),
        (json!({"rules": [{"name": "hero", "pin": {"item": "cup", "at": "x"}}]}), "rules[0].pin.at"),
        (json!({"rules": [{"name": "hero", "strategy": "none"}]}), "rules[0].strategy"),
        (json!({"experiments": [{"id": "x"}]}), "experiments[0].variants"),
    ] {
        let problem = put(&rules).problem();
        assert_eq!((&problem["status"], &problem["field"]), (&json!(400), &json!(field)), "{problem}");
    }
    // A file that was edited by hand: if it is invalid, the previous rules stay in force.
    std::fs::write(service.dir().join("verge-data/rules.json"), "{").unwrap();
    let failing = || caller.get("/v1/admin/status").json()["publishing"]["failing"].to_string();
    until("the reason", || failing().contains("rules.json"));
    assert_eq!(in_force(), ["hero"]);
    // Other changes are still published, and the reason stays visible until the rules are valid.
    let published_at = || caller.get("/v1/admin/status").json()["publishing"]["published_at"].clone();
    let before = published_at();
    let catalogue = service.with_key(&service.key("catalogue"));
    assert_eq!(catalogue.send("PUT", "/v1/items/cup", Some(b"{}")).status, 201);
    until("the next publish", || published_at() != before);
    assert!(failing().contains("rules.json"), "{}", failing());
    assert_eq!(put(&json!({})).status, 204);
    until("no rules", || published().is_ok_and(|shop| shop.rules.document().is_none()));
}
