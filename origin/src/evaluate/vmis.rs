//! VMIS-kNN, the session-based nearest neighbours of Serenade (Kersbergen, Sprangers & Schelter, "Serenade:
//! Low-Latency Session-Based Recommendation in e-Commerce at Scale", SIGMOD 2022, algorithm 2), with the settings of
//! the evaluator that its authors publish (github.com/bolcom/serenade): the last 3 clicks, `m` 1500, `k` 500.
//!
//! Of the `m` most recent sessions that share an item with the visitor's last clicks, the `k` most similar vote for
//! their items: `d_i = Σ_neighbours λ(x) · r · ln(|H| / h_i)`. The similarity `r` adds up `place / distinct items` of
//! the shared items, places counted from the oldest of the last clicks; `λ(x) = 1 − x/10`, `x` the place of the newest
//! shared item counted from 1 at the newest; `h_i` sessions hold the item, `|H|` is the sum of all `h`.
//!
//! How many clicks are looked at matters most. On YooChoose 1/64, variant (a), HR and MRR at 20 are .693 / .285 with
//! 3; with `m` 500, `k` 100 and the number of sessions as `|H|` they were .686 / .284 with 3, .680 / .278 with 5 and
//! .670 / .274 with 10.

use crate::evaluate::{
    baselines::Training,
    protocol::{Ask, Model, Ranker},
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// Sessions that are compared.
const M: usize = 1_500;
/// Neighbours that vote.
const K: usize = 500;
/// Clicks of the visitor's session that are looked at.
const RECENT: usize = 3;

/// The model; its memory is every past session.
pub struct VmisKnn<'a>(pub &'a Training<'a>);

impl Model for VmisKnn<'_> {
    fn name(&self) -> String {
        "VMIS-kNN".to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        let mut worker = Worker::new(self.0);
        Box::new(move |ask, out| worker.rank(ask, out))
    }
}

struct Worker<'a> {
    training: &'a Training<'a>,
    /// Sum of the sessions that hold an item, over all items.
    held: f32,
    /// Session → similarity.
    similar: HashMap<u32, f32>,
    oldest: BinaryHeap<Reverse<u32>>,
    scores: HashMap<u32, f32>,
    /// The last clicks, newest first.
    recent: Vec<u32>,
}

impl<'a> Worker<'a> {
    fn new(training: &'a Training<'a>) -> Self {
        Self {
            training,
            held: training.holding.iter().map(Vec::len).sum::<usize>() as f32,
            similar: HashMap::new(),
            oldest: BinaryHeap::new(),
            scores: HashMap::new(),
            recent: Vec::new(),
        }
    }

    fn rank(&mut self, ask: &Ask<'_>, out: &mut Vec<u32>) {
        self.recent.clear();
        self.recent.extend(ask.clicks.iter().rev().take(RECENT));
        self.find();
        let mut neighbours: Vec<(f32, u32)> =
            self.similar.drain().map(|(session, similarity)| (similarity, session)).collect();
        // The more similar first, then the more recent.
        neighbours.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        self.scores.clear();
        for (similarity, session) in neighbours.into_iter().take(K) {
            let items = self.training.sessions.get(session as usize).clicks;
            let newest = self.recent.iter().position(|item| items.contains(item)).unwrap_or(0) + 1;
            let weight = similarity * (1.0 - newest as f32 / 10.0);
            for (at, item) in items.iter().enumerate() {
                if ask.lets_pass(*item) && !items[..at].contains(item) {
                    let rarity = (self.held / self.training.holding[*item as usize].len() as f32).ln();
                    *self.scores.entry(*item).or_default() += weight * rarity;
                }
            }
        }
        let mut ranked: Vec<(f32, u32)> = self.scores.iter().map(|(item, score)| (*score, *item)).collect();
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        out.clear();
        out.extend(ranked.iter().map(|entry| entry.1));
        self.training.fill(ask, out);
    }

    /// Fills `similar` with the most recent sessions, found by the newest items first.
    fn find(&mut self) {
        self.similar.clear();
        self.oldest.clear();
        let length = self.recent.len();
        let new = |place: usize| !self.recent[..place].contains(&self.recent[place]);
        let distinct = (0..length).filter(|place| new(*place)).count() as f32;
        for place in (0..length).filter(|place| new(*place)) {
            let share = (length - place) as f32 / distinct;
            for session in self.training.holding[self.recent[place] as usize].iter().rev().take(M) {
                if let Some(similarity) = self.similar.get_mut(session) {
                    *similarity += share;
                    continue;
                }
                if self.similar.len() == M {
                    // Sessions are numbered by time: past the oldest kept one, none is more recent.
                    let Some(Reverse(oldest)) = self.oldest.peek().copied() else { break };
                    if *session <= oldest {
                        break;
                    }
                    self.oldest.pop();
                    self.similar.remove(&oldest);
                }
                self.similar.insert(*session, share);
                self.oldest.push(Reverse(*session));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use origin_learn::sessions::Sessions;
    use snapshots::time::Timestamp;

    #[test]
    fn similar_sessions_vote() {
        let mut sessions = Sessions::default();
        for clicks in [&[0, 1, 2][..], &[1, 3], &[0, 1, 4], &[5], &[5], &[5]] {
            sessions.push(clicks.iter().copied(), Timestamp(0));
        }
        let events = [2, 3, 1, 1, 1, 3];
        let training = Training::new(&sessions, &events);
        let mut out = Vec::new();
        (VmisKnn(&training).ranker())(&Ask::of(&[0, 1], &[]), &mut out);
        // Eleven times a session holds an item. Sessions 0 and 2 share both items (1.5), session 1 the newest (1).
        // By ninths, 1: 4·ln(11/3) = 5.20; 0: 3·ln(11/2) = 5.11; 2 and 4: 1.5·ln 11 = 3.60; 3: ln 11 = 2.40; then
        // the popular 5.
        assert_eq!(out, [1, 0, 2, 4, 3, 5]);
        (VmisKnn(&training).ranker())(&Ask::of(&[0, 1], &[1]), &mut out);
        assert_eq!(out, [0, 2, 4, 3, 5]);
        // The last three clicks are two items: 1 counts 3/2, the older of the two clicks on 0 nothing, the newer 2/2,
        // and 3 not at all. 0: 5·ln(11/2) = 8.52; 1: 6.5·ln(11/3) = 8.45.
        (VmisKnn(&training).ranker())(&Ask::of(&[3, 0, 0, 1], &[]), &mut out);
        assert_eq!(out, [0, 1, 2, 4, 3, 5]);
    }
}
