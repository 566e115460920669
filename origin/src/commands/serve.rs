//! `verge serve`: the origin as a service that a shop leaves running.

use crate::{
    config::Config,
    serve::{serve, state::service::Service},
};
use anyhow::{Context, Result};
use std::{net::SocketAddr, time::Duration};
use tracing::level_filters::LevelFilter;

/// How long background work may go on once all requests are finished.
const LEFT_OVER: Duration = Duration::from_secs(5);

/// Take events and items over HTTP, keep the tables current, and publish.
///
/// Every address but /healthz, /readyz and /openapi.json takes a key (`verge keys add`), sent as `Authorization: Bearer
/// KEY`; people log in at /admin.
/// SIGTERM and Ctrl-C let requests under way finish. The log is JSON, a line an entry, on standard error.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Address and port [default: 127.0.0.1:8080, or `listen` under [serve]]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// What is logged: error, warn, info, debug (each request), trace or off
    #[arg(long, value_name = "LEVEL", env = "VERGE_LOG", default_value = "info")]
    log: LevelFilter,
}

/// Runs the command until a signal ends it.
///
/// # Errors
/// The data directory cannot be used, or the address cannot be listened on.
pub fn run(args: &ServeArgs, config: &Config) -> Result<()> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(args.log)
        .with_writer(std::io::stderr)
        .init();
    let mut config = config.clone();
    config.serve.listen = args.listen.unwrap_or(config.serve.listen);
    let service = Service::open(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let served = runtime.block_on(serve(service));
    // A feed that is being read or models that are being compared can be cut off: the store keeps whole transactions.
    runtime.shutdown_timeout(LEFT_OVER);
    served
}
