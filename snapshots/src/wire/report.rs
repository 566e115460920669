//! Reports of the edge's counters: the body of `POST /v1/metrics/edge` at the origin, which sums them for Prometheus.
//!
//! An isolate reports its counts since the last report, in the background of an answer. A report is never sent twice,
//! since counting twice is worse than losing counts.

use crate::wire::region::is_region;
use serde::{Deserialize, Serialize};

/// Upper bounds of the latency buckets, in seconds. A last bucket counts slower answers.
pub const BOUNDS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
/// Greatest value of a counter in one report.
pub const MAX_COUNT: u64 = 1_000_000_000;

/// Counts since the last report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Answers by latency: a bucket per bound in [`BOUNDS`], and one for slower answers.
    pub latency: [u64; BOUNDS.len() + 1],
    /// Sum of the latencies, in seconds.
    pub seconds: f64,
    /// Answers from memory.
    pub cache_hits: u64,
    /// Answers that waited for KV.
    pub cache_misses: u64,
    /// Requests for items with a status of 500 or above.
    pub errors: u64,
    /// Lost events: the origin rejected them, or was unavailable for too long.
    #[serde(default)]
    pub events_dropped: u64,
    /// Events of clients that exceeded their limit. They were not accepted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_limited: u64,
    /// Events of bots. They were accepted, and not forwarded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_bots: u64,
    /// Answers by variant of an experiment, at most [`MAX_EXPOSED`] entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<Exposed>,
}

/// The number of answers of a variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exposed {
    /// The experiment.
    pub experiment: String,
    /// The variant.
    pub variant: String,
    /// The number of answers.
    pub answers: u64,
}

/// An origin of an earlier version does not know the field.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Most variants of one report.
pub const MAX_EXPOSED: usize = 256;

impl Report {
    /// Counts an answer with this latency.
    pub fn answered(&mut self, seconds: f64) {
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        if let Some(count) = self.latency.get_mut(bucket) {
            *count += 1;
        }
        self.seconds += seconds.max(0.0);
    }

    /// Counts answers by a variant, while there is room for another.
    pub fn expose(&mut self, experiment: &str, variant: &str, answers: u64) {
        let same = |known: &&mut Exposed| known.experiment == experiment && known.variant == variant;
        if let Some(known) = self.exposed.iter_mut().find(same) {
            known.answers = known.answers.saturating_add(answers);
        } else if self.exposed.len() < MAX_EXPOSED {
            let (experiment, variant) = (experiment.to_owned(), variant.to_owned());
            self.exposed.push(Exposed { experiment, variant, answers });
        }
    }

    /// Answers counted.
    pub fn requests(&self) -> u64 {
        self.latency.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// At most 20 counters in order: answers, seconds, hits, misses, errors, lost events, the buckets, and events of bots.
    pub fn figures(&self) -> Vec<f64> {
        let counts = [self.cache_hits, self.cache_misses, self.errors, self.events_dropped]
            .into_iter()
            .chain(self.latency)
            .chain([self.events_bots]);
        [self.requests() as f64, self.seconds].into_iter().chain(counts.map(|count| count as f64)).collect()
    }

    /// The first field with an impossible value.
    pub fn wrong_field(&self) -> Option<&'static str> {
        let counts = [
            ("cache_hits", self.cache_hits),
            ("cache_misses", self.cache_misses),
            ("errors", self.errors),
            ("events_dropped", self.events_dropped),
            ("events_limited", self.events_limited),
            ("events_bots", self.events_bots),
        ];
        if self.latency.iter().any(|count| *count > MAX_COUNT / self.latency.len() as u64) {
            return Some("latency");
        }
        let named = |exposed: &Exposed| is_region(&exposed.experiment) && is_region(&exposed.variant);
        let counted = |exposed: &Exposed| named(exposed) && exposed.answers <= MAX_COUNT;
        if self.exposed.len() > MAX_EXPOSED || !self.exposed.iter().all(counted) {
            return Some("exposed");
        }
        if !(0.0..=1e12).contains(&self.seconds) {
            return Some("seconds");
        }
        counts.into_iter().find(|(_, count)| *count > MAX_COUNT).map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_latency() {
        let mut report = Report::default();
        [0.0001, 0.0002, 7.0].into_iter().for_each(|seconds| report.answered(seconds));
        assert_eq!(
            (report.latency[0], report.latency[1], report.latency[12], report.requests()),
            (1, 1, 1, 3)
        );
        assert!((report.seconds - 7.0003).abs() < 1e-9 && report.wrong_field().is_none());
        let figures = Report { events_dropped: 9, events_bots: 5, ..report.clone() }.figures();
        assert_eq!(
            (figures.len(), figures[0], figures[5], figures[18], figures[19]),
            (20, 3.0, 9.0, 1.0, 5.0)
        );
        report.expose("home", "a", 2);
        report.expose("home", "b", 1);
        report.expose("home", "a", 3);
        assert_eq!(report.exposed.iter().map(|exposed| exposed.answers).collect::<Vec<_>>(), [5, 1]);
        report.expose("Not a name", "a", 1);
        assert_eq!(report.wrong_field(), Some("exposed"));
        (0..2 * MAX_EXPOSED).for_each(|number| report.expose("many", &number.to_string(), 1));
        assert_eq!(report.exposed.len(), MAX_EXPOSED);
        assert_eq!(Report { errors: u64::MAX, ..Report::default() }.wrong_field(), Some("errors"));
        assert_eq!(Report { latency: [u64::MAX; 13], ..Report::default() }.wrong_field(), Some("latency"));
        assert_eq!(Report { seconds: f64::NAN, ..Report::default() }.wrong_field(), Some("seconds"));
    }
}
