//! How much more an item counts that the visitor has seen: estimated from what visitors of this log did next.
//!
//! The scorer gives every candidate a number `f`, a seen one by [`Repeats`]. Read as chances (Luce's choice axiom:
//! Luce, "Individual Choice Behavior", 1959), the next item is `j` with
//!
//! ```text
//! P(j) = f_j^γ / Σ_k f_k^γ
//! ```
//! The table is learnt from clicks that came before those looked at, and its candidates are summed for each of these. `γ`, how sharply the table tells items apart, is where the clicks on items that were new
//! to the session are the most likely; the seven numbers of [`Repeats`] are where all clicks are (maximum
//! likelihood), with a normal prior on their logarithms of deviation 1 about the defaults. So a shop whose visitors
//! never return to an item drives the boosts to nothing, one whose visitors do raises them, and a log too small to
//! tell keeps the defaults. Clicks on no candidate say nothing of the odds between candidates and are passed over.
//!
//! Position and votes found by the same likelihood lowered the hit rate on three of four logs: [`super::choose`] finds
//! them by hits and ranks.
//!
//! Time is that of the predictions looked at; there is no chance in it.

use crate::{
    Table,
    candidates::{Candidates, Recent as Seen, boost, each},
};
use rayon::prelude::*;
use snapshots::strategy::{Repeats, Strategy};

/// The most recents that are looked at.
const RECENTS: usize = 15;
/// Values of γ tried.
const GAMMAS: [f32; 7] = [0.5, 0.6, 0.75, 0.9, 1.1, 1.3, 1.6];
/// Numbers are kept within this factor of 1 …
const WIDEST: f32 = 200.0;
/// … and those that the scorer raises to powers within this.
const WIDEST_BASE: f32 = 8.0;

/// A recent as a candidate: its sum over that of the best candidate, and how often it was seen, up to 3.
#[derive(Clone, Copy, Default)]
struct Recent {
    sum: f32,
    count: u8,
}

/// One click held back, as the candidates saw it come.
#[derive(Clone)]
struct Case {
    recents: [Recent; RECENTS],
    /// How many distinct recents there are.
    distinct: u8,
    /// The place of the item that came, if it was seen before.
    seen: Option<u8>,
    /// `Σ (sum / best)^γ` over the candidates not seen before, for each of [`GAMMAS`].
    masses: [f32; GAMMAS.len()],
    /// The sum over the best of the item that came, if it was new.
    new: f32,
}

/// Estimates the boosts from sessions, by a `table` learnt from those before, for a strategy's position and votes.
pub fn estimate(sessions: &[&[u32]], table: &Table, strategy: &Strategy) -> Repeats {
    let one = |candidates: &mut Candidates<'_>, clicks: &&[u32]| {
        let mut cases = Vec::new();
        each(clicks, |recents, next| {
            let near = candidates.near(&recents[..recents.len().min(RECENTS)]);
            // An item seen long ago is neither new nor boosted.
            if recents[near.len()..].iter().all(|recent| recent.0 != next) {
                cases.extend(case(&candidates.of(near), near, next));
            }
        });
        cases
    };
    let sessions = sessions.par_iter().with_min_len(64);
    let cases: Vec<Case> =
        sessions.map_init(|| Candidates::new(table, strategy), one).flatten_iter().collect();
    fit(&cases)
}

fn case(candidates: &[(u32, f32)], recents: &[Seen], next: u32) -> Option<Case> {
    let best = candidates.iter().map(|entry| entry.1).fold(0.0, f32::max);
    let mut case = Case {
        recents: [Recent::default(); RECENTS],
        distinct: recents.len() as u8,
        seen: recents.iter().position(|recent| recent.0 == next).map(|place| place as u8),
        masses: [0.0; GAMMAS.len()],
        new: 0.0,
    };
    for (recent, (_, count)) in case.recents.iter_mut().zip(recents) {
        recent.count = *count;
    }
    for (item, sum) in candidates {
        let share = sum / best.max(f32::MIN_POSITIVE);
        if let Some(place) = recents.iter().position(|recent| recent.0 == *item) {
            case.recents[place].sum = share;
            continue;
        }
        case.new = if *item == next { share } else { case.new };
        let log = share.max(1e-9).ln();
        case.masses.iter_mut().zip(GAMMAS).for_each(|(mass, gamma)| *mass += super::matrix::exp(gamma * log));
    }
    (case.seen.is_some() || case.new > 0.0).then_some(case)
}

