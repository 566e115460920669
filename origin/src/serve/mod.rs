//! `verge serve`: the origin as a long-running service.
//!
//! | module | contents | may import |
//! | --- | --- | --- |
//! | [`http`] | routes, handlers, middleware, the operators' page | `jobs`, `state` |
//! | [`jobs`] | background work: publisher, table follower, feeds, retention, refresh | `state` |
//! | [`state`] | what handlers and jobs share | neither `http` nor `jobs` |
//!
//! May import: every layer below `commands`.

pub(crate) mod http;
pub(crate) mod jobs;
pub(crate) mod state;

use anyhow::{Context, Result};
use state::service::Shared;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The address cannot be bound, the destination is not fully configured, or a thread cannot be started.
pub(crate) async fn serve(service: Shared) -> Result<()> {
    let listener = http::connections::bind(&service).await?;
    stop_on_signal(&service)?;
    if service.keys().is_empty() {
        tracing::warn!(
            "there are no keys, so every request is rejected; add one: `verge keys add NAME --role ROLE`"
        );
    }
    tracing::info!(address = %listener.local_addr()?, "listening");
    let jobs = jobs::start(&service)?;
    http::connections::serve(&service, listener, http::router(&service)).await;
    jobs.stopped().await;
    tracing::info!("stopped");
    Ok(())
}

fn stop_on_signal(service: &Shared) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let service = service.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: requests in progress are finished");
        service.set_unready("service", Some("it is stopping".to_owned()));
        service.stop.send_replace(true);
    });
    Ok(())
}
