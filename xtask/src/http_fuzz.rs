//! `cargo xtask http-fuzz`: sends generated requests, valid and invalid, to the Worker in workerd.

mod made;
mod wire;

use anyhow::{Context, Result, ensure};
use made::{Class, Made, Random};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::{Answer, Line};
use xtask::direct::Direct;
use xtask::shop::Shop;
use xtask::steps::Steps;
use xtask::{process, root, tools, worker};

/// Number of requests by default.
pub(crate) const REQUESTS: u64 = 20_000;

/// Sends generated requests, valid and invalid, to the Worker in workerd
///
/// Fails if an answer is not as documented, or if memory grows without bound.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Number of requests
    #[arg(long, value_name = "N", default_value_t = REQUESTS)]
    requests: u64,
}

/// Connections, kept and used at the same time.
const CONNECTIONS: u64 = 6;
/// The seed of the first connection; the others count on from it.
const SEED: u64 = 7;
/// What an isolate has on Cloudflare, in bytes.
const ISOLATE: u64 = 128_000_000;
/// How much more workerd may hold at the end than after a tenth of the requests; its collector takes its time.
const GROWTH: u64 = 256 << 20;
/// What the Worker may answer. 500 is documented, and a bug.
const DOCUMENTED: [u16; 13] = [200, 202, 204, 304, 400, 401, 403, 404, 405, 413, 426, 429, 503];
/// How many wrong answers are told in full.
const TOLD: usize = 10;

#[derive(Default)]
struct Found {
    /// Answers by class and status; 0 where the connection was closed.
    statuses: BTreeMap<(Class, u16), u64>,
    slowest: Duration,
    wrong: Vec<String>,
}

/// Fuzzes the Worker with the snapshots of a generated shop.
pub(crate) fn run(args: &Args) -> Result<()> {
    process::stop_all_on_signal("stopped", 130)?;
    let steps = Steps::new(&root().join("target/test/log"))?;
    check(&steps, &Shop::for_tests(&steps)?, args.requests)
}

/// Sends `requests` requests to the Worker with a shop's snapshots and prints a summary of the answers.
///
/// # Errors
/// An answer is not as documented, the Worker ends or answers differently afterwards, or memory grows without bound.
pub(crate) fn check(steps: &Steps, shop: &Shop, requests: u64) -> Result<()> {
    tools::npm_packages(steps)?;
    worker::build(steps)?;
    // The origin is one that takes no events.
    let vars = json!({
        "CONSENT": "cookie:ok=yes", "CORS_ORIGINS": "https://shop.example", "ORIGIN_URL": "http://127.0.0.1:9"
    });
    let mut workers = Direct::start(&shop.snapshots(), &vars, "v1/recommendations", steps)?;
    let items = popular(workers.verge)?;
    let (found, done, over) = (Mutex::<Found>::default(), AtomicU64::new(0), AtomicBool::new(false));
    let began = Instant::now();
    let memory = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let share = requests / CONNECTIONS + u64::from(number < requests % CONNECTIONS);
                let (port, items, found, done) = (workers.verge, &items, &found, &done);
                scope.spawn(move || visit(port, items, share, SEED + number, found, done))
            })
            .collect();
        let watch = scope.spawn(|| watch(&workers, requests, &done, &over));
        for thread in threads {
            let _ = thread.join();
        }
        over.store(true, Ordering::Relaxed);
        watch.join().map_err(|_| anyhow::anyhow!("what watches the memory failed"))?
    })?;
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    report(&found, &memory, requests, began.elapsed());
    let answers: u64 = found.statuses.values().sum();
    ensure!(answers == requests, "only {answers} of {requests} requests were made");
    ensure!(workers.is_running()?, "workerd has ended");
    ensure!(popular(workers.verge)? == items, "the Worker answers otherwise than before");
    ensure!(
        found.wrong.is_empty(),
        "{} answers are not as documented:\n{}",
        found.wrong.len(),
        told(&found.wrong)
    );
    ensure!(memory.wasm < ISOLATE, "the Worker has taken {} bytes", memory.wasm);
    ensure!(
        memory.last < memory.early + GROWTH,
        "workerd grew from {} to {} bytes",
        memory.early,
        memory.last
    );
    Ok(())
}

/// Ids that the shop has; also that the Worker answers an ordinary request.
fn popular(port: u16) -> Result<Vec<String>> {
    let answer = get(&mut Line::new(port), "/v1/popular?limit=50&region=world")?;
    let items = answer["items"].as_array().context("no items")?;
    Ok(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect())
}

fn get(line: &mut Line, path: &str) -> Result<Value> {
    let bytes = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n").into_bytes();
    let answer = line.ask(&Made { class: Class::Sound, is_head: false, bytes })?;
    ensure!(answer.status == 200, "{path} is answered with {}", answer.status);
    Ok(serde_json::from_slice(&answer.body)?)
}

