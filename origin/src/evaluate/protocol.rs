//! The protocol of an evaluation: sessions replayed click by click, or orders, predicted by a recommender.

use crate::evaluate::{
    measures::{SHOWN, Sums},
    split::Split,
};
use origin_learn::{
    orders::{self, Order},
    replay::{SessionRecents, replay},
    train::TrainingData,
};
use rayon::prelude::*;
use snapshots::{event::Kind, score::Seed};
use std::{collections::HashMap, time::Instant};

/// Ranks items for a visitor. Items are indices in order of popularity; of equal scores the lower index comes first.
pub trait Recommender: Sync {
    /// Its name in reports.
    fn name(&self) -> String;
    /// A function with memory of its own that replaces the content of its last argument by the best [`SHOWN`] items, best
    /// first.
    fn ranker(&self) -> Ranker<'_>;
}

/// See [`Recommender::ranker`].
pub type Ranker<'a> = Box<dyn FnMut(&VisitorState<'_>, &mut Vec<u32>) + 'a>;

/// What is known of a visitor at a prediction.
#[derive(Clone, Copy, Debug)]
pub struct VisitorState<'a> {
    /// Items of earlier orders, oldest first.
    pub bought: &'a [u32],
    /// Clicks of this session, or the items of the cart, oldest first. Either they or `bought` are not empty.
    pub clicks: &'a [u32],
    /// The distinct items of both, newest first.
    pub recents: &'a [Seed],
    /// Items that must not be shown.
    pub excluded: &'a [u32],
}

impl VisitorState<'_> {
    /// Whether an item may be shown.
    pub fn allows(&self, item: u32) -> bool {
        !self.excluded.contains(&item)
    }
}

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Variant {
    /// The next click; the item on screen, which is the last click, may be recommended.
    #[serde(rename = "a")]
    A,
    /// The next click; the item on screen is never recommended, so a repeated click is a miss.
    #[serde(rename = "b")]
    B,
    /// The second half of an order, from the first half, which is never recommended, and the visitor's earlier orders.
    #[serde(rename = "rest")]
    Rest,
    /// The visitor's next order from the earlier ones.
    #[serde(rename = "order")]
    Order,
}

impl Variant {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::Rest, Self::Order];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Rest => "rest",
            Self::Order => "order",
        }
    }

    /// Whether orders are predicted, not clicks.
    pub fn is_of_orders(self) -> bool {
        matches!(self, Self::Rest | Self::Order)
    }

    /// Its description in reports.
    pub fn title(self) -> &'static str {
        match self {
            Self::A => "Variant (a): the item on screen may be recommended",
            Self::B => "Variant (b): the item on screen is never recommended",
            Self::Rest => {
                "Rest of an order: from its first half and earlier orders; HR and MRR of any item of the rest"
            }
            Self::Order => "Next order: from earlier orders; HR and MRR of any item of it",
        }
    }
}

/// An order to predict.
#[derive(Clone, Debug, PartialEq)]
pub struct Basket {
    /// Items of the visitor's earlier orders, oldest first.
    pub earlier: Vec<u32>,
    /// Its items, distinct.
    pub items: Vec<u32>,
}

/// The later orders by visitor, each with the items that the visitor bought before it, in `earlier` or in `later`.
/// Visitors are ordered by their first later order; orders without a visitor have no earlier ones.
pub fn baskets(earlier: &[Order], later: &[Order]) -> Vec<Vec<Basket>> {
    let mut bought: HashMap<u64, Vec<u32>> = HashMap::new();
    for order in earlier.iter().filter(|order| order.bought && order.visitor != 0) {
        bought.entry(order.visitor).or_default().extend(&order.items);
    }
    let (mut baskets, mut places): (Vec<Vec<Basket>>, HashMap<u64, usize>) = Default::default();
    for order in later.iter().filter(|order| order.bought) {
        let items = order.items.clone();
        if order.visitor == 0 {
            baskets.push(vec![Basket { earlier: Vec::new(), items }]);
            continue;
        }
        let before = bought.entry(order.visitor).or_default();
        let basket = Basket { earlier: before.clone(), items };
        before.extend(&order.items);
        let place = *places.entry(order.visitor).or_insert(baskets.len());
        match baskets.get_mut(place) {
            Some(visitor) => visitor.push(basket),
            None => baskets.push(vec![basket]),
        }
    }
    baskets
}

/// Sessions and orders to predict, and the events that training has of their items.
pub struct TestSet {
    /// Clicks by item index, oldest first.
    pub sessions: Vec<Vec<u32>>,
    /// One list per visitor: the bootstrap resamples visitors, not orders.
    pub baskets: Vec<Vec<Basket>>,
    /// Training events of every item.
    pub events: Vec<u32>,
}

