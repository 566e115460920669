//! Revealing test sessions click by click and judging what a model shows after each.

use super::measures::{SHOWN, Sums};
use rayon::prelude::*;
use std::time::Instant;

/// Something that ranks items from the clicks of a session. Items are indices, so an equal score goes to the
/// lower one: the more wanted.
pub trait Model: Sync {
    /// What it is called in reports.
    fn name(&self) -> String;
    /// A function, with memory of its own, that fills the last argument with the best [`SHOWN`] items, best
    /// first, after these clicks (oldest first, at least one), leaving out one item.
    fn ranker(&self) -> Ranker<'_>;
}

/// See [`Model::ranker`].
pub type Ranker<'a> = Box<dyn FnMut(&[u32], Option<u32>, &mut Vec<u32>) + 'a>;

/// Whether the item on screen, which is the last click, may be recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Variant {
    /// It may.
    #[serde(rename = "a")]
    A,
    /// It never is, and a session that goes on with it counts as a miss.
    #[serde(rename = "b")]
    B,
}

impl Variant {
    /// Its letter.
    pub fn letter(self) -> char {
        if self == Self::A { 'a' } else { 'b' }
    }
}

/// Sessions to judge on, and what training knows of their items.
pub struct Test {
    /// Clicks by item index, oldest first.
    pub sessions: Vec<Vec<u32>>,
    /// Training events of every item.
    pub events: Vec<u32>,
}

impl Test {
    fn is_known(&self, item: u32) -> bool {
        self.events[item as usize] > 0
    }

    /// How many predictions the sessions ask for.
    pub fn predictions(&self) -> usize {
        let known = |session: &Vec<u32>| session.iter().filter(|item| self.is_known(**item)).count();
        self.sessions.iter().map(|session| known(session).saturating_sub(1)).sum()
    }
}

/// What became of one model.
pub struct Outcome {
    /// Sums of every session.
    pub sessions: Vec<Sums>,
    /// Share of the known items that were shown at least once.
    pub coverage: f64,
    /// Nanoseconds a prediction took, sorted.
    pub nanoseconds: Vec<u32>,
}

impl Outcome {
    /// The latency that this share of the predictions did not exceed, in microseconds.
    pub fn latency(&self, share: f64) -> f64 {
        let place = (share * self.nanoseconds.len() as f64) as usize;
        let at = self.nanoseconds.get(place.min(self.nanoseconds.len().saturating_sub(1)));
        f64::from(at.copied().unwrap_or(0)) / 1e3
    }
}

/// Judges one model on all cores.
pub fn judge(model: &dyn Model, test: &Test, variant: Variant) -> Outcome {
    let most = f64::from(test.events.iter().copied().max().unwrap_or(1).max(1));
    let part = |sessions: &[Vec<u32>]| {
        let mut worker = Worker {
            test,
            variant,
            most,
            ranker: model.ranker(),
            shown: Vec::with_capacity(SHOWN),
            seen: vec![false; test.events.len()],
            nanoseconds: Vec::new(),
        };
        let sums: Vec<Sums> = sessions.iter().map(|session| worker.reveal(session)).collect();
        (sums, worker.seen, worker.nanoseconds)
    };
    let size = test.sessions.len().div_ceil(4 * rayon::current_num_threads()).max(1);
    let parts: Vec<_> = test.sessions.par_chunks(size).map(part).collect();
    let known = test.events.iter().filter(|events| **events > 0).count();
    let shown = (0..test.events.len()).filter(|item| parts.iter().any(|part| part.1[*item])).count();
    let mut nanoseconds: Vec<u32> = parts.iter().flat_map(|part| part.2.iter().copied()).collect();
    nanoseconds.sort_unstable();
    let sessions = parts.into_iter().flat_map(|part| part.0).collect();
    Outcome { sessions, coverage: shown as f64 / known.max(1) as f64, nanoseconds }
}

struct Worker<'a> {
    test: &'a Test,
    variant: Variant,
    most: f64,
    ranker: Ranker<'a>,
    shown: Vec<u32>,
    seen: Vec<bool>,
    nanoseconds: Vec<u32>,
}

impl Worker<'_> {
    fn reveal(&mut self, clicks: &[u32]) -> Sums {
        let mut sums = Sums::default();
        let known: Vec<u32> = clicks.iter().copied().filter(|item| self.test.is_known(*item)).collect();
        let mut revealed = 0;
        for target in clicks {
            let cold = !self.test.is_known(*target);
            if revealed > 0 {
                self.predict(&known[..revealed]);
                if cold {
                    sums.count_cold(self.shown.contains(target));
                } else {
                    self.count(&known[revealed..], &mut sums);
                }
            }
            revealed += usize::from(!cold);
        }
        sums
    }

    fn predict(&mut self, clicks: &[u32]) {
        let on_screen = clicks.last().copied().filter(|_| self.variant == Variant::B);
        let start = Instant::now();
        (self.ranker)(clicks, on_screen, &mut self.shown);
        self.nanoseconds.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
        self.shown.truncate(SHOWN);
    }

    fn count(&mut self, rest: &[u32], sums: &mut Sums) {
        let mut remaining: Vec<u32> = Vec::with_capacity(rest.len());
        for item in rest {
            if !remaining.contains(item) {
                remaining.push(*item);
            }
        }
        let mut popularity = 0.0;
        for item in &self.shown {
            self.seen[*item as usize] = true;
            popularity += f64::from(self.test.events[*item as usize]) / self.most;
        }
        popularity /= self.shown.len().max(1) as f64;
        sums.count(&remaining, &self.shown, self.test.events[rest[0] as usize], popularity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows the item after the last click, then the last click, then item 9.
    struct Next;

    impl Model for Next {
        fn name(&self) -> String {
            "next".to_owned()
        }
        fn ranker(&self) -> Ranker<'_> {
            Box::new(|clicks, without, out| {
                let last = clicks[clicks.len() - 1];
                out.clear();
                out.extend([last + 1, last, 9].into_iter().filter(|item| Some(*item) != without));
            })
        }
    }

    #[test]
    fn every_click_but_the_first_is_a_prediction_and_cold_ones_count_apart() {
        let mut events = vec![20; 10];
        events[9] = 0;
        let test = Test { sessions: vec![vec![1, 2, 2, 9, 3], vec![5]], events };
        let total = |variant| judge(&Next, &test, variant).sessions.iter().sum::<Sums>();
        let a = total(Variant::A);
        assert_eq!((a.predictions(), test.predictions()), (3.0, 3));
        assert_eq!(a.mean(0, 2), 1.0, "2 after 1, 2 after 2, 3 after 2");
        assert_eq!(a.mean(1, 2), (1.0 + 0.5 + 1.0) / 3.0);
        assert_eq!(a.scarce(2), (1.0, 1.0), "9 is cold and shown");
        let b = total(Variant::B);
        assert_eq!((b.predictions(), b.mean(0, 2)), (3.0, 2.0 / 3.0), "a repeat is a miss");
    }
}
