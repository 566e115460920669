//! The Worker, as a storefront and a publisher meet it: in workerd, over HTTP, with the real `verge`.

mod answers;
mod bindings;
mod callers;
mod chaos;
mod conversation;
mod delivery;
mod events;
mod garbage;
mod graphql;
mod live;
mod parity;
mod publishing;
mod rules;
mod shards;
mod swapping;

use anyhow::Result;
use end_to_end::{Edge, Peer, Received, Verge};
use libtest_mimic::{Arguments, Failed, Trial};
use std::sync::{Arc, OnceLock};
use xtask::process::stop_all_on_signal;

/// By which the shop reads its snapshots from the Worker that serves.
pub const SNAPSHOTS_KEY: &str = "a key of the shop's";

/// A test by its name.
type Test = (&'static str, fn(&Parts) -> Result<()>);

/// What a test needs, started when the first test needs it and stopped after the last.
#[derive(Default)]
struct Parts {
    shop: OnceLock<Verge>,
    other_shop: OnceLock<Verge>,
    sharded_shop: OnceLock<Verge>,
    origin: OnceLock<Peer>,
    serving: OnceLock<Edge>,
    changing: OnceLock<Edge>,
}

fn get<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if cell.get().is_none() {
        let made = make()?;
        return Ok(cell.get_or_init(|| made));
    }
    Ok(cell.get_or_init(|| unreachable!("it was there")))
}

/// Answers as an origin does; the first time it meets an event `try-again`, it cannot.
fn origin(request: &Received, seen: &OnceLock<()>) -> (u16, Vec<u8>) {
    let is_first = String::from_utf8_lossy(&request.body).contains("try-again") && seen.set(()).is_ok();
    (if is_first { 503 } else { 202 }, br#"{"accepted":1,"rejected":[]}"#.to_vec())
}

impl Parts {
    /// A shop.
    fn shop(&self) -> Result<&Verge> {
        get(&self.shop, || Verge::shop(1))
    }

    /// Another shop.
    fn other_shop(&self) -> Result<&Verge> {
        get(&self.other_shop, || Verge::shop(2))
    }

    /// The shop with its tables in shards of a few rows.
    fn sharded_shop(&self) -> Result<&Verge> {
        get(&self.sharded_shop, || Verge::shop_built(1, &["--whole", "0", "--shard", "4096"]))
    }

    /// The origin that the serving Worker hands events on to.
    fn origin(&self) -> Result<&Peer> {
        let seen = OnceLock::new();
        get(&self.origin, || Peer::start(move |request| origin(request, &seen)))
    }

    /// A Worker that serves the shop, which nobody publishes to meanwhile.
    fn serving(&self) -> Result<&Edge> {
        let origin = self.origin()?.address();
        get(&self.serving, || {
            let edge = Edge::start(&[
                ("ORIGIN_URL", &origin),
                ("ORIGIN_KEY", "sesame"),
                ("CONSENT", "cookie:ok=yes"),
                ("CORS_ORIGINS", "https://shop.example"),
                ("SNAPSHOTS_KEY", SNAPSHOTS_KEY),
            ])?;
            self.shop()?.publish(&edge.kv_api())?;
            edge.until("/v1/popular", |reply| reply.status == 200)?;
            Ok(edge)
        })
    }

    /// A Worker whose KV tests may change. Each of them begins by publishing.
    fn changing(&self) -> Result<&Edge> {
        get(&self.changing, || Edge::start(&[("STALE_AFTER_S", "1")]))
    }
}

fn main() {
    // Otherwise Ctrl-C would leave the Workers running.
    if let Err(error) = stop_all_on_signal("stopped", 130) {
        eprintln!("{error:#}");
    }
    let mut arguments = Arguments::from_args();
    // The tests share two Workers.
    arguments.test_threads = Some(1);
    let parts = Arc::new(Parts::default());
    let tests: Vec<Test> = [
        answers::TESTS,
        bindings::TESTS,
        chaos::TESTS,
        delivery::TESTS,
        callers::TESTS,
        conversation::TESTS,
        events::TESTS,
        garbage::TESTS,
        graphql::TESTS,
        live::TESTS,
        parity::TESTS,
        publishing::TESTS,
        rules::TESTS,
        shards::TESTS,
        swapping::TESTS,
    ]
    .concat();
    let trials = tests.into_iter().map(|(name, test)| {
        let parts = Arc::clone(&parts);
        Trial::test(name, move || test(&parts).map_err(|error| Failed::from(format!("{error:#}"))))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    // Ending the program would leave the Workers running.
    drop(parts);
    conclusion.exit();
}