impl TestSet {
    /// The test part of a split, by the item indices of training.
    pub fn new(training: &TrainingData, split: &Split) -> Self {
        let indexed =
            |session: &Vec<u32>| session.iter().map(|item| training.index[*item as usize]).collect();
        let [earlier, later] =
            [&split.train.events, &split.later].map(|events| orders::split(events, &training.index));
        Self {
            sessions: split.test.iter().map(indexed).collect(),
            baskets: baskets(&earlier, &later),
            events: training.sessions.events(training.order.len()),
        }
    }

    fn is_known(&self, item: u32) -> bool {
        self.events[item as usize] > 0
    }

    /// Number of predictions in the sessions.
    pub fn predictions(&self) -> usize {
        let known = |session: &Vec<u32>| session.iter().filter(|item| self.is_known(**item)).count();
        self.sessions.iter().map(|session| known(session).saturating_sub(1)).sum()
    }
}

/// How one recommender did.
pub struct ReplayOutcome {
    /// Sums of every session, or of every visitor with orders.
    pub sessions: Vec<Sums>,
    /// Share of the known items that were shown at least once.
    pub coverage: f64,
    /// Nanoseconds per prediction, sorted.
    pub nanoseconds: Vec<u32>,
}

impl ReplayOutcome {
    /// A quantile of the latency, in microseconds.
    pub fn latency(&self, share: f64) -> f64 {
        let place = (share * self.nanoseconds.len() as f64) as usize;
        let at = self.nanoseconds.get(place.min(self.nanoseconds.len().saturating_sub(1)));
        f64::from(at.copied().unwrap_or(0)) / 1e3
    }
}

/// Evaluates one recommender on all cores.
pub fn evaluate(recommender: &dyn Recommender, test: &TestSet, variant: Variant) -> ReplayOutcome {
    match variant {
        Variant::A | Variant::B => evaluate_each(recommender, test, &test.sessions, |evaluator, clicks| {
            evaluator.replay_session(clicks, variant)
        }),
        Variant::Rest | Variant::Order => {
            evaluate_each(recommender, test, &test.baskets, |evaluator, orders| {
                let mut sums = Sums::default();
                orders.iter().for_each(|order| evaluator.predict_order(order, variant, &mut sums));
                sums
            })
        }
    }
}

fn evaluate_each<T: Sync>(
    recommender: &dyn Recommender,
    test: &TestSet,
    cases: &[T],
    each: impl Fn(&mut Evaluator<'_>, &T) -> Sums + Sync,
) -> ReplayOutcome {
    let most = f64::from(test.events.iter().copied().max().unwrap_or(1).max(1));
    let part = |cases: &[T]| {
        let mut evaluator = Evaluator {
            test,
            predictor: Predictor {
                ranker: recommender.ranker(),
                shown: Vec::with_capacity(SHOWN),
                nanoseconds: Vec::new(),
            },
            most,
            ever_shown: vec![false; test.events.len()],
        };
        let sums: Vec<Sums> = cases.iter().map(|case| each(&mut evaluator, case)).collect();
        (sums, evaluator.ever_shown, evaluator.predictor.nanoseconds)
    };
    let size = cases.len().div_ceil(4 * rayon::current_num_threads()).max(1);
    let parts: Vec<_> = cases.par_chunks(size).map(part).collect();
    let known = test.events.iter().filter(|events| **events > 0).count();
    let shown = (0..test.events.len()).filter(|item| parts.iter().any(|part| part.1[*item])).count();
    let mut nanoseconds: Vec<u32> = parts.iter().flat_map(|part| part.2.iter().copied()).collect();
    nanoseconds.sort_unstable();
    let sessions = parts.into_iter().flat_map(|part| part.0).collect();
    ReplayOutcome { sessions, coverage: shown as f64 / known.max(1) as f64, nanoseconds }
}

/// A ranker with its last answer and its latencies.
struct Predictor<'a> {
    ranker: Ranker<'a>,
    shown: Vec<u32>,
    nanoseconds: Vec<u32>,
}

impl Predictor<'_> {
    fn predict(&mut self, state: &VisitorState<'_>) {
        let start = Instant::now();
        (self.ranker)(state, &mut self.shown);
        self.nanoseconds.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
        self.shown.truncate(SHOWN);
    }
}

/// Evaluates on one core.
struct Evaluator<'a> {
    test: &'a TestSet,
    predictor: Predictor<'a>,
    /// Training events of the most popular item.
    most: f64,
    /// By item, whether it was shown at least once.
    ever_shown: Vec<bool>,
}

