//! The search space: each hyperparameter with its bounds, as a coordinate from 0 to 1.

use origin_learn::{config::Recipe, rng::Random};
use snapshots::strategy::{CART, NEXT, Repeats, Seen, Strategy};

/// A hyperparameter.
struct Knob {
    low: f32,
    high: f32,
    /// Whether the scale is logarithmic.
    logarithmic: bool,
    field: fn(&mut Parts) -> &mut f32,
}

/// A recipe in parts, so that every hyperparameter is a field.
struct Parts {
    recipe: Recipe,
    strategy: Strategy,
    repeats: Repeats,
}

const fn linear(low: f32, high: f32, field: fn(&mut Parts) -> &mut f32) -> Knob {
    Knob { low, high, logarithmic: false, field }
}

const fn logarithmic(low: f32, high: f32, field: fn(&mut Parts) -> &mut f32) -> Knob {
    Knob { low, high, logarithmic: true, field }
}

/// Hyperparameters of the tables, which need learning, then those of serving.
static KNOBS: [Knob; TABLES + 9] = [
    linear(0.05, 0.95, |parts| &mut parts.recipe.coview.a),
    linear(0.0, 1.5, |parts| &mut parts.recipe.coview.g),
    logarithmic(0.2, 4.0, |parts| &mut parts.recipe.coview.t),
    linear(0.0, 1.0, |parts| &mut parts.recipe.coview.beta),
    logarithmic(0.3, 60.0, |parts| &mut parts.recipe.coview.lambda),
    linear(0.0, 0.5, |parts| &mut parts.recipe.coview.c),
    logarithmic(0.1, 4.0, |parts| &mut parts.recipe.coview.tau),
    linear(0.0, 10.0, |parts| &mut parts.recipe.walk),
    linear(0.0, 1.5, |parts| &mut parts.recipe.fold),
    linear(0.3, 3.5, |parts| &mut parts.strategy.position),
    linear(0.0, 1.5, |parts| &mut parts.strategy.votes),
    logarithmic(0.005, 200.0, |parts| &mut parts.repeats.last_mul),
    logarithmic(0.005, 200.0, |parts| &mut parts.repeats.mul),
    logarithmic(0.005, 200.0, |parts| &mut parts.repeats.last_add),
    logarithmic(0.005, 200.0, |parts| &mut parts.repeats.add),
    logarithmic(0.125, 8.0, |parts| &mut parts.repeats.spread),
    logarithmic(0.125, 8.0, |parts| &mut parts.repeats.fade),
    logarithmic(0.125, 8.0, |parts| &mut parts.repeats.often),
];
/// Number of hyperparameters of the tables.
const TABLES: usize = 9;

/// A point of the search space.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchPoint([f32; KNOBS.len()]);

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

impl SearchPoint {
    /// The point of a recipe; values out of bounds are clamped.
    pub fn new(recipe: &Recipe) -> Self {
        let mut parts = Parts::new(recipe);
        Self(std::array::from_fn(|at| {
            let Knob { low, high, logarithmic, field } = KNOBS[at];
            let value = field(&mut parts).clamp(low, high);
            if logarithmic { (value / low).ln() / (high / low).ln() } else { (value - low) / (high - low) }
        }))
    }

    /// The recipe with the values of this point. Position and votes apply to all strategies but that of the cart, in which
    /// every item counts.
    pub fn recipe(&self, base: &Recipe) -> Recipe {
        let mut parts = Parts::new(base);
        for (at, Knob { low, high, logarithmic, field }) in KNOBS.iter().enumerate() {
            let share = self.0[at];
            let value =
                if *logarithmic { low * (high / low).powf(share) } else { low + share * (high - low) };
            // Three significant digits suffice.
            let digits = 10f32.powf(2.0 - value.abs().max(1e-6).log10().floor());
            *field(&mut parts) = (value * digits).round() / digits;
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

    /// A neighbouring point: some coordinates of the tables, or of serving, moved by normal steps of deviation `step`.
    pub fn near(&self, tables: bool, step: f64, random: &mut Random) -> Self {
        let range = if tables { 0..TABLES } else { TABLES..KNOBS.len() };
        let mut point = self.clone();
        let always = range.start + random.below(range.len());
        for at in range {
            if at == always || random.chance(0.3) {
                let moved = f64::from(point.0[at]) + step * random.normal();
                // Reflected at the bounds, which clamping would favour.
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
    fn a_point_gives_the_recipe_that_it_came_from() {
        let strategies = origin_learn::config::strategies(&origin_learn::choose::Hyperparameters::default());
        let recipe = Recipe { strategies, ..Recipe::default() };
        assert_eq!(SearchPoint::new(&recipe).recipe(&recipe), recipe);
    }

    #[test]
    fn neighbouring_points_stay_in_bounds_and_move_their_own_coordinates() {
        let mut random = Random::new(1, "test");
        let start = SearchPoint::new(&Recipe::default());
        for _ in 0..200 {
            let point = start.near(true, 0.5, &mut random);
            assert!(point.0.iter().all(|share| (0.0..=1.0).contains(share)));
            assert_eq!(point.0[TABLES..], start.0[TABLES..]);
            assert_ne!(point, start);
        }
    }
}
