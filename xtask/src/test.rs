//! `cargo xtask test`: runs every test and prints a summary of what passed, failed or was skipped.

use crate::cli::{about, name};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};
use xtask::process::{self, Running};
use xtask::service::Service;
use xtask::shop::Shop;
use xtask::steps::Steps;
use xtask::tools::{self, WASM_TARGET, cargo};
use xtask::wrangler::free_port;
use xtask::{browser, root, wasm, worker};

/// Paths of browsers, tried if `CHROMIUM` is not set.
const BROWSERS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/// Seconds for each fuzz target; `cargo xtask fuzz` takes longer.
const FUZZ_SECONDS: u32 = 3;
/// Generated requests to each path; `cargo xtask api` sends more.
const API_EXAMPLES: u32 = 20;

/// Runs all tests, or the given steps
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Steps to run; all if none is given
    #[arg(value_name = "STEP")]
    steps: Vec<Step>,
}

/// A step, in the order in which they run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Formatting: cargo fmt --check
    Format,
    /// clippy on the workspace, and on the Worker as wasm
    Lint,
    /// Documentation: cargo doc without warnings
    Docs,
    /// Unit tests, doctests and tests of each crate
    Unit,
    /// Files for operators in ops/, and the documentation: links, commands, API reference
    Ops,
    /// Short fuzzing of every decoder
    Fuzz,
    /// Builds of the Worker and of the npm package
    Worker,
    /// Installation of the npm packages
    Npm,
    /// End-to-end tests: the Worker in workerd, the verge binary and KV
    Edge,
    /// Generated requests to the Worker in workerd
    Http,
    /// The demo shop in a browser
    Shop,
    /// The operators' page in a browser
    Admin,
    /// Requests to the origin and the Worker, generated from their OpenAPI files
    Api,
}

impl Step {
    fn run(self, steps: &Steps) -> Result<Outcome> {
        match self {
            Self::Format => show(cargo().args(["fmt", "--all", "--check"])),
            Self::Lint => lint(steps),
            Self::Docs => docs(),
            Self::Unit => unit(),
            Self::Ops => ops(),
            Self::Fuzz => fuzz(steps),
            Self::Worker => build_packages(steps),
            Self::Npm => tools::npm_packages(steps).map(|()| Outcome::Passed),
            Self::Edge => show(cargo().args(["test", "--package", "end-to-end"])),
            Self::Http => http(steps),
            Self::Shop => shop(steps),
            Self::Admin => admin(steps),
            Self::Api => api(steps),
        }
    }
}

enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// Runs the given steps, or all; an error if any of them failed.
pub(crate) fn run(args: &Args) -> Result<()> {
    process::stop_all_on_signal("Stopped before the tests finished.", 130)?;
    let steps = Steps::new(&root().join("target/test/log"))?;
    let mut results = Vec::new();
    for step in Step::value_variants() {
        if !args.steps.is_empty() && !args.steps.contains(step) {
            continue;
        }
        println!("\n── {}: {}", name(step), about(step));
        let started = Instant::now();
        let outcome = step.run(&steps).unwrap_or_else(|error| {
            println!("{error:#}");
            Outcome::Failed(first_line(&error))
        });
        results.push((name(step), outcome, started.elapsed()));
    }
    summarise(&results, args.steps.is_empty())
}

fn first_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}

fn summarise(results: &[(String, Outcome, Duration)], all: bool) -> Result<()> {
    println!("\n── summary");
    let (mut failed, mut skipped) = (Vec::new(), Vec::new());
    for (name, outcome, duration) in results {
        let seconds = duration.as_secs_f64();
        match outcome {
            Outcome::Passed => println!("   passed   {name:8} {seconds:7.1} s"),
            Outcome::Failed(reason) => {
                failed.push(name.as_str());
                println!("   FAILED   {name:8} {seconds:7.1} s  {reason}");
            }
            Outcome::Skipped(reason) => {
                skipped.push(name.as_str());
                println!("   skipped  {name:8}            {reason}");
            }
        }
    }
    let steps = if all { "all steps" } else { "the given steps" };
    match (failed.is_empty(), skipped.is_empty()) {
        (false, _) => bail!("{} of {} steps FAILED: {}", failed.len(), results.len(), failed.join(", ")),
        (true, false) => println!("No step failed, but some were skipped: {}", skipped.join(", ")),
        (true, true) => println!("Passed: {steps} ({}).", results.len()),
    }
    Ok(())
}

