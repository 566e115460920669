//! `cargo xtask peers`: compares learning item-to-item neighbours with the libraries that a data team would use.
//!
//! Each method runs in its own process, first Verge's and then the library's, on the same sessions with the same settings:
//! 50 neighbours, 128 dimensions, 15 iterations of ALS, 5 epochs of item2vec. The time covers learning and the
//! neighbour search; one program evaluates the quality of both.

use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use xtask::process;
use xtask::root;
use xtask::shop::{Profile, Shop, Source, build_verge};
use xtask::steps::Steps;
use xtask::tools::{self, cargo};

/// The libraries, from PyPI.
const PACKAGES: [&str; 3] = ["implicit==0.7.3", "gensim==4.4.0", "scipy==1.17.1"];
/// Each method and the library that implements it.
const METHODS: [(&str, &str); 3] = [("cosine", "implicit"), ("als", "implicit"), ("item2vec", "gensim")];
/// Items of the generated shop, used when there is no real log.
const ITEMS: u32 = 10_000;

/// Measures all methods and prints a table.
///
/// # Errors
/// Python is missing, a package cannot be installed, or a program fails.
pub(crate) fn run() -> Result<()> {
    process::stop_all_on_signal("Stopped before anything was measured.", 130)?;
    let home = root().join("target/peers");
    let steps = Steps::new(&home.join("log"))?;
    let python = tools::python_with(&steps, &home, &PACKAGES)?;
    steps.run("peers", cargo().args(["build", "--release", "--package", "origin", "--example", "peers"]))?;
    let program = root().join("target/release/examples/peers");
    let folder = home.join("sessions");
    let source = prepare(&steps, &home, &program, &folder)?;

    let line = |cells: [&str; 6]| {
        let [name, cells @ ..] = cells;
        cells.iter().fold(format!("  {name:<20}"), |line, cell| line + &format!("{cell:>10}")) + "\n"
    };
    let mut table = line(["", "wall s", "CPU s", "peak MiB", "HR@20", "MRR@20"]);
    let script = root().join("tests/peers/peers.py");
    for (method, library) in METHODS {
        let mut ours = Command::new(&program);
        ours.args(["learn", method]).arg(&folder);
        let mut theirs = Command::new(&python);
        // Both libraries advise this: they have their own threads, and BLAS threads would compete with them.
        theirs.arg(&script).arg(method).arg(&folder).env("OPENBLAS_NUM_THREADS", "1");
        let mut walls = Vec::new();
        for (side, name, mut command) in [("verge", "verge", ours), ("peer", library, theirs)] {
            let figures = figures(&steps, &format!("{name} {method}"), &mut command)?;
            let rows = folder.join(format!("{side}-{method}.rows"));
            let mut evaluate = Command::new(&program);
            evaluate.arg("judge").arg(&folder).arg(rows);
            let quality = self::figures(&steps, &format!("evaluate {name} {method}"), &mut evaluate)?;
            let number = |value: &Value, digits: usize| {
                value.as_f64().map_or("–".to_owned(), |value| format!("{value:.digits$}"))
            };
            table += &line([
                &format!("{method}, {name}"),
                &number(&figures["wall"], 2),
                &number(&figures["cpu"], 2),
                &number(&figures["peak_mib"], 0),
                &number(&quality["hr"], 4),
                &number(&quality["mrr"], 4),
            ]);
            walls.extend(figures["wall"].as_f64());
        }
        if let [ours, theirs] = walls[..] {
            table += &format!("  {library} takes {:.1} times as long\n", theirs / ours.max(1e-3));
        }
    }
    println!("\n{table}\nOver {source}. Peak memory includes the sessions and, for Python, its libraries.");
    Ok(())
}

fn prepare(steps: &Steps, home: &Path, program: &Path, folder: &Path) -> Result<String> {
    let data = root().join("../shared/data");
    let [train, test] =
        ["train", "test"].map(|part| data.join(format!("yoochoose_1_64_{part}_sessions.txt.zst")));
    let mut command = Command::new(program);
    command.arg("prepare").arg(folder);
    let name = if train.exists() && test.exists() {
        command.arg(&train).arg(&test);
        "YooChoose 1/64"
    } else {
        let verge = build_verge(steps, Profile::Release)?;
        let shop = Shop::new(Source::Generated(ITEMS), home, verge);
        shop.prepare(steps)?;
        command.arg(shop.data_dir());
        "a generated shop (../shared/data is missing)"
    };
    Ok(format!("{name}: {}", steps.run("sessions", &mut command)?.trim()))
}

fn figures(steps: &Steps, name: &str, command: &mut Command) -> Result<Value> {
    let output = steps.run(name, command)?;
    let json = output.lines().last().unwrap_or_default();
    serde_json::from_str(json).with_context(|| format!("{name} printed no figures"))
}
