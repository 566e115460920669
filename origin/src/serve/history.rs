//! The last minutes, in memory, for the operators' page; Prometheus keeps more.

use crate::serve::{metrics::Metrics, state::Shared};
use snapshots::event::Kind;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a point is taken.
pub const EVERY: Duration = Duration::from_secs(5);
/// Points that are kept: half an hour.
const KEPT: usize = 360;

/// What was between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Events a second that became durable.
    pub events: f64,
    /// Requests a second for recommendations, as the edge reported them.
    pub requests: f64,
    /// Events that were durable and not in the tables yet.
    pub lag: i64,
}

/// The points, and what the counters said at the last.
#[derive(Default)]
pub struct History(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    points: VecDeque<Point>,
    last: Option<(Instant, u64, u64)>,
}

impl History {
    /// The points, the oldest first.
    pub fn points(&self) -> Vec<Point> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).points.iter().copied().collect()
    }

    fn look(&self, metrics: &Metrics, now: Instant) {
        let count = |kind: Kind| metrics.events_ingested.get_or_create(&kind.into()).get();
        let events = Kind::ALL.into_iter().map(count).sum::<u64>();
        let requests = metrics.edge.sum().requests();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, old_events, old_requests)) = kept.last.replace((now, events, requests)) {
            let seconds = (now - then).as_secs_f64().max(1e-3);
            let rate = |old: u64, new: u64| new.saturating_sub(old) as f64 / seconds;
            if kept.points.len() == KEPT {
                kept.points.pop_front();
            }
            kept.points.push_back(Point {
                events: rate(old_events, events),
                requests: rate(old_requests, requests),
                lag: metrics.log_lag.get(),
            });
        }
    }
}

/// Takes points until the service ends.
pub async fn keep(service: Shared) {
    loop {
        service.history.look(&service.metrics, Instant::now());
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_the_rate_since_the_last_look_and_old_ones_go() {
        let (history, metrics, began) = (History::default(), Metrics::default(), Instant::now());
        history.look(&metrics, began);
        assert!(history.points().is_empty());
        metrics.events_ingested.get_or_create(&Kind::View.into()).inc_by(30);
        metrics.events_ingested.get_or_create(&Kind::Cart.into()).inc_by(20);
        history.look(&metrics, began + EVERY);
        assert_eq!(history.points(), [Point { events: 10.0, ..Point::default() }]);
        for number in 2..500 {
            history.look(&metrics, began + EVERY * number);
        }
        assert_eq!(history.points(), [Point::default(); KEPT]);
    }
}
