//! What the end-to-end tests stand on: a Worker in workerd, the `verge` binary, and peers that can be watched.

mod edge;
mod live;
mod node;
mod peer;
mod verge;

pub use edge::{Edge, Reply, Request, recipe};
pub use live::Live;
pub use node::{Server, node_tests};
pub use peer::{Peer, Received};
pub use verge::{Service, Verge, binary};
