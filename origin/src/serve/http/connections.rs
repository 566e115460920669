//! Accepting connections, serving them, and letting them end in peace.

use crate::serve::state::Shared;
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

/// How long a request's head may take, and how long a connection may stay idle.
const HEAD: Duration = Duration::from_secs(60);
/// How long requests under way may take once the service is to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// Binds the configured address.
///
/// # Errors
/// It is taken, or not this machine's.
pub async fn bind(service: &Shared) -> Result<TcpListener> {
    let address = service.config.serve.listen;
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; set `listen` under [serve], or VERGE_LISTEN"))
}

/// Serves until the service is to stop; then finishes the requests under way.
pub async fn serve(service: &Shared, listener: TcpListener, router: Router) {
    let room = Arc::new(Semaphore::new(service.config.serve.connections));
    let graceful = GracefulShutdown::new();
    let mut stop = service.stop.subscribe();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    loop {
        let accept = async {
            // The semaphore is never closed.
            let room = Arc::clone(&room).acquire_owned().await.ok();
            (room, listener.accept().await)
        };
        let (room, accepted) = tokio::select! {
            accepted = accept => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely; connections that end give some back.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let handler = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), handler));
        tokio::spawn(async move {
            // Errors are the peer's: it went away, or spoke no HTTP and was told so.
            let _ = connection.await;
            drop(room);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = DRAIN.as_secs(), "requests were still under way when the service stopped");
    }
}
