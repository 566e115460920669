//! The service matches its OpenAPI document.

use crate::service::Service;
use serde_json::Value;
use std::collections::BTreeSet;

const FILE: &str = include_str!("../../openapi.json");
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(FILE).unwrap()
}

#[test]
fn every_route_is_in_the_document() {
    let source = include_str!("../../src/serve/http/mod.rs");
    let routes = source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let document = document();
    let paths: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(routes.collect::<BTreeSet<_>>(), paths);
}

#[test]
fn methods_and_authorization_match_the_document() {
    let service = Service::start();
    let anonymous = service.with_key("");
    assert_eq!(anonymous.get("/openapi.json").text(), FILE);
    for (path, operations) in document()["paths"].as_object().unwrap() {
        let address = path.replace("{id}", "x");
        for method in METHODS {
            let answer = anonymous.send(&method.to_uppercase(), &address, None);
            let expected = match &operations[method] {
                Value::Null => 405,
                operation if operation["security"].as_array().is_some_and(Vec::is_empty) => 200,
                _ => 401,
            };
            assert_eq!(answer.status, expected, "{method} {path}");
        }
    }
}

#[test]
fn roles_match_the_document() {
    let service = Service::start();
    for (path, operations) in document()["paths"].as_object().unwrap() {
        for method in METHODS {
            let Some(about) = operations[method]["description"].as_str() else { continue };
            for role in ["events", "catalogue", "metrics"] {
                let answer = service.with_key(&service.key(role)).send(
                    &method.to_uppercase(),
                    &path.replace("{id}", "x"),
                    None,
                );
                let may = about.contains(&format!("of the role {role}"));
                assert_eq!(answer.status != 403, may, "{role}: {method} {path} answers {}", answer.status);
            }
        }
    }
}

#[test]
fn every_reference_resolves() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}
