//! Cutting a log into sessions: what one visitor met in one go.

use origin_data::LogEvent;
use snapshots::{event::Kind, time::Timestamp};

/// Silence that ends a session where the log does not name sessions.
pub const SILENCE_MS: i64 = 30 * 60_000;
/// Longest run of clicks that counts as one session. A bot or a wholesale order of thousands of lines is cut
/// into runs of this length, so that pairs stay linear in the log.
pub const MAX_CLICKS: usize = 200;

/// Sessions, oldest first by their last click, their clicks one after another.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    clicks: Vec<u32>,
    ends: Vec<End>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    clicks: usize,
    at: Timestamp,
    weight: f32,
}

/// One session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Session<'a> {
    /// Item indices in the order they were met, repeats included.
    pub clicks: &'a [u32],
    /// Time of the last.
    pub at: Timestamp,
    /// How much it counts as evidence; 1 unless said otherwise.
    pub weight: f32,
}

/// Cuts those events, ordered by time, whose kind is wanted into what one visitor did in one go. Each run is the
/// places of its events, at most [`MAX_CLICKS`]; runs are ordered by the time of their last event.
pub fn runs(events: &[LogEvent], wanted: impl Fn(Kind) -> bool) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> =
        (0..events.len() as u32).filter(|place| wanted(events[*place as usize].kind)).collect();
    // A named session is one whatever the silence in it; a nameless event without visitor stands alone.
    let owner = |place: u32| {
        let event = &events[place as usize];
        (event.session, if event.session == 0 { event.visitor } else { 0 })
    };
    order.sort_by_key(|place| owner(*place));
    let mut runs: Vec<Vec<u32>> = Vec::new();
    for group in order.chunk_by(|a, b| owner(*a) == owner(*b) && owner(*a) != (0, 0)) {
        let named = owner(group[0]).0 != 0;
        let joined =
            |a: &u32, b: &u32| named || events[*b as usize].at.0 - events[*a as usize].at.0 <= SILENCE_MS;
        runs.extend(group.chunk_by(joined).flat_map(|run| run.chunks(MAX_CLICKS)).map(<[u32]>::to_vec));
    }
    // By the log's own order, not by owner: owners are hashes that differ from store to store.
    runs.sort_by_key(|run| (events[run[run.len() - 1] as usize].at, run[0]));
    runs
}

impl Sessions {
    /// Cuts events, ordered by time, into sessions. `index` maps the log's items to item indices; impressions
    /// are left out.
    pub fn cut(events: &[LogEvent], index: &[u32]) -> Self {
        let mut sessions = Self::default();
        for run in runs(events, |kind| kind != Kind::Impression) {
            let at = events[run[run.len() - 1] as usize].at;
            sessions.push(run.iter().map(|place| index[events[*place as usize].item as usize]), at);
        }
        sessions
    }

    /// Appends a session that ended `at`, not before the last one.
    pub fn push(&mut self, clicks: impl IntoIterator<Item = u32>, at: Timestamp) {
        self.push_weighed(clicks, at, 1.0);
    }

    /// Appends a session that counts `weight` times.
    pub fn push_weighed(&mut self, clicks: impl IntoIterator<Item = u32>, at: Timestamp, weight: f32) {
        self.clicks.extend(clicks);
        self.ends.push(End { clicks: self.clicks.len(), at, weight });
    }

    /// The sessions, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Session<'_>> {
        (0..self.ends.len()).map(|place| self.get(place))
    }

    /// The session at a place.
    pub fn get(&self, place: usize) -> Session<'_> {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before].clicks);
        let End { clicks: end, at, weight } = self.ends[place];
        Session { clicks: &self.clicks[start..end], at, weight }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many clicks they hold.
    pub fn clicks(&self) -> usize {
        self.clicks.len()
    }

    /// The place of the first of the last sessions that hold at most so many clicks.
    pub fn before_last(&self, clicks: usize) -> usize {
        let until = self.clicks().saturating_sub(clicks);
        let start = |place: usize| place.checked_sub(1).map_or(0, |before| self.ends[before].clicks);
        (0..self.len()).find(|place| start(*place) >= until).unwrap_or(self.len())
    }

    /// How often each of `items` items was clicked.
    pub fn events(&self, items: usize) -> Vec<u32> {
        let mut events = vec![0; items];
        for item in &self.clicks {
            events[*item as usize] += 1;
        }
        events
    }

    /// Time of the oldest and of the newest session's end; `None` when there is no session.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.ends.first()?.at, self.ends.last()?.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at_min: i64, visitor: u64, session: u64, item: u32) -> LogEvent {
        let at = Timestamp(at_min * 60_000);
        LogEvent { at, kind: Kind::View, item, visitor, session, area: 0, quantity: 1 }
    }

    fn cut(events: &[LogEvent]) -> Vec<Vec<u32>> {
        Sessions::cut(events, &[0, 1, 2, 3]).iter().map(|session| session.clicks.to_vec()).collect()
    }

    #[test]
    fn silence_ends_a_nameless_session_and_names_hold_one_together() {
        let visitor = [event(0, 7, 0, 0), event(30, 7, 0, 1), event(61, 7, 0, 2)];
        assert_eq!(cut(&visitor), [vec![0, 1], vec![2]]);
        let named = [event(0, 7, 5, 0), event(20, 9, 5, 1), event(999, 7, 5, 2)];
        assert_eq!(cut(&named), [[0, 1, 2]]);
        let nobody = [event(0, 0, 0, 0), event(0, 0, 0, 1)];
        assert_eq!(cut(&nobody), [[0], [1]]);
    }

    #[test]
    fn the_order_is_the_logs_whatever_the_hashes() {
        let log = |a, b| [event(0, a, 0, 0), event(0, b, 0, 1), event(1, b, 0, 2), event(1, a, 0, 3)];
        assert_eq!(cut(&log(1, 2)), cut(&log(2, 1)));
        assert_eq!(cut(&log(1, 2)), [[0, 3], [1, 2]]);
    }

    #[test]
    fn the_last_sessions_hold_so_many_clicks_or_fewer() {
        let mut sessions = Sessions::default();
        for length in [2, 3, 1] {
            sessions.push(vec![0; length], Timestamp(0));
        }
        let places: Vec<usize> = [0, 1, 3, 4, 6, 9].map(|clicks| sessions.before_last(clicks)).into();
        assert_eq!(places, [3, 2, 2, 1, 0, 0]);
    }

    #[test]
    fn huge_sessions_are_cut_and_impressions_teach_nothing() {
        let bot: Vec<_> = (0..450).map(|at| event(at, 1, 1, 0)).collect();
        assert_eq!(cut(&bot).iter().map(Vec::len).collect::<Vec<_>>(), [200, 200, 50]);
        let shown = LogEvent { kind: Kind::Impression, ..event(0, 1, 1, 0) };
        assert!(cut(&[shown]).is_empty());
    }
}
