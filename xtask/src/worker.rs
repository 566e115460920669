//! `cargo xtask worker`: the Worker's modules in `target/worker`, as `wrangler.toml` names them, and the static files in
//! `target/assets` and, with the demo shop, in `target/shop`.

use crate::steps::Steps;
use crate::{browser, wasm};
use anyhow::Result;

/// The hand-written modules around the Worker's wasm.
const MODULES: [&str; 3] = ["entry.js", "live.js", "beside.js"];

/// Builds whatever has changed of the Worker, its static files and the demo shop. Returns a line with the Worker's size.
///
/// # Errors
/// A tool is missing and cannot be installed, or a build step fails.
pub fn build(steps: &Steps) -> Result<String> {
    let size = wasm::build_modules("worker", "wasm", &MODULES, steps)?;
    browser::build_assets(steps)?;
    Ok(size)
}
