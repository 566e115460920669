//! One session a line: item ids separated by white space, the oldest session and the oldest click first.
//!
//! Such a file has no times, but learning needs an order and weighs events by age. So the n-th line of a run begins
//! at `since + n · every`, with its clicks a second apart. Lines that are added to the file later do not change these
//! times. A session longer than `every` overlaps the next; both keep their own order.

use crate::import::{Batch, Importer, Parsed, Row, event};
use origin_data::Item;
use origin_data::fields::Reject;
use snapshots::event::{Event, Kind};
use snapshots::time::Timestamp;

/// Most items of a session of a person.
const MAX_CLICKS: usize = 9_999;

/// Counts the sessions, which sets their times.
pub(super) struct Sessions {
    next: Timestamp,
    every_ms: i64,
}

impl Sessions {
    /// The first session begins at `since`, each next one `every` seconds after the last.
    pub(super) fn new(since: Timestamp, every: u32) -> Self {
        Self { next: since, every_ms: i64::from(every) * 1000 }
    }
}

impl Importer for Sessions {
    fn row(&mut self, row: Row<'_>, events: &mut Batch<'_>) -> Result<Parsed, Reject> {
        let start = self.next;
        self.next = Timestamp(start.0.saturating_add(self.every_ms));
        let name = format!("{}-{}", row.source, row.line);
        for (position, item) in row.text.split_whitespace().enumerate() {
            if position == MAX_CLICKS {
                return Err(Reject::new("session too long", format!("more than {MAX_CLICKS} items")));
            }
            let at = Timestamp(start.0.saturating_add(position as i64 * 1000));
            events.push(Event {
                visitor: Some(name.clone()),
                session: Some(name.clone()),
                ..event(Kind::View, item, at)?
            })?;
        }
        Ok(Parsed::Events)
    }

    fn items(&mut self) -> Vec<Item> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::pipeline::Defaults;

    #[test]
    fn lines_and_clicks_keep_their_order_in_time() {
        let mut importer = Sessions::new(Timestamp(0), 30);
        let defaults = Defaults { now: Timestamp(1_795_000_000_000), ..Defaults::default() };
        let mut events = Batch::new(&defaults);
        for (line, text) in [(1, "a b a"), (2, "x\u{1}y z"), (3, "c")] {
            let before = events.events.len();
            if importer.row(Row::of_line("s", line, text), &mut events).is_err() {
                events.events.truncate(before);
            }
        }
        let seen: Vec<_> = events.events.iter().map(|event| (&*event.item, event.at.0)).collect();
        assert_eq!(seen, [("a", 0), ("b", 1000), ("a", 2000), ("c", 60_000)]);
        assert_eq!(events.events[0].session, events.events[2].session);
        assert_ne!(events.events[0].session, events.events[3].session);
        let endless = "a ".repeat(10_000);
        let refused = importer.row(Row::of_line("s", 4, &endless), &mut events).unwrap_err();
        assert_eq!(refused.reason, "session too long");
    }
}
