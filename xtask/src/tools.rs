//! External tools: cargo, rustup, npm, Node and Python, with installation of what is missing.

use crate::{root, steps::Steps};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The target of the Worker and of the page's scorer.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// The oldest Node that wrangler runs on.
const MIN_NODE: (u32, u32) = (22, 12);

/// The `cargo` that runs this program, without the environment variables that describe this program's package: they would
/// cause build scripts that depend on them to run again.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(describes_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether cargo sets this variable to describe the package of the program that it runs.
fn describes_package(variable: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    prefixes.iter().any(|prefix| variable.starts_with(prefix))
        || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "LD_LIBRARY_PATH"].contains(&variable)
}

/// Whether the standard library for [`WASM_TARGET`] is installed.
///
/// # Errors
/// `rustc` cannot be run.
pub fn has_wasm_target() -> Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM_TARGET])
        .current_dir(root())
        .output()
        .context("cannot run rustc; install Rust from https://rustup.rs")?;
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// The command that installs [`WASM_TARGET`].
pub fn add_wasm_target() -> Command {
    let mut command = Command::new("rustup");
    command.args(["target", "add", WASM_TARGET]).current_dir(root());
    command
}

/// A program from `node_modules`, run with the Node from `node_modules`.
pub fn npm_program(name: &str) -> Command {
    let programs = root().join("node_modules/.bin");
    let mut command = Command::new(programs.join(name));
    command.current_dir(root()).env("PATH", path_with(&programs));
    command
}

/// `PATH` with the directory `first` in front. On Linux, `node_modules` contains a Node that wrangler supports.
fn path_with(first: &Path) -> std::ffi::OsString {
    let rest = env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(first.to_owned()).chain(env::split_paths(&rest));
    env::join_paths(all).unwrap_or(rest)
}

/// Installs the npm packages of `package-lock.json` unless they are installed already, and checks the version of Node.
///
/// # Errors
/// npm is missing or fails, or Node is too old.
pub fn npm_packages(steps: &Steps) -> Result<()> {
    let root = root();
    let lock = fs::read(root.join("package-lock.json")).context("cannot read package-lock.json")?;
    // A copy of the lock file, written after a complete installation.
    let installed: PathBuf = root.join("node_modules/.installed-lock");
    if fs::read(&installed).is_ok_and(|copy| copy == lock) {
        steps.say("✓ npm packages (installed already)");
    } else {
        if Command::new("npm").arg("--version").output().is_err() {
            bail!(
                "npm is missing; install Node.js 20 or later with npm (Debian: apt install nodejs npm, or https://nodejs.org)"
            );
        }
        steps.run(
            "npm packages",
            Command::new("npm")
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(&root),
        )?;
        fs::write(&installed, lock)?;
    }
    check_node()
}

fn check_node() -> Result<()> {
    let (major, minor) = MIN_NODE;
    let output = Command::new("node")
        .arg("--version")
        .env("PATH", path_with(&root().join("node_modules/.bin")))
        .output()
        .with_context(|| format!("cannot run node; install Node.js {major}.{minor} or later"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(has), Some(has_minor)) if (has, has_minor) >= MIN_NODE => Ok(()),
        _ => bail!(
            "wrangler needs Node.js {major}.{minor} or later; the installed version is '{version}'; see https://nodejs.org"
        ),
    }
}

/// The Python of a virtual environment in `home` with these packages from PyPI installed.
///
/// # Errors
/// Python with `venv` is missing, or a package cannot be installed.
pub fn python_with(steps: &Steps, home: &Path, packages: &[&str]) -> Result<PathBuf> {
    let environment = home.join("venv");
    let installed = environment.join("made-from.txt");
    let python = environment.join("bin/python");
    let wanted = packages.join("\n");
    if !fs::read_to_string(&installed).is_ok_and(|before| before == wanted) {
        let mut create = Command::new("python3");
        steps
            .run("virtual environment", create.args(["-m", "venv", "--clear"]).arg(&environment))
            .context("Python 3 with venv is required")?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--retries", "1"]).args(packages);
        steps.run("install", &mut install)?;
        fs::write(&installed, wanted)?;
    }
    Ok(python)
}
