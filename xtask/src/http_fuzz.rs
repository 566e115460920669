//! `cargo xtask http-fuzz`: sends generated requests, valid and invalid, to the Worker in workerd.

mod connection;
mod generate;

use anyhow::{Context, Result, ensure};
use connection::{Answer, Connection};
use generate::{Class, GeneratedRequest, Random};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
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

/// Number of concurrent connections.
const CONNECTIONS: u64 = 6;
/// The seed of the first connection; each further one adds one.
const SEED: u64 = 7;
/// The memory limit of an isolate on Cloudflare, in bytes.
const ISOLATE_LIMIT: u64 = 128_000_000;
/// Allowed growth of workerd between a tenth of the requests and the end, in bytes. Its garbage collector runs late.
const MAX_GROWTH: u64 = 256 << 20;
/// The statuses that the Worker may answer. 500 is documented too, but always a bug.
const DOCUMENTED: [u16; 13] = [200, 202, 204, 304, 400, 401, 403, 404, 405, 413, 426, 429, 503];
/// Number of violations that are printed in full.
const MAX_PRINTED: usize = 10;

#[derive(Default)]
struct Findings {
    /// Number of answers by class and status; 0 if the connection was closed.
    statuses: BTreeMap<(Class, u16), u64>,
    slowest: Duration,
    violations: Vec<String>,
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
    // No origin listens here, so that forwarding events fails.
    let vars = json!({
        "CONSENT": "cookie:ok=yes", "CORS_ORIGINS": "https://shop.example", "ORIGIN_URL": "http://127.0.0.1:9"
    });
    let mut workers = Direct::start(&shop.snapshots(), &vars, "v1/recommendations", steps)?;
    let items = popular(workers.verge)?;
    let (findings, done, over) = (Mutex::<Findings>::default(), AtomicU64::new(0), AtomicBool::new(false));
    let started_at = Instant::now();
    let memory = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let share = requests / CONNECTIONS + u64::from(number < requests % CONNECTIONS);
                let (port, items, findings, done) = (workers.verge, &items, &findings, &done);
                scope.spawn(move || run_connection(port, items, share, SEED + number, findings, done))
            })
            .collect();
        let monitor = scope.spawn(|| monitor_memory(&workers, requests, &done, &over));
        for thread in threads {
            let _ = thread.join();
        }
        over.store(true, Ordering::Relaxed);
        monitor.join().map_err(|_| anyhow::anyhow!("the memory monitor panicked"))?
    })?;
    let findings = findings.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    report(&findings, &memory, requests, started_at.elapsed());
    let answers: u64 = findings.statuses.values().sum();
    ensure!(answers == requests, "only {answers} of {requests} requests were sent");
    ensure!(workers.is_running()?, "workerd has exited");
    ensure!(popular(workers.verge)? == items, "the popular items differ from those before the run");
    ensure!(
        findings.violations.is_empty(),
        "{} answers are not as documented:\n{}",
        findings.violations.len(),
        list(&findings.violations)
    );
    ensure!(memory.wasm < ISOLATE_LIMIT, "the Worker uses {} bytes of memory", memory.wasm);
    ensure!(
        memory.last < memory.early + MAX_GROWTH,
        "workerd grew from {} to {} bytes",
        memory.early,
        memory.last
    );
    Ok(())
}

/// The popular items, which also shows that the Worker answers an ordinary request.
fn popular(port: u16) -> Result<Vec<String>> {
    let answer = get(&mut Connection::new(port), "/v1/popular?limit=50&region=world")?;
    let items = answer["items"].as_array().context("no items")?;
    Ok(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect())
}

fn get(connection: &mut Connection, path: &str) -> Result<Value> {
    let bytes = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n").into_bytes();
    let answer = connection.send(&GeneratedRequest { class: Class::Valid, is_head: false, bytes })?;
    ensure!(answer.status == 200, "{path} was answered with {}", answer.status);
    Ok(serde_json::from_slice(&answer.body)?)
}

