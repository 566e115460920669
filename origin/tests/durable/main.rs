//! Durability tests of the `verge` binary: it is killed, or its disk fails, and acknowledged events must survive.

mod disk;
mod kill;
mod service;
