//! Rates of the last half hour, in memory, for the plots of `/admin`; Prometheus keeps more.

use crate::serve::state::{lock, metrics::Metrics};
use snapshots::event::Kind;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The interval between two points.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
/// The number of points kept: half an hour.
const MAX_POINTS: usize = 360;

/// Rates over one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    /// Events a second that became durable.
    pub(crate) events: f64,
    /// Requests a second for recommendations, as the edge reported them.
    pub(crate) requests: f64,
    /// Events that were durable and not yet in the tables, at the end of the interval.
    pub(crate) lag: i64,
}

/// The points of the last half hour.
#[derive(Default)]
pub(crate) struct History(Mutex<Samples>);

#[derive(Default)]
struct Samples {
    points: VecDeque<Point>,
    /// When the counters were last read, and the numbers of events and requests.
    last: Option<(Instant, u64, u64)>,
}

impl History {
    /// The points, the oldest first.
    pub(crate) fn points(&self) -> Vec<Point> {
        lock(&self.0).points.iter().copied().collect()
    }

    /// Reads the counters and adds a point: the rates since the last call.
    pub(crate) fn sample(&self, metrics: &Metrics, now: Instant) {
        let count = |kind: Kind| metrics.events_ingested.get_or_create(&kind.into()).get();
        let events = Kind::ALL.into_iter().map(count).sum::<u64>();
        let requests = metrics.edge.sum().requests();
        let mut samples = lock(&self.0);
        if let Some((then, old_events, old_requests)) = samples.last.replace((now, events, requests)) {
            let seconds = (now - then).as_secs_f64().max(1e-3);
            let rate = |old: u64, new: u64| new.saturating_sub(old) as f64 / seconds;
            if samples.points.len() == MAX_POINTS {
                samples.points.pop_front();
            }
            samples.points.push_back(Point {
                events: rate(old_events, events),
                requests: rate(old_requests, requests),
                lag: metrics.log_lag.get(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_the_rate_since_the_last_sample_and_old_points_are_dropped() {
        let (history, metrics, start) = (History::default(), Metrics::default(), Instant::now());
        history.sample(&metrics, start);
        assert!(history.points().is_empty());
        metrics.events_ingested.get_or_create(&Kind::View.into()).inc_by(30);
        metrics.events_ingested.get_or_create(&Kind::Cart.into()).inc_by(20);
        history.sample(&metrics, start + INTERVAL);
        assert_eq!(history.points(), [Point { events: 10.0, ..Point::default() }]);
        for number in 2..500 {
            history.sample(&metrics, start + INTERVAL * number);
        }
        assert_eq!(history.points(), [Point::default(); MAX_POINTS]);
    }
}