fn run_connection(
    port: u16,
    items: &[String],
    requests: u64,
    seed: u64,
    findings: &Mutex<Findings>,
    done: &AtomicU64,
) {
    let (mut connection, mut random) = (Connection::new(port), Random(seed));
    for _ in 0..requests {
        let request = generate::request(&mut random, items);
        let started_at = Instant::now();
        let answer = match request.class {
            Class::Valid => connection.send(&request).map(Some),
            Class::Upgrade | Class::Large | Class::Malformed => Ok(connection.send_alone(&request)),
        };
        let (status, violation) = match &answer {
            Ok(Some(answer)) => (answer.status, violation(request.class, answer, request.is_head)),
            // workerd may close the connection of a request that is too large.
            Ok(None) if request.class == Class::Upgrade => (0, Some("no answer".to_owned())),
            Ok(None) => (0, None),
            Err(error) => (0, Some(format!("{error:#}"))),
        };
        let mut findings = findings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *findings.statuses.entry((request.class, status)).or_default() += 1;
        if request.class == Class::Valid {
            findings.slowest = findings.slowest.max(started_at.elapsed());
        }
        if let Some(violation) = violation {
            let request = String::from_utf8_lossy(&request.bytes).chars().take(600).collect::<String>();
            findings.violations.push(format!("{violation}, for {request:?}"));
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// How an answer violates the documentation, if it does.
fn violation(class: Class, answer: &Answer, is_head: bool) -> Option<String> {
    let Answer { status, content_type, body, .. } = answer;
    let describe =
        || format!("{status} {content_type} {:?}", String::from_utf8_lossy(&body[..body.len().min(300)]));
    // workerd itself rejects requests that are malformed or too long.
    let by_workerd = content_type.is_empty() || content_type.starts_with("text/plain");
    if by_workerd && (class == Class::Malformed || *status == 431) {
        return None;
    }
    if *status == 101 {
        return (class == Class::Valid).then(describe);
    }
    if !DOCUMENTED.contains(status) {
        return Some(describe());
    }
    let is_json = content_type.starts_with("application/json") || content_type == "application/problem+json";
    if is_head || body.is_empty() {
        return (*status >= 400 && !is_json).then(describe);
    }
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return is_json.then(|| format!("not valid JSON: {}", describe()));
    };
    if *status >= 400 {
        let is_problem = content_type == "application/problem+json" && json["status"] == *status;
        return (!is_problem).then(|| format!("not a problem document: {}", describe()));
    }
    let ids: Vec<_> = json["items"].as_array().into_iter().flatten().map(|item| &item["id"]).collect();
    let different: HashSet<_> = ids.iter().map(ToString::to_string).collect();
    (different.len() < ids.len()).then(|| format!("an item appears twice: {}", describe()))
}

#[derive(Default)]
struct Memory {
    /// Largest size of the wasm memory in bytes.
    wasm: u64,
    /// Resident memory of workerd in bytes after a tenth of the requests, at most, and at the end; 0 if unknown.
    early: u64,
    max: u64,
    last: u64,
}

fn monitor_memory(workers: &Direct, requests: u64, done: &AtomicU64, over: &AtomicBool) -> Result<Memory> {
    let (mut connection, mut memory, mut next_report) =
        (Connection::new(workers.verge), Memory::default(), 1);
    loop {
        let is_last = over.load(Ordering::Relaxed);
        let health = get(&mut connection, "/healthz")?;
        memory.wasm = memory.wasm.max(health["memory_bytes"].as_u64().context("/healthz reports no memory")?);
        memory.last = workers.resident_bytes().unwrap_or_default();
        memory.max = memory.max.max(memory.last);
        let done = done.load(Ordering::Relaxed);
        if memory.early == 0 && done >= requests / 10 {
            memory.early = memory.last;
        }
        if is_last {
            return Ok(memory);
        }
        if done >= next_report * 100_000 {
            println!(
                "  {done} requests, {} MiB of wasm memory, {} MiB in workerd",
                memory.wasm >> 20,
                memory.last >> 20
            );
            next_report = done / 100_000 + 1;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn report(findings: &Findings, memory: &Memory, requests: u64, duration: Duration) {
    println!("\n  request     status   answers");
    for ((class, status), count) in &findings.statuses {
        let status = if *status == 0 { "closed".to_owned() } else { status.to_string() };
        println!("  {:<10}  {status:>6}  {count:>8}", format!("{class:?}").to_lowercase());
    }
    let mib = |bytes: u64| bytes >> 20;
    println!(
        "  {requests} requests in {:.0} s on {CONNECTIONS} connections, the slowest {:.0} ms; at most {} MiB of wasm memory; \
         workerd: {} MiB after a tenth of them, {} MiB at most, {} MiB at the end",
        duration.as_secs_f64(),
        findings.slowest.as_secs_f64() * 1e3,
        mib(memory.wasm),
        mib(memory.early),
        mib(memory.max),
        mib(memory.last),
    );
}

fn list(violations: &[String]) -> String {
    violations.iter().take(MAX_PRINTED).map(|one| format!("  {one}\n")).collect()
}
