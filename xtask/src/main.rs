//! `cargo xtask`: builds, runs, tests and measures Verge.
#![allow(
    clippy::indexing_slicing,
    reason = "a panic in a build tool reports the line and harms nothing else"
)]

mod api;
mod bench;
mod cli;
mod demo;
mod fuzz;
mod http_fuzz;
mod kill;
mod load;
mod peers;
mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use xtask::steps::Steps;
use xtask::{browser, process, root, worker};

/// Builds, runs, tests and measures Verge.
///
/// Needs Rust (rustup) and Node.js with npm; installs everything else itself. `cargo xtask COMMAND --help` describes a
/// command in full.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Test(test::Args),
    Bench(bench::Args),
    /// Builds the Worker
    ///
    /// Writes its modules to target/worker, the modules for storefronts to target/assets and the demo shop to target/shop,
    /// and prints the Worker's size. `npx wrangler dev` and `npx wrangler deploy` call this through [build] in wrangler.toml.
    Worker,
    /// Builds the npm package for storefronts
    ///
    /// Writes the client, the element, the scorer as wasm, the types and the API documentation to
    /// target/browser/package, and prints the size of each file.
    Browser,
    Fuzz(fuzz::Args),
    HttpFuzz(http_fuzz::Args),
    Api(api::Args),
    Kill(kill::Args),
    Load(load::Args),
    /// Compares learning item-to-item neighbours with implicit and gensim
    ///
    /// Measures time, memory and quality of each method on the same sessions. Needs Python 3; installs the libraries
    /// from PyPI into target/peers.
    Peers,
}

fn main() -> ExitCode {
    match process::unless_signalled(run(Cli::parse().command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo(args) => demo::run(args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Worker => build("worker", worker::build),
        Command::Browser => build("browser", browser::build),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::HttpFuzz(args) => http_fuzz::run(&args),
        Command::Api(args) => api::run(&args),
        Command::Kill(args) => kill::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Peers => peers::run(),
    }
}

fn build(name: &str, build: fn(&Steps) -> Result<String>) -> Result<()> {
    process::stop_all_on_signal("stopped", 130)?;
    println!("{}", build(&Steps::new(&root().join("target").join(name).join("log"))?)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use xtask::shop::Source;

    fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
        let program = ["cargo xtask"].iter();
        Cli::try_parse_from(program.chain(arguments)).map(|cli| cli.command)
    }

    fn parse_demo(arguments: &[&str]) -> Result<demo::Args, clap::Error> {
        match parse(&[&["demo"], arguments].concat())? {
            Command::Demo(args) => Ok(args),
            _ => panic!("not the demo"),
        }
    }

    #[test]
    fn command_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn demo_accepts_its_documented_options() {
        let plain = parse_demo(&[]).unwrap();
        assert_eq!((plain.port, plain.source()), (8787, Source::Generated(2_000)));
        let chosen = parse_demo(&["--items=7", "--port", "99"]).unwrap();
        assert_eq!((chosen.port, chosen.source()), (99, Source::Generated(7)));
        let imported = parse_demo(&["--import", "jsonl:Cargo.toml", "--import=rees46:Cargo.toml"]).unwrap();
        let Source::Files(logs) = imported.source() else { panic!("no files") };
        assert_eq!(logs.iter().map(|log| &*log.format).collect::<Vec<_>>(), ["jsonl", "rees46"]);
        assert!(logs[0].file.is_absolute());
    }

    #[test]
    fn errors_name_the_invalid_argument() {
        for (arguments, expected) in [
            (&["demo", "--import", "nothing"][..], "FORMAT:FILE, as in"),
            (&["demo", "--import", "jsonl:not-there"], "not-there"),
            (&["demo", "--import"], "value is required for '--import"),
            (&["demo", "--items", "0"], "--items"),
            (&["demo", "--items", "50000001"], "--items"),
            (&["demo", "--port", "70000"], "--port"),
            (&["demo", "--port", "0"], "--port"),
            (&["demo", "--prot", "1"], "--prot"),
            (&["demo", "--import", "jsonl:Cargo.toml", "--items", "5"], "--items"),
            (&["test", "everything"], "everything"),
            (&["bench", "nativ"], "nativ"),
            (&["fuzz", "--seconds", "many"], "--seconds"),
            (&["kill", "--times", "0"], "--times"),
            (&["load", "--seconds", "0"], "--seconds"),
            (&["peers", "all"], "all"),
            (&["worker", "all"], "all"),
        ] {
            let Err(error) = parse(arguments) else { panic!("{arguments:?} was accepted") };
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