fn visit(port: u16, items: &[String], requests: u64, seed: u64, found: &Mutex<Found>, done: &AtomicU64) {
    let (mut line, mut random) = (Line::new(port), Random(seed));
    for _ in 0..requests {
        let made = made::request(&mut random, items);
        let began = Instant::now();
        let answer = match made.class {
            Class::Sound => line.ask(&made).map(Some),
            Class::Upgrade | Class::Large | Class::Broken => Ok(line.try_alone(&made)),
        };
        let (status, wrong) = match &answer {
            Ok(Some(answer)) => (answer.status, wrong(made.class, answer, made.is_head)),
            // What is too long may meet a closed connection.
            Ok(None) if made.class == Class::Upgrade => (0, Some("no answer".to_owned())),
            Ok(None) => (0, None),
            Err(error) => (0, Some(format!("{error:#}"))),
        };
        let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *found.statuses.entry((made.class, status)).or_default() += 1;
        if made.class == Class::Sound {
            found.slowest = found.slowest.max(began.elapsed());
        }
        if let Some(why) = wrong {
            let request = String::from_utf8_lossy(&made.bytes).chars().take(600).collect::<String>();
            found.wrong.push(format!("{why}, for {request:?}"));
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is wrong with an answer, if anything.
fn wrong(class: Class, answer: &Answer, is_head: bool) -> Option<String> {
    let Answer { status, content_type, body, .. } = answer;
    let told =
        || format!("{status} {content_type} {:?}", String::from_utf8_lossy(&body[..body.len().min(300)]));
    // workerd refuses by itself what is no HTTP, or too long for it.
    let by_workerd = content_type.is_empty() || content_type.starts_with("text/plain");
    if by_workerd && (class == Class::Broken || *status == 431) {
        return None;
    }
    if *status == 101 {
        return (class == Class::Sound).then(told);
    }
    if !DOCUMENTED.contains(status) {
        return Some(told());
    }
    let is_json = content_type.starts_with("application/json") || content_type == "application/problem+json";
    if is_head || body.is_empty() {
        return (*status >= 400 && !is_json).then(told);
    }
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return is_json.then(|| format!("no JSON: {}", told()));
    };
    if *status >= 400 {
        let is_problem = content_type == "application/problem+json" && json["status"] == *status;
        return (!is_problem).then(|| format!("no problem: {}", told()));
    }
    let ids: Vec<_> = json["items"].as_array().into_iter().flatten().map(|item| &item["id"]).collect();
    let different: HashSet<_> = ids.iter().map(ToString::to_string).collect();
    (different.len() < ids.len()).then(|| format!("an item comes twice: {}", told()))
}

#[derive(Default)]
struct Memory {
    /// The most bytes of wasm memory.
    wasm: u64,
    /// Bytes that workerd held after a tenth of the requests, at most, and in the end; 0 where they are not known.
    early: u64,
    most: u64,
    last: u64,
}

fn watch(workers: &Direct, requests: u64, done: &AtomicU64, over: &AtomicBool) -> Result<Memory> {
    let (mut line, mut memory, mut sign) = (Line::new(workers.verge), Memory::default(), 1);
    loop {
        let ends = over.load(Ordering::Relaxed);
        let health = get(&mut line, "/healthz")?;
        memory.wasm = memory.wasm.max(health["memory_bytes"].as_u64().context("/healthz tells no memory")?);
        memory.last = workers.resident_bytes().unwrap_or_default();
        memory.most = memory.most.max(memory.last);
        let done = done.load(Ordering::Relaxed);
        if memory.early == 0 && done >= requests / 10 {
            memory.early = memory.last;
        }
        if ends {
            return Ok(memory);
        }
        if done >= sign * 100_000 {
            println!(
                "  {done} requests, {} MiB of wasm memory, {} MiB in workerd",
                memory.wasm >> 20,
                memory.last >> 20
            );
            sign = done / 100_000 + 1;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn report(found: &Found, memory: &Memory, requests: u64, took: Duration) {
    println!("\n  request     status   answers");
    for ((class, status), count) in &found.statuses {
        let status = if *status == 0 { "closed".to_owned() } else { status.to_string() };
        println!("  {:<10}  {status:>6}  {count:>8}", format!("{class:?}").to_lowercase());
    }
    let mib = |bytes: u64| bytes >> 20;
    println!(
        "  {requests} requests in {:.0} s on {CONNECTIONS} connections, the slowest {:.0} ms; at most {} MiB of wasm memory; \
         workerd: {} MiB after a tenth, {} MiB at most, {} MiB in the end",
        took.as_secs_f64(),
        found.slowest.as_secs_f64() * 1e3,
        mib(memory.wasm),
        mib(memory.early),
        mib(memory.most),
        mib(memory.last),
    );
}

fn told(wrong: &[String]) -> String {
    wrong.iter().take(TOLD).map(|one| format!("  {one}\n")).collect()
}
