//! Kills the service at random times: no acknowledged event may be lost or stored twice.
//!
//! Clients send events with retries while the service is killed, and repeat some acknowledged batches. The environment
//! variable `VERGE_KILL_TIMES` sets the number of kills (`cargo xtask kill --times N`).

use crate::service::{Service, run};
use origin::config::StreamOptions;
use origin::stream::{StreamTables, checkpoint};
use origin_log::Reader;
use rand_pcg::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

const CLIENTS: u64 = 4;
const DEFAULT_KILLS: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(60);
const KINDS: [&str; 5] = ["view", "view", "click", "cart", "purchase"];
const AREAS: [&str; 3] = ["gb", "fr", "DE"];
const OPTIONS: StreamOptions = StreamOptions { visitors: 300, checkpoint_s: 0 };
const CONFIG: &str =
    "[stream]\nvisitors = 300\ncheckpoint_s = 0\n[log]\nsegment = 200000\n[serve]\nrequests_per_second = 0\n";

/// State that the clients share.
struct Shared {
    address: RwLock<String>,
    key: String,
    /// The acknowledged events by id.
    acknowledged: Mutex<HashMap<String, Value>>,
    /// Number of events that were sent again after their acknowledgement.
    repeated: AtomicU64,
    stop: AtomicBool,
}

/// Sends batches until `stop` is set, each until it is acknowledged. The events' times begin at `first_at`.
fn client(shared: &Shared, name: u64, first_at: i64) {
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(name);
    let mut below = |bound: u64| random.next_u64() % bound;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(20)))
        .http_status_as_error(false)
        .build()
        .into();
    let (mut sent, mut last) = (0, Vec::new());
    while !shared.stop.load(Ordering::Relaxed) {
        let batch: Vec<Value> = if below(8) == 0 && !last.is_empty() {
            shared.repeated.fetch_add(last.len() as u64, Ordering::Relaxed);
            last.clone()
        } else {
            let event = |number: u64, below: &mut dyn FnMut(u64) -> u64| {
                json!({
                    "id": format!("c{name}-{number}"),
                    "kind": KINDS[below(5) as usize],
                    "item": format!("item-{}", below(120).min(below(120))),
                    "visitor": format!("visitor-{name}-{}", number / 9),
                    "region": AREAS[below(3) as usize],
                    "at": first_at + (number * 1_000 + below(3) * 1_700) as i64,
                })
            };
            let size = [1, 1, 3, 40][below(4) as usize];
            sent += size;
            (sent - size..sent).map(|number| event(number, &mut below)).collect()
        };
        let (body, start) = (serde_json::to_vec(&batch).unwrap(), Instant::now());
        loop {
            let url = format!("http://{}/v1/events", shared.address.read().unwrap());
            let response =
                agent.post(&url).header("authorization", format!("Bearer {}", shared.key)).send(&body[..]);
            if response.is_ok_and(|response| response.status() == 202) {
                break;
            }
            assert!(start.elapsed() < TIMEOUT, "a batch was not acknowledged in time");
            thread::sleep(Duration::from_millis(5));
        }
        let ids = batch.iter().map(|event| (event["id"].as_str().unwrap().to_owned(), event.clone()));
        shared.acknowledged.lock().unwrap().extend(ids);
        last = batch;
    }
}

/// The ids in the log, in order.
fn stored(log: &Path) -> Vec<String> {
    let mut ids = Vec::new();
    Reader::new(log, 0).read(|record, _| ids.push(record.id.to_owned())).unwrap();
    ids
}

/// Asserts that the tables from the checkpoint and the rest of the log equal those of a rebuild.
fn assert_tables_equal_a_rebuild(data: &Path) {
    let log = origin_log::dir(data);
    let (mut tables, mut reader, _) = checkpoint::load(data, &log, OPTIONS).unwrap();
    reader.read(|record, names| tables.add(record, names)).unwrap();
    let (rebuilt, end) = StreamTables::rebuild(&log, OPTIONS).unwrap();
    let restarted = checkpoint::write(&tables, &reader, &log, OPTIONS).unwrap();
    assert!(restarted == checkpoint::write(&rebuilt, &end, &log, OPTIONS).unwrap(), "the tables differ");
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Asserts that a build from the service's log gives the same bytes as a build from an import of the sent events.
fn assert_build_equals_an_import(dir: &Path, ids: &[String], sent: &HashMap<String, Value>) {
    run(dir, &["build", "--out", "served"]);
    let offline = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(offline.path().join("sent.jsonl")).unwrap();
    for id in ids {
        writeln!(file, "{}", sent[id]).unwrap();
    }
    run(offline.path(), &["import", "--format", "jsonl", "sent.jsonl"]);
    run(offline.path(), &["build", "--out", "imported"]);
    let relative = |root: PathBuf| -> Vec<(PathBuf, Vec<u8>)> {
        files(&root)
            .into_iter()
            .map(|(path, bytes)| (path.strip_prefix(&root).unwrap().to_owned(), bytes))
            .collect()
    };
    let (served, imported) = (relative(dir.join("served")), relative(offline.path().join("imported")));
    assert!(served.len() > 3);
    assert!(served == imported, "the snapshots differ");
}

#[test]
fn acknowledged_events_survive_kills_and_are_stored_once() {
    let kills = std::env::var("VERGE_KILL_TIMES").map_or(DEFAULT_KILLS, |kills| kills.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("verge-data");
    std::fs::write(dir.path().join("verge.toml"), CONFIG).unwrap();
    let key = run(dir.path(), &["keys", "add", "events", "--role", "events"]).trim().to_owned();
    let mut service = Service::start(dir.path());
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let shared = Arc::new(Shared {
        address: RwLock::new(service.address.clone()),
        key,
        acknowledged: Mutex::default(),
        repeated: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|name| {
            let shared = Arc::clone(&shared);
            // So long ago that no event is in the future.
            thread::spawn(move || client(&shared, name, now - 29 * 86_400_000))
        })
        .collect();
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(now as u64);
    let mut slowest_start = Duration::ZERO;
    for kill in 1..=kills {
        thread::sleep(Duration::from_millis(random.next_u64() % 400));
        service.kill();
        if kill % 10 == 1 || kill == kills {
            assert_tables_equal_a_rebuild(&data);
        }
        let start = Instant::now();
        service = Service::start(dir.path());
        slowest_start = slowest_start.max(start.elapsed());
        *shared.address.write().unwrap() = service.address.clone();
        if kill % 20 == 0 {
            println!("{kill} kills, {} events acknowledged", shared.acknowledged.lock().unwrap().len());
        }
    }
    thread::sleep(Duration::from_millis(300));
    shared.stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    service.kill();

    let ids = stored(&origin_log::dir(&data));
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "an event is stored twice");
    let sent = shared.acknowledged.lock().unwrap();
    let lost: Vec<_> = sent.keys().filter(|id| !distinct.contains(id)).collect();
    assert!(lost.is_empty(), "{} acknowledged events are lost: {:?}", lost.len(), &lost[..lost.len().min(5)]);
    assert_eq!(ids.len(), sent.len(), "all stored events were acknowledged");
    assert!(
        sent.len() > 100 && shared.repeated.load(Ordering::Relaxed) > 0,
        "too few events were sent for a meaningful test"
    );
    assert_tables_equal_a_rebuild(&data);
    assert_build_equals_an_import(dir.path(), &ids, &sent);
    println!(
        "{kills} kills: {} events acknowledged, each stored once; {} repeated; slowest start {:.2} s",
        sent.len(),
        shared.repeated.load(Ordering::Relaxed),
        slowest_start.as_secs_f64()
    );
}
