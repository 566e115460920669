//! The counters that Workers report, summed and exported to Prometheus.

use crate::serve::state::lock;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
    registry::Unit,
};
use snapshots::report::{BOUNDS, Exposed, Report};
use std::fmt;
use std::sync::{Arc, Mutex};

/// The sum of all reports.
#[derive(Clone, Debug, Default)]
pub(crate) struct EdgeCounters(Arc<Mutex<Report>>);

impl EdgeCounters {
    /// Adds a report.
    pub(crate) fn add(&self, report: &Report) {
        let mut sum = lock(&self.0);
        for (sum, count) in sum.latency.iter_mut().zip(report.latency) {
            *sum = sum.wrapping_add(count);
        }
        sum.seconds += report.seconds;
        sum.cache_hits = sum.cache_hits.wrapping_add(report.cache_hits);
        sum.cache_misses = sum.cache_misses.wrapping_add(report.cache_misses);
        sum.errors = sum.errors.wrapping_add(report.errors);
        for Exposed { experiment, variant, answers } in &report.exposed {
            sum.expose(experiment, variant, *answers);
        }
        sum.events_dropped = sum.events_dropped.wrapping_add(report.events_dropped);
        sum.events_limited = sum.events_limited.wrapping_add(report.events_limited);
        sum.events_bots = sum.events_bots.wrapping_add(report.events_bots);
    }

    /// The sum of all reports so far.
    pub(crate) fn sum(&self) -> Report {
        lock(&self.0).clone()
    }
}

impl Collector for EdgeCounters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sum = self.sum();
        for (name, help, count) in [
            ("recommendation_requests", "Answers with items at the edge", sum.requests()),
            ("recommendation_cache_hits", "Answers from snapshots in the isolate's memory", sum.cache_hits),
            ("recommendation_cache_misses", "Answers that waited for KV", sum.cache_misses),
            ("recommendation_errors", "Requests for items that failed at the edge", sum.errors),
            ("edge_events_dropped", "Events that the edge dropped", sum.events_dropped),
            (
                "edge_events_bots",
                "Events of bots at the edge, which nothing is learned from",
                sum.events_bots,
            ),
            ("edge_events_limited", "Events of clients beyond their limit at the edge", sum.events_limited),
        ] {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let name = "recommendation_exposures";
        let mut exposures = encoder.encode_descriptor(
            name,
            "Answers by experiment and variant",
            None,
            MetricType::Counter,
        )?;
        for Exposed { experiment, variant, answers } in &sum.exposed {
            let labels = [("experiment", &**experiment), ("variant", &**variant)];
            ConstCounter::new(*answers).encode(exposures.encode_family(&labels)?)?;
        }
        let bounds = BOUNDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(sum.latency).collect();
        encoder
            .encode_descriptor(
                "recommendation_latency",
                "Latency of answers with items at the edge",
                Some(&Unit::Seconds),
                MetricType::Histogram,
            )?
            .encode_histogram::<[(&str, &str); 0]>(sum.seconds, sum.requests(), &buckets, None)
    }
}
