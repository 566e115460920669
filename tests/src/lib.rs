//! Support for the end-to-end tests: a Worker in workerd, the `verge` binary, and HTTP servers that record requests.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "only tests use this crate, and a panic in a test is a failure with its line"
)]

mod edge;
mod live;
mod node;
mod peer;
mod suite;
mod verge;

pub use edge::{Edge, Reply, Request, wrangler_config};
pub use live::Live;
pub use node::{Server, node_tests};
pub use peer::{Peer, Received, events_of, receipts};
pub use suite::{Test, get_or_start, run};
pub use verge::{Service, Verge, binary};
