//! What operators rely on: the audit log, keys that expire, and a service that survives their mistakes.

use crate::service::{Service, until};
use serde_json::{Value, json};

#[test]
fn changes_exports_and_erasures_are_recorded_with_who_did_them_and_from_where() {
    let service = Service::start();
    let (admin, catalogue) = (service.key("admin"), service.key("catalogue"));
    let caller = service.with_key(&catalogue);
    assert_eq!(caller.send("PUT", "/v1/items/cup", Some(br#"{"name":"Cup"}"#)).status, 201);
    assert_eq!(caller.send("PUT", "/v1/items/cup", Some(br#"{"name":7}"#)).status, 400);
    assert_eq!(caller.get("/v1/items/cup").status, 200);
    let caller = service.with_key(&admin);
    assert_eq!(caller.get("/v1/visitors/anna%40example.org").status, 200);
    assert_eq!(caller.send("DELETE", "/v1/visitors/anna%40example.org", None).status, 200);
    let login = service.with_key("").send("POST", "/admin/login", Some(b"key=wrong"));
    assert_eq!(login.status, 401);

    let log = service.verge(&["audit", "--json"]);
    let entries: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let entries: Vec<_> = entries.iter().filter(|entry| entry["from"] == "127.0.0.1").collect();
    let shown: Vec<_> = entries.iter().map(|entry| (&entry["action"], &entry["outcome"])).collect();
    let expected = [
        (json!("PUT /v1/items/{id}"), json!("201")),
        (json!("PUT /v1/items/{id}"), json!("400")),
        (json!("GET /v1/visitors/{id}"), json!("200")),
        (json!("DELETE /v1/visitors/{id}"), json!("200")),
        (json!("log in to /admin"), json!("401")),
    ];
    assert_eq!(shown, expected.iter().map(|(action, outcome)| (action, outcome)).collect::<Vec<_>>());
    assert_eq!(entries[0]["target"], "/v1/items/cup");
    assert_eq!(entries[2]["target"], entries[3]["target"]);
    assert!(entries[2]["target"].as_str().unwrap().starts_with("visitor "), "{}", entries[2]);
    assert_ne!((&entries[0]["actor"], &json!("unknown")), (&entries[2]["actor"], &entries[0]["actor"]));
    assert!(!log.contains("anna"), "visitors are named by their hash");
    let commands = service.verge(&["audit"]);
    assert!(commands.contains("verge keys add") && commands.contains("command line, uid "), "{commands}");
}

#[test]
fn a_rotated_key_works_until_its_grace_period_ends() {
    let service = Service::start();
    let event = json!({"kind":"view","item":"cup"});
    let old = service.verge(&["keys", "add", "edge", "--role", "events"]).trim().to_owned();
    let status = |key: &str| service.with_key(key).post("/v1/events", &event).status;
    until("the key to be accepted", || status(&old) == 202);
    let new = service.verge(&["keys", "rotate", "edge", "--grace-days", "0"]).trim().to_owned();
    until("the new key to be accepted", || status(&new) == 202);
    until("the old key to be rejected", || status(&old) == 401);
    let list = service.verge(&["keys", "list"]);
    assert_eq!(list.lines().filter(|line| line.ends_with("  edge")).count(), 2, "{list}");
}

#[test]
fn health_asks_the_running_service() {
    let service = Service::start();
    let health = |address: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_verge"));
        command.arg("health").args(arguments).env("VERGE_LISTEN", address).env_remove("VERGE_CONFIG");
        command.current_dir(service.dir()).output().unwrap()
    };
    let address = service.address().trim_start_matches("http://");
    assert!(health(address, &[]).status.success() && health(address, &["--ready"]).status.success());
    let failed = health("127.0.0.1:1", &[]);
    assert!(!failed.status.success() && String::from_utf8_lossy(&failed.stderr).contains("127.0.0.1:1"));
}

#[test]
fn other_machines_reach_the_service_only_through_a_proxy() {
    let refused = Service::refused_with("", &["--listen", "0.0.0.0:0"]);
    assert!(refused.contains("behind_proxy"), "{refused}");
    let refused = Service::refused("[serve]\nbehind_proxy = [\"everywhere\"]\n");
    assert!(refused.contains("everywhere") && refused.contains("address range"), "{refused}");
    let service = Service::start_with("[serve]\nbehind_proxy = [\"private\"]\n", &[]);
    let key = service.key("admin");
    let login = |address: &str| {
        let form = format!("key={key}");
        let headers = [("x-forwarded-for", address)];
        service.with_key("").send_with("POST", "/admin/login", Some(form.as_bytes()), &headers)
    };
    let cookie = login("1.2.3.4, 203.0.113.9").header("set-cookie").unwrap().to_owned();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    let log = service.verge(&["audit"]);
    assert!(log.contains("203.0.113.9") && !log.contains("1.2.3.4"), "{log}");
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let mut service = std::process::Command::new(env!("CARGO_BIN_EXE_verge"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "debug"])
        .current_dir(dir.path())
        .env_remove("VERGE_CONFIG")
        .env_remove("VERGE_DATA_DIR")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(service.stderr.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "it did not start");
        let entry: Value = serde_json::from_str(&line).unwrap();
        if entry["message"] == "listening" {
            break format!("http://{}", entry["address"].as_str().unwrap());
        }
    };
    drop(log);
    for _ in 0..20 {
        assert_eq!(ureq::get(format!("{address}/healthz")).call().unwrap().status(), 200);
    }
    let killed = std::process::Command::new("kill").arg(service.id().to_string()).status().unwrap();
    assert!(killed.success() && service.wait().unwrap().success(), "SIGTERM stops it");
}

#[test]
fn the_service_speaks_tls_and_takes_over_a_new_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), name.to_owned()]).unwrap();
        std::fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
        made.cert.pem()
    };
    let first = write("a.example");
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let config =
        format!("[serve]\ntls_certificate = {:?}\ntls_key = {:?}\n", file("cert.pem"), file("key.pem"));
    assert!(
        Service::refused(&format!("[serve]\ntls_key = {:?}\n", file("key.pem"))).contains("tls_certificate")
    );
    let service = Service::start_with(&config, &[]);
    let port = service.address().rsplit(':').next().unwrap().to_owned();
    let trusts = |certificate: &str| {
        let certificate = ureq::tls::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::new_with_certs(&[certificate]))
            .build();
        let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(tls).build().into();
        agent.get(format!("https://localhost:{port}/healthz")).call().is_ok()
    };
    assert!(trusts(&first), "an answer over TLS");
    assert!(ureq::get(format!("http://127.0.0.1:{port}/healthz")).call().is_err(), "no answer in clear text");
    let second = write("b.example");
    until("the new certificate", || trusts(&second));
    assert!(!trusts(&first));
    std::fs::write(dir.path().join("cert.pem"), "damaged").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(trusts(&second), "the certificate in use stays");
}
