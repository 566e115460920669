//! The command `verge`; all of it is in the library.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match origin::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output (`| head`) has seen enough.
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
