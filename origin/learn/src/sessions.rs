//! Splits a log into sessions.

use origin_data::{LogEvent, Standing};
use snapshots::{event::Kind, time::Timestamp};

/// Inactivity that ends a session without an id.
pub const SESSION_TIMEOUT_MS: i64 = 30 * 60_000;
/// Most clicks of a session. Longer ones, of bots or wholesale orders, are split, so that the number of pairs stays linear in
/// the log.
pub const MAX_CLICKS: usize = 200;

/// Sessions, ordered by the time of their last click, with contiguous clicks.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    clicks: Vec<u32>,
    ends: Vec<SessionEnd>,
}

#[derive(Clone, Copy, Debug)]
struct SessionEnd {
    clicks: usize,
    at: Timestamp,
    weight: f32,
}

/// One session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Session<'a> {
    /// Item indices, oldest first, with repeats.
    pub clicks: &'a [u32],
    /// Time of the last click.
    pub at: Timestamp,
    /// Weight as evidence; 1 by default.
    pub weight: f32,
}

/// Splits the events that `includes` selects, ordered by time, into sessions. Each is given by the places of its
/// events, at most [`MAX_CLICKS`]; they are ordered by the time of their last event.
pub fn split(events: &[LogEvent], includes: impl Fn(&LogEvent) -> bool) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> =
        (0..events.len() as u32).filter(|place| includes(&events[*place as usize])).collect();
    // A session with an id has no timeout; an event without session and visitor is a session of its own.
    let owner = |place: u32| {
        let event = &events[place as usize];
        (event.session, if event.session == 0 { event.visitor } else { 0 })
    };
    order.sort_by_key(|place| owner(*place));
    let mut runs: Vec<Vec<u32>> = Vec::new();
    for group in order.chunk_by(|a, b| owner(*a) == owner(*b) && owner(*a) != (0, 0)) {
        let has_id = owner(group[0]).0 != 0;
        let joined = |a: &u32, b: &u32| {
            has_id || events[*b as usize].at.0 - events[*a as usize].at.0 <= SESSION_TIMEOUT_MS
        };
        runs.extend(group.chunk_by(joined).flat_map(|run| run.chunks(MAX_CLICKS)).map(<[u32]>::to_vec));
    }
    // Ties are in order of the log, not of the owner: owners are hashes that differ between stores.
    runs.sort_by_key(|run| (events[run[run.len() - 1] as usize].at, run[0]));
    runs
}

impl Sessions {
    /// Splits events, ordered by time, into sessions. `index` maps the log's items to item indices; impressions are ignored,
    /// what is held, and confirmations of what is in the session already.
    pub fn from_events(events: &[LogEvent], index: &[u32]) -> Self {
        let mut sessions = Self::default();
        let is_click = |event: &LogEvent| {
            event.kind != Kind::Impression && event.standing != Standing::Confirming && !event.held
        };
        for run in split(events, is_click) {
            let at = events[run[run.len() - 1] as usize].at;
            sessions.push(run.iter().map(|place| index[events[*place as usize].item as usize]), at);
        }
        sessions
    }

    /// Appends a session that ended `at`, not before the last one.
    pub fn push(&mut self, clicks: impl IntoIterator<Item = u32>, at: Timestamp) {
        self.push_weighted(clicks, at, 1.0);
    }

    /// Appends a session with a weight.
    pub fn push_weighted(&mut self, clicks: impl IntoIterator<Item = u32>, at: Timestamp, weight: f32) {
        self.clicks.extend(clicks);
        self.ends.push(SessionEnd { clicks: self.clicks.len(), at, weight });
    }

    /// The sessions, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Session<'_>> {
        (0..self.ends.len()).map(|place| self.get(place))
    }

    /// The session at a place.
    pub fn get(&self, place: usize) -> Session<'_> {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before].clicks);
        let SessionEnd { clicks: end, at, weight } = self.ends[place];
        Session { clicks: &self.clicks[start..end], at, weight }
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no sessions.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Number of clicks.
    pub fn clicks(&self) -> usize {
        self.clicks.len()
    }

    /// The place of the first of the last sessions that hold at most this many clicks.
    pub fn before_last(&self, clicks: usize) -> usize {
        let until = self.clicks().saturating_sub(clicks);
        let start = |place: usize| place.checked_sub(1).map_or(0, |before| self.ends[before].clicks);
        (0..self.len()).find(|place| start(*place) >= until).unwrap_or(self.len())
    }

    /// Number of clicks by item, for `items` items.
    pub fn events(&self, items: usize) -> Vec<u32> {
        let mut events = vec![0; items];
        for item in &self.clicks {
            events[*item as usize] += 1;
        }
        events
    }

    /// End times of the oldest and the newest session; `None` without sessions.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.ends.first()?.at, self.ends.last()?.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at_min: i64, visitor: u64, session: u64, item: u32) -> LogEvent {
        let at = Timestamp(at_min * 60_000);
        LogEvent { session, ..LogEvent::new(at, Kind::View, item, visitor) }
    }

    fn sessions(events: &[LogEvent]) -> Vec<Vec<u32>> {
        Sessions::from_events(events, &[0, 1, 2, 3]).iter().map(|session| session.clicks.to_vec()).collect()
    }

    #[test]
    fn a_timeout_ends_sessions_without_an_id() {
        let without_id = [event(0, 7, 0, 0), event(30, 7, 0, 1), event(61, 7, 0, 2)];
        assert_eq!(sessions(&without_id), [vec![0, 1], vec![2]]);
        let with_id = [event(0, 7, 5, 0), event(20, 9, 5, 1), event(999, 7, 5, 2)];
        assert_eq!(sessions(&with_id), [[0, 1, 2]]);
        let anonymous = [event(0, 0, 0, 0), event(0, 0, 0, 1)];
        assert_eq!(sessions(&anonymous), [[0], [1]]);
    }

    #[test]
    fn order_does_not_depend_on_the_hashes() {
        let log = |a, b| [event(0, a, 0, 0), event(0, b, 0, 1), event(1, b, 0, 2), event(1, a, 0, 3)];
        assert_eq!(sessions(&log(1, 2)), sessions(&log(2, 1)));
        assert_eq!(sessions(&log(1, 2)), [[0, 3], [1, 2]]);
    }

    #[test]
    fn the_last_sessions_hold_at_most_the_given_clicks() {
        let mut sessions = Sessions::default();
        for length in [2, 3, 1] {
            sessions.push(vec![0; length], Timestamp(0));
        }
        let places: Vec<usize> = [0, 1, 3, 4, 6, 9].map(|clicks| sessions.before_last(clicks)).into();
        assert_eq!(places, [3, 2, 2, 1, 0, 0]);
    }

    #[test]
    fn long_sessions_are_split_and_impressions_are_ignored() {
        let bot: Vec<_> = (0..450).map(|at| event(at, 1, 1, 0)).collect();
        assert_eq!(sessions(&bot).iter().map(Vec::len).collect::<Vec<_>>(), [200, 200, 50]);
        let impression = LogEvent { kind: Kind::Impression, ..event(0, 1, 1, 0) };
        assert!(sessions(&[impression]).is_empty());
        let confirmation = LogEvent { standing: Standing::Confirming, ..event(5, 1, 1, 0) };
        assert_eq!(sessions(&[event(0, 1, 1, 0), confirmation]), [[0]]);
        let held = LogEvent { held: true, ..event(5, 1, 1, 1) };
        assert_eq!(sessions(&[event(0, 1, 1, 0), held, event(6, 1, 1, 2)]), [[0, 2]]);
    }
}
