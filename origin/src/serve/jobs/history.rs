//! Samples the metrics for the plots of `/admin`.

use crate::serve::state::{history::INTERVAL, service::Shared};
use std::time::Instant;

/// Adds points to the history until the service ends.
pub(crate) async fn run(service: Shared) {
    loop {
        service.history.sample(&service.metrics, Instant::now());
        tokio::time::sleep(INTERVAL).await;
    }
}
