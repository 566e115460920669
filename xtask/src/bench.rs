//! `cargo xtask bench`: how fast it is, in every place it runs, beside what it is compared with.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::direct::Direct;
use xtask::process;
use xtask::shop::{Log, Profile, Shop, Source, build_verge};
use xtask::steps::Steps;
use xtask::tools::{self, WASM_TARGET, cargo, npm_program};
use xtask::{root, wasm, worker};

/// Items of the made-up shop, where there is no real log.
const ITEMS: u32 = 20_000;
/// Neighbours a row: as many as the largest table that is scored.
const BUILD: [&str; 4] = ["build", "--no-judge", "--k", "100"];
/// How long a pass over a case takes, in ms.
const PASS_MS: &str = "200";
/// How long a Worker is loaded at a time, in ms, and how often.
const LOAD: [&str; 2] = ["2000", "7"];
/// What the Worker is asked; every visitor has a cookie with the recents of a prefix.
const ASKED: &str = "v1/recommendations";

/// What can be measured.
pub const STEPS: [(&str, &str); 5] = [
    ("native", "opening, look-ups, scores and pages, compiled for this machine"),
    ("v8", "the same in wasm, in Node's V8"),
    ("workerd", "the same in wasm, inside workerd, whose clock allows means only"),
    ("cache", "how often the shards of a large shop are at hand, by simulation"),
    ("http", "the Worker's answers beside those of one that answers a constant, on a direct socket"),
];

/// Runs the steps named, or all, and prints a table of each; `--json` prints one object instead.
pub fn run(arguments: &[String]) -> Result<()> {
    let as_json = arguments.iter().any(|argument| argument == "--json");
    let names: Vec<&str> = arguments.iter().map(|name| &**name).filter(|name| *name != "--json").collect();
    if let Some(unknown) = names.iter().find(|name| !STEPS.iter().any(|(step, _)| step == *name)) {
        let known = STEPS.map(|(name, _)| name).join(", ");
        bail!("there is nothing called '{unknown}' to measure; there are {known}");
    }
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    process::stop_all_on_signal("Stopped: nothing was measured.", 130)?;

    let home = root().join("target/bench");
    let steps = Steps::new(&home.join("log"))?;
    let bench = Bench::prepare(&steps, &home)?;
    let mut results = serde_json::Map::new();
    for (name, _) in STEPS.iter().filter(|(name, _)| wanted(name)) {
        let figures = match *name {
            "native" => bench.native()?,
            "cache" => bench.figures("cache", Command::new(&bench.program).arg("cache"))?,
            "http" => bench.http()?,
            host => bench.in_wasm(host)?,
        };
        results.insert((*name).to_owned(), figures);
    }
    if as_json {
        println!("{}", serde_json::json!({"source": bench.source, "load": load(), "results": results}));
        return Ok(());
    }
    println!("\nOver {}. The machine's load now: {}.", bench.source, load());
    tables(&results);
    Ok(())
}

struct Bench<'a> {
    steps: &'a Steps,
    home: &'a Path,
    program: PathBuf,
    snapshots: PathBuf,
    source: String,
}

