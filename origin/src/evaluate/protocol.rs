//! What is asked of a model, and judging what it shows: sessions revealed click by click, or orders.

use crate::evaluate::{
    measures::{SHOWN, Sums},
    split::Split,
};
use origin_learn::{
    orders::{self, Order},
    train::TrainingData,
};
use rayon::prelude::*;
use snapshots::event::Kind;
use std::{collections::HashMap, time::Instant};

/// Something that ranks items from the clicks of a session. Items are indices, so an equal score goes to the
/// lower one: the more wanted.
pub trait Model: Sync {
    /// What it is called in reports.
    fn name(&self) -> String;
    /// A function, with memory of its own, that fills the last argument with the best [`SHOWN`] items, best
    /// first.
    fn ranker(&self) -> Ranker<'_>;
}

/// See [`Model::ranker`].
pub type Ranker<'a> = Box<dyn FnMut(&Ask<'_>, &mut Vec<u32>) + 'a>;

/// What is known of a visitor when a model is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Items of earlier orders, oldest first.
    pub bought: &'a [u32],
    /// Clicks of this session, or what lies in the cart, oldest first. They or `bought` hold something.
    pub clicks: &'a [u32],
    /// What the clicks are.
    pub kind: Kind,
    /// What may not be shown.
    pub without: &'a [u32],
}

impl<'a> Ask<'a> {
    /// Of a session of views alone.
    pub fn of(clicks: &'a [u32], without: &'a [u32]) -> Self {
        Self { bought: &[], clicks, kind: Kind::View, without }
    }

    /// Whether an item may be shown.
    pub fn lets_pass(&self, item: u32) -> bool {
        !self.without.contains(&item)
    }
}

/// What is to be predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Variant {
    /// The next click; the item on screen, which is the last click, may be recommended.
    #[serde(rename = "a")]
    A,
    /// The next click; the item on screen never is recommended, and a session that goes on with it counts as a miss.
    #[serde(rename = "b")]
    B,
    /// The second half of an order from the first, which is never recommended, and from the visitor's earlier orders.
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

    /// What it asks, for people.
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

/// An order to judge on.
#[derive(Clone, Debug, PartialEq)]
pub struct Basket {
    /// Items of the visitor's earlier orders, oldest first.
    pub earlier: Vec<u32>,
    /// Its items, distinct.
    pub items: Vec<u32>,
}

/// The later orders by visitor, each with what the visitor bought before, be it in `earlier` or in `later`.
/// Visitors come in the order of their first later order; one without a name has no earlier orders.
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

/// Sessions and orders to judge on, and what training knows of their items.
pub struct Test {
    /// Clicks by item index, oldest first.
    pub sessions: Vec<Vec<u32>>,
    /// One list a visitor, so that visitors are drawn again and not their orders.
    pub baskets: Vec<Vec<Basket>>,
    /// Training events of every item.
    pub events: Vec<u32>,
}

impl Test {
    /// Of a split, by the indices that training gave the items.
    pub fn new(training: &TrainingData, split: &Split) -> Self {
        let indexed =
            |session: &Vec<u32>| session.iter().map(|item| training.index[*item as usize]).collect();
        let [earlier, later] =
            [&split.train.events, &split.later].map(|events| orders::cut(events, &training.index));
        Self {
            sessions: split.test.iter().map(indexed).collect(),
            baskets: baskets(&earlier, &later),
            events: training.sessions.events(training.order.len()),
        }
    }

    fn is_known(&self, item: u32) -> bool {
        self.events[item as usize] > 0
    }

    /// How many predictions the sessions ask for.
    pub fn predictions(&self) -> usize {
        let known = |session: &Vec<u32>| session.iter().filter(|item| self.is_known(**item)).count();
        self.sessions.iter().map(|session| known(session).saturating_sub(1)).sum()
    }
}

/// What became of one model.
pub struct Outcome {
    /// Sums of every session.
    pub sessions: Vec<Sums>,
    /// Share of the known items that were shown at least once.
    pub coverage: f64,
    /// Nanoseconds a prediction took, sorted.
    pub nanoseconds: Vec<u32>,
}

impl Outcome {
    /// The latency that this share of the predictions did not exceed, in microseconds.
    pub fn latency(&self, share: f64) -> f64 {
        let place = (share * self.nanoseconds.len() as f64) as usize;
        let at = self.nanoseconds.get(place.min(self.nanoseconds.len().saturating_sub(1)));
        f64::from(at.copied().unwrap_or(0)) / 1e3
    }
}

