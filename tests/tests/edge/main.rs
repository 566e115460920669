//! End-to-end tests: a storefront's and a publisher's requests to the Worker in workerd, with the real `verge`.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic in a test is a failure with its line"
)]

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
use end_to_end::{Edge, Peer, Received, Verge, get_or_start};
use std::sync::OnceLock;

/// The key that lets a shop read its snapshots from the serving Worker.
pub(crate) const SNAPSHOTS_KEY: &str = "a key of the shop's";

/// The name of a test and its function.
type Test = end_to_end::Test<Fixtures>;

/// What tests share. Each field is started by the first test that uses it and stopped after the last test.
#[derive(Default)]
struct Fixtures {
    shop: OnceLock<Verge>,
    other_shop: OnceLock<Verge>,
    sharded_shop: OnceLock<Verge>,
    origin: OnceLock<Peer>,
    serving: OnceLock<Edge>,
    changing: OnceLock<Edge>,
}

/// Answers like an origin, except that the first event with `try-again` gets a 503.
fn origin(request: &Received, seen: &OnceLock<()>) -> (u16, Vec<u8>) {
    let is_first = String::from_utf8_lossy(&request.body).contains("try-again") && seen.set(()).is_ok();
    (if is_first { 503 } else { 202 }, br#"{"accepted":1,"rejected":[]}"#.to_vec())
}

impl Fixtures {
    /// The main shop.
    fn shop(&self) -> Result<&Verge> {
        get_or_start(&self.shop, || Verge::shop(1))
    }

    /// A second shop.
    fn other_shop(&self) -> Result<&Verge> {
        get_or_start(&self.other_shop, || Verge::shop(2))
    }

    /// The main shop with its tables in shards of a few rows.
    fn sharded_shop(&self) -> Result<&Verge> {
        get_or_start(&self.sharded_shop, || Verge::shop_built(1, &["--whole", "0", "--shard", "4096"]))
    }

    /// The fake origin that receives the events of the serving Worker.
    fn origin(&self) -> Result<&Peer> {
        let seen = OnceLock::new();
        get_or_start(&self.origin, || Peer::start(move |request| origin(request, &seen)))
    }

    /// A Worker that serves the main shop. Tests must not change its KV.
    fn serving(&self) -> Result<&Edge> {
        let origin = self.origin()?.address();
        get_or_start(&self.serving, || {
            let edge = Edge::start(&[
                ("ORIGIN_URL", &origin),
                ("ORIGIN_KEY", "sesame"),
                ("CONSENT", "cookie:ok=yes"),
                ("CORS_ORIGINS", "https://shop.example"),
                // All tests come from one address.
                ("EVENTS_PER_ADDRESS", "0"),
                ("SNAPSHOTS_KEY", SNAPSHOTS_KEY),
            ])?;
            self.shop()?.publish(&edge.kv_api())?;
            edge.until("/v1/popular", |reply| reply.status == 200)?;
            Ok(edge)
        })
    }

    /// A Worker whose KV tests may change. Each of them starts with publishing.
    fn changing(&self) -> Result<&Edge> {
        get_or_start(&self.changing, || Edge::start(&[("STALE_AFTER_S", "1")]))
    }
}

fn main() {
    end_to_end::run(
        &[
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
        .concat(),
    );
}
