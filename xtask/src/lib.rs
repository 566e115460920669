//! Builds and runs the parts of Verge, for `cargo xtask` and the end-to-end tests.

pub mod browser;
pub mod direct;
pub mod process;
pub mod service;
pub mod shop;
pub mod steps;
pub mod tools;
pub mod wasm;
pub mod worker;
pub mod wrangler;

use std::path::{Path, PathBuf};

/// The root directory of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
