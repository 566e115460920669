//! Nothing acknowledged is lost, nothing counts twice, whenever the service is killed.
//!
//! `VERGE_KILL_TIMES` says how often (`cargo xtask kill --times N`); by default a few times. Its clients send events
//! with retries, some of them again although they were acknowledged, while the service is killed at random moments.

use crate::service::{Service, run};
use origin::stream::{Limits, Tables, checkpoint};
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
const TIMES: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(60);
const KINDS: [&str; 5] = ["view", "view", "click", "cart", "purchase"];
const AREAS: [&str; 3] = ["gb", "fr", "DE"];
const LIMITS: Limits = Limits { visitors: 300, checkpoint_s: 0 };
const CONFIG: &str =
    "[stream]\nvisitors = 300\ncheckpoint_s = 0\n[log]\nsegment = 200000\n[serve]\nrequests_per_second = 0\n";

/// What all clients share.
struct Shop {
    address: RwLock<String>,
    key: String,
    /// Every event that was acknowledged, by its id.
    acknowledged: Mutex<HashMap<String, Value>>,
    again: AtomicU64,
    stop: AtomicBool,
}

/// Sends batches of new events until it is to stop, each until it is acknowledged.
fn client(shop: &Shop, name: u64, began: i64) {
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(name);
    let mut below = |bound: u64| random.next_u64() % bound;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(20)))
        .http_status_as_error(false)
        .build()
        .into();
    let (mut made, mut last) = (0, Vec::new());
    while !shop.stop.load(Ordering::Relaxed) {
        let batch: Vec<Value> = if below(8) == 0 && !last.is_empty() {
            shop.again.fetch_add(last.len() as u64, Ordering::Relaxed);
            last.clone()
        } else {
            let event = |number: u64, below: &mut dyn FnMut(u64) -> u64| {
                json!({
                    "id": format!("c{name}-{number}"),
                    "kind": KINDS[below(5) as usize],
                    "item": format!("item-{}", below(120).min(below(120))),
                    "visitor": format!("visitor-{name}-{}", number / 9),
                    "region": AREAS[below(3) as usize],
                    "at": began + (number * 1_000 + below(3) * 1_700) as i64,
                })
            };
            let size = [1, 1, 3, 40][below(4) as usize];
            made += size;
            (made - size..made).map(|number| event(number, &mut below)).collect()
        };
        let (body, began_batch) = (serde_json::to_vec(&batch).unwrap(), Instant::now());
        loop {
            let url = format!("http://{}/v1/events", shop.address.read().unwrap());
            let sent =
                agent.post(&url).header("authorization", format!("Bearer {}", shop.key)).send(&body[..]);
            if sent.is_ok_and(|answer| answer.status() == 202) {
                break;
            }
            assert!(began_batch.elapsed() < TIMEOUT, "a batch was not acknowledged for too long");
            thread::sleep(Duration::from_millis(5));
        }
        let ids = batch.iter().map(|event| (event["id"].as_str().unwrap().to_owned(), event.clone()));
        shop.acknowledged.lock().unwrap().extend(ids);
        last = batch;
    }
}

/// The ids in the log, in its order.
fn stored(log: &Path) -> Vec<String> {
    let mut ids = Vec::new();
    Reader::new(log, 0).read(|record, _| ids.push(record.id.to_owned())).unwrap();
    ids
}

/// That the checkpoint and the tail of the log make the tables of the whole log.
fn tables_are_those_of_the_log(data: &Path) {
    let log = origin_log::dir(data);
    let (mut tables, mut reader, _) = checkpoint::load(data, &log, LIMITS).unwrap();
    reader.read(|record, place| tables.add(record, place)).unwrap();
    let (rebuilt, whole) = Tables::rebuild(&log, LIMITS).unwrap();
    let restarted = checkpoint::write(&tables, &reader, &log, LIMITS).unwrap();
    assert!(restarted == checkpoint::write(&rebuilt, &whole, &log, LIMITS).unwrap(), "the tables differ");
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

/// That building from the service's log gives the bytes of building offline from what its clients sent.
fn builds_like_an_import(dir: &Path, ids: &[String], sent: &HashMap<String, Value>) {
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
fn every_acknowledged_event_is_there_once_whenever_the_service_is_killed() {
    let times = std::env::var("VERGE_KILL_TIMES").map_or(TIMES, |times| times.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("verge-data");
    std::fs::write(dir.path().join("verge.toml"), CONFIG).unwrap();
    let key = run(dir.path(), &["keys", "add", "events", "--role", "events"]).trim().to_owned();
    let mut service = Service::start(dir.path());
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let shop = Arc::new(Shop {
        address: RwLock::new(service.address.clone()),
        key,
        acknowledged: Mutex::default(),
        again: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|name| {
            let shop = Arc::clone(&shop);
            // Long enough ago that no event is ahead of the clock.
            thread::spawn(move || client(&shop, name, now - 29 * 86_400_000))
        })
        .collect();
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(now as u64);
    let mut started = Duration::ZERO;
    for time in 1..=times {
        thread::sleep(Duration::from_millis(random.next_u64() % 400));
        service.kill();
        if time % 10 == 1 || time == times {
            tables_are_those_of_the_log(&data);
        }
        let began = Instant::now();
        service = Service::start(dir.path());
        started = started.max(began.elapsed());
        *shop.address.write().unwrap() = service.address.clone();
        if time % 20 == 0 {
            println!("killed {time} times, {} events acknowledged", shop.acknowledged.lock().unwrap().len());
        }
    }
    thread::sleep(Duration::from_millis(300));
    shop.stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    service.kill();

    let ids = stored(&origin_log::dir(&data));
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "an event is stored twice");
    let sent = shop.acknowledged.lock().unwrap();
    let lost: Vec<_> = sent.keys().filter(|id| !distinct.contains(id)).collect();
    assert!(lost.is_empty(), "{} acknowledged events are lost: {:?}", lost.len(), &lost[..lost.len().min(5)]);
    assert_eq!(ids.len(), sent.len(), "all clients were told of all that is stored");
    assert!(
        sent.len() > 100 && shop.again.load(Ordering::Relaxed) > 0,
        "too little was sent to show anything"
    );
    tables_are_those_of_the_log(&data);
    builds_like_an_import(dir.path(), &ids, &sent);
    println!(
        "killed {times} times: {} events acknowledged, each stored once; {} sent again; slowest start {:.2} s",
        sent.len(),
        shop.again.load(Ordering::Relaxed),
        started.as_secs_f64()
    );
}
