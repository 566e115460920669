//! What the end-to-end tests stand on: a Worker in workerd, the `verge` binary, and peers that can be watched.

mod edge;
mod peer;
mod verge;

pub use edge::{Edge, Reply, Request, recipe};
pub use peer::{Peer, Received};
pub use verge::{Service, Verge, binary};
