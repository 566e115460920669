//! How many events a client may send: a sliding minute in each isolate, in a table of fixed size.
//!
//! Counts are in a count-min sketch: each client has a cell in each row, and its count is the least of them. So no number of
//! clients takes more memory or makes the table forget one of them, and a client is never counted for less than it sent. It is
//! counted for more only if it shares all cells with others that send much. The cells depend on a random number of the
//! isolate, so nobody can aim at those of another.

use crate::id;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Cells of a row.
const CELLS: usize = 4_096;
/// Rows, each addressed by other bits of a hash.
const ROWS: usize = 2;
/// The time that a limit is for, in ms.
const WINDOW_MS: i64 = 60_000;

/// Something that a limit applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client<'a> {
    /// A network, [`crate::sender::Sender::network`].
    Network(&'a str),
    /// A visitor's id.
    Visitor(&'a str),
}

/// A client and the most events that it may send in a minute; 0 for no limit.
pub type Limit<'a> = (Client<'a>, u32);

/// Counts of the last two minutes: 64 KiB.
pub struct EventLimits {
    seed: u64,
    /// The minute since 1970 that is counted.
    window: i64,
    current: Vec<u32>,
    previous: Vec<u32>,
}

impl Default for EventLimits {
    fn default() -> Self {
        let cells = || vec![0; CELLS * ROWS];
        Self { seed: id::random_number(), window: 0, current: cells(), previous: cells() }
    }
}

impl EventLimits {
    /// Counts events of these clients, if that exceeds none of their limits; else counts nothing and returns `false`.
    pub fn admit(&mut self, clients: &[Limit<'_>], events: u32, now: i64) -> bool {
        self.advance(now.max(0) / WINDOW_MS);
        let elapsed = u64::try_from(now.max(0) % WINDOW_MS).unwrap_or_default();
        let limited = || clients.iter().filter(|(_, limit)| *limit > 0);
        let has_room =
            |(client, limit): &Limit<'_>| self.count(*client, elapsed).saturating_add(events) <= *limit;
        if !limited().all(has_room) {
            return false;
        }
        for (client, _) in limited() {
            self.add(*client, events);
        }
        true
    }

    fn advance(&mut self, window: i64) {
        // A clock that goes back changes nothing.
        let passed = window.saturating_sub(self.window);
        if passed > 0 {
            std::mem::swap(&mut self.current, &mut self.previous);
            self.current.fill(0);
            if passed > 1 {
                self.previous.fill(0);
            }
            self.window = window;
        }
    }

    /// Events of a client in the last minute, at least: the part of the minute before that is not over yet counts as if it had
    /// been even.
    fn count(&self, client: Client<'_>, elapsed: u64) -> u32 {
        let rest = (WINDOW_MS.unsigned_abs()).saturating_sub(elapsed);
        let of = |cell: usize| {
            let [current, previous] = [&self.current, &self.previous].map(|counts| counts.get(cell).copied());
            let earlier = u64::from(previous.unwrap_or(u32::MAX)) * rest / WINDOW_MS.unsigned_abs();
            current.unwrap_or(u32::MAX).saturating_add(u32::try_from(earlier).unwrap_or(u32::MAX))
        };
        self.cells(client).into_iter().map(of).min().unwrap_or(u32::MAX)
    }

    fn add(&mut self, client: Client<'_>, events: u32) {
        for cell in self.cells(client) {
            if let Some(count) = self.current.get_mut(cell) {
                *count = count.saturating_add(events);
            }
        }
    }

    fn cells(&self, client: Client<'_>) -> [usize; ROWS] {
        let (text, kind) = match client {
            Client::Network(text) => (text, 0),
            Client::Visitor(text) => (text, 1),
        };
        let hash = xxh3_64_with_seed(text.as_bytes(), self.seed.wrapping_add(kind));
        let cell = |row: usize| row * CELLS + (hash >> (32 * row)) as usize % CELLS;
        [cell(0), cell(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_795_000_020_000;

    #[test]
    fn events_are_counted_by_network_and_by_visitor() {
        let mut limits = EventLimits::default();
        let ann = [(Client::Network("203.0.113.7"), 10), (Client::Visitor("ann"), 4)];
        let bob = [(Client::Network("203.0.113.7"), 10), (Client::Visitor("bob"), 4)];
        assert!(limits.admit(&ann, 4, NOW) && !limits.admit(&ann, 1, NOW));
        assert!(!limits.admit(&bob, 5, NOW), "more than the limit at once");
        assert!(limits.admit(&bob, 4, NOW));
        let eve = [(Client::Network("203.0.113.7"), 10), (Client::Visitor("eve"), 4)];
        assert!(!limits.admit(&eve, 3, NOW) && limits.admit(&eve, 2, NOW), "what is refused is not counted");
        assert!(limits.admit(&[(Client::Network("203.0.113.8"), 10)], 10, NOW));
        assert!(limits.admit(&[(Client::Network("203.0.113.7"), 0)], 1_000, NOW), "no limit");
    }

    #[test]
    fn the_minute_slides() {
        let mut limits = EventLimits::default();
        let start = NOW / WINDOW_MS * WINDOW_MS;
        let client = [(Client::Network("a"), 100)];
        assert!(limits.admit(&client, 100, start + 59_000));
        assert!(!limits.admit(&client, 2, start + 60_000), "a new minute is no new limit");
        assert!(limits.admit(&client, 50, start + 90_000) && !limits.admit(&client, 2, start + 90_000));
        assert!(!limits.admit(&client, 60, start), "a clock that goes back");
        assert!(limits.admit(&client, 100, start + 600_000));
    }

    #[test]
    fn many_clients_do_not_make_it_forget_one() {
        let mut limits = EventLimits::default();
        let one = [(Client::Network("203.0.113.7"), 10)];
        assert!(limits.admit(&one, 10, NOW));
        for number in 0..100_000 {
            limits.admit(&[(Client::Network(&format!("2001:db8:0:{number:x}")), 10)], 1, NOW);
        }
        assert!(!limits.admit(&one, 1, NOW));
        assert_eq!((limits.current.len() + limits.previous.len()) * size_of::<u32>(), 64 << 10);
    }

    proptest! {
        #[test]
        fn nobody_exceeds_a_limit_within_a_minute(
            sent in proptest::collection::vec((0u32..60, 0i64..40_000), 1..60), limit in 1u32..100,
        ) {
            let (mut limits, mut now, mut admitted) = (EventLimits::default(), NOW, Vec::new());
            for (events, pause) in sent {
                now += pause;
                if limits.admit(&[(Client::Visitor("v"), limit)], events, now) {
                    admitted.push((now, events));
                }
                let minute = now / WINDOW_MS;
                let sum: u32 = admitted.iter().filter(|(at, _)| at / WINDOW_MS == minute).map(|(_, events)| events).sum();
                prop_assert!(sum <= limit);
            }
        }
    }
}