impl Evaluator<'_> {
    fn replay_session(&mut self, clicks: &[u32], variant: Variant) -> Sums {
        let (mut sums, test) = (Sums::default(), self.test);
        replay(
            clicks,
            |item| test.is_known(item),
            |step| {
                let on_screen =
                    if variant == Variant::B { &step.clicks[step.clicks.len() - 1..] } else { &[] };
                self.predictor.predict(&VisitorState {
                    bought: &[],
                    clicks: step.clicks,
                    recents: step.recents,
                    excluded: on_screen,
                });
                if step.is_known {
                    self.count(&distinct(step.remaining), test.events[step.next as usize], &mut sums);
                } else {
                    sums.count_cold(self.predictor.shown.contains(&step.next));
                }
            },
        );
        sums
    }

    fn predict_order(&mut self, order: &Basket, variant: Variant, sums: &mut Sums) {
        let known = |items: &[u32]| -> Vec<u32> {
            items.iter().copied().filter(|item| self.test.is_known(*item)).collect()
        };
        let (bought, items) = (known(&order.earlier), known(&order.items));
        let (cart, mut rest) = match variant {
            Variant::Order => (&[][..], items.clone()),
            _ => {
                let (cart, rest) = items.split_at(items.len().div_ceil(2));
                (cart, rest.to_vec())
            }
        };
        if rest.is_empty() || cart.is_empty() && bought.is_empty() {
            return;
        }
        let mut recents = SessionRecents::default();
        bought.iter().for_each(|item| recents.push(*item, Kind::Purchase));
        cart.iter().for_each(|item| recents.push(*item, Kind::Cart));
        let state = VisitorState { bought: &bought, clicks: cart, recents: recents.seeds(), excluded: cart };
        self.predictor.predict(&state);
        // Orders have no next item: the first hit is ranked, and it counts as no scarce target.
        let shown = self.predictor.shown.iter();
        let first = shown.copied().find_map(|shown| rest.iter().position(|item| *item == shown));
        rest.swap(0, first.unwrap_or(0));
        self.count(&rest, u32::MAX, sums);
    }

    fn count(&mut self, remaining: &[u32], target_events: u32, sums: &mut Sums) {
        let shown = &self.predictor.shown;
        let mut popularity = 0.0;
        for item in shown {
            self.ever_shown[*item as usize] = true;
            popularity += f64::from(self.test.events[*item as usize]) / self.most;
        }
        popularity /= shown.len().max(1) as f64;
        sums.count(remaining, shown, target_events, popularity);
    }
}

fn distinct(items: &[u32]) -> Vec<u32> {
    let mut distinct: Vec<u32> = Vec::with_capacity(items.len());
    for item in items {
        if !distinct.contains(item) {
            distinct.push(*item);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows the item after the last click, then the last click, then item 9.
    struct Next;

    impl Recommender for Next {
        fn name(&self) -> String {
            "next".to_owned()
        }
        fn ranker(&self) -> Ranker<'_> {
            Box::new(|state, out| {
                let last = *state.clicks.last().or(state.bought.last()).unwrap();
                out.clear();
                out.extend([last + 1, last, 9].into_iter().filter(|item| state.allows(*item)));
            })
        }
    }

    #[test]
    fn every_click_but_the_first_is_a_prediction_and_cold_ones_count_apart() {
        let mut events = vec![20; 10];
        events[9] = 0;
        let sessions = vec![vec![1, 2, 2, 9, 3], vec![5]];
        let test = TestSet { sessions, baskets: Vec::new(), events };
        let total = |variant| evaluate(&Next, &test, variant).sessions.iter().sum::<Sums>();
        let a = total(Variant::A);
        assert_eq!((a.predictions(), test.predictions()), (3.0, 3));
        assert_eq!(a.mean(0, 2), 1.0, "2 after 1, 2 after 2, 3 after 2");
        assert_eq!(a.mean(1, 2), (1.0 + 0.5 + 1.0) / 3.0);
        assert_eq!(a.scarce(2), (1.0, 1.0), "9 is cold and shown");
        let b = total(Variant::B);
        assert_eq!((b.predictions(), b.mean(0, 2)), (3.0, 2.0 / 3.0), "a repeat is a miss");
    }

    #[test]
    fn an_order_is_predicted_from_its_first_half_or_from_earlier_ones() {
        let basket =
            |earlier: &[u32], items: &[u32]| Basket { earlier: earlier.to_vec(), items: items.to_vec() };
        // 8 is unknown, so the second order's first half is 4 alone.
        let visitor = vec![basket(&[], &[1, 2, 3]), basket(&[1, 2, 3], &[4, 8, 5])];
        let mut events = vec![20; 10];
        events[8] = 0;
        let test = TestSet { sessions: Vec::new(), baskets: vec![visitor], events };
        let total = |variant| evaluate(&Next, &test, variant).sessions.iter().sum::<Sums>();
        let rest = total(Variant::Rest);
        assert_eq!(
            (rest.predictions(), rest.mean(0, 2), rest.mean(1, 2)),
            (2.0, 1.0, 1.0),
            "3 after 1, 2; 5 after 4"
        );
        let next = total(Variant::Order);
        // Only the second visit has an earlier order; 4 is shown first, of 4 and 5 that is half.
        assert_eq!((next.predictions(), next.mean(1, 2), next.mean(4, 2)), (1.0, 1.0, 0.5));
    }
}
