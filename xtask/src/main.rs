//! `cargo xtask`: everything that is built, run and tested here, by one name.

mod api;
mod bench;
mod demo;
mod fuzz;
mod http_fuzz;
mod kill;
mod load;
mod peers;
mod test;

use anyhow::{Context, Result, anyhow, bail};
use demo::Demo;
use std::env;
use std::process::ExitCode;
use xtask::shop::{Log, Source};
use xtask::steps::Steps;
use xtask::{browser, process, root, worker};

/// Items of the demo's made-up shop.
const DEMO_ITEMS: u32 = 2_000;
/// Where the demo listens, as `wrangler dev` does.
const DEMO_PORT: u16 = 8787;

fn help() -> String {
    let list = |(name, about): (&str, &str)| format!("    {name:8} {about}\n");
    let (seconds, examples, times, load) = (fuzz::SECONDS, api::EXAMPLES, kill::TIMES, load::SECONDS);
    let requests = http_fuzz::REQUESTS;
    let steps: String = test::steps().map(list).collect();
    let measured: String = bench::STEPS.into_iter().map(list).collect();
    format!(
        "\
Builds, runs and tests Verge. Needs Rust (rustup) and npm; installs the rest by itself.

cargo xtask demo [--import FORMAT:FILE]... [--items N] [--port P]
    A shop on http://127.0.0.1:{DEMO_PORT}, in the same workerd that Cloudflare runs: learns from a log, builds
    snapshots, publishes them to a local KV, and answers. Ctrl-C stops it. What was built and imported is
    kept in target/demo, so that the next start takes seconds.
      --import FORMAT:FILE  a log of yours, plain, .gz or .zst; repeat it for several. FORMAT is one of
                            online-retail, rees46, retailrocket, alibaba, sessions, jsonl
      --items N             without --import: how many items the made-up shop has (default {DEMO_ITEMS})
      --port P              where to listen (default {DEMO_PORT})
    Examples:
      cargo xtask demo
      cargo xtask demo --import online-retail:online_retail.csv.zst

cargo xtask test [STEP]...
    Everything there is to test, or the steps named:
{steps}
cargo xtask bench [STEP]... [--json]
    How fast it is, over real sessions where ../shared/data is there; takes minutes, and a quiet machine:
{measured}
cargo xtask peers
    How fast and how well item-to-item neighbours are learnt beside implicit and gensim, which it installs from
    PyPI into target/peers. Needs Python 3.

cargo xtask fuzz [--seconds N] [TARGET]...
    Every decoder, or those named, against made-up bytes for N seconds each (default {seconds}). Needs a C++
    compiler.

cargo xtask http-fuzz [--requests N]
    So many made-up requests (default {requests}), right and wrong ones, to the Worker in workerd: each has to be answered
    as documented, and memory to stay bounded.

cargo xtask kill [--times N]
    The service killed at random N times (default {times}) while clients send events: each acknowledged one has to be
    there once, and the tables those of an offline build.

cargo xtask load [--seconds N]
    Events a second that the service takes, one by one, in batches, and at ten times the rate, N seconds each (default
    {load}); beside PostgreSQL where it is installed (apt-get install postgresql).

cargo xtask api [--examples N]
    Requests that schemathesis makes up from origin/openapi.json and edge/openapi.json, N for each address (default
    {examples}), right and wrong ones: none may end with a 5xx, or otherwise than the file says. Installs it from PyPI
    into target/api.

cargo xtask worker
    Builds the Worker into target/worker and prints its size. `npx wrangler dev` and `npx wrangler deploy`
    call it by themselves, through [build] in wrangler.toml.

cargo xtask browser
    Builds the npm package for storefronts into target/browser/package, with the scorer as wasm, types and API
    documentation, and prints sizes.
"
    )
}

fn main() -> ExitCode {
    match process::unless_signalled(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("--help", [].as_slice()),
    };
    if rest.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{}", help());
        return Ok(());
    }
    match command {
        "api" => run_api(rest),
        "bench" => bench::run(rest),
        "demo" => demo::run(demo_arguments(rest)?),
        "test" => test::run(rest),
        "worker" => build(rest, "worker", worker::build),
        "browser" => build(rest, "browser", browser::build),
        "fuzz" => run_fuzz(rest),
        "http-fuzz" => run_http_fuzz(rest),
        "kill" => kill::run(rest),
        "load" => load::run(rest),
        "peers" => peers::run(rest),
        "help" | "--help" | "-h" => {
            print!("{}", help());
            Ok(())
        }
        unknown => bail!("there is no `cargo xtask {unknown}`; `cargo xtask --help` tells what there is"),
    }
}