/// Runs a command with its output on the terminal.
fn show(command: &mut Command) -> Result<Outcome> {
    let status = Running::start(command, None)?.wait()?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed(status.to_string()) })
}

fn lint(steps: &Steps) -> Result<Outcome> {
    wasm::ensure_target(steps)?;
    let everything = show(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let for_wasm = ["clippy", "--package", "edge-worker", "--target", WASM_TARGET, "--", "-D", "warnings"];
    let worker = show(cargo().args(for_wasm))?;
    Ok(if matches!(everything, Outcome::Passed) { worker } else { everything })
}

fn docs() -> Result<Outcome> {
    show(cargo().args(["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Includes the doctests, which `cargo test` runs for every library.
fn unit() -> Result<Outcome> {
    // xtask-bindgen has no tests and is slow to compile.
    let tests = ["test", "--workspace", "--exclude", "end-to-end", "--exclude", "xtask-bindgen"];
    match show(cargo().args(tests))? {
        Outcome::Passed => {
            show(cargo().args(tests).args(["--features", "origin/parquet", "--test", "parquet"]))
        }
        failed => Ok(failed),
    }
}

/// The tools that are missing are listed by `ops/check`.
fn ops() -> Result<Outcome> {
    let files = show(&mut Command::new(root().join("ops/check")))?;
    // The tests built the binary.
    let docs = show(Command::new(root().join("docs/check")).arg(root().join("target/debug/verge")))?;
    Ok(if matches!(files, Outcome::Passed) { docs } else { files })
}

fn fuzz(steps: &Steps) -> Result<Outcome> {
    // libFuzzer is written in C++.
    if Command::new("c++").arg("--version").output().is_err() {
        return Ok(Outcome::Skipped("no C++ compiler; install one (apt-get install g++)".into()));
    }
    crate::fuzz::fuzz(&[], FUZZ_SECONDS, steps).map(|()| Outcome::Passed)
}

fn build_packages(steps: &Steps) -> Result<Outcome> {
    println!("{}", worker::build(steps)?);
    println!("{}", browser::build(steps)?);
    Ok(Outcome::Passed)
}

fn http(steps: &Steps) -> Result<Outcome> {
    let shop = Shop::for_tests(steps)?;
    crate::http_fuzz::check(steps, &shop, crate::http_fuzz::REQUESTS).map(|()| Outcome::Passed)
}

/// The outcome of a step that needs a browser, if there is none.
fn skip_without_browser() -> Option<Outcome> {
    let browser = env::var("CHROMIUM").ok();
    let found = browser.iter().map(String::as_str).chain(BROWSERS).any(|path| Path::new(path).exists());
    let reason = "no Chromium; install it (apt-get install chromium) or set CHROMIUM to its path";
    (!found).then(|| Outcome::Skipped(reason.into()))
}

/// The command that runs the Node tests in a folder of `tests`.
fn node_tests(folder: &str) -> Result<Command> {
    let folder = root().join("tests").join(folder);
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            files.push(path);
        }
    }
    files.sort();
    let mut node = tools::npm_program("node");
    node.arg("--test").args(files);
    Ok(node)
}

fn shop(steps: &Steps) -> Result<Outcome> {
    if let Some(skipped) = skip_without_browser() {
        return Ok(skipped);
    }
    tools::npm_packages(steps)?;
    println!("{}", browser::build(steps)?);
    let worker = Shop::for_tests(steps)?.serve(steps, free_port()?)?;
    let screenshots = root().join("target/test/shop");
    show(node_tests("shop")?.env("VERGE_URL", worker.address()).env("SCREENSHOTS", screenshots))
}

fn admin(steps: &Steps) -> Result<Outcome> {
    if let Some(skipped) = skip_without_browser() {
        return Ok(skipped);
    }
    tools::npm_packages(steps)?;
    let service = Service::start(&Shop::for_tests(steps)?, steps)?;
    let screenshots = root().join("target/test/admin");
    let mut tests = node_tests("admin")?;
    let tests = tests.env("VERGE_URL", service.address()).env("VERGE_KEY", service.key());
    show(tests.env("SCREENSHOTS", screenshots))
}

fn api(steps: &Steps) -> Result<Outcome> {
    crate::api::check(steps, &Shop::for_tests(steps)?, API_EXAMPLES).map(|skipped| match skipped {
        Some(reason) => Outcome::Skipped(reason),
        None => Outcome::Passed,
    })
}
