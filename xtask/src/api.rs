//! `cargo xtask api`: requests made up from the OpenAPI files, right and wrong ones.

use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;
use xtask::process::Running;
use xtask::root;
use xtask::service::Service;
use xtask::shop::Shop;
use xtask::steps::Steps;
use xtask::tools::{npm_packages, python_with};
use xtask::wrangler::free_port;

/// Requests made up for each address unless told otherwise.
pub const EXAMPLES: u32 = 200;
/// What makes them up, from PyPI.
const PACKAGES: [&str; 1] = ["schemathesis==4.32.5"];
/// What an answer is held to. Wrong requests need not be refused: events and items may hold more than the file says.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,missing_required_header,unsupported_method,ignored_auth";

/// Makes `examples` requests for each address up, of a service on a copy of `shop` and of a Worker that serves it. Returns
/// why it could not, where PyPI is out of reach.
///
/// # Errors
/// An answer is not as its file says; what it was is printed.
pub fn run(steps: &Steps, shop: &Shop, examples: u32) -> Result<Option<String>> {
    let python = match python_with(steps, &root().join("target/api"), &PACKAGES) {
        Ok(python) => python,
        Err(error) => {
            let why = format!("{error:#}");
            let why = why.lines().next().unwrap_or_default();
            return Ok(Some(format!("schemathesis cannot be had from PyPI: {why}")));
        }
    };
    let schemathesis = python.with_file_name("schemathesis");
    let service = Service::start(shop, steps)?;
    let authorization = format!("Authorization: Bearer {}", service.key());
    // Learning and comparing take minutes, and tell nothing that the other addresses do not.
    let but = ["--header", &authorization, "--exclude-path", "/v1/admin/learn"];
    make_up(&schemathesis, "origin/openapi.json", service.address(), examples, &but)?;
    drop(service);

    npm_packages(steps)?;
    let worker = shop.serve(steps, free_port()?)?;
    // What goes over a WebSocket is no request.
    let but = ["--exclude-path", "/v1/live"];
    make_up(&schemathesis, "edge/openapi.json", &worker.address(), examples, &but)?;
    Ok(None)
}

fn make_up(schemathesis: &Path, file: &str, address: &str, examples: u32, more: &[&str]) -> Result<()> {
    let mut command = Command::new(schemathesis);
    command
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
        .args(more)
        .current_dir(root().join("target/api"));
    let status = Running::start(&mut command, None)?.wait()?;
    if !status.success() {
        bail!("schemathesis found answers that are not as {file} says ({status})");
    }
    Ok(())
}
