//! `cargo xtask api`: valid and invalid requests generated from the OpenAPI files.

use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;
use xtask::process::{self, Running};
use xtask::root;
use xtask::service::Service;
use xtask::shop::Shop;
use xtask::steps::Steps;
use xtask::tools::{npm_packages, python_with};
use xtask::wrangler::free_port;

/// Sends requests that schemathesis generates from origin/openapi.json and edge/openapi.json
///
/// The requests are valid and invalid. Fails if any answer is a 5xx or does not match its file, a valid request is refused,
/// or an invalid one accepted; tests/schemathesis.toml has the exceptions. Installs schemathesis
/// from PyPI into target/api.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Number of requests to each path
    #[arg(long, value_name = "N", default_value_t = 200)]
    examples: u32,
}

/// The generator, from PyPI.
const PACKAGES: [&str; 1] = ["schemathesis==4.32.5"];
/// Checks of each answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,missing_required_header,unsupported_method,ignored_auth,\
                      positive_data_acceptance,negative_data_rejection";
/// The exceptions.
const CONFIG: &str = "tests/schemathesis.toml";

/// Checks the origin and the Worker on a generated shop.
pub(crate) fn run(args: &Args) -> Result<()> {
    process::stop_all_on_signal("stopped", 130)?;
    let steps = Steps::new(&root().join("target/test/log"))?;
    match check(&steps, &Shop::for_tests(&steps)?, args.examples)? {
        Some(reason) => bail!("skipped: {reason}"),
        None => Ok(()),
    }
}

/// Sends `examples` requests to each path of a service on a copy of `shop`, and of a Worker that serves `shop`. Returns
/// the reason if PyPI is unreachable.
///
/// # Errors
/// An answer does not match its file; schemathesis prints the answer.
pub(crate) fn check(steps: &Steps, shop: &Shop, examples: u32) -> Result<Option<String>> {
    let python = match python_with(steps, &root().join("target/api"), &PACKAGES) {
        Ok(python) => python,
        Err(error) => {
            let reason = format!("{error:#}");
            let reason = reason.lines().next().unwrap_or_default();
            return Ok(Some(format!("schemathesis cannot be installed from PyPI: {reason}")));
        }
    };
    let schemathesis = python.with_file_name("schemathesis");
    let service = Service::start(shop, steps)?;
    let authorization = format!("Authorization: Bearer {}", service.key());
    // Learning takes minutes and exercises no validation that the other paths do not.
    let options = ["--header", &authorization, "--exclude-path", "/v1/admin/learn"];
    send_generated(&schemathesis, "origin/openapi.json", service.address(), examples, &options)?;
    drop(service);

    npm_packages(steps)?;
    let worker = shop.serve(steps, free_port()?)?;
    // A WebSocket: schemathesis sends plain requests only.
    let options = ["--exclude-path", "/v1/live"];
    send_generated(&schemathesis, "edge/openapi.json", &worker.address(), examples, &options)?;
    Ok(None)
}

fn send_generated(
    schemathesis: &Path,
    file: &str,
    address: &str,
    examples: u32,
    options: &[&str],
) -> Result<()> {
    let mut command = Command::new(schemathesis);
    command
        .arg("--config-file")
        .arg(root().join(CONFIG))
        .arg("run")
        .arg(root().join(file))
        .args(["--url", address, "--checks", CHECKS, "--max-examples", &examples.to_string()])
        .args([
            "--no-color",
            "--seed",
            "7",
            "--suppress-health-check",
            "all",
            "--generation-database",
            "none",
        ])
        .args(options)
        .current_dir(root().join("target/api"));
    let status = Running::start(&mut command, None)?.wait()?;
    if !status.success() {
        bail!("schemathesis found answers that do not match {file} ({status})");
    }
    Ok(())
}
