//! `cargo xtask fuzz`: runs libFuzzer on every decoder, seeded with real input.

use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;
use xtask::process::{self, Running};
use xtask::root;
use xtask::steps::Steps;
use xtask::tools::cargo;

/// Fuzzes the decoders
///
/// Needs a C++ compiler.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Targets to run; all if none is given
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// The coverage feedback that libFuzzer needs. `cargo fuzz` sets the same flags, plus sanitizers, which need a nightly
/// compiler. The decoders have no unsafe code for sanitizers to check.
const INSTRUMENT: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// Runs the given targets, or all.
pub(crate) fn run(args: &Args) -> Result<()> {
    process::stop_all_on_signal("stopped", 130)?;
    fuzz(&args.targets, args.seconds, &Steps::new(&root().join("target/fuzz/log"))?)
}

/// Runs `targets`, or all if it is empty, for `seconds` each.
///
/// # Errors
/// A target fails; the input that caused it is kept in target/fuzz/found.
pub(crate) fn fuzz(targets: &[String], seconds: u32, steps: &Steps) -> Result<()> {
    let folder = root().join("target/fuzz");
    let manifest = root().join("snapshots/fuzz/Cargo.toml");
    let build = || {
        let mut command = cargo();
        command
            .args(["build", "--release", "--manifest-path"])
            .arg(&manifest)
            .arg("--target-dir")
            .arg(&folder);
        command
    };
    steps.run("build of the seeds", build().args(["--bin", "seeds"]))?;
    let corpus = folder.join("corpus");
    let known = steps.run("seeds", Command::new(folder.join("release/seeds")).arg(&corpus))?;
    let known: Vec<&str> = known.lines().collect();
    if let Some(unknown) = targets.iter().find(|target| !known.contains(&target.as_str())) {
        bail!("there is no fuzz target '{unknown}'; there are {}", known.join(", "));
    }
    // With an explicit --target, RUSTFLAGS do not apply to build scripts.
    let host = host()?;
    let mut instrumented = build();
    instrumented.env("RUSTFLAGS", INSTRUMENT).args(["--target", &host]);
    instrumented.args(known.iter().flat_map(|target| ["--bin", target]));
    steps.run("fuzz targets", &mut instrumented)?;
    let programs = folder.join(&host).join("release");
    let found = folder.join("found");
    fs::create_dir_all(&found).with_context(|| format!("cannot create {}", found.display()))?;
    println!("{:<12} {:>12} {:>10} {:>10} {:>8}", "target", "executions", "per s", "features", "corpus");
    for target in
        known.iter().filter(|target| targets.is_empty() || targets.iter().any(|name| name == *target))
    {
        let log = steps.log(target);
        let mut command = Command::new(programs.join(target));
        command.arg(corpus.join(target)).arg(format!("-max_total_time={seconds}")).args([
            "-rss_limit_mb=1024",
            "-timeout=10",
            "-max_len=8192",
            "-print_final_stats=1",
        ]);
        command.arg(format!("-artifact_prefix={}/{target}-", found.display()));
        let status = Running::start(&mut command, Some(&log))?.wait()?;
        let text = fs::read_to_string(&log).unwrap_or_default();
        if !status.success() {
            bail!("{target}: {status}; the input is in {}, the report in {}", found.display(), log.display());
        }
        let stat = |name: &str| {
            let line = text.lines().rev().find(|line| line.contains(name));
            line.and_then(|line| line.rsplit(' ').next()).unwrap_or("?").to_owned()
        };
        let last = text.lines().rev().find(|line| line.contains(" ft: ")).unwrap_or("");
        let word_after =
            |name: &str| last.split(' ').skip_while(|word| *word != name).nth(1).unwrap_or("?").to_owned();
        let (runs, rate) = (stat("number_of_executed_units"), stat("average_exec_per_sec"));
        println!("{target:<12} {runs:>12} {rate:>10} {:>10} {:>8}", word_after("ft:"), word_after("corp:"));
    }
    Ok(())
}

/// The target triple of the host.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = output.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}
