//! A page: candidates of the tables, filled up with what the region wants, varied, explored and pinned.

use super::{Plan, lens::Lens};
use crate::{
    rules::Diversify,
    score::{MAX_WANTED, Scored, Scratch, Signal, Wanted, personal},
    set::Set,
};

/// How many items of the popularity order, and then of the others, one request looks at to fill a filtered page: a bound on the time of
/// a filter that almost nothing passes.
const MAX_SCAN: usize = 50_000;
const _: () = assert!(MAX_SCAN <= crate::popularity::MAX_ORDER);
/// A page that varies chooses among so many times as many candidates as it takes.
const CHOICE: usize = 4;

/// The items of a page, best first, and one more where there is another page.
pub fn page(plan: &Plan<'_, '_>, lens: &Lens<'_>, scratch: &mut Scratch) -> Vec<Scored> {
    let Plan { snapshot, strategy, decision, seeds, request, .. } = plan;
    let wanted = request.query.limit + 1;
    let (diversify, explore) = (lens.diversify(), decision.explore.and(request.context.dice));
    let choice = if diversify.is_some() || explore.is_some() { wanted * CHOICE } else { wanted };
    let choice = choice.min(MAX_WANTED);
    let mut pool: Vec<Scored> = Vec::with_capacity(choice);
    let list = |count| Wanted { count, most: decision.most, factor: |item| lens.factor(item) };
    personal(snapshot, strategy, seeds, list(choice), scratch, &mut pool);
    let mut page = Page { lens, diversify, wanted, chosen: Vec::with_capacity(choice), kinds: Vec::new() };
    page.choose(&mut pool);
    if page.chosen.len() < wanted {
        fill(plan, list(choice - page.chosen.len()), &page.chosen, &mut pool);
        page.choose(&mut pool);
    }
    // Where there is nothing else, the page repeats a kind rather than ending.
    let room = wanted.saturating_sub(page.chosen.len()).min(pool.len());
    page.chosen.extend(pool.drain(..room));
    let mut chosen = page.chosen;
    explore_one(plan, &mut chosen, &pool);
    pin(plan, lens, &mut chosen);
    chosen.truncate(wanted);
    chosen
}

struct Page<'a> {
    lens: &'a Lens<'a>,
    diversify: Option<Diversify>,
    wanted: usize,
    chosen: Vec<Scored>,
    /// The kinds that were chosen and how often.
    kinds: Vec<(u32, u8)>,
}

impl Page<'_> {
    /// Moves candidates, which are in order, from the pool to the page until it is full or none fits.
    fn choose(&mut self, pool: &mut Vec<Scored>) {
        let Some(rule) = self.diversify else {
            let room = self.wanted.saturating_sub(self.chosen.len()).min(pool.len());
            self.chosen.extend(pool.drain(..room));
            return;
        };
        while self.chosen.len() < self.wanted {
            let mut best: Option<(usize, f32)> = None;
            for (place, candidate) in pool.iter().enumerate() {
                if best.is_some_and(|(_, most)| candidate.score <= most) {
                    break;
                }
                let before = self.before(rule, candidate.item);
                let score = candidate.score * rule.decay.powi(before.into());
                if before < rule.at_most && best.is_none_or(|(_, most)| score > most) {
                    best = Some((place, score));
                }
            }
            let Some((place, _)) = best else { return };
            let chosen = pool.remove(place);
            if let Some(kind) = self.lens.kind(rule.by, chosen.item) {
                match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
                    Some((_, count)) => *count += 1,
                    None => self.kinds.push((kind, 1)),
                }
            }
            self.chosen.push(chosen);
        }
    }

    /// How many items of an item's kind are on the page.
    fn before(&self, rule: Diversify, item: u32) -> u8 {
        let kind = self.lens.kind(rule.by, item);
        self.kinds.iter().find(|(known, _)| Some(*known) == kind).map_or(0, |(_, count)| *count)
    }
}

/// Adds to the pool the region's most wanted, then anything that can be bought, but nothing that is there already.
fn fill(
    plan: &Plan<'_, '_>,
    list: Wanted<impl FnMut(u32) -> f32>,
    chosen: &[Scored],
    pool: &mut Vec<Scored>,
) {
    let Plan { snapshot, strategy, .. } = plan;
    let mut taken: Set = chosen.iter().chain(&*pool).map(|scored| scored.item).collect();
    let rest = 0..u32::try_from(snapshot.len()).unwrap_or(u32::MAX);
    let scored = |item| {
        let score = strategy.weights.popularity * snapshot.popularity.of(item) / strategy.weights.sum();
        Scored { item, score, signal: Signal::Popularity, because: None }
    };
    let Wanted { count, most, mut factor } = list;
    let mut ordered = snapshot.popularity.order().take(MAX_SCAN);
    let mut rest = rest.take(MAX_SCAN);
    let sources: [&mut dyn Iterator<Item = u32>; 2] = [&mut ordered, &mut rest];
    let mut left = count;
    for source in sources {
        let before = pool.len();
        let new = |item| if taken.contains(item) { 0.0 } else { factor(item) };
        Wanted { count: left, most, factor: new }.take(source.map(scored), pool);
        taken.extend(pool.iter().skip(before).map(|scored| scored.item));
        left = left.saturating_sub(pool.len() - before);
        if left == 0 {
            return;
        }
    }
}

/// In the share of answers that a rule says, puts one of the candidates that come after the page at its end.
fn explore_one(plan: &Plan<'_, '_>, chosen: &mut [Scored], after: &[Scored]) {
    let (Some(explore), Some(dice)) = (plan.decision.explore, plan.request.context.dice) else { return };
    // Fibonacci hashing makes a second number of the first.
    let other = dice.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    let share = (dice >> 11) as f64 / (1u64 << 53) as f64;
    let Some(drawn) = other.checked_rem(after.len() as u64).and_then(|place| after.get(place as usize))
    else {
        return;
    };
    let last = plan.request.query.limit.checked_sub(1).and_then(|last| chosen.get_mut(last));
    if let Some(last) = last.filter(|_| share < f64::from(explore.share)) {
        *last = Scored { signal: Signal::Exploration, because: None, ..*drawn };
    }
}

/// Puts pinned items at their positions, as far as they are on this page and may be shown.
fn pin(plan: &Plan<'_, '_>, lens: &Lens<'_>, chosen: &mut Vec<Scored>) {
    let query = plan.request.query;
    let place =
        |at: u8| usize::from(at).checked_sub(1 + query.cursor.len()).filter(|place| *place < query.limit);
    let shown = |item: u32| lens.factor(item) > 0.0;
    let pins = plan.decision.pins.iter().filter_map(|(item, at)| Some((*item, place(*at)?)));
    let pins: Vec<(u32, usize)> = pins.filter(|(item, _)| shown(*item)).collect();
    chosen.retain(|scored| !pins.iter().any(|(item, _)| *item == scored.item));
    for (item, place) in pins {
        let place = place.min(chosen.len());
        // A pinned item takes the score of its place, so that scores fall along the page still.
        let beside = chosen.get(place).or(chosen.last()).map_or(0.0, |scored| scored.score);
        chosen.insert(place, Scored { item, score: beside, signal: Signal::Pinned, because: None });
    }
}
