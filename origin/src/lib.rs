//! Verge's origin: imports and keeps events, learns the tables, builds and publishes snapshots.
//!
//! The data's way is [`import`] or [`generate`] → [`store`] → [`learn`] → [`build`] → [`models`] → [`publish`]; [`recommend`],
//! [`inspect`] and [`evaluate`] let people look. The binary `verge` is [`cli`] and nothing else.

pub mod build;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod evaluate;
pub mod generate;
pub mod import;
pub mod inspect;
pub mod keys;
pub mod learn;
pub mod log;
pub mod models;
pub mod publish;
pub mod recipe;
pub mod recommend;
pub mod refresh;
pub mod regions;
pub mod rules;
pub mod serve;
pub mod store;
pub mod stream;
pub mod tune;
