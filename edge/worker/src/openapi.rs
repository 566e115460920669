//! Tests that `edge/openapi.json` and the router agree. The contract tests check its examples against workerd.

use crate::route::{NoRoute, route};
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

fn document() -> Value {
    serde_json::from_str(include_str!("../../openapi.json")).unwrap()
}

/// Method and path of each route, from the documentation of `Route`.
fn documented() -> BTreeSet<String> {
    let lines = include_str!("route.rs").lines();
    let calls = lines.filter_map(|line| line.trim().strip_prefix("/// `")?.strip_suffix('`'));
    calls.filter(|call| call.contains(" /")).map(str::to_owned).collect()
}

#[test]
fn the_file_lists_exactly_the_routes() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let listed = paths.iter().flat_map(|(path, operations)| {
        let methods = operations.as_object().unwrap().keys().filter(|key| *key != "parameters");
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    assert_eq!(documented(), listed.collect());
}

#[test]
fn the_router_accepts_exactly_the_listed_methods() {
    let document = document();
    let parameters = document["components"]["parameters"].as_object().unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let address = parameters.iter().fold(path.clone(), |path, (name, parameter)| {
            path.replace(&format!("{{{name}}}"), parameter["example"].as_str().unwrap_or_default())
        });
        for method in METHODS {
            let listed = operations.get(method.to_lowercase()).is_some();
            // There is no HEAD of a WebSocket.
            let head = method == "HEAD" && operations.get("get").is_some() && path != "/v1/live";
            let taken = !matches!(route(method, &address), Err(NoRoute::MethodNotAllowed(_)));
            assert_eq!(taken, listed || head || method == "OPTIONS", "{method} {path}");
            assert_ne!(route(method, &address), Err(NoRoute::NotFound), "{method} {path}");
        }
    }
}
