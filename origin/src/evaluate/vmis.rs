//! VMIS-kNN, the session-based nearest neighbours of Serenade (Kersbergen, Sprangers & Schelter, "Serenade:
//! Low-Latency Session-Based Recommendation in e-Commerce at Scale", SIGMOD 2022, algorithm 2).
//!
//! Of the `m` most recent sessions that share an item with the visitor's, the `k` most similar vote for their
//! items: `d_i = Σ_neighbours λ(place of the newest shared item) · r · ln(|H| / h_i)`, where the similarity `r` adds
//! up `place / length` of the shared items in the visitor's session, and `λ(x) = 1 − x/10`, `x` counted from the
//! newest.

use super::{
    baselines::Training,
    protocol::{Model, Ranker},
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// Sessions that are compared.
const M: usize = 500;
/// Neighbours that vote.
const K: usize = 100;
/// Items of the visitor's session that are looked at.
const RECENT: usize = 10;

/// The model; its memory is every past session.
pub struct VmisKnn<'a>(pub &'a Training<'a>);

impl Model for VmisKnn<'_> {
    fn name(&self) -> String {
        "VMIS-kNN".to_owned()
    }

    fn ranker(&self) -> Ranker<'_> {
        let mut worker = Worker::new(self.0);
        Box::new(move |clicks, without, out| worker.rank(clicks, without, out))
    }
}

struct Worker<'a> {
    training: &'a Training<'a>,
    /// Session → similarity and place of the newest shared item.
    similar: HashMap<u32, (f32, usize)>,
    oldest: BinaryHeap<Reverse<u32>>,
    scores: HashMap<u32, f32>,
    recent: Vec<u32>,
}

impl<'a> Worker<'a> {
    fn new(training: &'a Training<'a>) -> Self {
        Self {
            training,
            similar: HashMap::new(),
            oldest: BinaryHeap::new(),
            scores: HashMap::new(),
            recent: Vec::new(),
        }
    }

    fn rank(&mut self, clicks: &[u32], without: Option<u32>, out: &mut Vec<u32>) {
        self.recent.clear();
        for item in clicks.iter().rev() {
            if self.recent.len() < RECENT && !self.recent.contains(item) {
                self.recent.push(*item);
            }
        }
        self.find();
        let mut neighbours: Vec<(f32, u32, usize)> =
            self.similar.drain().map(|(session, (similarity, place))| (similarity, session, place)).collect();
        // The more similar first, then the more recent.
        neighbours.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        self.scores.clear();
        for (similarity, session, place) in neighbours.into_iter().take(K) {
            let weight = similarity * (1.0 - place as f32 / 10.0);
            let items = self.training.sessions.get(session as usize).clicks;
            for (at, item) in items.iter().enumerate() {
                if Some(*item) != without && !items[..at].contains(item) {
                    let held = self.training.holding[*item as usize].len() as f32;
                    let rarity = (self.training.sessions.len() as f32 / held).ln();
                    *self.scores.entry(*item).or_default() += weight * rarity;
                }
            }
        }
        let mut ranked: Vec<(f32, u32)> = self.scores.iter().map(|(item, score)| (*score, *item)).collect();
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        out.clear();
        out.extend(ranked.iter().map(|entry| entry.1));
        self.training.fill(without, out);
    }

    /// Fills `similar` with the most recent sessions, found by the newest items first.
    fn find(&mut self) {
        self.similar.clear();
        self.oldest.clear();
        let length = self.recent.len();
        for (place, item) in self.recent.iter().enumerate() {
            let share = (length - place) as f32 / length as f32;
            for session in self.training.holding[*item as usize].iter().rev().take(M) {
                if let Some((similarity, _)) = self.similar.get_mut(session) {
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
                self.similar.insert(*session, (share, place));
                self.oldest.push(Reverse(*session));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::sessions::Sessions;
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
        (VmisKnn(&training).ranker())(&[0, 1], None, &mut out);
        // Sessions 0 and 2 share both items (1.5), session 1 the newest (1). 0: 3·ln 3 = 3.30; 1: 4·ln 2 = 2.77;
        // 2 and 4: 1.5·ln 6 = 2.69; 3: ln 6 = 1.79; then the popular 5.
        assert_eq!(out, [0, 1, 2, 4, 3, 5]);
        (VmisKnn(&training).ranker())(&[0, 1], Some(1), &mut out);
        assert_eq!(out, [0, 2, 4, 3, 5]);
    }
}