impl<'a> Bench<'a> {
    fn prepare(steps: &'a Steps, home: &'a Path) -> Result<Self> {
        let verge = build_verge(steps, Profile::Release)?;
        steps.run("bench native", cargo().args(["build", "--package", "bench", "--profile", "wasm"]))?;
        let program = root().join("target/wasm/bench");

        let data = root().join("../shared/data");
        let train = data.join("yoochoose_1_64_train_sessions.txt.zst");
        let test = data.join("yoochoose_1_64_test_sessions.txt.zst");
        let real = train.exists() && test.exists();
        let source = if real {
            Source::Files(vec![Log { format: "sessions".to_owned(), file: train }])
        } else {
            Source::Generated(ITEMS)
        };
        let shop = Shop::new(source, home, verge).built_by(&BUILD);
        shop.prepare(steps)?;
        let mut command = Command::new(&program);
        command.arg("prepare").arg(shop.snapshots()).arg(home);
        if real {
            tools::npm_packages(steps)?;
            let sessions = home.join("sessions.txt");
            let unpack = "const { readFileSync, writeFileSync } = require('node:fs'); \
                const [from, to] = process.argv.slice(1); \
                writeFileSync(to, require('node:zlib').zstdDecompressSync(readFileSync(from)))";
            let mut node = npm_program("node");
            steps.run("sessions", node.args(["-e", unpack]).arg(test).arg(&sessions))?;
            command.arg(sessions);
        }
        let prefixes = steps.run("inputs", &mut command)?;
        let source = if real {
            "the test sessions of YooChoose 1/64".to_owned()
        } else {
            format!("a made-up shop of {ITEMS} items, as there is no ../shared/data")
        };
        let source = format!("{source}, {}", prefixes.trim());
        Ok(Self { steps, home, program, snapshots: shop.snapshots(), source })
    }

    fn figures(&self, name: &str, command: &mut Command) -> Result<Value> {
        let output = self.steps.run(name, command)?;
        let json = output.lines().last().unwrap_or_default();
        serde_json::from_str(json).with_context(|| format!("{name} printed no figures"))
    }

    fn native(&self) -> Result<Value> {
        let mut command = Command::new(&self.program);
        self.figures("native", command.arg("run").arg(self.home.join("inputs")).arg(PASS_MS))
    }

    fn in_wasm(&self, host: &str) -> Result<Value> {
        tools::npm_packages(self.steps)?;
        wasm::ensure_target(self.steps)?;
        let wasm = ["rustc", "--package", "bench", "--lib", "--crate-type", "cdylib", "--profile", "wasm"];
        self.steps.run("bench wasm", cargo().args(wasm).args(["--target", WASM_TARGET]))?;
        let wasm = root().join("target").join(WASM_TARGET).join("wasm/bench.wasm");
        let script = root().join("snapshots/bench/js").join(format!("{host}.mjs"));
        let mut node = npm_program("node");
        self.figures(host, node.arg(script).arg(wasm).arg(self.home.join("inputs")).arg(PASS_MS))
    }

    fn http(&self) -> Result<Value> {
        tools::npm_packages(self.steps)?;
        println!("           {}", worker::build(self.steps)?);
        let workers = Direct::start(&self.snapshots, &serde_json::json!({}), ASKED, self.steps)?;
        let mut command = Command::new(&self.program);
        command.arg("load").arg(self.home.join("cookies.txt")).args(LOAD).arg(workers.pid.to_string());
        command.arg(format!("constant={}/{ASKED}", workers.constant));
        command.arg(format!("verge={}/{ASKED}", workers.verge));
        command.arg(format!("health={}/healthz", workers.verge));
        self.figures("http", &mut command)
    }
}

/// The machine's load average, where it tells.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let first = load.split(' ').next().unwrap_or("unknown").to_owned();
    format!("{first} on {cores} cores")
}

fn tables(results: &serde_json::Map<String, Value>) {
    for (name, about) in STEPS {
        match results.get(name) {
            Some(figures) if name == "cache" => cache_table(about, figures),
            Some(figures) if name == "http" => http_table(about, figures),
            Some(figures) => table(name, about, figures, results.get("native").filter(|_| name != "native")),
            None => {}
        }
    }
}

/// µs a call, in as many digits as matter.
fn micros(ns: &Value) -> String {
    match ns.as_f64().map(|ns| ns / 1e3) {
        None => "–".to_owned(),
        Some(us) if us < 10.0 => format!("{us:.2}"),
        Some(us) => format!("{us:.0}"),
    }
}

fn named<'a>(figures: &'a Value, name: &str) -> Option<&'a Value> {
    figures.as_array()?.iter().find(|case| case["name"] == name)
}

