//! `cargo xtask demo`: a shop in a local workerd, from nothing.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::net::TcpListener;
use std::time::Duration;
use xtask::shop::{Profile, Shop, Source, build_verge};
use xtask::steps::{Steps, together};
use xtask::wrangler::{Dev, agent};
use xtask::{process, root, tools, worker};

/// What the demo is to show, and where.
pub struct Demo {
    /// What the shop is made from.
    pub source: Source,
    /// Where to listen on 127.0.0.1.
    pub port: u16,
}

/// Runs the demo until Ctrl-C.
pub fn run(demo: Demo) -> Result<()> {
    let Demo { source, port } = demo;
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
            let made = Shop::new(source, &home, verge);
            made.prepare(&steps)?;
            shop = Some(made);
            Ok(())
        }),
    ])?;
    let shop = shop.context("the shop was not made")?;
    steps.say(&format!("  the Worker: {size}"));

    let mut dev = shop.serve(&steps, port)?;
    let ids = popular(&dev)?;
    steps.say("✓ the first answer");
    explain(&dev.address(), &shop.regions(), &ids);
    dev.wait()
}

/// The most wanted items, asked of the Worker itself until it has read what was published.
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

/// An item id as it may stand in an address.
fn escaped(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    id.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn explain(address: &str, regions: &[String], ids: &[String]) {
    let [first, .., last] = ids else {
        return println!("\n  The shop: {address}/ (it has hardly any items)");
    };
    let (item, other) = (escaped(first), escaped(last));
    let event = serde_json::json!({"kind": "view", "item": first});
    println!(
        "
  The shop, to click:     {address}/
  Regions:                {}

  What is wanted most:    curl '{address}/v1/popular?limit=3'
  Like one item:          curl '{address}/v1/items/{item}/similar?limit=3'
  For a visitor who looked at two:
                          curl '{address}/v1/recommendations?recents={item},{other}&limit=5'
  The same by cookie:     curl -c jar -b jar -d '{event}' {address}/v1/events
                          curl -b jar '{address}/v1/recommendations?limit=5'

  Stop:                   Ctrl-C",
        regions.join(", ")
    );
}
