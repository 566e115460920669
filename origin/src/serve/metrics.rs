//! What Prometheus reads at `/metrics`. A counter's name ends in `_total` there.

use crate::serve::{
    edge::Edge,
    state::Shared,
    traces::{Parent, Span, Work},
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use snapshots::event::Kind;
use std::{sync::atomic::AtomicU64, time::Instant};

/// Upper bounds of the latency buckets, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// A kind of event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    kind: &'static str,
}

impl From<Kind> for KindLabel {
    fn from(kind: Kind) -> Self {
        Self { kind: kind.name() }
    }
}

/// An address (its pattern, so that no id becomes a label) and how requests to it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: String,
    status: u16,
}

/// A watched feed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FeedLabel {
    feed: String,
}

impl From<&str> for FeedLabel {
    fn from(name: &str) -> Self {
        Self { feed: name.to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// Every metric of the service. A new one takes a field, and a line in [`Metrics::default`].
pub struct Metrics {
    registry: Registry,
    /// Events that are durable, by kind; retries of one count once.
    pub events_ingested: Family<KindLabel, Counter>,
    /// Events that the tables know, by kind.
    pub events_processed: Family<KindLabel, Counter>,
    /// Events that could not be taken: refused by a field, or lost to a failure of the store.
    pub event_processing_errors: Counter,
    /// How long a group of events takes to become durable.
    pub log_commit: Histogram,
    /// Events that wait to become durable.
    pub queue_depth: Gauge,
    /// Events that are durable and not in the tables yet.
    pub log_lag: Gauge,
    /// How long publishing takes.
    pub publish_duration: Histogram,
    /// Attempts to publish that failed.
    pub publish_failures: Counter,
    /// Seconds since when the destination lacks something.
    pub publish_lag: Gauge<f64, AtomicU64>,
    /// Seconds since the newest event that is published.
    pub snapshot_age: Gauge<f64, AtomicU64>,
    /// Items in the catalogue.
    pub catalogue_items: Gauge,
    /// Looks at a watched feed that could not be used.
    pub feed_errors: Family<FeedLabel, Counter>,
    feed_read: Family<FeedLabel, Gauge>,
    /// Spans that did not reach the collector.
    pub trace_spans_lost: Counter,
    /// What the Workers reported.
    pub edge: Edge,
    answered: Family<Answered, Counter>,
    took: Family<Route, Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            events_ingested: Family::default(),
            events_processed: Family::default(),
            event_processing_errors: Counter::default(),
            log_commit: Histogram::new(SECONDS),
            publish_duration: Histogram::new(SECONDS.map(|seconds| seconds * 20.0)),
            publish_failures: Counter::default(),
            publish_lag: Gauge::default(),
            snapshot_age: Gauge::default(),
            queue_depth: Gauge::default(),
            log_lag: Gauge::default(),
            catalogue_items: Gauge::default(),
            feed_errors: Family::default(),
            feed_read: Family::default(),
            trace_spans_lost: Counter::default(),
            edge: Edge::default(),
            answered: Family::default(),
            took: Family::new_with_constructor(|| Histogram::new(SECONDS)),
        };
        let registry = &mut metrics.registry;
        registry.register("events_ingested", "Events stored durably", metrics.events_ingested.clone());
        registry.register(
            "events_processed",
            "Events counted into the tables, those counted again after a start too",
            metrics.events_processed.clone(),
        );
        let errors = metrics.event_processing_errors.clone();
        registry.register("event_processing_errors", "Events that could not be taken", errors);
        let help = "Time to make a group of events durable";
        registry.register_with_unit("log_commit_duration", help, Unit::Seconds, metrics.log_commit.clone());
        registry.register("queue_depth", "Events that wait to become durable", metrics.queue_depth.clone());
        let lag = metrics.log_lag.clone();
        registry.register("log_lag_events", "Events that are durable and not in the tables yet", lag);
        let (took, failures) = (metrics.publish_duration.clone(), metrics.publish_failures.clone());
        registry.register_with_unit("publish_duration", "Time that publishing takes", Unit::Seconds, took);
        registry.register("publish_failures", "Attempts to publish that failed", failures);
        let (lag, age) = (metrics.publish_lag.clone(), metrics.snapshot_age.clone());
        registry.register_with_unit(
            "publish_lag",
            "Time since the destination lacks something",
            Unit::Seconds,
            lag,
        );
        registry.register_with_unit("snapshot_age", "Age of the newest event published", Unit::Seconds, age);
        registry.register("catalogue_items", "Items in the catalogue", metrics.catalogue_items.clone());
        registry.register("feed_errors", "Failed looks at a feed", metrics.feed_errors.clone());
        let read = metrics.feed_read.clone();
        let help = "When a feed was last looked at and found usable or unchanged, since 1970";
        registry.register_with_unit("feed_read_timestamp", help, Unit::Seconds, read);
        let lost = metrics.trace_spans_lost.clone();
        registry.register("trace_spans_lost", "Spans that did not reach the collector", lost);
        registry.register_collector(Box::new(metrics.edge.clone()));
        registry.register("http_requests", "Requests answered", metrics.answered.clone());
        let took = metrics.took.clone();
        let help = "Time from a request's head to its answer's head";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, took);
        metrics
    }
}

impl Metrics {
    /// Notes that a feed was read, or found as it was.
    pub fn feed_is_read(&self, name: &str) {
        self.feed_read.get_or_create(&name.into()).set(jiff::Timestamp::now().as_second());
    }

    /// All of them in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// `GET /metrics`.
pub async fn show(State(service): State<Shared>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    service.metrics.queue_depth.set(service.events.queued() as i64);
    let (stored, counted) = (*service.events.position().borrow(), *service.tables.position.borrow());
    service.metrics.log_lag.set(stored.saturating_sub(counted) as i64);
    ([(header::CONTENT_TYPE, kind)], service.metrics.text())
}

/// Counts a request, times it, and makes it a span of its trace.
pub async fn observe(State(service): State<Shared>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    // Methods can be made up by the caller.
    let method = request.method().as_str();
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let method = known.into_iter().find(|name| *name == method).unwrap_or("other").to_owned();
    let parent = request.headers().get("traceparent").and_then(|header| Parent::parse(header.to_str().ok()?));
    let response = next.run(request).await;
    let (status, seconds) = (response.status(), began.elapsed().as_secs_f64());
    // A service that is full says so to thousands a second; its counters and alerts tell of that.
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(route, method, status = status.as_u16(), seconds, "request failed");
    } else {
        tracing::debug!(route, method, status = status.as_u16(), seconds, "request");
    }
    if service.traces.are_on() {
        let work = Work::Request { method: method.clone(), route: route.clone(), status: status.as_u16() };
        let span = Span { parent, work, took: began.elapsed() };
        service.traces.send(span, &service.metrics);
    }
    service.metrics.took.get_or_create(&Route { route: route.clone() }).observe(seconds);
    service.metrics.answered.get_or_create(&Answered { route, method, status: status.as_u16() }).inc();
    response
}
