//! The files for Prometheus and Grafana: they hold together, and name metrics that there are.

use crate::service::Service;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn ops() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ops")
}

/// Whether there is a promtool; says so where there is none.
fn promtool() -> bool {
    let there =
        Command::new("promtool").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        println!("skipped: no promtool; install it (apt-get install prometheus)");
    }
    there
}

fn check(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn alerts_fire_when_they_should_and_not_otherwise() {
    if promtool() {
        check(Command::new("promtool").args(["check", "rules", "alerts.yml"]).current_dir(ops()));
        check(Command::new("promtool").args(["test", "rules", "alerts.test.yml"]).current_dir(ops()));
    }
}

/// Names in PromQL that can be metrics: what stands before no parenthesis, inside no braces, and is no keyword.
fn names(expression: &str) -> BTreeSet<String> {
    let (mut names, mut name, mut depth) = (BTreeSet::new(), String::new(), 0);
    for sign in expression.chars().chain([' ']) {
        if sign.is_ascii_alphanumeric() || sign == '_' || sign == '$' {
            name.push(sign);
            continue;
        }
        if depth == 0 && name.contains('_') && !name.starts_with('$') && sign != '(' {
            names.insert(std::mem::take(&mut name));
        }
        name.clear();
        depth += i32::from(sign == '{' || sign == '[') - i32::from(sign == '}' || sign == ']');
    }
    names
}

#[test]
fn alerts_and_dashboard_name_metrics_that_there_are() {
    let config = "[[feeds]]\nname = \"shop\"\nfrom = \"feed.csv\"\nevery_s = 1\n";
    let service = Service::start_with(config, &[]);
    let admin = service.with_key(&service.key("admin"));
    admin.post("/v1/events", &json!([{"kind":"view","item":"cup"}, {"kind":"no"}]));
    crate::service::until("a failure", || service.metric("feed_errors_total{feed=\"shop\"}").is_some());
    std::fs::write(service.dir().join("feed.csv"), "id\n1\n").unwrap();
    crate::service::until("the feed", || {
        service.metric("feed_read_timestamp_seconds{feed=\"shop\"}").is_some()
    });
    let printed = admin.get("/metrics").text();
    let there: BTreeSet<&str> = printed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();

    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(ops().join("dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut expressions: Vec<String> =
        targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(expressions.len() > 10);
    let alerts = std::fs::read_to_string(ops().join("alerts.yml")).unwrap();
    let rules: Vec<&str> =
        alerts.split("expr:").skip(1).map(|rule| rule.split("for:").next().unwrap()).collect();
    assert_eq!(rules.len(), 10);
    expressions.extend(rules.iter().map(|rule| rule.replace('|', " ")));
    for expression in &expressions {
        let names = names(expression);
        assert!(!names.is_empty() || expression.contains("up{"), "{expression}");
        for name in names {
            assert!(there.contains(&*name), "{name} of {expression} is not in\n{there:?}");
        }
    }
}
