//! Selects the items of a page: candidates from the tables, then popular items; diversified, explored and pinned.

use super::{Plan, filter::ItemFilter};
use crate::{
    format::signal::Signal,
    rules::{Decision, Diversify},
    score::{Scored, Scratch},
    set::SortedSet,
};

/// Most items of the popularity order, and then of the catalogue, that are examined to fill a page. Bounds the time of a
/// filter that almost no item passes.
const MAX_SCAN: usize = 50_000;
const _: () = assert!(MAX_SCAN <= crate::format::popularity::MAX_ORDER);
/// Candidates per position of a page that is diversified or explored.
const CHOICE: usize = 4;
/// Most candidates of such a page.
const MAX_CHOICE: usize = 254;

/// The items of a page, best first, and one more if there is another page.
pub(crate) fn page(plan: &Plan<'_, '_>, filter: &ItemFilter<'_>, scratch: &mut Scratch) -> Vec<Scored> {
    let Plan { snapshot, strategy, decision, seeds, request, .. } = plan;
    let wanted = request.query.limit + 1;
    let choice = (wanted * CHOICE).min(MAX_CHOICE);
    let draw = draw(plan);
    let mut page = Page::new(filter, decision, if draw.is_some() { choice } else { wanted }, choice);
    let mut candidates = scratch.candidates(snapshot, strategy, seeds);
    page.choose(&mut candidates);
    candidates.explain(&mut page.chosen);
    if !page.is_full() {
        candidates.explain(&mut page.spare);
        fill(plan, &mut page);
        page.take_spare();
    }
    let mut chosen = page.chosen;
    if let Some(number) = draw {
        explore(number, wanted, request.query.limit, &mut chosen);
    }
    pin(plan, filter, &mut chosen);
    chosen.truncate(wanted);
    chosen
}

/// A page under construction. Candidates arrive in descending order of score; none is examined that cannot be chosen any
/// more (the threshold algorithm of Fagin et al., PODS 2001, with one list).
struct Page<'a> {
    filter: &'a ItemFilter<'a>,
    /// An upper bound on the factors.
    most: f32,
    diversify: Option<Diversify>,
    wanted: usize,
    /// Most candidates to choose among.
    choice: usize,
    chosen: Vec<Scored>,
    /// Candidates that may be chosen, in descending order of score times factor.
    pool: Vec<Scored>,
    /// Candidates whose category or brand has reached `at_most`.
    spare: Vec<Scored>,
    /// How often each category, brand or group was chosen, by the rule.
    facets: Vec<(u32, u8)>,
    /// How often each group of variants was chosen.
    groups: Vec<(u32, u8)>,
}

