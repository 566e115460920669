//! From a crate of `edge/` to the modules that a JavaScript host loads: Rust to wasm to `wasm-bindgen`'s output.

use crate::root;
use crate::steps::Steps;
use crate::tools::{WASM_TARGET, add_wasm_target, cargo, has_wasm_target};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// Builds the crate `edge-{host}` with a cargo profile into `target/{host}`, together with the hand-written
/// `modules` of the Worker. Returns a line with the size of the wasm.
///
/// # Errors
/// A tool is missing and cannot be installed, or a build step fails.
pub fn build_modules(host: &str, profile: &str, modules: &[&str], steps: &Steps) -> Result<String> {
    let root = root();
    ensure_target(steps)?;
    let out_dir = root.join("target").join(host);
    fs::create_dir_all(&out_dir).with_context(|| format!("cannot create {}", out_dir.display()))?;
    // wrangler and the demo may build at the same time.
    let lock = fs::File::create(out_dir.join(".lock"))?;
    lock.lock()?;
    let package = format!("edge-{host}");
    let mut build = cargo();
    build.args(["build", "--profile", profile, "--target", WASM_TARGET, "--package", &package]);
    steps.run(&format!("{host} wasm"), &mut build)?;
    steps.run("bindgen", cargo().args(["build", "--profile", "tool", "--package", "xtask-bindgen"]))?;

    let built = root.join("target").join(WASM_TARGET).join(profile);
    let wasm = built.join(format!("edge_{host}.wasm"));
    let bindgen = root.join("target/tool/xtask-bindgen");
    let size_file = out_dir.join("size.txt");
    let sources = modules.iter().map(|name| root.join("edge/worker/js").join(name));
    let sources: Vec<_> = sources.collect();
    if [&wasm, &bindgen].into_iter().chain(&sources).any(|input| is_newer(input, &size_file)) {
        for (name, source) in modules.iter().zip(&sources) {
            fs::copy(source, out_dir.join(name))
                .with_context(|| format!("cannot copy {}", source.display()))?;
        }
        let mut bindgen = Command::new(bindgen);
        let size = steps.run(&format!("{host} modules"), bindgen.arg(host).arg(wasm).arg(&out_dir))?;
        fs::write(&size_file, size)?;
    }
    Ok(fs::read_to_string(size_file)?.trim().to_owned())
}

/// Installs the wasm target if it is missing.
///
/// # Errors
/// rustup is missing or fails.
pub fn ensure_target(steps: &Steps) -> Result<()> {
    if has_wasm_target()? {
        return Ok(());
    }
    let added = steps.run("wasm target", &mut add_wasm_target());
    added.map(drop).with_context(|| format!("the target {WASM_TARGET} is missing; install Rust with rustup"))
}

/// Whether `file` was modified after `reference`; also true when either time is unavailable.
fn is_newer(file: &Path, reference: &Path) -> bool {
    let modified = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    match (modified(file), modified(reference)) {
        (Some(file), Some(reference)) => file > reference,
        _ => true,
    }
}
