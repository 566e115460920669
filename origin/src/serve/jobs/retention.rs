//! Removes events that are older than `retention_days` from the log, once a day.

use crate::serve::state::service::Shared;
use origin_data::clock;
use snapshots::time::{DAY_MS, Timestamp};
use std::time::Duration;

/// The interval.
const INTERVAL: Duration = Duration::from_secs(24 * 3_600);
/// The delay of the first run, so that it does not slow down the start.
const FIRST_DELAY: Duration = Duration::from_secs(2);

/// The time before which events are removed.
fn cutoff(now: Timestamp, retention_days: u32) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::from(retention_days) * DAY_MS))
}

/// Removes old events until the service ends; returns at once if they are kept without limit.
pub(crate) async fn run(service: Shared) {
    let Some(days) = service.config.log.retention_days else { return };
    let mut delay = FIRST_DELAY;
    loop {
        tokio::time::sleep(delay).await;
        delay = INTERVAL;
        let cutoff = cutoff(clock::now(), days);
        match service.remove_events(move |record| record.at < cutoff).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, days, "removed events older than the retention period"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, days, "cannot remove events older than the retention period");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_kept_for_the_retention_period() {
        assert_eq!(cutoff(Timestamp(10 * DAY_MS + 5), 3), Timestamp(7 * DAY_MS + 5));
        assert_eq!(cutoff(Timestamp(i64::MIN), u32::MAX), Timestamp(i64::MIN));
    }
}
