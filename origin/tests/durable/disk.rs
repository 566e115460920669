//! Full and read-only disks, a truncated log, two services on one directory, erasure and retention.

use crate::service::{Service, output, run};
use origin_log::Reader;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A directory with this `verge.toml`, and an API key for events.
fn shop(config: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("verge.toml"), config).unwrap();
    let key = run(dir.path(), &["keys", "add", "events", "--role", "events"]).trim().to_owned();
    (dir, key)
}

fn events(numbers: std::ops::Range<u32>) -> Value {
    let event = |number| json!({"id": format!("e{number}"), "kind": "view", "item": "cup", "visitor": format!("v{}", number % 3)});
    numbers.map(event).collect()
}

/// The ids of the stored events, in order.
fn stored(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let log = origin_log::dir(&dir.join("verge-data"));
    Reader::new(&log, 0).read(|record, _| found.push(record.id.to_owned())).unwrap();
    found
}

fn ids(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("e{number}")).collect()
}

#[test]
fn a_second_service_on_one_directory_fails_with_a_reason() {
    let (dir, _key) = shop("");
    let first = Service::start(dir.path());
    let second = output(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let error = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(
        error.contains(&format!("process {}", first.id())) && error.contains("verge-data/log"),
        "{error}"
    );
    let import = output(dir.path(), &["generate", "--items", "5", "--sessions", "5", "--into-store"]);
    assert!(!import.status.success(), "an import while the service runs");
    first.kill();
    drop(Service::start(dir.path()));
}

#[test]
fn an_incomplete_last_group_is_removed_reported_and_may_be_sent_again() {
    let (dir, key) = shop("");
    let service = Service::start(dir.path());
    for first in [0, 10, 20] {
        assert_eq!(service.send(&key, "POST", "/v1/events", &events(first..first + 10)).0, 202);
    }
    service.kill();
    let segment =
        origin_log::segments(&origin_log::dir(&dir.path().join("verge-data"))).unwrap().remove(0).path;
    let length = fs::metadata(&segment).unwrap().len();
    fs::File::options().write(true).open(&segment).unwrap().set_len(length - 3).unwrap();
    let service = Service::start(dir.path());
    assert!(service.startup_log.contains("unfinished group"), "{}", service.startup_log);
    assert_eq!(stored(dir.path()), ids(0..20));
    assert_eq!(service.send(&key, "POST", "/v1/events", &events(15..30)).0, 202);
    assert_eq!(stored(dir.path()), ids(0..30));
}

/// A mounted tmpfs. It is unmounted when it is dropped.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(path: &'a Path, options: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: the user may not mount file systems");
        }
        mounted.then_some(Self(path))
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn on_a_full_disk_only_stored_events_are_acknowledged() {
    let (dir, key) = shop("");
    let log_dir = origin_log::dir(&dir.path().join("verge-data"));
    let Some(_tmpfs) = Tmpfs::mount(&log_dir, "size=200k") else { return };
    let service = Service::start(dir.path());
    let filler = log_dir.join("filler");
    fs::write(&filler, vec![1; 150_000]).unwrap();
    let (mut acknowledged, mut refused) = (0, 0);
    for batch in 0..40 {
        let (first, end) = (batch * 100, batch * 100 + 100);
        let (status, retry_after, problem) = service.send(&key, "POST", "/v1/events", &events(first..end));
        if status == 202 {
            assert_eq!(acknowledged, first, "stored after the disk was full");
            acknowledged = end;
        } else {
            assert_eq!((status, &problem["status"]), (503, &json!(503)));
            assert!(retry_after.is_some(), "{problem}");
            refused += 1;
        }
    }
    assert!(acknowledged > 0 && refused > 0, "{acknowledged} acknowledged, {refused} refused");
    assert_eq!(stored(dir.path()), ids(0..acknowledged));
    fs::remove_file(filler).unwrap();
    assert_eq!(service.send(&key, "POST", "/v1/events", &events(acknowledged - 5..acknowledged + 50)).0, 202);
    assert_eq!(stored(dir.path()), ids(0..acknowledged + 50));
    service.kill();
    drop(Service::start(dir.path()));
    assert_eq!(stored(dir.path()), ids(0..acknowledged + 50));
}

#[test]
fn on_a_read_only_disk_the_service_fails_to_start_with_a_reason() {
    let (dir, key) = shop("");
    let log_dir = origin_log::dir(&dir.path().join("verge-data"));
    let Some(tmpfs) = Tmpfs::mount(&log_dir, "size=1m") else { return };
    fs::write(log_dir.join("00000000000000000000.log"), "").unwrap();
    tmpfs.remount("ro");
    let failed = output(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let error = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && error.contains("verge-data/log"), "{error}");
    tmpfs.remount("rw");
    let service = Service::start(dir.path());
    assert_eq!(service.send(&key, "POST", "/v1/events", &events(0..5)).0, 202);
    assert_eq!(stored(dir.path()), ids(0..5));
}

#[test]
fn a_visitor_is_exported_and_erased_permanently() {
    let (dir, key) = shop("[log]\nsegment = 3000\n");
    let admin = run(dir.path(), &["keys", "add", "admin", "--role", "admin"]).trim().to_owned();
    let service = Service::start(dir.path());
    for first in [0, 30, 60] {
        assert_eq!(service.send(&key, "POST", "/v1/events", &events(first..first + 30)).0, 202);
    }
    assert_eq!(
        service.send(&key, "GET", "/v1/visitors/v1", &Value::Null).0,
        403,
        "with a key of the role events"
    );
    let export = |service: &Service, visitor: &str| {
        let (status, _, export) =
            service.send(&admin, "GET", &format!("/v1/visitors/{visitor}"), &Value::Null);
        assert_eq!(status, 200);
        export["events"].as_array().unwrap().clone()
    };
    let exported = export(&service, "v1");
    assert_eq!(exported.len(), 30);
    assert_eq!((&exported[0]["id"], &exported[0]["item"]), (&json!("e1"), &json!("cup")));
    let (status, _, erased) = service.send(&admin, "DELETE", "/v1/visitors/v1", &Value::Null);
    assert_eq!((status, &erased["erased"]), (200, &json!(30)));
    assert_eq!((export(&service, "v1").len(), export(&service, "v2").len()), (0, 30));
    assert_eq!(service.send(&admin, "DELETE", "/v1/visitors/v1", &Value::Null).2["erased"], 0);
    assert_eq!(service.send(&key, "POST", "/v1/events", &events(90..91)).0, 202);
    service.kill();
    let service = Service::start(dir.path());
    assert_eq!((export(&service, "v1").len(), export(&service, "v0").len()), (0, 31));
}

#[test]
fn events_older_than_the_retention_period_are_removed() {
    let (dir, key) = shop("[log]\nretention_days = 30\n");
    let old = "{\"kind\":\"view\",\"item\":\"old\",\"id\":\"e0\",\"at\":\"2020-01-01T00:00:00Z\"}\n";
    fs::write(dir.path().join("old.jsonl"), old).unwrap();
    run(dir.path(), &["import", "--format", "jsonl", "old.jsonl"]);
    assert_eq!(stored(dir.path()), ids(0..1));
    let service = Service::start(dir.path());
    assert_eq!(service.send(&key, "POST", "/v1/events", &events(1..5)).0, 202);
    let start = Instant::now();
    while stored(dir.path()) != ids(1..5) {
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", stored(dir.path()));
        std::thread::sleep(Duration::from_millis(50));
    }
}
