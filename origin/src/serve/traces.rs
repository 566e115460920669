//! OpenTelemetry traces: a span a request, and one each time the service publishes or learns, sent to a collector as OTLP/HTTP in JSON.
//!
//! Written here because the crates for it take tonic, prost and some twenty others with them, for one POST of JSON
//! (protocol: OTLP 1.0, `POST /v1/traces`, ids in hexadecimal; context: W3C Trace Context, header `traceparent`). A
//! collector that is slow or gone costs spans, never requests: they wait in a bounded queue.

use crate::serve::metrics::Metrics;
use anyhow::Context;
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};
use std::{array, thread};

/// Spans that wait.
const QUEUE: usize = 8_192;
/// Spans sent at once.
const BATCH: usize = 1_024;
/// How long a span waits for others.
const WAIT: Duration = Duration::from_secs(1);
/// How long sending may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The way to the collector, if one is configured.
#[derive(Debug, Default)]
pub struct Traces(Option<SyncSender<Span>>);

/// What a caller's header says of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

/// Something that was done.
#[derive(Debug)]
pub struct Span {
    /// The trace that it belongs to, where the caller named one.
    pub parent: Option<Parent>,
    /// What.
    pub work: Work,
    /// How long it took until now.
    pub took: Duration,
}

/// What a span is of.
#[derive(Debug)]
pub enum Work {
    /// A request that was answered.
    Request {
        /// Its method.
        method: String,
        /// The pattern of its address, so that no id becomes part of a name.
        route: String,
        /// How it ended.
        status: u16,
    },
    /// What the service does by itself.
    Job {
        /// Its name.
        name: &'static str,
        /// Why it failed, if it did.
        error: Option<String>,
    },
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digits = hex.as_bytes();
    let lower = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if digits.len() != 2 * N || !lower {
        return None;
    }
    let bytes: [u8; N] = array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap_or(0));
    (bytes != [0; N]).then_some(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The system never lacks randomness once it runs; an id of zeros would be refused by the collector.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

impl Parent {
    /// Reads a `traceparent`; `None` when it makes no sense.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let version: [u8; 1] = if version == "00" { [0] } else { bytes(version)? };
        if version == [0xff] || (version == [0] && parts.next().is_some()) || flags.len() != 2 {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace: bytes(trace)?, span: bytes(span)?, sampled: flags & 1 == 1 })
    }
}

impl Traces {
    /// Starts sending to a collector's address, such as `http://127.0.0.1:4318`; nothing without one.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(collector: Option<&str>, metrics: &Metrics) -> anyhow::Result<Self> {
        let Some(collector) = collector else { return Ok(Self(None)) };
        let url = format!("{}/v1/traces", collector.trim_end_matches('/'));
        let lost = metrics.trace_spans_lost.clone();
        let (sender, receiver) = sync_channel(QUEUE);
        let send = move || {
            let agent: ureq::Agent =
                ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into();
            let mut failing = false;
            while let Some(spans) = batch(&receiver) {
                let sent = agent.post(&url).header("content-type", "application/json").send(&*body(&spans));
                if let Err(error) = &sent {
                    lost.inc_by(spans.len() as u64);
                    if !failing {
                        tracing::warn!(%error, "traces cannot be sent");
                    }
                }
                failing = sent.is_err();
            }
        };
        thread::Builder::new().name("traces".to_owned()).spawn(send).context("no thread for traces")?;
        Ok(Self(Some(sender)))
    }

    /// Whether spans go anywhere.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Sends a span of what the service did by itself.
    pub fn job(&self, name: &'static str, took: Duration, error: Option<String>, metrics: &Metrics) {
        self.send(Span { parent: None, work: Work::Job { name, error }, took }, metrics);
    }

    /// Sends a span, unless its caller decided against; one too many is lost and counted.
    pub fn send(&self, span: Span, metrics: &Metrics) {
        let wanted = span.parent.is_none_or(|parent| parent.sampled);
        if let Some(sender) = self.0.as_ref().filter(|_| wanted)
            && sender.try_send(span).is_err()
        {
            metrics.trace_spans_lost.inc();
        }
    }
}

/// The spans of up to a second with the time at which each ended; `None` when no more can come.
fn batch(receiver: &Receiver<Span>) -> Option<Vec<(SystemTime, Span)>> {
    let first = receiver.recv().ok()?;
    let mut spans = vec![(SystemTime::now(), first)];
    let until = Instant::now() + WAIT;
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
        text("service.name", "verge"),
        text("service.version", env!("CARGO_PKG_VERSION")),
    ]});
    let scope = json!({"scope": {"name": "verge.serve"}, "spans": spans});
    json!({"resourceSpans": [{"resource": service, "scopeSpans": [scope]}]}).to_string().into_bytes()
}

fn text(key: &str, value: &str) -> Value {
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
        let (name, kind, attributes, status) = match &self.work {
            Work::Request { method, route, status } => {
                let code =
                    json!({"key": "http.response.status_code", "value": {"intValue": status.to_string()}});
                let attributes =
                    json!([text("http.request.method", method), text("http.route", route), code]);
                let ended = if *status >= 500 { json!({"code": ERROR}) } else { json!({}) };
                (format!("{method} {route}"), SERVER, attributes, ended)
            }
            Work::Job { name, error } => {
                let failed = |error| json!({"code": ERROR, "message": error});
                ((*name).to_owned(), INTERNAL, json!([]), error.as_ref().map_or(json!({}), failed))
            }
        };
        let mut span = json!({
            "traceId": hex(&self.parent.map_or_else(random, |parent| parent.trace)),
            "spanId": hex(&random::<8>()),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": nanos(ended - self.took),
            "endTimeUnixNano": nanos(ended),
            "attributes": attributes,
            "status": status,
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = hex(&parent.span).into();
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
    fn a_parent_is_read_as_the_standard_says() {
        let parent = Parent::parse(HEADER).unwrap();
        assert_eq!(
            (hex(&parent.trace), hex(&parent.span)),
            (HEADER[3..35].to_owned(), HEADER[36..52].to_owned())
        );
        assert!(parent.sampled && !Parent::parse(&HEADER.replace("-01", "-00")).unwrap().sampled);
        assert!(
            Parent::parse(&format!("cc{}-more", &HEADER[2..])).is_some(),
            "a later version may add parts"
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
        fn any_header_is_a_parent_or_none(header in "\\PC{0,60}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-g]{2}") {
            let _ = Parent::parse(&header);
        }
    }
}
