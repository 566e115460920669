//! `POST /v1/metrics/edge`: what the Workers counted, added up for Prometheus.

use crate::serve::{
    body,
    problem::{Problem, Result},
    state::Shared,
};
use axum::{extract::Request, extract::State, http::StatusCode};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
    registry::Unit,
};
use snapshots::report::{BOUNDS, Exposed, Report};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The most bytes of a report.
const MAX_BODY: usize = 64 << 10;

/// The sum of all reports.
#[derive(Clone, Debug, Default)]
pub struct Edge(Arc<Mutex<Report>>);

impl Edge {
    /// Adds a report.
    pub fn add(&self, report: &Report) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
    }

    /// What was added so far.
    pub fn sum(&self) -> Report {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Collector for Edge {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sum = self.sum();
        for (name, help, count) in [
            ("recommendation_requests", "Answers with items at the edge", sum.requests()),
            ("recommendation_cache_hits", "Answers from what the isolate held", sum.cache_hits),
            ("recommendation_cache_misses", "Answers that waited for KV", sum.cache_misses),
            ("recommendation_errors", "Requests for items that failed at the edge", sum.errors),
            ("edge_events_dropped", "Events that the edge lost", sum.events_dropped),
        ] {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let name = "recommendation_exposures";
        let mut exposures =
            encoder.encode_descriptor(name, "Answers by variant", None, MetricType::Counter)?;
        for Exposed { experiment, variant, answers } in &sum.exposed {
            let labels = [("experiment", &**experiment), ("variant", &**variant)];
            ConstCounter::new(*answers).encode(exposures.encode_family(&labels)?)?;
        }
        let bounds = BOUNDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(sum.latency).collect();
        encoder
            .encode_descriptor(
                "recommendation_latency",
                "Time that answers with items took at the edge",
                Some(&Unit::Seconds),
                MetricType::Histogram,
            )?
            .encode_histogram::<[(&str, &str); 0]>(sum.seconds, sum.requests(), &buckets, None)
    }
}

/// Takes a report.
///
/// # Errors
/// 400 that names the field.
pub async fn report(State(service): State<Shared>, request: Request) -> Result<StatusCode> {
    let report: Report = body::read_json(&service, request, MAX_BODY).await?;
    if let Some(field) = report.wrong_field() {
        return Err(Problem::bad_request(
            field,
            "No report counts so much; send counts since the last report.",
        ));
    }
    service.metrics.edge.add(&report);
    Ok(StatusCode::NO_CONTENT)
}