/// The numbers in an array, by their logarithms.
fn logs(repeats: &Repeats) -> [f32; 7] {
    let Repeats { last_mul, mul, last_add, add, spread, fade, often } = *repeats;
    [last_mul, mul, last_add, add, spread, fade, often].map(f32::ln)
}

fn numbers(logs: &[f32; 7]) -> Repeats {
    let [last_mul, mul, last_add, add, spread, fade, often] = logs.map(f32::exp);
    Repeats { last_mul, mul, last_add, add, spread, fade, often }
}

fn boosted(case: &Case, place: usize, repeats: &Repeats) -> f32 {
    let recent = case.recents[place];
    let (mul, add) = boost(repeats, place, case.distinct.into(), recent.count);
    recent.sum * mul + add
}

/// `ln` of the likelihood of what came, less what is the same for all numbers.
fn likelihood(cases: &[Case], at: usize, repeats: &Repeats) -> f64 {
    let part = |cases: &[Case]| {
        let one = |case: &Case| {
            let mut mass = case.masses[at];
            let mut own = 1.0;
            for place in 0..usize::from(case.distinct) {
                let chance = boosted(case, place, repeats).max(1e-9).powf(GAMMAS[at]);
                mass += chance;
                own = if case.seen == Some(place as u8) { chance } else { own };
            }
            f64::from((own / mass).ln())
        };
        cases.iter().map(one).sum::<f64>()
    };
    // Summed part by part in order, so that the number of cores changes nothing.
    cases.par_chunks(1_024).map(part).collect::<Vec<f64>>().into_iter().sum()
}

fn fit(cases: &[Case]) -> Repeats {
    let start = logs(&Repeats::default());
    let sharpness = |at: usize| -> f64 {
        let new = cases.iter().filter(|case| case.seen.is_none());
        new.map(|case| f64::from(GAMMAS[at] * case.new.ln() - case.masses[at].ln())).sum()
    };
    let at = (0..GAMMAS.len()).max_by(|a, b| sharpness(*a).total_cmp(&sharpness(*b))).unwrap_or(0);
    let score = |logs: &[f32; 7]| {
        let prior: f32 = logs.iter().zip(&start).map(|(log, start)| (log - start).powi(2)).sum();
        likelihood(cases, at, &numbers(logs)) - f64::from(prior) / 2.0
    };
    // Uphill along one number after another, by steps that grow as they succeed and shrink as they fail.
    let (mut best, mut steps) = (start, [0.5f32; 7]);
    let mut most = score(&best);
    for _ in 0..60 {
        if cases.is_empty() || steps.iter().all(|step| step.abs() < 0.02) {
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
    // Three digits say all there is to say.
    numbers(&best.map(|log| {
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

    /// Visitors click five of 40 items that lie beside each other, and go back to the item before the last with
    /// this chance, or click the same again with that.
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
            |sessions: &Sessions, recipe: &coview::CoviewParams| coview::learn(sessions, 40, recipe, 20);
        HoldoutSplit::of(log).estimate(Hyperparameters::default(), learn).repeats
    }

    #[test]
    fn boosts_follow_what_visitors_do() {
        let [never, goes_back, stays] =
            [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)].map(|(back, again)| estimated(&log(3_000, back, again)));
        // What the newest of two items and the other one get, with the sum of the best new candidate, which gets 1.
        let of_second = |repeats: &Repeats| repeats.mul * repeats.spread + repeats.add;
        let of_newest = |repeats: &Repeats| repeats.last_mul * repeats.spread + repeats.last_add;
        assert!(of_second(&never) < 0.2 && of_newest(&never) < 0.2, "{never:?}");
        assert!(of_second(&goes_back) > 5.0 * of_second(&never), "{goes_back:?}");
        assert!(of_newest(&stays) > 5.0 * of_newest(&goes_back), "{stays:?}");
    }

    #[test]
    fn a_log_too_small_to_tell_keeps_the_defaults() {
        assert_eq!(estimated(&Sessions::default()), Repeats::default());
        let few = estimated(&log(20, 0.3, 0.1));
        for (log, start) in logs(&few).into_iter().zip(logs(&Repeats::default())) {
            assert!((log - start).abs() < 1.5, "{few:?}");
        }
    }

    #[test]
    fn the_number_of_cores_changes_nothing() {
        let log = log(2_000, 0.3, 0.1);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| estimated(&log))
        };
        assert_eq!(on(1), on(3));
    }
}
