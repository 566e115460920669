//! Accepts connections, serves them, and drains them when the service stops.

use crate::serve::state::service::Shared;
use anyhow::{Context, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// The timeout of a request's head, and so of an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The timeout of requests in progress when the service stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds the configured address.
///
/// # Errors
/// It is in use, or not an address of this machine.
pub(crate) async fn bind(service: &Shared) -> Result<TcpListener> {
    let address = service.config.serve.listen;
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; set `listen` under [serve], or VERGE_LISTEN"))
}

/// Serves until the service stops; then finishes the requests in progress.
pub(crate) async fn serve(service: &Shared, listener: TcpListener, router: Router) {
    let permits = Arc::new(Semaphore::new(service.config.serve.connections));
    let graceful = GracefulShutdown::new();
    let mut stop = service.stop.subscribe();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    loop {
        let accept = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accept => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Most likely out of file descriptors; connections that end release some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let handler = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), handler));
        tokio::spawn(async move {
            // An error is the client's: it disconnected, or did not send HTTP.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = DRAIN_TIMEOUT.as_secs(), "stopped before all requests were finished");
    }
}
