//! The measures, summed per session for the bootstrap.
//!
//! `T` is the next item, `R` the distinct items that remain of the session, `n` the cutoff of the ranked list:
//!
//! ```text
//! hit rate   1 if T is among the n                    precision  |shown ∩ R| / n
//! MRR        1 / rank of T, 0 if it is not shown      recall     |shown ∩ R| / |R|
//! NDCG       Σ_{shown ∩ R} 1/log2(rank+1)  over the same sum with R at the top
//! ```
//! This is the usual protocol of session-based recommendation (Ludewig & Jannach, "Evaluation of session-based
//! recommendation algorithms", UMUAI 2018).

use origin_learn::{
    replay::{CUTOFF, hit},
    rng::Random,
};
use rayon::prelude::*;

/// Cutoffs of the ranked list.
pub const CUTOFFS: [usize; 3] = [5, 10, SHOWN];
/// The longest of them.
pub const SHOWN: usize = CUTOFF;
/// Names of the measures at each cutoff, in their order.
pub const MEASURES: [&str; 5] = ["HR", "MRR", "NDCG", "precision", "recall"];
/// Classes of targets that are also counted apart: those with fewer training events than this. Cold ones have none.
pub const SCARCE: [(&str, u32); 3] = [("< 10 events", 10), ("< 5 events", 5), ("cold", 1)];
/// Resamples of the bootstrap.
const DRAWS: usize = 500;

const AT: usize = MEASURES.len() * CUTOFFS.len();
const COLUMNS: usize = 2 + AT + 2 * SCARCE.len();

/// Sums over predictions: their number, the popularity of the items shown, every measure at every cutoff, then number and
/// hits of scarce targets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sums([f64; COLUMNS]);

impl Default for Sums {
    fn default() -> Self {
        Self([0.0; COLUMNS])
    }
}

impl Sums {
    /// Counts one prediction, given the distinct items that remain, the next one first, the items shown, the training events
    /// of the next one and the mean popularity of the items shown.
    pub fn count(&mut self, remaining: &[u32], shown: &[u32], target_events: u32, popularity: f64) {
        let Some(target) = remaining.first() else { return };
        self.0[0] += 1.0;
        self.0[1] += popularity;
        let rank = shown.iter().position(|item| item == target).map(|place| place + 1);
        let discount = |place: usize| 1.0 / ((place + 2) as f64).log2();
        let (mut found, mut gain, mut ideal) = (0.0, 0.0, 0.0);
        let mut cutoffs = CUTOFFS.iter().enumerate();
        let mut next = cutoffs.next();
        for place in 0..SHOWN {
            if shown.get(place).is_some_and(|item| remaining.contains(item)) {
                found += 1.0;
                gain += discount(place);
            }
            ideal += if place < remaining.len() { discount(place) } else { 0.0 };
            let Some((column, cutoff)) = next.filter(|(_, cutoff)| **cutoff == place + 1) else { continue };
            let [hit, reciprocal_rank] = hit(rank, *cutoff);
            let values =
                [hit, reciprocal_rank, gain / ideal, found / *cutoff as f64, found / remaining.len() as f64];
            for (measure, value) in values.into_iter().enumerate() {
                self.0[2 + measure * CUTOFFS.len() + column] += value;
            }
            next = cutoffs.next();
        }
        self.count_scarce(target_events, rank.is_some());
    }

    fn count_scarce(&mut self, target_events: u32, hit: bool) {
        for (place, (_, below)) in SCARCE.iter().enumerate() {
            if target_events < *below {
                self.0[2 + AT + 2 * place] += 1.0;
                self.0[3 + AT + 2 * place] += f64::from(u8::from(hit));
            }
        }
    }

    /// Counts a cold target, which only its own class of [`SCARCE`] includes.
    pub fn count_cold(&mut self, hit: bool) {
        self.0[COLUMNS - 2] += 1.0;
        self.0[COLUMNS - 1] += f64::from(u8::from(hit));
    }

    /// Number of predictions.
    pub fn predictions(&self) -> f64 {
        self.0[0]
    }

