//! Verge at the edge: a Cloudflare Worker that answers from a snapshot held in the isolate's memory.
//!
//! A request passes these modules: [`route`] finds what it asks for; [`visit`] reads the visitor from headers and
//! cookies; `load` finds the region's snapshot, in the [`store`] or in KV; [`answers`] computes; [`reply`] holds the
//! response. [`events`] validates events; `forward` sends them through a queue or from the [`outbox`]. [`dispatch`]
//! connects these modules.
//!
//! Only `entry`, `bindings`, `load`, `forward` and `platform` use the platform's API. They are compiled for wasm only;
//! unit tests cover all other modules natively.

pub mod answers;
#[cfg(target_arch = "wasm32")]
mod bindings;
pub mod config;
pub mod cors;
pub mod counts;
pub mod details;
pub mod dispatch;
#[cfg(target_arch = "wasm32")]
pub mod entry;
pub mod events;
#[cfg(target_arch = "wasm32")]
mod forward;
pub mod head;
pub mod id;
pub mod limits;
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
pub mod sender;
pub mod store;
pub mod verify;
pub mod visit;
