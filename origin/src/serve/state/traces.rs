//! OpenTelemetry traces: a span for each request, publish and learning, sent to a collector as OTLP/HTTP in JSON.
//!
//! This is hand-written because the OpenTelemetry crates bring tonic, prost and some twenty others, for one POST of JSON
//! (protocol: OTLP 1.0, `POST /v1/traces`, ids in hexadecimal; context: W3C Trace Context, header `traceparent`). Spans
//! wait in a bounded queue: if the collector is slow or down, spans are lost, and requests are not delayed.

use anyhow::Context;
use origin_data::hex;
use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// The most spans in the queue.
const QUEUE: usize = 8_192;
/// The most spans in one POST.
const BATCH: usize = 1_024;
/// The longest that a span waits for its batch to fill.
const BATCH_WAIT: Duration = Duration::from_secs(1);
/// The timeout of one POST.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends spans to the collector, if one is configured.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    queue: Option<SyncSender<Span>>,
    /// Spans that did not reach the collector.
    lost: Counter,
}

/// The trace context of a caller's `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

/// One finished operation.
#[derive(Debug)]
pub(crate) struct Span {
    /// The caller's trace, if its request named one.
    pub(crate) parent: Option<Parent>,
    /// The operation.
    pub(crate) operation: Operation,
    /// Its duration; it ends now.
    pub(crate) duration: Duration,
}

/// The operation of a span.
#[derive(Debug)]
pub(crate) enum Operation {
    /// An answered request.
    Request {
        /// Its method.
        method: String,
        /// The route's pattern, so that no id becomes part of a name.
        route: String,
        /// The status of the answer.
        status: u16,
    },
    /// A job of the service.
    Job {
        /// Its name.
        name: &'static str,
        /// Why it failed; `None` if it did not.
        error: Option<String>,
    },
}

/// Decodes an id; `None` if it is not hexadecimal or all zeros, which the standard forbids.
fn id<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex::decode(text).filter(|bytes| *bytes != [0; N])
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // This cannot fail once the system has booted; the collector would reject an id of zeros.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

impl Parent {
    /// Parses a `traceparent` header; `None` if it is invalid.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let version: [u8; 1] = hex::decode(version)?;
        if version == [0xff] || (version == [0] && parts.next().is_some()) {
            return None;
        }
        let [flags] = hex::decode(flags)?;
        Some(Self { trace: id(trace)?, span: id(span)?, sampled: flags & 1 == 1 })
    }
}

impl Traces {
    /// Starts the thread that sends spans to the collector at this address, such as `http://127.0.0.1:4318`; `None`
    /// disables traces. `lost` counts spans that do not reach it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(collector: Option<&str>, lost: Counter) -> anyhow::Result<Self> {
        let Some(collector) = collector else { return Ok(Self { queue: None, lost }) };
        let url = format!("{}/v1/traces", collector.trim_end_matches('/'));
        let (queue, receiver) = sync_channel(QUEUE);
        let unsent = lost.clone();
        let send = move || {
            let agent: ureq::Agent =
                ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into();
            let mut failing = false;
            while let Some(spans) = next_batch(&receiver) {
                let sent = agent.post(&url).header("content-type", "application/json").send(&*body(&spans));
                if let Err(error) = &sent {
                    unsent.inc_by(spans.len() as u64);
                    if !failing {
                        tracing::warn!(%error, "cannot send traces to the collector");
                    }
                }
                failing = sent.is_err();
            }
        };
        thread::Builder::new()
            .name("traces".to_owned())
            .spawn(send)
            .context("cannot start the traces thread")?;
        Ok(Self { queue: Some(queue), lost })
    }

    /// Whether a collector is configured.
    pub(crate) fn is_enabled(&self) -> bool {
        self.queue.is_some()
    }

    /// Sends the span of a job that ends now.
    pub(crate) fn send_job(&self, name: &'static str, duration: Duration, error: Option<String>) {
        self.send(Span { parent: None, operation: Operation::Job { name, error }, duration });
    }

    /// Sends a span unless its caller did not sample the trace. If the queue is full, the span is lost and counted.
    pub(crate) fn send(&self, span: Span) {
        let sampled = span.parent.is_none_or(|parent| parent.sampled);
        if let Some(queue) = self.queue.as_ref().filter(|_| sampled)
            && queue.try_send(span).is_err()
        {
            self.lost.inc();
        }
    }
}

/// Waits for spans and returns a batch, each with the time at which it ended; `None` when the sender is gone.
fn next_batch(receiver: &Receiver<Span>) -> Option<Vec<(SystemTime, Span)>> {
    let first = receiver.recv().ok()?;
    let mut spans = vec![(SystemTime::now(), first)];
    let until = Instant::now() + BATCH_WAIT;
    while spans.len() < BATCH {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(span) => spans.push((SystemTime::now(), span)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    Some(spans)
}

fn body(spans: &[(SystemTime, Span)]) -> Vec<u8> {
    let spans: Vec<Value> = spans.iter().map(|(ended, span)| span.json(*ended)).collect();
    let service = json!({"attributes": [
        attribute("service.name", "verge"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
    ]});
    let scope = json!({"scope": {"name": "verge.serve"}, "spans": spans});
    json!({"resourceSpans": [{"resource": service, "scopeSpans": [scope]}]}).to_string().into_bytes()
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

impl Span {
    fn json(&self, ended: SystemTime) -> Value {
        let nanos = |at: SystemTime| {
            at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
        };
        const INTERNAL: u8 = 1;
        const SERVER: u8 = 2;
        const ERROR: u8 = 2;
        let (name, kind, attributes, status) = match &self.operation {
            Operation::Request { method, route, status } => {
                let code =
                    json!({"key": "http.response.status_code", "value": {"intValue": status.to_string()}});
                let attributes =
                    json!([attribute("http.request.method", method), attribute("http.route", route), code]);
                let outcome = if *status >= 500 { json!({"code": ERROR}) } else { json!({}) };
                (format!("{method} {route}"), SERVER, attributes, outcome)
            }
            Operation::Job { name, error } => {
                let failed = |error| json!({"code": ERROR, "message": error});
                ((*name).to_owned(), INTERNAL, json!([]), error.as_ref().map_or(json!({}), failed))
            }
        };
        let mut span = json!({
            "traceId": hex::encode(&self.parent.map_or_else(random, |parent| parent.trace)),
            "spanId": hex::encode(&random::<8>()),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": nanos(ended - self.duration),
            "endTimeUnixNano": nanos(ended),
            "attributes": attributes,
            "status": status,
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = hex::encode(&parent.span).into();
        }
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_parent_is_parsed_as_the_standard_says() {
        let parent = Parent::parse(HEADER).unwrap();
        assert_eq!(
            (hex::encode(&parent.trace), hex::encode(&parent.span)),
            (HEADER[3..35].to_owned(), HEADER[36..52].to_owned())
        );
        assert!(parent.sampled && !Parent::parse(&HEADER.replace("-01", "-00")).unwrap().sampled);
        assert!(
            Parent::parse(&format!("cc{}-more", &HEADER[2..])).is_some(),
            "a later version may add fields"
        );
        for wrong in [
            "",
            "00",
            &format!("{HEADER}-more"),
            &format!("ff{}", &HEADER[2..]),
            &HEADER.to_uppercase(),
            &HEADER.replace("00f067aa0ba902b7", "0000000000000000"),
            &HEADER.replace("-01", "-1"),
        ] {
            assert_eq!(Parent::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_parsed_or_rejected(header in "\\PC{0,60}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-g]{2}") {
            let _ = Parent::parse(&header);
        }
    }
}
