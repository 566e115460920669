//! The commands of `verge`, one per module: `pub struct XArgs` (clap's `Args`) and `pub fn run(&XArgs, &Config)`.
//!
//! May import: everything but `cli`. Only [`crate::cli`] imports a command.

pub mod audit;
pub mod build;
pub mod evaluate;
pub mod feed;
pub mod generate;
pub mod health;
pub mod import;
pub mod inspect;
pub mod keys;
pub mod models;
pub mod publish;
pub mod recommend;
pub mod rules;
pub mod serve;
pub mod surge;
pub mod tune;
