//! `cargo xtask bench`: measures the scorer in each of its hosts and compares it with baselines.

mod compare;
mod tables;

use crate::cli::name;
use anyhow::{Context, Result, ensure};
use clap::{ValueEnum, value_parser};
use compare::Comparison;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::direct::Direct;
use xtask::process;
use xtask::shop::{Log, Profile, Shop, Source, build_verge};
use xtask::steps::Steps;
use xtask::tools::{self, WASM_TARGET, cargo, npm_program};
use xtask::{root, wasm, worker};

/// Items of the generated shop, used when there is no real log.
const ITEMS: u32 = 20_000;
/// How the snapshots are built: with as many neighbours as the largest table that is scored.
const BUILD: [&str; 4] = ["build", "--no-judge", "--k", "100"];
/// Duration of a pass over a case, in ms.
const PASS_MS: &str = "200";
/// Duration of a round of load on a Worker, in ms, and the number of rounds.
const LOAD: [&str; 2] = ["2000", "7"];
/// The request of the step `http`. Each visitor has a cookie with the recents of a prefix.
const PATH: &str = "v1/recommendations";

/// Measures how fast snapshots and the Worker are
///
/// Uses real sessions if ../shared/data exists, a generated shop otherwise. Takes minutes; run it on a quiet machine.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Steps to run; all if none is given
    #[arg(value_name = "STEP")]
    steps: Vec<Step>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Compare with another checkout of Verge: run both builds alternately and print the ratio new/old. Applies to the
    /// steps native and v8
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Rounds of each build with --against
    #[arg(long, value_name = "N", default_value_t = 5, requires = "against",
          value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
}

/// A step, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Opening, lookups, scoring and pages, compiled for this machine
    Native,
    /// The same as wasm, in Node's V8
    V8,
    /// The same as wasm, in workerd, whose clock allows means only
    Workerd,
    /// Simulated hit rate of the shard cache for a large shop
    Cache,
    /// Requests to the Worker, compared with a Worker that answers a constant
    Http,
}

/// Runs the given steps, or all, and prints a table for each.
pub(crate) fn run(args: &Args) -> Result<()> {
    let other = args.against.as_deref().map(|dir| other_checkout(dir, &args.steps)).transpose()?;
    process::stop_all_on_signal("Stopped before anything was measured.", 130)?;
    let home = root().join("target/bench");
    let steps = Steps::new(&home.join("log"))?;
    let bench = Bench::prepare(&steps, &home)?;
    let wanted = |step: &&Step| args.steps.is_empty() || args.steps.contains(step);
    if let Some(other) = other {
        let wanted = Step::value_variants().iter().filter(|step| step.is_comparable()).filter(wanted);
        let measure = |step: &Step| Comparison::measure(&bench, &other, *step, args.rounds);
        let comparisons = wanted.map(measure).collect::<Result<Vec<_>>>()?;
        if args.json {
            bench.print_json(comparisons.iter().map(Comparison::to_json).collect());
            return Ok(());
        }
        bench.print_source();
        return comparisons.iter().try_for_each(Comparison::print);
    }
    let mut results = Vec::new();
    for step in Step::value_variants().iter().filter(wanted) {
        let figures = match step {
            Step::Native => bench.native("native", &bench.program)?,
            Step::V8 | Step::Workerd => bench.in_wasm(&name(step), &name(step), &bench.wasm()?)?,
            Step::Cache => bench.figures("cache", Command::new(&bench.program).arg("cache"))?,
            Step::Http => bench.http()?,
        };
        results.push((*step, figures));
    }
    if args.json {
        bench.print_json(results.into_iter().map(|(step, figures)| (name(&step), figures)).collect());
        return Ok(());
    }
    bench.print_source();
    tables::print(&results);
    Ok(())
}

impl Step {
    /// Whether `--against` applies: both builds can be called in the same way, and report percentiles.
    const fn is_comparable(self) -> bool {
        matches!(self, Self::Native | Self::V8)
    }
}

/// The absolute path of the checkout to compare with.
fn other_checkout(dir: &Path, steps: &[Step]) -> Result<PathBuf> {
    ensure!(
        steps.iter().all(|step| step.is_comparable()),
        "--against applies to the steps native and v8 only"
    );
    let dir = dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))?;
    compare::check_checkout(&dir)?;
    Ok(dir)
}

/// Builds the native program in the checkout `dir`; returns its path.
fn build_native(steps: &Steps, dir: &Path) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--package", "bench", "--profile", "wasm"]).current_dir(dir);
    steps.run("bench native", &mut build)?;
    Ok(dir.join("target/wasm/bench"))
}

/// Builds the wasm module in the checkout `dir`; returns its path.
fn build_wasm(steps: &Steps, dir: &Path) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["rustc", "--package", "bench", "--lib", "--crate-type", "cdylib", "--profile", "wasm"]);
    steps.run("bench wasm", build.args(["--target", WASM_TARGET]).current_dir(dir))?;
    Ok(dir.join("target").join(WASM_TARGET).join("wasm/bench.wasm"))
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
        let program = build_native(steps, &root())?;

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
            format!("a generated shop of {ITEMS} items (../shared/data is missing)")
        };
        let source = format!("{source}, {}", prefixes.trim());
        Ok(Self { steps, home, program, snapshots: shop.snapshots(), source })
    }

    fn figures(&self, name: &str, command: &mut Command) -> Result<Value> {
        let output = self.steps.run(name, command)?;
        let json = output.lines().last().unwrap_or_default();
        serde_json::from_str(json).with_context(|| format!("{name} printed no figures"))
    }

    fn native(&self, label: &str, program: &Path) -> Result<Value> {
        let mut command = Command::new(program);
        self.figures(label, command.arg("run").arg(self.home.join("inputs")).arg(PASS_MS))
    }

    /// Builds the wasm module of this checkout and installs Node; returns the path of the module.
    fn wasm(&self) -> Result<PathBuf> {
        tools::npm_packages(self.steps)?;
        wasm::ensure_target(self.steps)?;
        build_wasm(self.steps, &root())
    }

    fn in_wasm(&self, label: &str, host: &str, wasm: &Path) -> Result<Value> {
        let script = root().join("snapshots/bench/js").join(format!("{host}.mjs"));
        let mut node = npm_program("node");
        self.figures(label, node.arg(script).arg(wasm).arg(self.home.join("inputs")).arg(PASS_MS))
    }

    fn http(&self) -> Result<Value> {
        tools::npm_packages(self.steps)?;
        println!("           {}", worker::build(self.steps)?);
        let workers = Direct::start(&self.snapshots, &json!({}), PATH, self.steps)?;
        let mut command = Command::new(&self.program);
        command.arg("load").arg(self.home.join("cookies.txt")).args(LOAD).arg(workers.pid.to_string());
        command.arg(format!("constant={}/{PATH}", workers.constant));
        command.arg(format!("verge={}/{PATH}", workers.verge));
        command.arg(format!("health={}/healthz", workers.verge));
        self.figures("http", &mut command)
    }

    fn print_source(&self) {
        println!("\nMeasured on {}. Load average: {}.", self.source, load_average());
    }

    fn print_json(&self, results: Map<String, Value>) {
        println!("{}", json!({"source": self.source, "load": load_average(), "results": results}));
    }
}

/// The load average of the last minute, if the platform has one.
fn load_average() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let first = load.split(' ').next().unwrap_or("unknown").to_owned();
    format!("{first} on {cores} cores")
}
