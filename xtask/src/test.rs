//! `cargo xtask test`: everything there is to test, with a summary that hides nothing.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};
use xtask::process::{self, Running};
use xtask::service::Service;
use xtask::shop::{Profile, Shop, Source, build_verge};
use xtask::steps::Steps;
use xtask::tools::{self, WASM_TARGET, cargo};
use xtask::wrangler::free_port;
use xtask::{browser, root, wasm, worker};

/// Items of the shop that the browser tests look at.
const SHOP_ITEMS: u32 = 500;
/// Where browsers are, besides `CHROMIUM`.
const BROWSERS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// How long each fuzz target runs here; `cargo xtask fuzz` runs them longer.
const FUZZ_SECONDS: u32 = 3;

/// Requests made up for each address here; `cargo xtask api` makes more.
const API_EXAMPLES: u32 = 20;

enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Steps) -> Result<Outcome>,
}

const STEPS: [Step; 11] = [
    Step { name: "format", about: "cargo fmt --check", run: format },
    Step { name: "lint", about: "clippy, of everything and of the Worker as wasm", run: lint },
    Step { name: "unit", about: "the crates' own tests", run: unit },
    Step { name: "fuzz", about: "every decoder against made-up bytes, briefly", run: fuzz },
    Step { name: "worker", about: "the builds of the Worker and of the page's scorer", run: build_worker },
    Step { name: "npm", about: "wrangler and its Node", run: npm },
    Step { name: "edge", about: "the Worker in workerd, with the verge binary and KV", run: edge },
    Step { name: "http", about: "made-up requests to the Worker in workerd", run: http },
    Step { name: "shop", about: "the storefront in a browser", run: shop },
    Step { name: "admin", about: "the operators' page in a browser", run: admin },
    Step {
        name: "api",
        about: "made-up requests to the origin and the Worker, by their OpenAPI files",
        run: api,
    },
];

/// The steps and what they are, for the help.
pub fn steps() -> impl Iterator<Item = (&'static str, &'static str)> {
    STEPS.iter().map(|step| (step.name, step.about))
}

/// Runs the steps named, or all; an error when any of them failed.
pub fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("there is no test step '{unknown}'; there are {}", known.join(", "));
    }
    process::stop_all_on_signal("Stopped: nothing was found out.", 130)?;
    let steps = Steps::new(&root().join("target/test/log"))?;
    let mut results = Vec::new();
    for step in STEPS.iter().filter(|step| names.is_empty() || names.iter().any(|name| name == step.name)) {
        println!("\n── {}: {}", step.name, step.about);
        let began = Instant::now();
        let outcome = (step.run)(&steps).unwrap_or_else(|error| {
            println!("{error:#}");
            Outcome::Failed(first_line(&error))
        });
        results.push((step.name, outcome, began.elapsed()));
    }
    summarise(&results, names.is_empty())
}

fn first_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}

fn summarise(results: &[(&str, Outcome, Duration)], all: bool) -> Result<()> {
    println!("\n── summary");
    let (mut failed, mut skipped) = (Vec::new(), Vec::new());
    for (name, outcome, took) in results {
        let seconds = took.as_secs_f64();
        match outcome {
            Outcome::Passed => println!("   passed   {name:8} {seconds:7.1} s"),
            Outcome::Failed(why) => {
                failed.push(*name);
                println!("   FAILED   {name:8} {seconds:7.1} s  {why}");
            }
            Outcome::Skipped(why) => {
                skipped.push(*name);
                println!("   skipped  {name:8}            {why}");
            }
        }
    }
    let steps = if all { "all steps" } else { "the steps asked for" };
    match (failed.is_empty(), skipped.is_empty()) {
        (false, _) => bail!("{} of {} steps FAILED: {}", failed.len(), results.len(), failed.join(", ")),
        (true, false) => {
            println!("No step failed, but not everything was tested. Skipped: {}", skipped.join(", "))
        }
        (true, true) => println!("Passed: {steps} ({}).", results.len()),
    }
    Ok(())
}

