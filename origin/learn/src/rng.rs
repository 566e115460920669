//! Seeded random numbers, equal on every machine and in every version.
//!
//! The generator is PCG, whose output is fixed. The distributions are implemented here because those of a library may change
//! between versions.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// A stream of random numbers.
pub struct Random(Pcg64Mcg);

impl Random {
    /// The stream `stream` of a seed; streams are independent.
    pub fn new(seed: u64, stream: &str) -> Self {
        let hash = blake3::keyed_hash(blake3::hash(&seed.to_le_bytes()).as_bytes(), stream.as_bytes());
        let mut state = [0; 16];
        state.copy_from_slice(&hash.as_bytes()[..16]);
        Self(Pcg64Mcg::new(u128::from_le_bytes(state)))
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform from 0 to `count` - 1; `count` is at least 1.
    pub fn below(&mut self, count: usize) -> usize {
        // The bias is count / 2^64.
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }

    /// One of `values`, which must not be empty.
    pub fn pick<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len())]
    }

    /// Shuffles uniformly (Fisher and Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for place in (1..values.len()).rev() {
            values.swap(place, self.below(place + 1));
        }
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Exponential.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// A rank from 0 to `count` - 1 with a probability of about 1 / (rank + 1): Zipf's law.
    pub fn zipf(&mut self, count: usize) -> usize {
        let rank = ((count + 1) as f64).powf(self.unit()) - 1.0;
        (rank as usize).min(count - 1)
    }

    /// An index by weight, given cumulative weights.
    pub fn weighted(&mut self, cumulative: &[f64]) -> usize {
        let sum = cumulative.last().copied().unwrap_or(0.0);
        // Below the sum even if the product is rounded up, so that a final weight of 0 is never drawn.
        let target = (self.unit() * sum).min(sum.next_down());
        cumulative.partition_point(|bound| *bound <= target).min(cumulative.len() - 1)
    }
}

/// Cumulative weights for [`Random::weighted`].
pub fn cumulative(weights: impl IntoIterator<Item = f64>) -> Vec<f64> {
    weights
        .into_iter()
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_their_distributions() {
        let mut random = Random::new(1, "test");
        let draws = 100_000;
        let mut ranks = [0u32; 100];
        for _ in 0..draws {
            ranks[random.zipf(100)] += 1;
        }
        // Rank 0 has a probability of ln 2 / ln 101 = 15 %, rank 9 one of about 2 %.
        assert!((14_500..15_500).contains(&ranks[0]), "{}", ranks[0]);
        assert!((1_800..2_400).contains(&ranks[9]), "{}", ranks[9]);
        let mean = (0..draws).map(|_| random.normal()).sum::<f64>() / f64::from(draws);
        assert!(mean.abs() < 0.02, "{mean}");
        let sums = cumulative([1.0, 0.0, 3.0]);
        let third = (0..draws).filter(|_| random.weighted(&sums) == 2).count();
        assert!((74_000..76_000).contains(&third), "{third}");
    }

    #[test]
    fn seeds_and_streams_give_different_numbers() {
        let take = |seed, stream| Random::new(seed, stream).0.next_u64();
        assert_eq!(take(7, "a"), take(7, "a"));
        assert_ne!(take(7, "a"), take(7, "b"));
        assert_ne!(take(7, "a"), take(8, "a"));
    }
}
