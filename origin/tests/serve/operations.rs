//! The alerts for Prometheus and the dashboard for Grafana: they are valid, and name existing metrics.

use crate::service::Service;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn ops() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops")
}

/// Whether promtool is installed; prints that the test is skipped if not.
fn promtool() -> bool {
    let is_installed =
        Command::new("promtool").arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_installed {
        println!("skipped: promtool is not installed (apt-get install prometheus)");
    }
    is_installed
}

fn check(command: &mut Command) {
    let output = command.output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
}

#[test]
fn alerts_fire_above_their_thresholds_only() {
    if promtool() {
        check(Command::new("promtool").args(["check", "rules", "alerts.yml"]).current_dir(ops()));
        check(Command::new("promtool").args(["test", "rules", "alerts.test.yml"]).current_dir(ops()));
    }
}

/// A Prometheus that is killed when it is dropped.
struct Prometheus(std::process::Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_scrapes_the_metrics_with_a_metrics_key() {
    if Command::new("prometheus").arg("--version").output().is_err() {
        println!("skipped: prometheus is not installed (apt-get install prometheus)");
        return;
    }
    let service = Service::start();
    service.with_key(&service.key("events")).post("/v1/events", &json!({"kind":"view","item":"cup"}));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (dir, listen) = (service.dir(), format!("127.0.0.1:{port}"));
    let config = format!(
        "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }}\n\
         rule_files: [{}]\n\
         scrape_configs:\n- job_name: verge\n  authorization: {{ credentials: {} }}\n  static_configs: [{{ targets: [{}] }}]\n",
        ops().join("alerts.yml").display(),
        service.key("metrics"),
        service.address()
    );
    std::fs::write(dir.join("prometheus.yml"), config).unwrap();
    let log = std::fs::File::create(dir.join("prometheus.log")).unwrap();
    let arguments = ["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"];
    let mut command = Command::new("prometheus");
    command.args(arguments).arg(format!("--web.listen-address={listen}")).current_dir(dir).stderr(log);
    let _running = Prometheus(command.spawn().unwrap());
    let query = |query: &str| -> Value {
        let address = format!("http://{listen}/api/v1/query?query={query}");
        let answer =
            ureq::get(&address).call().ok().and_then(|mut answer| answer.body_mut().read_to_string().ok());
        let answer: Value = answer.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        answer["data"]["result"][0]["value"][1].clone()
    };
    crate::service::until("a scrape", || query("events_ingested_total%7Bkind=%22view%22%7D") == "1");
    assert_eq!(query("up%7Bjob=%22verge%22%7D"), "1");
    crate::service::until("a bucket", || {
        query("http_request_duration_seconds_bucket%7Broute=%22/v1/events%22,le=%22%2BInf%22%7D") == "1"
    });
    assert_eq!(query("count(ALERTS%7Balertname=%22VergeDown%22%7D)"), Value::Null);
}

/// The metric names in a PromQL expression: words with an underscore that are neither functions nor labels.
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
fn alerts_and_dashboard_name_existing_metrics() {
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
    let exported: BTreeSet<&str> = printed
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
    assert_eq!(rules.len(), 11);
    expressions.extend(rules.iter().map(|rule| rule.replace('|', " ")));
    for expression in &expressions {
        let names = names(expression);
        assert!(!names.is_empty() || expression.contains("up{"), "{expression}");
        for name in names {
            assert!(exported.contains(&*name), "{name} of {expression} is not in\n{exported:?}");
        }
    }
}
