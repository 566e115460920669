//! Disks that are full, read-only or cut, two services on one directory, and what has to go.

use crate::service::{Service, output, run};
use origin_log::Reader;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

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

fn stored(dir: &Path) -> Vec<String> {
    let mut ids = Vec::new();
    let log = origin_log::dir(&dir.join("verge-data"));
    Reader::new(&log, 0).read(|record, _| ids.push(record.id.to_owned())).unwrap();
    ids
}

fn names(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("e{number}")).collect()
}

#[test]
fn a_second_service_on_one_directory_is_refused_and_told_why() {
    let (dir, _key) = shop("");
    let first = Service::start(dir.path());
    let second = output(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(said.contains(&format!("process {}", first.id())) && said.contains("verge-data/log"), "{said}");
    let import = output(dir.path(), &["generate", "--items", "5", "--sessions", "5", "--into-store"]);
    assert!(!import.status.success(), "an import beside a service");
    first.kill();
    drop(Service::start(dir.path()));
}

#[test]
fn a_truncated_last_group_is_cut_off_said_and_sent_again() {
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
    assert!(service.told.contains("cut an unfinished group"), "{}", service.told);
    assert_eq!(stored(dir.path()), names(0..20));
    assert_eq!(service.send(&key, "POST", "/v1/events", &events(15..30)).0, 202);
    assert_eq!(stored(dir.path()), names(0..30));
}

/// A file system in memory, of its own; unmounted when it is dropped.
struct Memory<'a>(&'a Path);

impl<'a> Memory<'a> {
    fn mount(path: &'a Path, options: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: this user may not mount a file system");
        }
        mounted.then_some(Self(path))
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn on_a_full_disk_nothing_is_acknowledged_that_is_not_stored() {
    let (dir, key) = shop("");
    let log_dir = origin_log::dir(&dir.path().join("verge-data"));
    let Some(_memory) = Memory::mount(&log_dir, "size=200k") else { return };
    let service = Service::start(dir.path());
    let filler = log_dir.join("filler");
    fs::write(&filler, vec![1; 150_000]).unwrap();
    let (mut acknowledged, mut refused) = (0, 0);
    for batch in 0..40 {
        let (first, end) = (batch * 100, batch * 100 + 100);
        let (status, again, problem) = service.send(&key, "POST", "/v1/events", &events(first..end));
        if status == 202 {
            assert_eq!(acknowledged, first, "stored after the disk was full");
            acknowledged = end;
        } else {
            assert_eq!((status, &problem["status"]), (503, &json!(503)));
            assert!(again.is_some(), "{problem}");
            refused += 1;
        }
    }
    assert!(acknowledged > 0 && refused > 0, "{acknowledged} acknowledged, {refused} refused");
    assert_eq!(stored(dir.path()), names(0..acknowledged));
    fs::remove_file(filler).unwrap();
    assert_eq!(service.send(&key, "POST", "/v1/events", &events(acknowledged - 5..acknowledged + 50)).0, 202);
    assert_eq!(stored(dir.path()), names(0..acknowledged + 50));
    service.kill();
    drop(Service::start(dir.path()));
    assert_eq!(stored(dir.path()), names(0..acknowledged + 50));
}

#[test]
fn on_a_read_only_disk_events_are_refused_and_starting_says_so() {
    let (dir, key) = shop("");
    let log_dir = origin_log::dir(&dir.path().join("verge-data"));
    let Some(memory) = Memory::mount(&log_dir, "size=1m") else { return };
    fs::write(log_dir.join("00000000000000000000.log"), "").unwrap();
    memory.remount("ro");
    let refused = output(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("verge-data/log"), "{said}");
    memory.remount("rw");
    let service = Service::start(dir.path());
    assert_eq!(service.send(&key, "POST", "/v1/events", &events(0..5)).0, 202);
    assert_eq!(stored(dir.path()), names(0..5));
}

#[test]
fn a_visitor_is_exported_and_erased_for_good() {
    let (dir, key) = shop("[log]\nsegment = 3000\n");
    let admin = run(dir.path(), &["keys", "add", "admin", "--role", "admin"]).trim().to_owned();
    let service = Service::start(dir.path());
    for first in [0, 30, 60] {
        assert_eq!(service.send(&key, "POST", "/v1/events", &events(first..first + 30)).0, 202);
    }
    assert_eq!(service.send(&key, "GET", "/v1/visitors/v1", &Value::Null).0, 403, "with a key for events");
    let of = |service: &Service, visitor: &str| {
        let (status, _, export) =
            service.send(&admin, "GET", &format!("/v1/visitors/{visitor}"), &Value::Null);
        assert_eq!(status, 200);
        export["events"].as_array().unwrap().clone()
    };
    let exported = of(&service, "v1");
    assert_eq!(exported.len(), 30);
    assert_eq!((&exported[0]["id"], &exported[0]["item"]), (&json!("e1"), &json!("cup")));
    let (status, _, erased) = service.send(&admin, "DELETE", "/v1/visitors/v1", &Value::Null);
    assert_eq!((status, &erased["erased"]), (200, &json!(30)));
    assert_eq!((of(&service, "v1").len(), of(&service, "v2").len()), (0, 30));
    assert_eq!(service.send(&admin, "DELETE", "/v1/visitors/v1", &Value::Null).2["erased"], 0);
    assert_eq!(service.send(&key, "POST", "/v1/events", &events(90..91)).0, 202);
    service.kill();
    let service = Service::start(dir.path());
    assert_eq!((of(&service, "v1").len(), of(&service, "v0").len()), (0, 31));
}

#[test]
fn what_is_older_than_the_retention_is_forgotten() {
    let (dir, key) = shop("[log]\nretention_days = 30\n");
    let old = "{\"kind\":\"view\",\"item\":\"old\",\"id\":\"e0\",\"at\":\"2020-01-01T00:00:00Z\"}\n";
    fs::write(dir.path().join("old.jsonl"), old).unwrap();
    run(dir.path(), &["import", "--format", "jsonl", "old.jsonl"]);
    assert_eq!(stored(dir.path()), names(0..1));
    let service = Service::start(dir.path());
    assert_eq!(service.send(&key, "POST", "/v1/events", &events(1..5)).0, 202);
    let began = Instant::now();
    while stored(dir.path()) != names(1..5) {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", stored(dir.path()));
        std::thread::sleep(Duration::from_millis(50));
    }
}