/// How many times longer one case took than another: by the medians, or by the means where there are none.
fn ratio(case: &Value, other: &Value) -> Option<f64> {
    let figure = if case["p50"].is_null() || other["p50"].is_null() { "mean" } else { "p50" };
    Some(case[figure].as_f64()? / other[figure].as_f64()?)
}

fn table(name: &str, about: &str, figures: &Value, native: Option<&Value>) {
    println!("\n{name}: {about}. µs a call, the fastest of five passes.");
    let last = if native.is_some() { "÷ native" } else { "" };
    println!("  {:<34}{:>9}{:>9}{:>9}{:>9}{last:>10}", "", "p50", "p90", "p99", "mean");
    for case in figures.as_array().into_iter().flatten() {
        let times =
            native.and_then(|native| named(native, case["name"].as_str()?)).and_then(|own| ratio(case, own));
        let times = times.map_or(String::new(), |times| format!("{times:.2}"));
        let [p50, p90, p99, mean] = ["p50", "p90", "p99", "mean"].map(|figure| micros(&case[figure]));
        let name = case["name"].as_str().unwrap_or_default();
        println!("  {name:<34}{p50:>9}{p90:>9}{p99:>9}{mean:>9}{times:>10}");
    }
    for (slow, fast) in [
        ("obvious: score prefixes", "score prefixes"),
        ("score prefixes", "only read the prefixes' rows"),
        ("obvious: look up an index by id", "look up an index by id"),
        ("obvious: deserialise the shop", "open 2.5 MiB"),
        ("read 25 MiB once", "open 25 MiB"),
    ] {
        let times = named(figures, slow).zip(named(figures, fast)).and_then(|(slow, fast)| ratio(slow, fast));
        if let Some(times) = times {
            println!("  {slow} ÷ {fast}: {times:.2}");
        }
    }
}

fn cache_table(about: &str, figures: &Value) {
    println!("\ncache: {about}. Share of shards at hand / of requests with all of them at hand.");
    println!("      items  skew     tables  order            shard   cache       at hand");
    for case in figures.as_array().into_iter().flatten() {
        let percent = |figure: &str| 100.0 * case[figure].as_f64().unwrap_or_default();
        let whole = |figure: &str| case[figure].as_u64().unwrap_or_default();
        println!(
            "  {:>9}  {:>4.1}  {:>5} MiB  {:<14}{:>5} KiB{:>4} MiB{:>7.1} / {:>4.1} %",
            whole("items"),
            case["skew"].as_f64().unwrap_or_default(),
            whole("tables_mib"),
            case["order"].as_str().unwrap_or_default(),
            whole("shard_kib"),
            whole("cache_mib"),
            percent("shards"),
            percent("requests"),
        );
    }
}

fn http_table(about: &str, figures: &Value) {
    println!("\nhttp: {about}, 8 connections, in turn.");
    println!("  {:<12}{:>10}{:>9}{:>9}{:>9}{:>9}", "", "answers/s", "p50 ms", "p99 ms", "CPU µs", "bytes");
    let number = |value: &Value, digits: usize| {
        value.as_f64().map_or("–".to_owned(), |value| format!("{value:.digits$}"))
    };
    for case in figures.as_array().into_iter().flatten() {
        println!(
            "  {:<12}{:>10}{:>9}{:>9}{:>9}{:>9}",
            case["name"].as_str().unwrap_or_default(),
            number(&case["per_second"], 0),
            number(&case["p50"], 2),
            number(&case["p99"], 2),
            number(&case["cpu"], 0),
            number(&case["bytes"], 0),
        );
    }
    if let (Some(constant), Some(verge)) = (named(figures, "constant"), named(figures, "verge")) {
        let share = |figure: &str| Some(100.0 * verge[figure].as_f64()? / constant[figure].as_f64()?);
        if let Some(share) = share("per_second") {
            println!("  verge answers {share:.0} % as often as the constant Worker");
        }
        if let Some(share) = share("cpu") {
            println!("  and takes {share:.0} % of its CPU, which other work on the machine changes less");
        }
    }
}
