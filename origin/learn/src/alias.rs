//! Drawing items at random.

use crate::rng::Random;

/// Draws items by weight, each in the same time (Walker's alias method).
pub(crate) struct AliasTable {
    /// Item → chance to stay, and where to go otherwise.
    alias: Vec<(f32, u32)>,
    /// `ln` of how often each item is expected among so many draws.
    pub log_expected: Vec<f32>,
}

impl AliasTable {
    /// `draws` is how many are drawn together.
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

    /// One of the items.
    pub(crate) fn draw(&self, random: &mut Random) -> u32 {
        let place = random.unit() * self.alias.len() as f64;
        let (stay, other) = self.alias[place as usize];
        if (place.fract() as f32) < stay { place as u32 } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_drawn_by_their_weight() {
        let drawing = AliasTable::new(&[1.0, 0.0, 3.0, 4.0], 256);
        let mut random = Random::new(1, "test");
        let mut drawn = [0u32; 4];
        (0..80_000).for_each(|_| drawn[drawing.draw(&mut random) as usize] += 1);
        assert_eq!(drawn[1], 0);
        assert!(drawn[0].abs_diff(10_000) < 500 && drawn[2].abs_diff(30_000) < 800, "{drawn:?}");
        assert!((drawing.log_expected[3] - 128f32.ln()).abs() < 1e-6);
    }
}