/// Runs a command whose output is the reader's.
fn show(command: &mut Command) -> Result<Outcome> {
    let status = Running::start(command, None)?.wait()?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed(status.to_string()) })
}

fn format(_: &Steps) -> Result<Outcome> {
    show(cargo().args(["fmt", "--all", "--check"]))
}

fn lint(steps: &Steps) -> Result<Outcome> {
    wasm::ensure_target(steps)?;
    let everything = show(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let wasm = show(cargo().args([
        "clippy",
        "--package",
        "edge-worker",
        "--target",
        WASM_TARGET,
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(if matches!(everything, Outcome::Passed) { wasm } else { everything })
}

fn unit(_: &Steps) -> Result<Outcome> {
    // xtask-bindgen has no tests, and is heavy to compile.
    show(cargo().args(["test", "--workspace", "--exclude", "end-to-end", "--exclude", "xtask-bindgen"]))
}

fn fuzz(steps: &Steps) -> Result<Outcome> {
    // libFuzzer is C++.
    if Command::new("c++").arg("--version").output().is_err() {
        return Ok(Outcome::Skipped("no C++ compiler; install one (apt-get install g++)".into()));
    }
    crate::fuzz::run(&[], FUZZ_SECONDS, steps).map(|()| Outcome::Passed)
}

fn build_worker(steps: &Steps) -> Result<Outcome> {
    println!("{}", worker::build(steps)?);
    println!("{}", browser::build(steps)?);
    Ok(Outcome::Passed)
}

fn npm(steps: &Steps) -> Result<Outcome> {
    tools::npm_packages(steps).map(|()| Outcome::Passed)
}

fn edge(_: &Steps) -> Result<Outcome> {
    show(cargo().args(["test", "--package", "end-to-end"]))
}

fn http(steps: &Steps) -> Result<Outcome> {
    crate::http_fuzz::run(steps, &test_shop(steps)?, crate::http_fuzz::REQUESTS).map(|()| Outcome::Passed)
}

/// Why there is no browser to test in, if there is none.
fn no_browser() -> Option<Outcome> {
    let browser = env::var("CHROMIUM").ok();
    let found = browser.iter().map(String::as_str).chain(BROWSERS).any(|path| Path::new(path).exists());
    let why = "no Chromium; install it (apt-get install chromium) or name it in CHROMIUM";
    (!found).then(|| Outcome::Skipped(why.into()))
}

/// Node's tests in a folder below `tests`.
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
    if let Some(skipped) = no_browser() {
        return Ok(skipped);
    }
    tools::npm_packages(steps)?;
    println!("{}", browser::build(steps)?);
    let shop = test_shop(steps)?;
    let dev = shop.serve(steps, free_port()?)?;
    let pictures = root().join("target/test/shop");
    show(node_tests("shop")?.env("VERGE_URL", dev.address()).env("SCREENSHOTS", pictures))
}

/// A made-up shop, built; kept from one run to the next.
///
/// # Errors
/// A command of `verge` fails.
pub fn test_shop(steps: &Steps) -> Result<Shop> {
    let verge = build_verge(steps, Profile::Debug)?;
    let shop = Shop::new(Source::Generated(SHOP_ITEMS), &root().join("target/test"), verge);
    shop.prepare(steps)?;
    Ok(shop)
}

fn admin(steps: &Steps) -> Result<Outcome> {
    if let Some(skipped) = no_browser() {
        return Ok(skipped);
    }
    tools::npm_packages(steps)?;
    let service = Service::start(&test_shop(steps)?, steps)?;
    let pictures = root().join("target/test/admin");
    let mut tests = node_tests("admin")?;
    let tests = tests.env("VERGE_URL", service.address()).env("VERGE_KEY", service.key());
    show(tests.env("SCREENSHOTS", pictures))
}

fn api(steps: &Steps) -> Result<Outcome> {
    crate::api::run(steps, &test_shop(steps)?, API_EXAMPLES).map(|skipped| match skipped {
        Some(why) => Outcome::Skipped(why),
        None => Outcome::Passed,
    })
}
