//! `verge serve`: the origin as a service.

use crate::{
    config::Config,
    serve::{serve, state::service::Service},
};
use anyhow::{Context, Result};
use std::{net::SocketAddr, time::Duration};
use tracing::level_filters::LevelFilter;

/// How long background work may continue after the last request.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Receive events and items over HTTP, keep the tables current, and publish.
///
/// All paths but /healthz, /readyz and /openapi.json require an API key (`verge keys add`), sent as `Authorization: Bearer
/// KEY`. Operators log in at /admin.
///
/// On SIGTERM or Ctrl-C the service finishes open requests and exits. It logs JSON lines to standard error.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Address and port [default: 127.0.0.1:8080, or `listen` under [serve]]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Log level: error, warn, info, debug (each request), trace or off
    #[arg(long, value_name = "LEVEL", env = "VERGE_LOG", default_value = "info")]
    log: LevelFilter,
}

/// Runs the command until a signal ends it.
///
/// # Errors
/// The data directory cannot be opened, or the service cannot listen on the address.
pub fn run(args: &ServeArgs, config: &Config) -> Result<()> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(args.log)
        // It would report a standard error that nobody reads on standard error, which panics.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .init();
    let mut config = config.clone();
    config.serve.listen = args.listen.unwrap_or(config.serve.listen);
    let service = Service::open(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let result = runtime.block_on(serve(service));
    // Feed imports and model comparisons can be aborted, because the store's transactions are atomic.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}
