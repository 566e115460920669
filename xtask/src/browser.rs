//! Building for the page: the npm package in `target/browser/package`, and the shop that uses it in `target/shop`.

use crate::steps::Steps;
use crate::{root, tools, wasm};
use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the package's sources are.
const SOURCES: &str = "edge/browser/npm";
/// Its modules, and what each leaves to the others.
const MODULES: [(&str, Option<&str>); 4] = [
    ("index", Some("./fallback.js")),
    ("fallback", Some("./scorer.js")),
    ("element", Some("./index.js")),
    ("server", None),
];
/// What the package holds as it is: of its own, and of the whole project.
const AS_IT_IS: [&str; 3] = ["package.json", "README.md", "recipes"];
const LICENSES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];
/// Prints the size of each file that it is given after brotli, as the web serves it.
const BROTLI: &str = "const { brotliCompressSync } = require('zlib'), { readFileSync } = require('fs');
for (const file of process.argv.slice(1)) console.log(brotliCompressSync(readFileSync(file)).length);";

/// The budgets, in bytes after gzip.
const BUDGETS: [(&str, usize); 3] =
    [("index.js", 4 << 10), ("element.js", 4 << 10), ("scorer_bg.wasm", 45 << 10)];

/// Builds the npm package with its types and the documentation made from them. Returns the lines that tell sizes.
///
/// # Errors
/// When a tool is missing and cannot be installed, a type does not fit, or another step fails.
pub fn build(steps: &Steps) -> Result<String> {
    let (package, sources) = (build_modules(steps)?, root().join(SOURCES));
    for name in AS_IT_IS {
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

/// Builds what a page loads: the package's modules and the scorer. Returns their directory.
fn build_modules(steps: &Steps) -> Result<PathBuf> {
    tools::npm_packages(steps)?;
    wasm::build_modules("browser", "page", &[], steps)?;
    let (built, sources) = (root().join("target/browser"), root().join(SOURCES).join("src"));
    let package = built.join("package");
    fs::create_dir_all(&package).with_context(|| format!("cannot make {}", package.display()))?;
    copy(&built.join("scorer_bg.wasm"), &package)?;
    let entry = |name: &str| sources.join(format!("{name}.ts"));
    for (name, left) in MODULES {
        bundle(steps, &entry(name), left, &package.join(format!("{name}.js")))?;
    }
    bundle(steps, &built.join("scorer.js"), None, &package.join("scorer.js"))?;
    Ok(package)
}

fn bundle(steps: &Steps, entry: &Path, left: Option<&str>, out: &Path) -> Result<()> {
    let name = out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut esbuild = tools::npm_program("esbuild");
    esbuild.arg(entry).args([
        "--bundle",
        "--minify",
        "--format=esm",
        "--target=es2022",
        "--log-level=warning",
    ]);
    esbuild.args(left.map(|left| format!("--external:{left}"))).arg(format!("--outfile={}", out.display()));
    steps.run(&name, &mut esbuild).map(drop)
}

/// Puts the demo shop, what it loads and the OpenAPI file into target/shop, as `wrangler.toml` serves it.
///
/// # Errors
/// As for [`build`].
pub fn build_shop(steps: &Steps) -> Result<()> {
    let (package, shop) = (build_modules(steps)?, root().join("target/shop"));
    let library = shop.join("verge");
    fs::create_dir_all(&library).with_context(|| format!("cannot make {}", library.display()))?;
    for (from, to) in [(root().join("edge/shop"), &shop), (package, &library)] {
        for entry in fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))? {
            let path = entry?.path();
            let served = ["js", "wasm", "html", "css", "svg"];
            if path.extension().is_some_and(|extension| served.iter().any(|served| *served == extension)) {
                copy(&path, to)?;
            }
        }
    }
    copy(&root().join("edge/openapi.json"), &shop)
}

/// Copies a file into a directory, unless it is there: whoever watches the directory is not to see a change.
fn copy(file: &Path, directory: &Path) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let to = directory.join(file.file_name().unwrap_or_default());
    if fs::read(&to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(&to, bytes).with_context(|| format!("cannot write {}", to.display()))
}

/// What each file that a page loads takes, gzipped, beside its budget, and after brotli.
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
        let beside = budget.map_or(String::new(), |budget| {
            let over = if gzipped > budget { ", which is OVER" } else { "" };
            format!(" of {:.0}{over}", kib(budget))
        });
        lines.push(format!(
            "{file:15} {:6.1} KiB, {:5.1} KiB by brotli, {:5.1} KiB gzipped{beside}",
            kib(bytes.len()),
            kib(brotli.trim().parse()?),
            kib(gzipped)
        ));
    }
    Ok(lines.join("\n"))
}
