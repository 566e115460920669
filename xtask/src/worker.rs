//! Building the Worker: Rust to wasm to the modules in `target/worker` that `wrangler.toml` names.

use crate::root;
use crate::steps::Steps;
use crate::tools::{WASM_TARGET, add_wasm_target, cargo, has_wasm_target};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// The entry module, as it is written.
const ENTRY: &str = "edge/worker/js/entry.js";
/// Where the modules go.
const OUT_DIR: &str = "target/worker";

/// Builds the Worker as far as anything has changed. Returns the line that tells its size.
///
/// # Errors
/// When a tool is missing and cannot be installed, or a step fails.
pub fn build(steps: &Steps) -> Result<String> {
    let root = root();
    ensure_target(steps)?;
    let out_dir = root.join(OUT_DIR);
    fs::create_dir_all(&out_dir).with_context(|| format!("cannot make {}", out_dir.display()))?;
    // wrangler and a demo may build at the same time.
    let lock = fs::File::create(out_dir.join(".lock"))?;
    lock.lock()?;
    steps.run(
        "worker wasm",
        cargo().args(["build", "--profile", "wasm", "--target", WASM_TARGET, "--package", "edge-worker"]),
    )?;
    steps.run("bindgen", cargo().args(["build", "--profile", "tool", "--package", "xtask-bindgen"]))?;

    let wasm = root.join("target").join(WASM_TARGET).join("wasm/edge_worker.wasm");
    let bindgen = root.join("target/tool/xtask-bindgen");
    let size_file = out_dir.join("size.txt");
    if [&wasm, &bindgen, &root.join(ENTRY)].into_iter().any(|input| is_newer(input, &size_file)) {
        fs::copy(root.join(ENTRY), out_dir.join("entry.js"))
            .with_context(|| format!("cannot copy {ENTRY}"))?;
        let size = steps.run("worker modules", Command::new(bindgen).arg(wasm).arg(&out_dir))?;
        fs::write(&size_file, size)?;
    }
    Ok(fs::read_to_string(size_file)?.trim().to_owned())
}

/// Installs the wasm target if it is missing.
///
/// # Errors
/// When rustup is missing or fails.
pub fn ensure_target(steps: &Steps) -> Result<()> {
    if has_wasm_target()? {
        return Ok(());
    }
    let added = steps.run("wasm target", &mut add_wasm_target());
    added.map(drop).with_context(|| format!("the target {WASM_TARGET} is missing; install Rust with rustup"))
}

/// Whether `file` was changed after `than`, or either cannot be read.
fn is_newer(file: &Path, than: &Path) -> bool {
    let changed = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    match (changed(file), changed(than)) {
        (Some(file), Some(than)) => file > than,
        _ => true,
    }
}
