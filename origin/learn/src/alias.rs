//! Weighted sampling of items.

use crate::rng::Random;

/// Draws items by weight in constant time (Walker's alias method).
pub(crate) struct AliasTable {
    /// Item → probability of the item itself, and its alias.
    alias: Vec<(f32, u32)>,
    /// `ln` of each item's expected count among `draws` draws.
    pub(crate) log_expected: Vec<f32>,
}

impl AliasTable {
    /// `draws` is the sample size for `log_expected`.
    pub(crate) fn new(weights: &[f64], draws: usize) -> Self {
        let sum: f64 = weights.iter().sum();
        let count = weights.len() as f64;
        let mut shares: Vec<f64> = weights.iter().map(|weight| weight / sum * count).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..weights.len() as u32).partition(|item| shares[*item as usize] < 1.0);
        let mut alias: Vec<(f32, u32)> = (0..weights.len() as u32).map(|item| (1.0, item)).collect();
        while let (Some(low), Some(high)) = (small.pop(), large.last().copied()) {
            alias[low as usize] = (shares[low as usize] as f32, high);
            shares[high as usize] -= 1.0 - shares[low as usize];
            if shares[high as usize] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        let log_expected =
            weights.iter().map(|weight| (draws as f64 * weight / sum).max(1e-30).ln() as f32).collect();
        Self { alias, log_expected }
    }

    /// Draws one item.
    pub(crate) fn draw(&self, random: &mut Random) -> u32 {
        let place = random.unit() * self.alias.len() as f64;
        let (keep, alias) = self.alias[place as usize];
        if (place.fract() as f32) < keep { place as u32 } else { alias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_drawn_by_weight() {
        let table = AliasTable::new(&[1.0, 0.0, 3.0, 4.0], 256);
        let mut random = Random::new(1, "test");
        let mut drawn = [0u32; 4];
        (0..80_000).for_each(|_| drawn[table.draw(&mut random) as usize] += 1);
        assert_eq!(drawn[1], 0);
        assert!(drawn[0].abs_diff(10_000) < 500 && drawn[2].abs_diff(30_000) < 800, "{drawn:?}");
        assert!((table.log_expected[3] - 128f32.ln()).abs() < 1e-6);
    }
}
