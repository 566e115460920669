//! The executable `verge`; see [`origin::cli`].

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match origin::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has exited, as in `verge … | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("verge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
