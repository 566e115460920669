//! The OpenAPI file says what the service does.

use crate::service::Service;
use serde_json::Value;
use std::collections::BTreeSet;

const FILE: &str = include_str!("../../openapi.json");
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(FILE).unwrap()
}

#[test]
fn every_address_of_the_router_is_in_the_file() {
    let source = include_str!("../../src/serve/http/mod.rs");
    let routes = source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let document = document();
    let paths: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(routes.collect::<BTreeSet<_>>(), paths);
}

#[test]
fn the_service_takes_the_methods_that_the_file_says_and_wants_a_key_where_it_says() {
    let service = Service::start();
    let nobody = service.with_key("");
    assert_eq!(nobody.get("/openapi.json").text(), FILE);
    for (path, operations) in document()["paths"].as_object().unwrap() {
        let address = path.replace("{id}", "x");
        for method in METHODS {
            let answer = nobody.send(&method.to_uppercase(), &address, None);
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
fn roles_are_those_that_the_file_says() {
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
fn every_reference_leads_somewhere() {
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
