//! Verge at the edge: a Cloudflare Worker that answers from a snapshot kept in the isolate.
//!
//! The way of a request: [`route`] finds what is asked; [`visit`] reads who asks, from headers and cookies alone;
//! `load` finds the region's snapshot, in the [`store`] or in KV; [`answers`] computes, [`reply`] is what goes
//! back. [`events`] takes what a visitor did, `forward` hands it on by a queue or from the [`outbox`]; [`live`] is both on
//! one connection. `fetch`, `load`, `forward` and `platform` are all that touches the platform; they exist on wasm only, and
//! everything else is tested anywhere.

pub mod answers;
pub mod config;
pub mod context;
pub mod counts;
pub mod events;
#[cfg(target_arch = "wasm32")]
mod fetch;
#[cfg(target_arch = "wasm32")]
mod forward;
pub mod head;
pub mod id;
pub mod lite;
pub mod live;
#[cfg(target_arch = "wasm32")]
mod load;
#[cfg(test)]
mod openapi;
pub mod outbox;
#[cfg(target_arch = "wasm32")]
mod platform;
pub mod reply;
pub mod route;
pub mod store;
pub mod visit;