impl<'a> Page<'a> {
    fn new(filter: &'a ItemFilter<'a>, decision: &Decision<'_>, wanted: usize, choice: usize) -> Self {
        Self {
            filter,
            most: decision.most,
            diversify: filter.diversify(),
            wanted,
            choice,
            chosen: Vec::with_capacity(wanted),
            pool: Vec::new(),
            spare: Vec::new(),
            facets: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.chosen.len() >= self.wanted
    }

    /// Chooses candidates until the page is full or no more fit.
    fn choose(&mut self, candidates: &mut dyn Iterator<Item = Scored>) {
        let mut candidates = candidates.peekable();
        let room = self.choice.saturating_sub(self.chosen.len()) + self.spare.len();
        while !self.is_full() {
            let best = self.best();
            let next = candidates.peek().map(|next| next.score * self.most).filter(|next| {
                let has_room = self.pool.len() + self.spare.len() < room;
                best.is_none_or(|(_, score)| score < *next)
                    && (has_room || self.pool.last().is_some_and(|last| last.score < *next))
            });
            match (next.and_then(|_| candidates.next()), best) {
                (Some(candidate), _) => self.add(candidate, room),
                (None, Some((place, _))) => self.take(place),
                (None, None) => return,
            }
        }
    }

    /// The pool index of the candidate to choose next, and its diversified score.
    fn best(&self) -> Option<(usize, f32)> {
        let mut best: Option<(usize, f32)> = None;
        for (place, candidate) in self.pool.iter().enumerate() {
            if best.is_some_and(|(_, most)| candidate.score <= most) {
                break;
            }
            let Some(rule) = self.diversify else { return Some((place, candidate.score)) };
            let before = self.before(rule, candidate.item);
            let score = candidate.score * rule.decay.powi(before.into());
            if best.is_none_or(|(_, most)| score > most) {
                best = Some((place, score));
            }
        }
        best
    }

    /// Adds a candidate to the pool of at most `room`, if it may be shown.
    fn add(&mut self, candidate: Scored, room: usize) {
        let factor = self.filter.factor(candidate.item);
        if factor <= 0.0 {
            return;
        }
        let candidate = Scored { score: candidate.score * factor, ..candidate };
        if self.filter.group(candidate.item).is_some_and(|group| !self.has_room_for(group, candidate)) {
            return;
        }
        if self.diversify.is_some_and(|rule| self.before(rule, candidate.item) >= rule.at_most) {
            return insert(&mut self.spare, candidate);
        }
        insert(&mut self.pool, candidate);
        self.pool.truncate(room.saturating_sub(self.spare.len()).max(1));
    }

    /// Whether the page may have this item of a group. Drops a worse one that waits.
    fn has_room_for(&mut self, group: u32, candidate: Scored) -> bool {
        let room = self.filter.group_limit().saturating_sub(count(&self.groups, Some(group)));
        if room == 0 || self.filter.yields(group, candidate.item) {
            return false;
        }
        let alike = |waiting: &&Scored| self.filter.group(waiting.item) == Some(group);
        let waiting = self.pool.iter().chain(&self.spare).filter(alike);
        if waiting.clone().count() < room.into() {
            return true;
        }
        let worst = waiting.copied().min_by(|a, b| a.score.total_cmp(&b.score));
        let Some(worst) = worst.filter(|worst| worst.score < candidate.score) else { return false };
        for list in [&mut self.pool, &mut self.spare] {
            list.retain(|waiting| waiting.item != worst.item);
        }
        true
    }

    /// Moves a candidate from the pool to the page.
    fn take(&mut self, place: usize) {
        let taken = self.pool.remove(place);
        self.chosen.push(taken);
        if let Some(group) = self.filter.group(taken.item) {
            increment(&mut self.groups, group);
        }
        let Some(rule) = self.diversify else { return };
        let Some(kind) = self.filter.facet(rule.by, taken.item) else { return };
        increment(&mut self.facets, kind);
        if self.before(rule, taken.item) >= rule.at_most {
            let of_kind = |candidate: &mut Scored| self.filter.facet(rule.by, candidate.item) == Some(kind);
            self.pool.extract_if(.., of_kind).for_each(|candidate| insert(&mut self.spare, candidate));
        }
    }

    /// How many items on the page share the item's category, brand or group.
    fn before(&self, rule: Diversify, item: u32) -> u8 {
        count(&self.facets, self.filter.facet(rule.by, item))
    }

    /// Fills the rest of the page with spare candidates.
    fn take_spare(&mut self) {
        let room = self.wanted.saturating_sub(self.chosen.len());
        self.chosen.extend(self.spare.drain(..).take(room));
    }
}

fn count(counts: &[(u32, u8)], kind: Option<u32>) -> u8 {
    counts.iter().find(|(known, _)| Some(*known) == kind).map_or(0, |(_, count)| *count)
}

fn increment(counts: &mut Vec<(u32, u8)>, kind: u32) {
    match counts.iter_mut().find(|(known, _)| *known == kind) {
        Some((_, count)) => *count = count.saturating_add(1),
        None => counts.push((kind, 1)),
    }
}

/// Inserts a candidate into a list in descending order, after equal scores.
fn insert(list: &mut Vec<Scored>, candidate: Scored) {
    let place = list.partition_point(|known| known.score >= candidate.score);
    list.insert(place, candidate);
}

/// Fills the page with the region's popular items, then with any item in stock.
fn fill(plan: &Plan<'_, '_>, page: &mut Page<'_>) {
    let Plan { snapshot, strategy, .. } = plan;
    let scored = |item| {
        let score = strategy.weights.popularity * snapshot.popularity.of(item) / strategy.weights.sum();
        Scored { item, score, signal: Signal::Popularity, because: None }
    };
    let mut ordered = snapshot.popularity.order();
    let mut rest = 0..u32::try_from(snapshot.len()).unwrap_or(u32::MAX);
    let sources: [&mut dyn Iterator<Item = u32>; 2] = [&mut ordered, &mut rest];
    for source in sources {
        let taken: SortedSet = page.chosen.iter().chain(&page.spare).map(|scored| scored.item).collect();
        let new = source.take(MAX_SCAN).filter(|item| !taken.contains(*item));
        page.choose(&mut new.map(scored));
    }
}

/// The random number to draw an item by, in the share of answers that explore.
fn draw(plan: &Plan<'_, '_>) -> Option<u64> {
    let (explore, random) = plan.decision.explore.zip(plan.request.context.random)?;
    let share = (random >> 11) as f64 / (1u64 << 53) as f64;
    // Fibonacci hashing derives a second number from the first.
    let other = random.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    (share < f64::from(explore.share)).then_some(other)
}

/// Replaces the last item of the page by a random candidate from after it.
fn explore(number: u64, wanted: usize, limit: usize, chosen: &mut [Scored]) {
    let Some((page, after)) = chosen.split_at_mut_checked(wanted) else { return };
    let drawn = number.checked_rem(after.len() as u64).and_then(|place| after.get(place as usize));
    let last = limit.checked_sub(1).and_then(|last| page.get_mut(last));
    if let Some((drawn, last)) = drawn.zip(last) {
        *last = Scored { signal: Signal::Exploration, because: None, ..*drawn };
    }
}

/// Moves pinned items to their positions, if those are on this page and the items may be shown.
fn pin(plan: &Plan<'_, '_>, filter: &ItemFilter<'_>, chosen: &mut Vec<Scored>) {
    let query = plan.request.query;
    let place =
        |at: u8| usize::from(at).checked_sub(1 + query.cursor.len()).filter(|place| *place < query.limit);
    let shown = |item: u32| filter.factor(item) > 0.0;
    let pins = plan.decision.pins.iter().filter_map(|(item, at)| Some((*item, place(*at)?)));
    // Of the variants of a product, a list has the one that is pinned first.
    let variants = |one: u32, other: u32| {
        filter.group_limit() == 1 && filter.group(one).is_some_and(|group| filter.group(other) == Some(group))
    };
    let alike = |one: u32, other: u32| one == other || variants(one, other);
    let mut pinned: Vec<(u32, usize)> = Vec::new();
    for (item, place) in pins.filter(|(item, _)| shown(*item)) {
        if !pinned.iter().any(|(known, _)| alike(*known, item)) {
            pinned.push((item, place));
        }
    }
    chosen.retain(|scored| !pinned.iter().any(|(item, _)| alike(*item, scored.item)));
    for (item, place) in pinned {
        let place = place.min(chosen.len());
        // A pinned item gets the score of its position, so that scores still descend.
        let score = chosen.get(place).or(chosen.last()).map_or(0.0, |scored| scored.score);
        chosen.insert(place, Scored { item, score, signal: Signal::Pinned, because: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{self, ITEMS, NOW},
        rules::{
            Boost, Decision, Facet, Match, RequestContext, Rule, Rules, Ruleset, Surface, VisitorContext,
        },
        wire::query::Query,
    };
    use proptest::prelude::*;

    fn decide<'s>(ruleset: &'s Ruleset) -> Decision<'s> {
        let request = RequestContext {
            surface: Surface::Popular,
            region: "gb",
            segments: &[],
            returning: false,
            now: NOW,
            context: &VisitorContext::default(),
        };
        ruleset.decide(&request, None, false, |_| None)
    }

    /// The reference: examines all candidates, and chooses the best diversified score each time.
    fn by_definition(filter: &ItemFilter<'_>, candidates: &[Scored], wanted: usize) -> Vec<(u32, f32)> {
        let mut left: Vec<(u32, f32)> =
            candidates.iter().map(|known| (known.item, known.score * filter.factor(known.item))).collect();
        left.retain(|(item, _)| filter.factor(*item) > 0.0);
        left.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut chosen: Vec<(u32, f32)> = Vec::new();
        while chosen.len() < wanted && !left.is_empty() {
            let rule = filter.diversify();
            let adjusted = |(item, score): (u32, f32)| {
                let Some(rule) = rule else { return score };
                let kind = filter.facet(rule.by, item);
                let same = |other: &&(u32, f32)| kind.is_some() && filter.facet(rule.by, other.0) == kind;
                let before = chosen.iter().filter(same).count();
                if before < rule.at_most.into() { score * rule.decay.powi(before as i32) } else { -1.0 }
            };
            let place =
                (0..left.len()).rev().max_by(|a, b| adjusted(left[*a]).total_cmp(&adjusted(left[*b])));
            let place = if left.iter().all(|one| adjusted(*one) < 0.0) { 0 } else { place.unwrap() };
            chosen.push(left.remove(place));
        }
        chosen
    }

    proptest! {
        #[test]
        fn a_page_equals_the_choice_among_all_candidates(
            // No two products of these are equal, since the order of equal scores is not defined.
            items in Just((0..ITEMS).collect::<Vec<_>>()).prop_shuffle(),
            boosts in proptest::collection::vec((0u32..5, any::<bool>(), 0..5usize), 0..4),
            diversify in proptest::option::of((1u8..5, prop::sample::select(vec![1.0f32, 0.61]), any::<bool>())),
            wanted in 1usize..12,
        ) {
            let mut shop = fixture::shop(&fixture::chain(4), &fixture::chain(2));
            let boost = |(item, even, by): &(u32, bool, usize)| {
                let items = if *even {
                    Match { brands: vec!["Even".to_owned()], ..Match::default() }
                } else {
                    Match { items: (*item * 6..*item * 6 + 6).map(fixture::id).collect(), ..Match::default() }
                };
                Rule { boost: Some(Boost { items, by: [0.53, 0.91, 1.47, 2.03, 4.07][*by] }), ..Rule::default() }
            };
            let mut rules: Vec<Rule> = boosts.iter().map(boost).collect();
            rules.extend(diversify.map(|(at_most, decay, by_brand)| {
                let by = if by_brand { Facet::Brand } else { Facet::Category };
                Rule { diversify: Some(Diversify { by, at_most, decay }), ..Rule::default() }
            }));
            shop.rules = Ruleset::new(Rules { rules, ..Rules::default() }, &shop.ids, &shop.attributes);
            let (decision, query) = (decide(&shop.rules), Query::default());
            let filter = ItemFilter::new(&shop, &query, &decision, NOW, std::iter::empty());
            let scored = |(score, item): (f32, &u32)| Scored { item: *item, score, signal: Signal::Coview, because: None };
            let scores = (0..ITEMS as u8).rev().map(f32::from);
            let candidates: Vec<Scored> = scores.zip(&items).map(scored).collect();
            let mut page = Page::new(&filter, &decision, wanted, MAX_CHOICE);
            page.choose(&mut candidates.iter().copied());
            page.take_spare();
            let found: Vec<(u32, f32)> = page.chosen.iter().map(|chosen| (chosen.item, chosen.score)).collect();
            prop_assert_eq!(found, by_definition(&filter, &candidates, wanted));
        }
    }
}
