//! `cargo xtask demo`: builds a shop and serves it with a local workerd.

use anyhow::{Context, Result, bail};
use clap::value_parser;
use serde_json::Value;
use std::net::TcpListener;
use std::time::Duration;
use xtask::shop::{Log, Profile, Shop, Source, build_verge};
use xtask::steps::{Steps, together};
use xtask::wrangler::{Dev, agent};
use xtask::{process, root, tools, worker};

/// Serves a demo shop on http://127.0.0.1:8787
///
/// Learns from a log, builds snapshots, publishes them to a local KV and answers with workerd, the runtime of Cloudflare
/// Workers. Ctrl-C stops it. Imports and builds are kept in target/demo, so that the next start takes seconds.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask demo
  cargo xtask demo --import online-retail:online_retail.csv.zst")]
pub(crate) struct Args {
    /// Log to import: plain, .gz or .zst. May be repeated. FORMAT is online-retail, rees46, retailrocket, alibaba, sessions
    /// or jsonl
    #[arg(long = "import", value_name = "FORMAT:FILE", value_parser = parse_log)]
    logs: Vec<Log>,
    /// Number of items of the generated shop
    #[arg(long, value_name = "N", default_value_t = 2_000, conflicts_with = "logs",
          value_parser = value_parser!(u32).range(1..=50_000_000))]
    items: u32,
    /// Port to listen on
    #[arg(long, value_name = "P", default_value_t = 8787, value_parser = value_parser!(u16).range(1..))]
    pub(crate) port: u16,
}

impl Args {
    pub(crate) fn source(&self) -> Source {
        if self.logs.is_empty() { Source::Generated(self.items) } else { Source::Files(self.logs.clone()) }
    }
}

fn parse_log(text: &str) -> Result<Log, String> {
    Log::parse(text).map_err(|error| format!("{error:#}"))
}

/// Runs the demo until Ctrl-C.
pub(crate) fn run(args: Args) -> Result<()> {
    let (source, port) = (args.source(), args.port);
    if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
        bail!("port {port} of 127.0.0.1 cannot be used ({error}); choose another with --port");
    }
    process::stop_all_on_signal("The demo has stopped.", 0)?;
    let home = root().join("target/demo");
    let steps = Steps::new(&home.join("log"))?;
    println!(
        "Each step's output is in target/demo/log. The first start compiles everything and takes minutes."
    );

    let (mut size, mut shop) = (String::new(), None);
    together([
        Box::new(|| tools::npm_packages(&steps)),
        Box::new(|| worker::build(&steps).map(|line| size = line)),
        Box::new(|| {
            let verge = build_verge(&steps, Profile::Release)?;
            let prepared = Shop::new(source, &home, verge);
            prepared.prepare(&steps)?;
            shop = Some(prepared);
            Ok(())
        }),
    ])?;
    let shop = shop.context("the shop was not prepared")?;
    steps.say(&format!("  the Worker: {size}"));

    let mut dev = shop.serve(&steps, port)?;
    let ids = popular(&dev)?;
    steps.say("✓ first answer");
    explain(&dev.address(), &shop.regions(), &ids);
    dev.wait()
}

/// The most popular items. Retries until the Worker has loaded the published snapshot.
fn popular(dev: &Dev) -> Result<Vec<String>> {
    let url = format!("{}/v1/popular?limit=3", dev.address());
    let agent = agent(Duration::from_secs(10));
    let mut last = String::new();
    for _ in 0..50 {
        let mut response = agent.get(&url).call().with_context(|| format!("no answer from {url}"))?;
        last = response.body_mut().read_to_string()?;
        if response.status() == 200 {
            let answer: Value = serde_json::from_str(&last)?;
            let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            return Ok(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    bail!("{url} gives no items; the last answer was {last}\nwrangler's output is in {}", dev.log().display())
}

/// Percent-encodes an item id for use in a URL.
fn escaped(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    id.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn explain(address: &str, regions: &[String], ids: &[String]) {
    let [first, .., last] = ids else {
        return println!("\n  The shop: {address}/ (it has fewer than two items)");
    };
    let (item, other) = (escaped(first), escaped(last));
    let event = serde_json::json!({"kind": "view", "item": first});
    println!(
        "
  Shop:                   {address}/
  Regions:                {}

  Popular items:          curl '{address}/v1/popular?limit=3'
  Similar items:          curl '{address}/v1/items/{item}/similar?limit=3'
  Recommendations after viewing two items:
                          curl '{address}/v1/recommendations?recents={item},{other}&limit=5'
  The same with cookies:  curl -c jar -b jar -d '{event}' {address}/v1/events
                          curl -b jar '{address}/v1/recommendations?limit=5'

  Stop:                   Ctrl-C",
        regions.join(", ")
    );
}
