//! Builds the npm package into `target/browser/package`, the modules that the Worker serves into `target/assets`, and the demo
//! shop that uses them into `target/shop`.

use crate::steps::Steps;
use crate::{root, tools, wasm};
use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The sources of the package.
const SOURCES: &str = "edge/browser/npm";
/// Its modules, each with the import that is not bundled into it.
const MODULES: [(&str, Option<&str>); 4] = [
    ("index", Some("./fallback.js")),
    ("fallback", Some("./scorer.js")),
    ("element", Some("./index.js")),
    ("server", None),
];
/// Files and folders that are copied into the package unchanged.
const COPIED: [&str; 3] = ["package.json", "README.md", "recipes"];
const LICENSES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];
/// Node script: prints the size of each given file after brotli, the encoding that browsers receive.
const BROTLI: &str = "const { brotliCompressSync } = require('zlib'), { readFileSync } = require('fs');
for (const file of process.argv.slice(1)) console.log(brotliCompressSync(readFileSync(file)).length);";

/// The size budgets, in bytes after gzip.
const BUDGETS: [(&str, usize); 3] =
    [("index.js", 4 << 10), ("element.js", 4 << 10), ("scorer_bg.wasm", 45 << 10)];

/// Builds the npm package with its types and API documentation. Returns a line with the size of each file.
///
/// # Errors
/// A tool is missing and cannot be installed, the TypeScript does not type-check, or another step fails.
pub fn build(steps: &Steps) -> Result<String> {
    let (package, sources) = (build_modules(steps)?, root().join(SOURCES));
    for name in COPIED {
        let (from, folder) = (sources.join(name), package.join(name));
        if from.is_dir() {
            fs::create_dir_all(&folder)?;
            fs::read_dir(&from)?.try_for_each(|entry| copy(&entry?.path(), &folder))?;
        } else {
            copy(&from, &package)?;
        }
    }
    LICENSES.into_iter().try_for_each(|name| copy(&root().join(name), &package))?;
    let mut types = tools::npm_program("tsc");
    steps.run("types", types.arg("--project").arg(&sources).arg("--outDir").arg(&package))?;
    let mut docs = tools::npm_program("typedoc");
    steps.run(
        "API documentation",
        docs.arg("--options").arg(sources.join("typedoc.json")).arg("--out").arg(package.join("api")),
    )?;
    sizes(steps, &package)
}

/// Builds the files that a page loads: the modules and the scorer. Returns their directory.
fn build_modules(steps: &Steps) -> Result<PathBuf> {
    tools::npm_packages(steps)?;
    wasm::build_modules("browser", "page", &[], steps)?;
    let (built, sources) = (root().join("target/browser"), root().join(SOURCES).join("src"));
    let package = built.join("package");
    fs::create_dir_all(&package).with_context(|| format!("cannot create {}", package.display()))?;
    copy(&built.join("scorer_bg.wasm"), &package)?;
    let entry = |name: &str| sources.join(format!("{name}.ts"));
    for (name, external) in MODULES {
        bundle(steps, &entry(name), external, &package.join(format!("{name}.js")))?;
    }
    bundle(steps, &built.join("scorer.js"), None, &package.join("scorer.js"))?;
    Ok(package)
}

fn bundle(steps: &Steps, entry: &Path, external: Option<&str>, out: &Path) -> Result<()> {
    let name = out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut esbuild = tools::npm_program("esbuild");
    esbuild.arg(entry).args([
        "--bundle",
        "--minify",
        "--format=esm",
        "--target=es2022",
        "--log-level=warning",
    ]);
    esbuild
        .args(external.map(|module| format!("--external:{module}")))
        .arg(format!("--outfile={}", out.display()));
    steps.run(&name, &mut esbuild).map(drop)
}

/// Puts the package's modules and the OpenAPI file into target/assets/verge, which `wrangler.toml` serves, and with the demo shop
/// into target/shop, which `wrangler.demo.toml` serves.
///
/// # Errors
/// The same as [`build`].
pub fn build_assets(steps: &Steps) -> Result<()> {
    let (package, shop) = (build_modules(steps)?, root().join("target/shop"));
    let (modules, library) = (root().join("target/assets/verge"), shop.join("verge"));
    for folder in [&modules, &library] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    for (from, to) in [(&package, &modules), (&package, &library), (&root().join("edge/shop"), &shop)] {
        for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
            let path = entry?.path();
            let served = ["js", "wasm", "html", "css", "svg"];
            if path.extension().is_some_and(|extension| served.iter().any(|served| *served == extension)) {
                copy(&path, to)?;
            }
        }
    }
    [&modules, &shop].into_iter().try_for_each(|folder| copy(&root().join("edge/openapi.json"), folder))
}

/// Copies a file into a directory. Writes nothing if it is unchanged, so that watchers of the directory see no event.
fn copy(file: &Path, directory: &Path) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let to = directory.join(file.file_name().unwrap_or_default());
    if fs::read(&to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(&to, bytes).with_context(|| format!("cannot write {}", to.display()))
}

/// The size of each file that a page loads: plain, after brotli, and after gzip with its budget.
fn sizes(steps: &Steps, package: &Path) -> Result<String> {
    let files = ["index.js", "element.js", "server.js", "fallback.js", "scorer.js", "scorer_bg.wasm"];
    let paths = files.map(|file| package.join(file));
    let brotli =
        steps.run("sizes", tools::npm_program("node").arg("--eval").arg(BROTLI).arg("--").args(&paths))?;
    let mut lines = Vec::new();
    for ((file, path), brotli) in files.into_iter().zip(&paths).zip(brotli.lines()) {
        let bytes = fs::read(path)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes)?;
        let kib = |bytes: usize| bytes as f64 / 1024.0;
        let gzipped = gzip.finish()?.len();
        let budget = BUDGETS.iter().find(|(name, _)| *name == file).map(|(_, budget)| *budget);
        let limit = budget.map_or(String::new(), |budget| {
            let over = if gzipped > budget { ", OVER BUDGET" } else { "" };
            format!(" of {:.0}{over}", kib(budget))
        });
        lines.push(format!(
            "{file:15} {:6.1} KiB, {:5.1} KiB by brotli, {:5.1} KiB gzipped{limit}",
            kib(bytes.len()),
            kib(brotli.trim().parse()?),
            kib(gzipped)
        ));
    }
    Ok(lines.join("\n"))
}