fn run_fuzz(rest: &[String]) -> Result<()> {
    let (seconds, targets) = match rest.split_first() {
        Some((flag, rest)) if flag == "--seconds" => {
            let Some((number, targets)) = rest.split_first() else { bail!("--seconds takes a number") };
            (number.parse().map_err(|_| anyhow!("--seconds takes a number, and got '{number}'"))?, targets)
        }
        _ => (fuzz::SECONDS, rest),
    };
    process::stop_all_on_signal("stopped", 130)?;
    fuzz::run(targets, seconds, &Steps::new(&root().join("target/fuzz/log"))?)
}

fn run_http_fuzz(rest: &[String]) -> Result<()> {
    let requests = http_fuzz::arguments(rest)?;
    process::stop_all_on_signal("stopped", 130)?;
    let steps = Steps::new(&root().join("target/test/log"))?;
    http_fuzz::run(&steps, &test::test_shop(&steps)?, requests)
}

fn run_api(rest: &[String]) -> Result<()> {
    let examples = match rest {
        [] => api::EXAMPLES,
        [flag, number] if flag == "--examples" => {
            number.parse().map_err(|_| anyhow!("--examples takes a number, and got '{number}'"))?
        }
        [unknown, ..] => bail!("`cargo xtask api` takes --examples N, and got '{unknown}'"),
    };
    process::stop_all_on_signal("stopped", 130)?;
    let steps = Steps::new(&root().join("target/test/log"))?;
    match api::run(&steps, &test::test_shop(&steps)?, examples)? {
        Some(why) => bail!("not run: {why}"),
        None => Ok(()),
    }
}

fn build(rest: &[String], host: &str, build: fn(&Steps) -> Result<String>) -> Result<()> {
    if let Some(unknown) = rest.first() {
        bail!("`cargo xtask {host}` takes no arguments, and got '{unknown}'");
    }
    process::stop_all_on_signal("stopped", 130)?;
    println!("{}", build(&Steps::new(&root().join("target").join(host).join("log"))?)?);
    Ok(())
}

fn demo_arguments(rest: &[String]) -> Result<Demo> {
    let (mut logs, mut items, mut port) = (Vec::new(), None, DEMO_PORT);
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        let (name, given) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = || {
            given.clone().or_else(|| rest.next().cloned()).with_context(|| format!("{name} needs a value"))
        };
        match name {
            "--import" => logs.push(Log::parse(&value()?)?),
            "--items" => match value()?.parse() {
                Ok(number @ 1..=50_000_000) => items = Some(number),
                _ => bail!("--items needs a whole number from 1 to 50000000"),
            },
            "--port" => match value()?.parse() {
                Ok(number @ 1..) => port = number,
                _ => bail!("--port needs a number from 1 to 65535"),
            },
            unknown => bail!("`cargo xtask demo` knows no '{unknown}'; see `cargo xtask --help`"),
        }
    }
    if !logs.is_empty() && items.is_some() {
        bail!("--items is for a made-up shop; leave it out with --import");
    }
    let source =
        if logs.is_empty() { Source::Generated(items.unwrap_or(DEMO_ITEMS)) } else { Source::Files(logs) };
    Ok(Demo { source, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Demo> {
        demo_arguments(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_demo_takes_what_its_help_says() {
        let plain = read(&[]).unwrap();
        assert_eq!((plain.source, plain.port), (Source::Generated(DEMO_ITEMS), DEMO_PORT));
        let chosen = read(&["--items=7", "--port", "99"]).unwrap();
        assert_eq!((chosen.source, chosen.port), (Source::Generated(7), 99));
        let imported = read(&["--import", "jsonl:Cargo.toml", "--import=rees46:Cargo.toml"]).unwrap().source;
        let Source::Files(logs) = imported else { panic!("no files") };
        assert_eq!(logs.iter().map(|log| &*log.format).collect::<Vec<_>>(), ["jsonl", "rees46"]);
        assert!(logs[0].file.is_absolute());
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (arguments, expected) in [
            (&["--import", "nothing"][..], "FORMAT:FILE"),
            (&["--import", "jsonl:not-there"], "not-there"),
            (&["--import"], "--import needs a value"),
            (&["--items", "0"], "--items"),
            (&["--port", "70000"], "--port"),
            (&["--prot", "1"], "--prot"),
            (&["--import", "jsonl:Cargo.toml", "--items", "5"], "--items"),
        ] {
            let Err(error) = read(arguments) else { panic!("{arguments:?} was taken") };
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}
