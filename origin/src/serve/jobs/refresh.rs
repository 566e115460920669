//! Reads keys and the version of the catalogue again, which other commands may change, and stores when keys were used.

use crate::serve::state::service::Shared;
use origin_data::clock;
use std::time::{Duration, Instant};

/// The interval, and so how soon a change takes effect.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the last uses of keys are stored.
const USES_INTERVAL: Duration = Duration::from_secs(30);

/// Refreshes until the service ends. While the store cannot be read, the service is not ready.
pub(crate) async fn run(service: Shared) {
    let (mut stored, mut stored_at) = (service.started_at, Instant::now());
    loop {
        tokio::time::sleep(INTERVAL).await;
        let reader = service.clone();
        let refreshed = service.blocking(move || reader.refresh()).await;
        service.set_unready("store", refreshed.err().map(|error| format!("{error:#}")));
        if let Some(tls) = &service.tls {
            let refreshed = tls.refresh();
            if matches!(refreshed, Ok(true)) {
                tracing::info!("the certificate changed");
            }
            service.set_unready("tls", refreshed.err().map(|error| format!("{error:#}")));
        }
        if stored_at.elapsed() < USES_INTERVAL {
            continue;
        }
        let now = clock::now();
        let used = service.keys().used_since(stored);
        (stored, stored_at) = (now, Instant::now());
        if !used.is_empty()
            && let Err(error) = service.with_store(move |store| store.set_used(&used)).await
        {
            tracing::warn!(
                error = format!("{:#}", anyhow::Error::from(error)),
                "cannot store the last use of keys"
            );
        }
    }
}
