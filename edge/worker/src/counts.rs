//! Counters of an isolate's answers, and the schedule of its reports to the origin.

use snapshots::report::Report;

/// Interval between reports, in ms.
const REPORT_INTERVAL_MS: i64 = 10_000;

/// Why events of a request teach nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaught {
    /// The client exceeded its limit.
    Limited,
    /// The sender is a bot.
    Bot,
}

/// The counters since the last report.
#[derive(Default)]
pub struct Counts {
    report: Report,
    since: Option<i64>,
}

impl Counts {
    /// Counts a reply to a request for items. `cache_hit`: it did not wait for KV.
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

    /// Counts events that are not forwarded.
    pub fn add_untaught(&mut self, reason: Untaught, events: u32, now: i64) {
        self.since.get_or_insert(now);
        let known = match reason {
            Untaught::Limited => &mut self.report.events_limited,
            Untaught::Bot => &mut self.report.events_bots,
        };
        *known = known.saturating_add(events.into());
    }

    /// Takes the report if it is due, and resets the counters.
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
    fn every_answer_is_reported_once_and_at_intervals() {
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
        counts.add_untaught(Untaught::Limited, 3, 0);
        counts.add_untaught(Untaught::Bot, 4, 0);
        let report = counts.take_due(3 * REPORT_INTERVAL_MS + 3).unwrap();
        assert_eq!((report.events_limited, report.events_bots), (3, 4));
    }
}
