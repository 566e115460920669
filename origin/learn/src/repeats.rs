//! Estimates how much more an item scores that the visitor has seen, from what visitors of this log did next.
//!
//! The scorer gives every candidate a score `f`, a seen one by [`Repeats`]. Read as chances (Luce's choice axiom:
//! Luce, "Individual Choice Behavior", 1959), the next item is `j` with
//!
//! ```text
//! P(j) = f_j^γ / Σ_k f_k^γ
//! ```
//! The table is learned from clicks that came before those of the hold-out. `γ` is the sharpness of the distribution: the
//! value under which the held-out clicks on items new to their session are most likely. The seven numbers of [`Repeats`]
//! maximise the likelihood of all held-out clicks, with a normal prior on their logarithms, of deviation 1 about the
//! defaults. So the boosts vanish in a shop whose visitors never return to an item, and rise in one whose visitors do; a
//! log that is too short keeps the defaults. Clicks on items that are no candidates carry no information and are skipped.
//!
//! Position and votes from the same likelihood lowered the hit rate on three of four logs: [`super::choose`] takes hits
//! and ranks for those.
//!
//! Time is that of the held-out predictions. The estimate is deterministic.

use crate::{
    Table,
    matrix::exp,
    replay::{CoviewOnly, replay},
};
use rayon::prelude::*;
use snapshots::{
    score::{Scratch, Seed, boosts},
    strategy::{Repeats, Seen, Strategy},
};

/// The most recents of a prediction.
const RECENTS: usize = 15;
/// Candidate values of γ.
const GAMMAS: [f32; 7] = [0.5, 0.6, 0.75, 0.9, 1.1, 1.3, 1.6];
/// Bound of the numbers: within this factor of 1 …
const WIDEST: f32 = 200.0;
/// … and of those that the scorer raises to powers.
const WIDEST_BASE: f32 = 8.0;
/// Leaves the scores of seen items as they are.
const NO_BOOST: Repeats =
    Repeats { last_mul: 1.0, mul: 1.0, last_add: 0.0, add: 0.0, spread: 1.0, fade: 1.0, often: 1.0 };

/// A recent as a candidate: its score as a share of the best candidate's, and how often it was seen.
#[derive(Clone, Copy, Default)]
struct SeenCandidate {
    share: f32,
    count: u8,
}

/// One held-out click and the candidates of its prediction.
#[derive(Clone)]
struct HeldOutClick {
    recents: [SeenCandidate; RECENTS],
    /// Number of distinct recents.
    distinct: u8,
    /// The place of the clicked item among the recents; `None` if it is new.
    seen: Option<u8>,
    /// `Σ (score / best)^γ` over the candidates not seen before, for each of [`GAMMAS`].
    masses: [f32; GAMMAS.len()],
    /// The clicked item's share of the best score, if it is new.
    new: f32,
}

/// Estimates the boosts from held-out sessions, by a `table` learned from those before and a strategy's position, votes
/// and number of recents.
pub fn estimate(sessions: &[&[u32]], table: &Table, strategy: &Strategy) -> Repeats {
    let source = CoviewOnly::learned(table);
    let near = RECENTS.min(strategy.recents.into());
    let strategy = CoviewOnly::strategy(strategy.clone(), Seen::Boost(NO_BOOST));
    let held_out = |(scratch, candidates): &mut (Scratch, Vec<(u32, f32)>), clicks: &&[u32]| {
        let mut held_out = Vec::new();
        replay(
            clicks,
            |_| true,
            |step| {
                let (recents, older) = step.recents.split_at(step.recents.len().min(near));
                // An item that fell out of the recents is neither new nor boosted.
                if older.iter().all(|seed| seed.item != step.next) {
                    candidates.clear();
                    scratch
                        .for_each(&source, &strategy, recents, |item, score| candidates.push((item, score)));
                    held_out.extend(HeldOutClick::new(candidates, recents, step.next));
                }
            },
        );
        held_out
    };
    let sessions = sessions.par_iter().with_min_len(64);
    let clicks: Vec<HeldOutClick> = sessions.map_init(Default::default, held_out).flatten_iter().collect();
    fit(&clicks)
}

impl HeldOutClick {
    /// `None` if the clicked item is no candidate.
    fn new(candidates: &[(u32, f32)], recents: &[Seed], next: u32) -> Option<Self> {
        let best = candidates.iter().map(|entry| entry.1).fold(0.0, f32::max);
        let mut click = Self {
            recents: [SeenCandidate::default(); RECENTS],
            distinct: recents.len() as u8,
            seen: recents.iter().position(|seed| seed.item == next).map(|place| place as u8),
            masses: [0.0; GAMMAS.len()],
            new: 0.0,
        };
        for (recent, seed) in click.recents.iter_mut().zip(recents) {
            recent.count = seed.count;
        }
        for (item, score) in candidates {
            let share = score / best.max(f32::MIN_POSITIVE);
            if let Some(place) = recents.iter().position(|seed| seed.item == *item) {
                click.recents[place].share = share;
                continue;
            }
            click.new = if *item == next { share } else { click.new };
            let log = share.max(1e-9).ln();
            click.masses.iter_mut().zip(GAMMAS).for_each(|(mass, gamma)| *mass += exp(gamma * log));
        }
        (click.seen.is_some() || click.new > 0.0).then_some(click)
    }
}

/// The logarithms of the numbers.
fn logs(repeats: &Repeats) -> [f32; 7] {
    let Repeats { last_mul, mul, last_add, add, spread, fade, often } = *repeats;
    [last_mul, mul, last_add, add, spread, fade, often].map(f32::ln)
}

