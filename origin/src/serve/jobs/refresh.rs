//! Reads keys and the version of the catalogue again, which other commands may change.

use crate::serve::state::service::Shared;
use std::time::Duration;

/// The interval, and so how soon a change takes effect.
const INTERVAL: Duration = Duration::from_secs(1);

/// Refreshes until the service ends. While the store cannot be read, the service is not ready.
pub(crate) async fn run(service: Shared) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let reader = service.clone();
        let refreshed = service.blocking(move || reader.refresh()).await;
        service.set_unready("store", refreshed.err().map(|error| format!("{error:#}")));
    }
}
