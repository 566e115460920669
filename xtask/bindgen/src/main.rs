//! `xtask-bindgen HOST WASM OUT_DIR`: runs wasm-bindgen on WASM and prints the size of the result. For the HOST `worker` it
//! writes `index.js` and `index_bg.wasm`, for `browser` `scorer.js` and `scorer_bg.wasm`. `cargo xtask worker` and
//! `cargo xtask browser` call it.

use anyhow::{Context, Result, bail};
use flate2::{Compression, write::GzEncoder};
use std::{env, fs, io::Write, path::Path};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [host, wasm, out_dir] = arguments.as_slice() else { bail!("usage: xtask-bindgen HOST WASM OUT_DIR") };
    let in_worker = host == "worker";
    let out_dir = Path::new(out_dir);
    let name = if in_worker { "index" } else { "scorer" };
    let mut bindgen = Bindgen::new();
    if in_worker {
        // The entry module creates a new instance after an abort.
        bindgen.module(true)?.reset_state_function(true).force_enable_abort_handler(true);
    } else {
        bindgen.web(true)?.omit_default_module_path(true);
    }
    bindgen
        .input_path(wasm)
        .out_name(name)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(out_dir)
        .context("wasm-bindgen failed; is its version the one in Cargo.lock?")?;

    if in_worker {
        // workerd does not support source-phase imports of wasm.
        let index = out_dir.join("index.js");
        let script =
            fs::read_to_string(&index).with_context(|| format!("cannot read {}", index.display()))?;
        fs::write(&index, script.replace("import source ", "import "))?;
    }

    let wasm = fs::read(out_dir.join(format!("{name}_bg.wasm")))?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&wasm)?;
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    println!("{:.1} KiB of wasm, {:.1} KiB gzipped", kib(wasm.len()), kib(gzip.finish()?.len()));
    Ok(())
}
