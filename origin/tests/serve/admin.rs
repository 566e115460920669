//! Operations of operators, by the API and by the page.

use crate::service::Service;
use serde_json::{Value, json};

#[test]
fn operators_see_the_status_and_choose_the_model() {
    let service = Service::start_shop("");
    let caller = service.with_key(&service.key("admin"));
    let status = caller.get("/v1/admin/status").json();
    assert_eq!((&status["items"], &status["unready"]), (&json!(100), &json!({})));
    let regions = caller.get("/v1/admin/regions").json();
    let world = regions.as_array().unwrap().iter().find(|region| region["region"] == "world").unwrap();
    assert!(world["bytes"].as_u64().unwrap() > 1_000 && world["version"].is_string(), "{world}");
    assert_eq!(status["regions"].as_array().unwrap().len(), regions.as_array().unwrap().len());

    assert_eq!(caller.post("/v1/admin/rollback", &Value::Null).problem()["status"], 409);
    let first = status["model"].as_str().unwrap();
    service.verge(&["build", "--no-judge", "--k", "5"]);
    let models = caller.get("/v1/admin/models").json();
    assert_eq!(models["models"].as_array().unwrap().len(), 2);
    let second = models["serving"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(caller.post("/v1/admin/rollback", &Value::Null).json(), json!({ "serving": first }));
    let promote = |id: &str| caller.post(&format!("/v1/admin/models/{id}/promote"), &Value::Null);
    assert_eq!(promote(&second).json(), json!({ "serving": second }));
    assert_eq!(promote("nothing").problem()["field"], "id");

    let compare = |query: &str| caller.get(&format!("/v1/admin/models/compare{query}"));
    let compared = compare(&format!("?a={first}&b={second}")).json();
    assert_eq!(compared["differences"], json!(["k: 50 → 5"]));
    for (query, field) in [("", "a"), ("?a=x&b=y", "a"), ("?a=x&b=y&c=z", "c")] {
        assert_eq!(compare(query).problem()["field"], field, "{query}");
    }
    let problem = caller.post("/v1/admin/publish", &Value::Null).problem();
    assert!(
        problem["status"] == 409 && problem["detail"].as_str().unwrap().contains("publish_to"),
        "{problem}"
    );
}

#[test]
fn strategies_are_stored_for_the_next_model() {
    let service = Service::start_shop("");
    let caller = service.with_key(&service.key("admin"));
    let mut strategies = caller.get("/v1/admin/strategies").json();
    let put = |strategies: &Value| {
        caller.send("PUT", "/v1/admin/strategies", Some(strategies.to_string().as_bytes()))
    };
    strategies[0]["weights"]["popularity"] = json!(0.5);
    assert_eq!(put(&strategies).status, 204);
    service.verge(&["build", "--no-judge"]);
    let kept = caller.get("/v1/admin/strategies").json();
    assert_eq!(kept[0]["weights"]["popularity"], json!(0.5));
    strategies[1]["votes"] = json!("many");
    let problem = put(&strategies).problem();
    assert_eq!((&problem["status"], &problem["field"]), (&json!(400), &json!("[1].votes")));
    strategies[1] = strategies[0].clone();
    assert_eq!(put(&strategies).problem()["field"], "[1].name", "duplicate name");
}

#[test]
fn the_page_requires_an_admin_key_and_rejects_foreign_forms() {
    let service = Service::start();
    let caller = service.with_key("");
    let form = |path: &str, body: &str, headers: &[(&str, &str)]| {
        caller.send_with("POST", path, Some(body.as_bytes()), headers)
    };
    for path in ["/admin", "/admin/items", "/admin/models"] {
        let answer = caller.get(path);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/admin/login")), "{path}");
    }
    for key in ["made-up", &service.key("catalogue")] {
        let refused = form("/admin/login", &format!("key={key}"), &[]);
        assert!([401, 403].contains(&refused.status) && refused.header("set-cookie").is_none(), "{key}");
    }
    let key = format!("key={}", service.key("admin"));
    assert_eq!(form("/admin/login", &key, &[("sec-fetch-site", "cross-site")]).status, 403);
    let cookie = form("/admin/login", &key, &[]).header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    let cookie = [("cookie", cookie.split(';').next().unwrap())];
    let page = caller.send_with("GET", "/admin", None, &cookie);
    assert!(
        page.status == 200
            && page.header("content-security-policy").unwrap().starts_with("default-src 'none'")
    );
    for action in ["publish", "rollback", "learn", "logout", "models/x/promote"] {
        assert_eq!(form(&format!("/admin/{action}"), "token=guessed", &cookie).status, 403, "{action}");
    }
    let text = page.text();
    let token = text.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let token = format!("token={token}");
    assert_eq!(form("/admin/publish", &token, &cookie).header("location"), Some("/admin"));
    assert!(caller.send_with("GET", "/admin", None, &cookie).text().contains("publish_to"));
    assert_eq!(form("/admin/logout", &token, &cookie).header("location"), Some("/admin/login"));
    assert_eq!(caller.send_with("GET", "/admin", None, &cookie).status, 303);
}

#[test]
fn revoking_a_key_ends_its_sessions() {
    let service = Service::start();
    let caller = service.with_key("");
    let login = caller.send_with(
        "POST",
        "/admin/login",
        Some(format!("key={}", service.key("admin")).as_bytes()),
        &[],
    );
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let status = || caller.send_with("GET", "/admin", None, &[("cookie", &cookie)]).status;
    assert_eq!(status(), 200);
    service.verge(&["keys", "revoke", "admin"]);
    crate::service::until("the end of the login", || status() == 303);
}

#[test]
fn damaged_snapshots_and_models_are_errors_and_not_missing() {
    // Without learning, which would replace the damaged files.
    let service = Service::start_shop("[serve]\ntables_every_s = 0\nlearn_every_s = 0\n");
    let caller = service.with_key(&service.key("admin"));
    let form = format!("key={}", service.key("admin"));
    let login = service.with_key("").send_with("POST", "/admin/login", Some(form.as_bytes()), &[]);
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let page = |path: &str| service.with_key("").send_with("GET", path, None, &[("cookie", &cookie)]);
    let data = service.dir().join("verge-data");
    let model = caller.get("/v1/admin/status").json()["model"].as_str().unwrap().to_owned();

    // A blob: the manifests are intact, so that the regions are known, but no snapshot opens.
    let blob = std::fs::read_dir(data.join("snapshots/blob")).unwrap().next().unwrap().unwrap().path();
    let intact = std::fs::read(&blob).unwrap();
    std::fs::write(&blob, "damaged").unwrap();
    let rules = json!({"rules": [{"name": "hero", "pin": {"item": "cup", "at": 1}}]}).to_string();
    for problem in [
        caller.get("/v1/admin/strategies").problem(),
        caller.send("PUT", "/v1/admin/rules", Some(rules.as_bytes())).problem(),
    ] {
        let detail = problem["detail"].as_str().unwrap();
        assert!(problem["status"] == 500 && detail.contains("is damaged"), "{problem}");
    }
    let items = page("/admin/items");
    assert!(items.status == 500 && items.text().contains("is damaged"), "{}", items.text());
    std::fs::write(&blob, intact).unwrap();
    assert_eq!(page("/admin/items").status, 200);

    // A manifest.
    std::fs::write(data.join("snapshots/manifest/world"), "{").unwrap();
    for path in ["/v1/admin/status", "/v1/admin/regions", "/v1/admin/strategies"] {
        let problem = caller.get(path).problem();
        let detail = problem["detail"].as_str().unwrap();
        assert!(problem["status"] == 500 && detail.contains("manifest/world"), "{path}: {problem}");
    }
    let overview = page("/admin");
    assert!(overview.status == 200 && overview.text().contains("The snapshots cannot be read"));
    assert!(!overview.text().contains("No model was built yet"), "{}", overview.text());

    // The description of a model: promoting it is not "404 no such model".
    std::fs::write(data.join("models").join(&model).join("model.json"), "{").unwrap();
    let problem = caller.post(&format!("/v1/admin/models/{model}/promote"), &Value::Null).problem();
    assert!(
        problem["status"] == 500 && problem["detail"].as_str().unwrap().contains("model.json"),
        "{problem}"
    );
    let models = page("/admin/models");
    assert!(models.status == 500 && models.text().contains("model.json"), "{}", models.text());
}

#[test]
fn before_the_first_build_there_are_no_regions_and_no_strategies() {
    let service = Service::start();
    let caller = service.with_key(&service.key("admin"));
    assert_eq!(caller.get("/v1/admin/regions").json(), json!([]));
    assert_eq!(caller.get("/v1/admin/strategies").problem()["status"], 404);
    assert_eq!(caller.get("/v1/admin/status").json()["model"], Value::Null);
}