/// Judges one model on all cores.
pub fn judge(model: &dyn Model, test: &Test, variant: Variant) -> Outcome {
    match variant {
        Variant::A | Variant::B => {
            judge_each(model, test, &test.sessions, |worker, clicks| worker.reveal(clicks, variant))
        }
        Variant::Rest | Variant::Order => judge_each(model, test, &test.baskets, |worker, orders| {
            let mut sums = Sums::default();
            orders.iter().for_each(|order| worker.predict_order(order, variant, &mut sums));
            sums
        }),
    }
}

fn judge_each<T: Sync>(
    model: &dyn Model,
    test: &Test,
    cases: &[T],
    each: impl Fn(&mut Worker<'_>, &T) -> Sums + Sync,
) -> Outcome {
    let most = f64::from(test.events.iter().copied().max().unwrap_or(1).max(1));
    let part = |cases: &[T]| {
        let mut worker = Worker {
            test,
            most,
            ranker: model.ranker(),
            shown: Vec::with_capacity(SHOWN),
            seen: vec![false; test.events.len()],
            nanoseconds: Vec::new(),
        };
        let sums: Vec<Sums> = cases.iter().map(|case| each(&mut worker, case)).collect();
        (sums, worker.seen, worker.nanoseconds)
    };
    let size = cases.len().div_ceil(4 * rayon::current_num_threads()).max(1);
    let parts: Vec<_> = cases.par_chunks(size).map(part).collect();
    let known = test.events.iter().filter(|events| **events > 0).count();
    let shown = (0..test.events.len()).filter(|item| parts.iter().any(|part| part.1[*item])).count();
    let mut nanoseconds: Vec<u32> = parts.iter().flat_map(|part| part.2.iter().copied()).collect();
    nanoseconds.sort_unstable();
    let sessions = parts.into_iter().flat_map(|part| part.0).collect();
    Outcome { sessions, coverage: shown as f64 / known.max(1) as f64, nanoseconds }
}

struct Worker<'a> {
    test: &'a Test,
    most: f64,
    ranker: Ranker<'a>,
    shown: Vec<u32>,
    seen: Vec<bool>,
    nanoseconds: Vec<u32>,
}

impl Worker<'_> {
    fn reveal(&mut self, clicks: &[u32], variant: Variant) -> Sums {
        let mut sums = Sums::default();
        let known: Vec<u32> = clicks.iter().copied().filter(|item| self.test.is_known(*item)).collect();
        let mut revealed = 0;
        for target in clicks {
            let cold = !self.test.is_known(*target);
            if revealed > 0 {
                let on_screen = if variant == Variant::B { &known[revealed - 1..revealed] } else { &[] };
                self.predict(&Ask::of(&known[..revealed], on_screen));
                if cold {
                    sums.count_cold(self.shown.contains(target));
                } else {
                    self.count(&distinct(&known[revealed..]), self.test.events[*target as usize], &mut sums);
                }
            }
            revealed += usize::from(!cold);
        }
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
        self.predict(&Ask { bought: &bought, clicks: cart, kind: Kind::Cart, without: cart });
        // None of them is the next: the one that was found first stands for all, and counts as no scarce one.
        let first = self.shown.iter().find_map(|shown| rest.iter().position(|item| item == shown));
        rest.swap(0, first.unwrap_or(0));
        self.count(&rest, u32::MAX, sums);
    }

    fn predict(&mut self, ask: &Ask<'_>) {
        let start = Instant::now();
        (self.ranker)(ask, &mut self.shown);
        self.nanoseconds.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
        self.shown.truncate(SHOWN);
    }

    fn count(&mut self, remaining: &[u32], target_events: u32, sums: &mut Sums) {
        let mut popularity = 0.0;
        for item in &self.shown {
            self.seen[*item as usize] = true;
            popularity += f64::from(self.test.events[*item as usize]) / self.most;
        }
        popularity /= self.shown.len().max(1) as f64;
        sums.count(remaining, &self.shown, target_events, popularity);
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

    impl Model for Next {
        fn name(&self) -> String {
            "next".to_owned()
        }
        fn ranker(&self) -> Ranker<'_> {
            Box::new(|ask, out| {
                let last = *ask.clicks.last().or(ask.bought.last()).unwrap();
                out.clear();
                out.extend([last + 1, last, 9].into_iter().filter(|item| ask.lets_pass(*item)));
            })
        }
    }

    #[test]
    fn every_click_but_the_first_is_a_prediction_and_cold_ones_count_apart() {
        let mut events = vec![20; 10];
        events[9] = 0;
        let sessions = vec![vec![1, 2, 2, 9, 3], vec![5]];
        let test = Test { sessions, baskets: Vec::new(), events };
        let total = |variant| judge(&Next, &test, variant).sessions.iter().sum::<Sums>();
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
        let test = Test { sessions: Vec::new(), baskets: vec![visitor], events };
        let total = |variant| judge(&Next, &test, variant).sessions.iter().sum::<Sums>();
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
