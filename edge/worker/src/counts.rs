//! What an isolate counts of its answers, and when it tells the origin.

use snapshots::report::Report;

/// How long counts are kept before they are told, in ms.
const REPORT_INTERVAL_MS: i64 = 10_000;

/// Counts since the last report.
#[derive(Default)]
pub struct Counts {
    report: Report,
    since: Option<i64>,
}

impl Counts {
    /// Counts a reply to a request for items, `cache_hit` where nothing had to be read for it.
    pub fn add(&mut self, status: u16, exposed: &[(String, String)], began: i64, now: i64, cache_hit: bool) {
        self.since.get_or_insert(now);
        for (experiment, variant) in exposed {
            self.report.expose(experiment, variant, 1);
        }
        match status {
            200 | 304 => {
                self.report.answered(now.saturating_sub(began) as f64 / 1e3);
                let known =
                    if cache_hit { &mut self.report.cache_hits } else { &mut self.report.cache_misses };
                *known += 1;
            }
            500.. => self.report.errors += 1,
            _ => {}
        }
    }

    /// The counts, where they are to be told now; counting starts again.
    pub fn take_due(&mut self, now: i64) -> Option<Report> {
        let since = self.since.filter(|since| now.saturating_sub(*since) >= REPORT_INTERVAL_MS)?;
        self.since = Some(since.max(now));
        Some(std::mem::take(&mut self.report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_told_once_and_not_too_often() {
        let mut counts = Counts::default();
        assert_eq!(counts.take_due(0), None);
        counts.add(200, &[("home".into(), "a".into())], 0, 3, true);
        counts.add(304, &[], 0, 30, false);
        counts.add(404, &[], 0, 3, true);
        counts.add(503, &[], 0, 3, false);
        assert_eq!(counts.take_due(REPORT_INTERVAL_MS), None);
        let report = counts.take_due(REPORT_INTERVAL_MS + 3).unwrap();
        assert_eq!((report.requests(), report.cache_hits, report.cache_misses, report.errors), (2, 1, 1, 1));
        assert_eq!(report.exposed.iter().map(|exposed| exposed.answers).collect::<Vec<_>>(), [1]);
        assert!((report.seconds - 0.033).abs() < 1e-9);
        assert_eq!(counts.take_due(2 * REPORT_INTERVAL_MS), None);
        counts.add(200, &[], 0, 3, true);
        assert_eq!(counts.take_due(2 * REPORT_INTERVAL_MS + 3).unwrap().requests(), 1);
    }
}
