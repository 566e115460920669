//! The metrics that Prometheus reads at `/metrics`. The name of a counter ends in `_total` there.

use crate::serve::state::edge_counters::EdgeCounters;
use origin_data::clock;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use snapshots::event::Kind;
use std::{sync::atomic::AtomicU64, time::Duration};

/// Upper bounds of the latency buckets, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// A kind of event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KindLabel {
    kind: &'static str,
}

impl From<Kind> for KindLabel {
    fn from(kind: Kind) -> Self {
        Self { kind: kind.name() }
    }
}

/// Whether an order token was valid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TokenLabel {
    outcome: &'static str,
}

impl TokenLabel {
    pub(crate) fn new(is_valid: bool) -> Self {
        Self { outcome: if is_valid { "valid" } else { "invalid" } }
    }
}

/// A watched feed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FeedLabel {
    feed: String,
}

/// A part of the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabel {
    part: String,
}

impl From<&str> for FeedLabel {
    fn from(name: &str) -> Self {
        Self { feed: name.to_owned() }
    }
}

/// A route (the pattern, so that no id becomes a label), the method and the status of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

/// Every metric of the service. To add one, add a field and register it in [`Metrics::default`].
pub(crate) struct Metrics {
    registry: Registry,
    /// Durable events by kind; retries of one event count once.
    pub(crate) events_ingested: Family<KindLabel, Counter>,
    /// Those of them that count as views, because nobody vouches for them: carts and purchases.
    pub(crate) events_unconfirmed: Family<KindLabel, Counter>,
    /// Tokens for lines of orders.
    pub(crate) order_tokens: Family<TokenLabel, Counter>,
    /// Surges that were held.
    pub(crate) surges_held: Counter,
    /// Events in the tables, by kind.
    pub(crate) events_processed: Family<KindLabel, Counter>,
    /// Events that were rejected as invalid or could not be stored.
    pub(crate) event_processing_errors: Counter,
    /// Latency of a group commit.
    pub(crate) log_commit: Histogram,
    /// Events that wait to become durable.
    pub(crate) queue_depth: Gauge,
    /// Durable events that are not in the tables yet.
    pub(crate) log_lag: Gauge,
    /// Duration of a publish.
    pub(crate) publish_duration: Histogram,
    /// Publishes that failed.
    pub(crate) publish_failures: Counter,
    /// Seconds since the destination is out of date; 0 if it is up to date.
    pub(crate) publish_lag: Gauge<f64, AtomicU64>,
    /// Age of the newest published event, in seconds.
    pub(crate) snapshot_age: Gauge<f64, AtomicU64>,
    /// Items in the catalogue.
    pub(crate) catalogue_items: Gauge,
    /// Checks of a watched feed that failed.
    pub(crate) feed_errors: Family<FeedLabel, Counter>,
    feed_read: Family<FeedLabel, Gauge>,
    /// Parts that panicked and were started again.
    restarts: Family<PartLabel, Counter>,
    /// Spans that did not reach the collector.
    pub(crate) trace_spans_lost: Counter,
    /// The counters of the Workers.
    pub(crate) edge: EdgeCounters,
    http_requests: Family<RequestLabels, Counter>,
    http_request_duration: Family<RouteLabel, Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            events_ingested: Family::default(),
            events_unconfirmed: Family::default(),
            order_tokens: Family::default(),
            surges_held: Counter::default(),
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
            restarts: Family::default(),
            trace_spans_lost: Counter::default(),
            edge: EdgeCounters::default(),
            http_requests: Family::default(),
            http_request_duration: Family::new_with_constructor(|| Histogram::new(SECONDS)),
        };
        let registry = &mut metrics.registry;
        registry.register("events_ingested", "Events stored durably", metrics.events_ingested.clone());
        let unconfirmed = metrics.events_unconfirmed.clone();
        let help = "Public carts and purchases stored, which count as views until they are confirmed";
        registry.register("events_unconfirmed", help, unconfirmed);
        let tokens = metrics.order_tokens.clone();
        registry.register("order_tokens", "Tokens for lines of orders, by outcome", tokens);
        let help = "Items held because they had more public events than their history makes likely";
        registry.register("surges_held", help, metrics.surges_held.clone());
        registry.register(
            "events_processed",
            "Events added to the tables, including those added again after a restart",
            metrics.events_processed.clone(),
        );
        let errors = metrics.event_processing_errors.clone();
        registry.register("event_processing_errors", "Events rejected or not stored", errors);
        let restarts = metrics.restarts.clone();
        registry.register(
            "part_restarts",
            "Parts of the service that panicked and were started again",
            restarts,
        );
        let help = "Latency of a group commit of events";
        registry.register_with_unit("log_commit_duration", help, Unit::Seconds, metrics.log_commit.clone());
        registry.register("queue_depth", "Events waiting to become durable", metrics.queue_depth.clone());
        let lag = metrics.log_lag.clone();
        registry.register("log_lag_events", "Durable events that are not in the tables yet", lag);
        let (duration, failures) = (metrics.publish_duration.clone(), metrics.publish_failures.clone());
        registry.register_with_unit("publish_duration", "Duration of a publish", Unit::Seconds, duration);
        registry.register("publish_failures", "Publishes that failed", failures);
        let (lag, age) = (metrics.publish_lag.clone(), metrics.snapshot_age.clone());
        let help = "Time since the destination is out of date";
        registry.register_with_unit("publish_lag", help, Unit::Seconds, lag);
        registry.register_with_unit("snapshot_age", "Age of the newest published event", Unit::Seconds, age);
        registry.register("catalogue_items", "Items in the catalogue", metrics.catalogue_items.clone());
        registry.register("feed_errors", "Failed checks of a feed", metrics.feed_errors.clone());
        let read = metrics.feed_read.clone();
        let help = "When a feed was last checked successfully, in seconds since 1970";
        registry.register_with_unit("feed_read_timestamp", help, Unit::Seconds, read);
        let lost = metrics.trace_spans_lost.clone();
        registry.register("trace_spans_lost", "Spans that did not reach the collector", lost);
        registry.register_collector(Box::new(metrics.edge.clone()));
        registry.register("http_requests", "HTTP requests answered", metrics.http_requests.clone());
        let duration = metrics.http_request_duration.clone();
        let help = "Time from the head of a request to the head of its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, duration);
        metrics
    }
}

impl Metrics {
    /// Records that a feed was read or found unchanged.
    pub(crate) fn record_feed_read(&self, name: &str) {
        self.feed_read.get_or_create(&name.into()).set(clock::now().0 / 1000);
    }

    /// Records that a part panicked and is started again.
    pub(crate) fn record_restart(&self, part: &str) {
        self.restarts.get_or_create(&PartLabel { part: part.to_owned() }).inc();
    }

    /// Records an answered request.
    pub(crate) fn record_request(&self, route: &str, method: &str, status: u16, duration: Duration) {
        let (route, method) = (route.to_owned(), method.to_owned());
        let duration = duration.as_secs_f64();
        self.http_request_duration.get_or_create(&RouteLabel { route: route.clone() }).observe(duration);
        self.http_requests.get_or_create(&RequestLabels { route, method, status }).inc();
    }

    /// All metrics in the OpenMetrics text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
