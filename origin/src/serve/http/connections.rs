//! Accepts connections, serves them, and drains them when the service stops.

use crate::serve::state::{lock, service::Shared, tls::Tls};
use anyhow::{Context, Result, bail};
use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore};

/// The timeout of a request's head, and so of an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// The timeout of requests in progress when the service stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The address of the client that opened the connection, as an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The open connections of each address.
#[derive(Debug, Default)]
struct ByAddress(Mutex<HashMap<IpAddr, usize>>);

/// One connection of an address, until it is dropped.
struct Slot(Arc<ByAddress>, IpAddr);

impl ByAddress {
    /// Counts a connection; `None` if the address has `most` already. 0 means no limit.
    fn admit(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Slot> {
        let mut open = lock(&self.0);
        let count = open.entry(address).or_default();
        if most > 0 && *count >= most {
            return None;
        }
        *count += 1;
        Some(Slot(Arc::clone(self), address))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = lock(&self.0.0);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

/// Binds the configured address.
///
/// # Errors
/// It is in use, or not an address of this machine.
pub(crate) async fn bind(service: &Shared) -> Result<TcpListener> {
    let address = service.config.serve.listen;
    if !address.ip().is_loopback() && !service.is_encrypted() {
        bail!(
            "cannot listen on {address}: other machines can reach it, and keys would travel in clear text. Set \
             `tls_certificate` and `tls_key` under [serve]; or put a proxy with TLS in front and name its addresses in \
             `behind_proxy`, or VERGE_BEHIND_PROXY (`private` for all private addresses); or listen on 127.0.0.1"
        );
    }
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
    http.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let by_address = Arc::new(ByAddress::default());
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
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, Peer(address.ip().to_canonical())),
            Err(error) => {
                // Most likely out of file descriptors; connections that end release some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(slot) = by_address.admit(peer.0, service.config.serve.connections_per_address) else {
            // Closed without an answer: an answer would need the time of a connection.
            tracing::debug!("an address has too many connections");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let routes = TowerToHyperService::new(router.clone());
        let handler = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            routes.call(request)
        });
        let (http, watcher, acceptor) =
            (http.clone(), graceful.watcher(), service.tls.as_ref().map(Tls::acceptor));
        tokio::spawn(async move {
            // An error is the client's: it disconnected, or did not send HTTP.
            match acceptor {
                None => drop(watcher.watch(http.serve_connection(TokioIo::new(stream), handler)).await),
                Some(acceptor) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await
                    {
                        drop(watcher.watch(http.serve_connection(TokioIo::new(stream), handler)).await);
                    }
                }
            }
            drop((permit, slot));
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = DRAIN_TIMEOUT.as_secs(), "stopped before all requests were finished");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_bounded_number_of_connections() {
        let open = Arc::new(ByAddress::default());
        let [a, b] = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse::<IpAddr>().unwrap());
        let slots = [open.admit(a, 2), open.admit(a, 2), open.admit(b, 2)];
        assert!(slots.iter().all(Option::is_some) && open.admit(a, 2).is_none());
        assert!(open.admit(a, 0).is_some(), "0 means no limit");
        drop(slots);
        drop(open.admit(a, 1).unwrap());
        assert!(lock(&open.0).is_empty());
    }
}