/// The numbers of these logarithms.
fn from_logs(logs: &[f32; 7]) -> Repeats {
    let [last_mul, mul, last_add, add, spread, fade, often] = logs.map(f32::exp);
    Repeats { last_mul, mul, last_add, add, spread, fade, often }
}

/// `ln` of the likelihood of the clicks, less terms that do not depend on the numbers. `at` is the place of γ.
fn likelihood(clicks: &[HeldOutClick], at: usize, repeats: &Repeats) -> f64 {
    let part = |clicks: &[HeldOutClick]| {
        let one = |click: &HeldOutClick| {
            let boosts = boosts(repeats, click.distinct.into());
            let mut mass = click.masses[at];
            let mut own = 1.0;
            for place in 0..usize::from(click.distinct) {
                let SeenCandidate { share, count } = click.recents[place];
                let (mul, add) = boosts(place, count);
                let chance = (share * mul + add).max(1e-9).powf(GAMMAS[at]);
                mass += chance;
                own = if click.seen == Some(place as u8) { chance } else { own };
            }
            f64::from((own / mass).ln())
        };
        clicks.iter().map(one).sum::<f64>()
    };
    // Summed part by part in order, so that the result does not depend on the number of cores.
    clicks.par_chunks(1_024).map(part).collect::<Vec<f64>>().into_iter().sum()
}

fn fit(clicks: &[HeldOutClick]) -> Repeats {
    let start = logs(&Repeats::default());
    let sharpness = |at: usize| -> f64 {
        let new = clicks.iter().filter(|click| click.seen.is_none());
        new.map(|click| f64::from(GAMMAS[at] * click.new.ln() - click.masses[at].ln())).sum()
    };
    let at = (0..GAMMAS.len()).max_by(|a, b| sharpness(*a).total_cmp(&sharpness(*b))).unwrap_or(0);
    let score = |logs: &[f32; 7]| {
        let prior: f32 = logs.iter().zip(&start).map(|(log, start)| (log - start).powi(2)).sum();
        likelihood(clicks, at, &from_logs(logs)) - f64::from(prior) / 2.0
    };
    // Coordinate ascent, by steps that grow as they succeed and shrink as they fail.
    let (mut best, mut steps) = (start, [0.5f32; 7]);
    let mut most = score(&best);
    for _ in 0..60 {
        if clicks.is_empty() || steps.iter().all(|step| step.abs() < 0.02) {
            break;
        }
        for number in 0..7 {
            let widest = if number < 4 { WIDEST } else { WIDEST_BASE }.ln();
            let mut moved = best;
            moved[number] = (best[number] + steps[number]).clamp(-widest, widest);
            let found = score(&moved);
            if found > most {
                (best, most) = (moved, found);
                steps[number] *= 1.5;
            } else {
                steps[number] *= -0.5;
            }
        }
    }
    // Three significant digits suffice.
    from_logs(&best.map(|log| {
        let digits = 10f32.powf(2.0 - (log / std::f32::consts::LN_10).floor());
        ((log.exp() * digits).round() / digits).ln()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Random;
    use crate::{
        choose::{HoldoutSplit, Hyperparameters},
        coview,
        sessions::Sessions,
    };
    use snapshots::time::Timestamp;

    /// Visitors walk along 40 items. With probability `back` they return to the item before the last, with probability
    /// `again` they click the last item again.
    fn log(sessions: u32, back: f64, again: f64) -> Sessions {
        let mut random = Random::new(1, "repeats");
        let mut log = Sessions::default();
        for at in 0..sessions {
            let mut item = random.below(40) as u32;
            let mut clicks = vec![item];
            while clicks.len() < 6 {
                let last = clicks[clicks.len() - 1];
                let before = clicks[clicks.len().saturating_sub(2)];
                let next = if random.chance(again) {
                    last
                } else if clicks.len() > 1 && random.chance(back) {
                    before
                } else {
                    item = (item + 1 + random.below(3) as u32) % 40;
                    item
                };
                clicks.push(next);
            }
            log.push(clicks, Timestamp(i64::from(at)));
        }
        log
    }

    fn estimated(log: &Sessions) -> Repeats {
        let learn =
            |sessions: &Sessions, params: &coview::CoviewParams| coview::learn(sessions, 40, params, 20);
        HoldoutSplit::new(log).estimate(Hyperparameters::default(), learn).repeats
    }

    #[test]
    fn boosts_follow_the_behaviour_of_visitors() {
        let [never, goes_back, stays] =
            [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)].map(|(back, again)| estimated(&log(3_000, back, again)));
        // Scores of the newest of two recents and of the other, if their sums equal that of the best new candidate, 1.
        let of_second = |repeats: &Repeats| repeats.mul * repeats.spread + repeats.add;
        let of_newest = |repeats: &Repeats| repeats.last_mul * repeats.spread + repeats.last_add;
        assert!(of_second(&never) < 0.2 && of_newest(&never) < 0.2, "{never:?}");
        assert!(of_second(&goes_back) > 5.0 * of_second(&never), "{goes_back:?}");
        assert!(of_newest(&stays) > 5.0 * of_newest(&goes_back), "{stays:?}");
    }

    #[test]
    fn a_short_log_keeps_the_defaults() {
        assert_eq!(estimated(&Sessions::default()), Repeats::default());
        let few = estimated(&log(20, 0.3, 0.1));
        for (log, start) in logs(&few).into_iter().zip(logs(&Repeats::default())) {
            assert!((log - start).abs() < 1.5, "{few:?}");
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_cores() {
        let log = log(2_000, 0.3, 0.1);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| estimated(&log))
        };
        assert_eq!(on(1), on(3));
    }
}