    /// Mean popularity of the items shown; 1 is that of the most popular item.
    pub fn popularity(&self) -> f64 {
        self.0[1] / self.0[0].max(1.0)
    }

    /// The mean of a measure (its place in [`MEASURES`]) at a cutoff (its place in [`CUTOFFS`]).
    pub fn mean(&self, measure: usize, cutoff: usize) -> f64 {
        self.0[2 + measure * CUTOFFS.len() + cutoff] / self.0[0].max(1.0)
    }

    /// Number and hit rate at 20 of a class of [`SCARCE`] targets.
    pub fn scarce(&self, class: usize) -> (f64, f64) {
        let number = self.0[2 + AT + 2 * class];
        (number, self.0[3 + AT + 2 * class] / number.max(1.0))
    }
}

impl<'a> std::iter::Sum<&'a Sums> for Sums {
    fn sum<I: Iterator<Item = &'a Sums>>(sums: I) -> Self {
        sums.fold(Self::default(), |mut total, sums| {
            total.0.iter_mut().zip(&sums.0).for_each(|(total, value)| *total += value);
            total
        })
    }
}

/// Totals of resamples of the sessions with replacement (Efron's bootstrap). The same `seed` gives the same resamples, so
/// two recommenders evaluated on the same sessions can be compared resample by resample.
pub fn bootstrap(sessions: &[Sums], seed: u64) -> Vec<Sums> {
    let draw = |draw: usize| {
        let mut random = Random::new(seed, &format!("draw {draw}"));
        (0..sessions.len()).map(|_| &sessions[random.below(sessions.len())]).sum()
    };
    (0..DRAWS).into_par_iter().map(draw).collect()
}

/// The central 95 % interval of values.
pub fn interval(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values.get((share * (values.len().max(1) - 1) as f64).round() as usize);
    [at(0.025).copied().unwrap_or(0.0), at(0.975).copied().unwrap_or(0.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_follow_their_definitions() {
        let mut sums = Sums::default();
        // The next item is shown sixth, another that remains second, a third one not at all.
        sums.count(&[6, 2, 99], &[1, 2, 3, 4, 5, 6], 7, 0.5);
        let at = |measure, cutoff| sums.mean(measure, cutoff);
        assert_eq!((at(0, 0), at(0, 1), at(0, 2)), (0.0, 1.0, 1.0));
        assert_eq!((at(1, 0), at(1, 1)), (0.0, 1.0 / 6.0));
        let ideal = 1.0 + 1.0 / 3f64.log2() + 0.5;
        assert!((at(2, 0) - (1.0 / 3f64.log2()) / ideal).abs() < 1e-12);
        assert!((at(2, 1) - (1.0 / 3f64.log2() + 1.0 / 7f64.log2()) / ideal).abs() < 1e-12);
        assert_eq!((at(3, 0), at(3, 1), at(3, 2)), (0.2, 0.2, 0.1));
        assert_eq!((at(4, 0), at(4, 2)), (1.0 / 3.0, 2.0 / 3.0));
        assert_eq!((sums.scarce(0), sums.scarce(1)), ((1.0, 1.0), (0.0, 0.0)));
    }

    #[test]
    fn intervals_contain_the_mean_and_shrink_with_sessions() {
        let sessions = |count: usize| -> Vec<Sums> {
            let hit = |place: usize| if place.is_multiple_of(2) { 1 } else { 2 };
            (0..count)
                .map(|place| {
                    let mut sums = Sums::default();
                    sums.count(&[1], &[hit(place)], 99, 0.0);
                    sums
                })
                .collect()
        };
        let width = |count| {
            let [low, high] = interval(bootstrap(&sessions(count), 1).iter().map(|sums| sums.mean(0, 2)));
            assert!(low < 0.5 && high > 0.5, "{low} {high}");
            high - low
        };
        // 2 · 1.96 · √(.25 / n)
        assert!((width(100) - 0.196).abs() < 0.04);
        assert!((width(2_500) - 0.039).abs() < 0.01);
    }
}
