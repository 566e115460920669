//! Building the Worker: Rust to wasm to modules, in `target/worker` as `wrangler.toml` names them, and the files of the
//! shop beside it.

use crate::steps::Steps;
use crate::tools::{WASM_TARGET, add_wasm_target, cargo, has_wasm_target};
use crate::{browser, root};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// The modules around the Worker's wasm, as they are written.
const MODULES: [&str; 3] = ["entry.js", "live.js", "beside.js"];

/// Builds the Worker into target/worker, and its shop into target/shop, as far as anything has changed. Returns the line
/// that tells the Worker's size.
///
/// # Errors
/// When a tool is missing and cannot be installed, or a step fails.
pub fn build(steps: &Steps) -> Result<String> {
    let size = build_modules("worker", "wasm", &MODULES, steps)?;
    browser::build_shop(steps)?;
    Ok(size)
}

/// Builds the crate `edge-{host}` by a cargo profile into target/{host}, with the Worker's `modules` beside it. Returns
/// the line that tells the wasm's size.
///
/// # Errors
/// As for [`build`].
pub fn build_modules(host: &str, profile: &str, modules: &[&str], steps: &Steps) -> Result<String> {
    let root = root();
    ensure_target(steps)?;
    let out_dir = root.join("target").join(host);
    fs::create_dir_all(&out_dir).with_context(|| format!("cannot make {}", out_dir.display()))?;
    // wrangler and a demo may build at the same time.
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
    let written = modules.iter().map(|name| root.join("edge/worker/js").join(name));
    let written: Vec<_> = written.collect();
    if [&wasm, &bindgen].into_iter().chain(&written).any(|input| is_newer(input, &size_file)) {
        for (name, module) in modules.iter().zip(&written) {
            fs::copy(module, out_dir.join(name))
                .with_context(|| format!("cannot copy {}", module.display()))?;
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
