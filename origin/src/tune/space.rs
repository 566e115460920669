//! What tuning may turn: each number with its bounds, as a coordinate from 0 to 1.

use origin_learn::{config::Recipe, rng::Random};
use snapshots::strategy::{CART, NEXT, Repeats, Seen, Strategy};

/// A number of the recipe.
struct Knob {
    low: f32,
    high: f32,
    /// Whether factors count, not differences.
    by_factor: bool,
    of: fn(&mut Parts) -> &mut f32,
}

/// A recipe taken apart, so that every number is at hand.
struct Parts {
    recipe: Recipe,
    strategy: Strategy,
    repeats: Repeats,
}

const fn knob(low: f32, high: f32, of: fn(&mut Parts) -> &mut f32) -> Knob {
    Knob { low, high, by_factor: false, of }
}

const fn by_factor(low: f32, high: f32, of: fn(&mut Parts) -> &mut f32) -> Knob {
    Knob { low, high, by_factor: true, of }
}

/// Numbers that need the tables learnt again, then numbers that serving alone reads.
static KNOBS: [Knob; TABLES + 9] = [
    knob(0.05, 0.95, |parts| &mut parts.recipe.coview.a),
    knob(0.0, 1.5, |parts| &mut parts.recipe.coview.g),
    by_factor(0.2, 4.0, |parts| &mut parts.recipe.coview.t),
    knob(0.0, 1.0, |parts| &mut parts.recipe.coview.beta),
    by_factor(0.3, 60.0, |parts| &mut parts.recipe.coview.lambda),
    knob(0.0, 0.5, |parts| &mut parts.recipe.coview.c),
    by_factor(0.1, 4.0, |parts| &mut parts.recipe.coview.tau),
    knob(0.0, 10.0, |parts| &mut parts.recipe.walk),
    knob(0.0, 1.5, |parts| &mut parts.recipe.fold),
    knob(0.3, 3.5, |parts| &mut parts.strategy.position),
    knob(0.0, 1.5, |parts| &mut parts.strategy.votes),
    by_factor(0.005, 200.0, |parts| &mut parts.repeats.last_mul),
    by_factor(0.005, 200.0, |parts| &mut parts.repeats.mul),
    by_factor(0.005, 200.0, |parts| &mut parts.repeats.last_add),
    by_factor(0.005, 200.0, |parts| &mut parts.repeats.add),
    by_factor(0.125, 8.0, |parts| &mut parts.repeats.spread),
    by_factor(0.125, 8.0, |parts| &mut parts.repeats.fade),
    by_factor(0.125, 8.0, |parts| &mut parts.repeats.often),
];
/// How many of the knobs turn the tables.
const TABLES: usize = 9;

/// Where all knobs stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Point([f32; KNOBS.len()]);

impl Parts {
    fn new(recipe: &Recipe) -> Self {
        let named = recipe.strategies.iter().find(|strategy| strategy.name == NEXT);
        let strategy = named.cloned().unwrap_or_default();
        let repeats = match strategy.seen {
            Seen::Boost(repeats) => repeats,
            Seen::Exclude => Repeats::default(),
        };
        Self { recipe: recipe.clone(), strategy, repeats }
    }
}

impl Point {
    /// Where a recipe has them; what is out of bounds stands at the bound.
    pub fn of(recipe: &Recipe) -> Self {
        let mut parts = Parts::new(recipe);
        Self(std::array::from_fn(|at| {
            let Knob { low, high, by_factor, of } = KNOBS[at];
            let value = of(&mut parts).clamp(low, high);
            if by_factor { (value / low).ln() / (high / low).ln() } else { (value - low) / (high - low) }
        }))
    }

    /// The recipe with the numbers of this point. What serves the very next item serves every strategy but the
    /// cart's, where all count: position and votes go to all others.
    pub fn recipe(&self, base: &Recipe) -> Recipe {
        let mut parts = Parts::new(base);
        for (at, Knob { low, high, by_factor, of }) in KNOBS.iter().enumerate() {
            let share = self.0[at];
            let value = if *by_factor { low * (high / low).powf(share) } else { low + share * (high - low) };
            // Three digits say all there is to say.
            let digits = 10f32.powf(2.0 - value.abs().max(1e-6).log10().floor());
            *of(&mut parts) = (value * digits).round() / digits;
        }
        let Parts { mut recipe, strategy, repeats } = parts;
        for served in recipe.strategies.iter_mut().filter(|served| served.name != CART) {
            served.position = strategy.position;
            served.votes = strategy.votes;
            if served.name == NEXT {
                served.seen = Seen::Boost(repeats);
            }
        }
        recipe
    }

    /// A point near by: some knobs of the tables, or of serving, turned by about `reach`.
    pub fn near(&self, tables: bool, reach: f64, random: &mut Random) -> Self {
        let turned = if tables { 0..TABLES } else { TABLES..KNOBS.len() };
        let mut point = self.clone();
        let always = turned.start + random.below(turned.len());
        for at in turned {
            if at == always || random.chance(0.3) {
                let moved = f64::from(point.0[at]) + reach * random.normal();
                // Reflected at the bounds, so that they are not preferred.
                point.0[at] = (1.0 - (1.0 - moved.abs().min(2.0)).abs()).abs().clamp(0.0, 1.0) as f32;
            }
        }
        point
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_gives_the_recipe_it_was_made_of() {
        let strategies = origin_learn::config::strategies(&origin_learn::choose::Hyperparameters::default());
        let recipe = Recipe { strategies, ..Recipe::default() };
        assert_eq!(Point::of(&recipe).recipe(&recipe), recipe);
    }

    #[test]
    fn points_near_by_stay_in_bounds_and_turn_what_they_may() {
        let mut random = Random::new(1, "test");
        let start = Point::of(&Recipe::default());
        for _ in 0..200 {
            let point = start.near(true, 0.5, &mut random);
            assert!(point.0.iter().all(|share| (0.0..=1.0).contains(share)));
            assert_eq!(point.0[TABLES..], start.0[TABLES..]);
            assert_ne!(point, start);
        }
    }
}
