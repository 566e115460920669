//! End-to-end tests of attacks: hostile requests to the Worker in workerd, with the real `verge` behind it.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic in a test is a failure with its line"
)]

mod claims;
mod floods;
mod orders;

use anyhow::Result;
use end_to_end::{Edge, Peer, Reply, Request, get_or_start};
use serde_json::Value;
use std::sync::OnceLock;

/// The key that lets a server say whose events it sends.
pub(crate) const EVENTS_KEY: &str = "a key of the shop's servers";

/// The name of a test and its function.
type Test = end_to_end::Test<Fixtures>;

/// What tests share. Each field is started by the first test that uses it and stopped after the last test.
#[derive(Default)]
struct Fixtures {
    origin: OnceLock<Peer>,
    edge: OnceLock<Edge>,
}

impl Fixtures {
    /// A fake origin that accepts everything that the Worker forwards.
    fn origin(&self) -> Result<&Peer> {
        let answer = || Peer::start(|_| (202, br#"{"accepted":1,"rejected":[]}"#.to_vec()));
        get_or_start(&self.origin, answer)
    }

    /// A Worker with the limits that hold by default.
    fn edge(&self) -> Result<&Edge> {
        let origin = self.origin()?.address();
        get_or_start(&self.edge, || {
            Edge::start(&[
                ("ORIGIN_URL", &origin),
                ("ORIGIN_KEY", "sesame"),
                ("EVENTS_KEY", EVENTS_KEY),
                ("CONSENT", "cookie:ok=yes"),
                ("CORS_ORIGINS", "https://m.shop.example"),
            ])
        })
    }
}

/// A request that sends events from an address in the United Kingdom.
pub(crate) fn events<'a>(edge: &'a Edge, address: &str, body: &Value) -> Request<'a> {
    edge.request("POST", "/v1/events")
        .country("GB")
        .header("cf-connecting-ip", address)
        .body(body.to_string())
}

/// Fails unless a reply is a problem with this status.
pub(crate) fn ensure_problem(reply: &Reply, status: u16) -> Result<Value> {
    let problem = reply.json();
    anyhow::ensure!(
        reply.status == status && reply.header("content-type") == "application/problem+json",
        "not a problem with status {status}: {reply:?}"
    );
    Ok(problem)
}

fn main() {
    end_to_end::run(&[claims::TESTS, floods::TESTS, orders::TESTS].concat());
}
