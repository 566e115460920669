//! Generates visits: who visits when, which items they view next and what they buy.
//!
//! The clicks have a structure that learning can find. A session has an interest, which is a category; a visitor has a
//! preferred brand and a budget. The next item is mostly a similar one (of the same category, near in price and brand) or a
//! complementary one (of the same collection, in another category of the department). Sometimes the interest drifts, or
//! the next item is a generally popular one. Popularity within each list follows Zipf's law. Countries differ in the
//! popularity of categories and prefer their home items.

use crate::generate::catalogue::{DemoCatalogue, DemoItem};
use crate::generate::words::COUNTRIES;
use origin_learn::rng::{Random, cumulative};
use snapshots::event::Kind;
use snapshots::time::{DAY_MS, Timestamp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Most visitors that may return; beyond it a new visitor replaces another.
const RETURNING: usize = 50_000;
/// Attempts to draw a suitable item before any is taken.
const TRIES: usize = 8;
/// Relative number of visits by local hour, from midnight on.
const HOURS: [f64; 24] = [
    2.0, 1.0, 0.6, 0.5, 0.5, 0.8, 1.6, 2.6, 3.4, 4.0, 4.6, 5.0, 5.4, 5.0, 4.8, 4.8, 5.0, 5.4, 6.0, 7.0, 8.0,
    8.0, 6.0, 3.6,
];

/// One event, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DraftEvent {
    /// Time.
    pub at: Timestamp,
    /// Breaks ties: the order of generation.
    order: u64,
    /// Kind.
    pub kind: Kind,
    /// Number of the item.
    pub item: u32,
    /// Number of the visitor, from 1.
    pub visitor: u64,
    /// Number of the session, from 1.
    pub session: u64,
    /// Index into [`COUNTRIES`].
    pub country: u8,
    /// Quantity.
    pub quantity: u32,
}

#[derive(Clone, Copy)]
struct Visitor {
    number: u64,
    country: usize,
    category: usize,
    brand: u8,
    /// Preferred price level within a category, from -1 (cheap) to 1.
    budget: f64,
}

/// Iterator over all events in order of time, which generates them lazily.
pub struct Visits<'a> {
    catalogue: &'a DemoCatalogue,
    random: Random,
    start: Timestamp,
    days: Vec<f64>,
    hours: Vec<f64>,
    sessions: u64,
    next_session: u64,
    visitors: u64,
    orders: u64,
    people: Vec<Visitor>,
    countries: Vec<f64>,
    /// By country, cumulative weights of the categories.
    tastes: Vec<Vec<f64>>,
    /// Median price of each category, in hundredths.
    medians: Vec<f64>,
    /// Generated events that later sessions may still precede.
    pending: BinaryHeap<Reverse<DraftEvent>>,
    /// No event that is not generated yet is earlier.
    generated_until: Timestamp,
}

impl<'a> Visits<'a> {
    /// `sessions` visits over the `days` that begin at `start`.
    pub fn new(catalogue: &'a DemoCatalogue, sessions: u64, seed: u64, start: Timestamp, days: u32) -> Self {
        let mut random = Random::new(seed, "visits");
        let weights: Vec<f64> =
            catalogue.categories.iter().enumerate().map(|(rank, _)| 1.0 / (rank + 3) as f64).collect();
        let tastes = COUNTRIES
            .iter()
            .map(|_| {
                let popularity = weights.iter().zip(&catalogue.categories).map(|(weight, items)| {
                    let taste = (0.7 * random.normal()).exp();
                    if items.is_empty() { 0.0 } else { weight * taste }
                });
                cumulative(popularity.collect::<Vec<_>>())
            })
            .collect();
        Self {
            medians: catalogue.categories.iter().map(|items| median_price(catalogue, items)).collect(),
            catalogue,
            start,
            // Visits grow from day to day and peak at weekends.
            days: cumulative((0..days).map(|day| {
                let weekend = if day % 7 >= 5 { 1.25 } else { 1.0 };
                weekend * (1.0 + 0.3 * f64::from(day) / f64::from(days))
            })),
            hours: cumulative((0..24).map(|utc: i64| {
                let local = |ahead: i64| HOURS[(utc + ahead).rem_euclid(24) as usize];
                COUNTRIES.iter().map(|(_, weight, ahead)| weight * local(*ahead)).sum()
            })),
            sessions,
            next_session: 0,
            visitors: 0,
            orders: 0,
            people: Vec::new(),
            countries: cumulative(COUNTRIES.iter().map(|(_, weight, _)| *weight)),
            tastes,
            pending: BinaryHeap::new(),
            generated_until: start,
            random,
        }
    }

    /// Start of a session: its quantile in the distribution over days and hours.
    fn time_of(&mut self, session: u64) -> Timestamp {
        let share = (session as f64 + self.random.unit()) / self.sessions as f64;
        let (day, in_day) = place(&self.days, share);
        let (hour, in_hour) = place(&self.hours, in_day);
        let ms = day as f64 * DAY_MS as f64 + (hour as f64 + in_hour) * 3_600_000.0;
        Timestamp(self.start.0 + ms as i64)
    }

    fn person(&mut self) -> Visitor {
        // Few visitors return at the beginning.
        let known = self.people.len() as f64;
        if self.random.chance(0.45 * known / (known + 300.0)) {
            return *self.random.pick(&self.people);
        }
        self.visitors += 1;
        let country = self.random.weighted(&self.countries);
        let person = Visitor {
            number: self.visitors,
            country,
            category: self.random.weighted(&self.tastes[country]),
            brand: self.random.below(8) as u8,
            budget: (0.5 * self.random.normal()).clamp(-1.0, 1.0),
        };
        if self.people.len() < RETURNING {
            self.people.push(person);
        } else {
            let place = self.random.below(RETURNING);
            self.people[place] = person;
        }
        person
    }

    /// Generates one session.
    fn visit(&mut self) {
        let start = self.time_of(self.next_session);
        self.next_session += 1;
        self.generated_until = start;
        let person = self.person();
        // Some visits are for another category than usual.
        let mut category = if self.random.chance(0.6) {
            person.category
        } else {
            self.random.weighted(&self.tastes[person.country])
        };
        let mut at = start;
        let mut cart = Vec::new();
        let mut item = self.in_category(category, person, at);
        let length = 1 + self.random.exponential(5.0) as usize;
        for step in 0..length.min(80) {
            if step > 0 {
                item = self.next(item, &mut category, person, at);
                at = Timestamp(at.0 + 3_000 + self.random.exponential(45_000.0).min(600_000.0) as i64);
            }
            if self.random.chance(0.4) {
                self.push(Kind::Click, item, at, person, 1);
                at = Timestamp(at.0 + 400 + self.random.below(1_200) as i64);
            }
            self.push(Kind::View, item, at, person, 1);
            if self.catalogue.goods[item as usize].in_stock
                && self.random.chance(0.06)
                && !cart.contains(&item)
            {
                let wait = 4_000 + self.random.exponential(15_000.0) as i64;
                at = Timestamp(at.0 + wait);
                self.push(Kind::Cart, item, at, person, 1);
                cart.push(item);
            }
        }
        if !cart.is_empty() && self.random.chance(0.5) {
            at = Timestamp(at.0 + 30_000 + self.random.exponential(60_000.0) as i64);
            for item in cart {
                let quantity = 1 + self.random.zipf(4) as u32;
                self.push(Kind::Purchase, item, at, person, quantity);
            }
        }
    }

    fn push(&mut self, kind: Kind, item: u32, at: Timestamp, person: Visitor, quantity: u32) {
        self.orders += 1;
        self.pending.push(Reverse(DraftEvent {
            at,
            order: self.orders,
            kind,
            item,
            visitor: person.number,
            session: self.next_session,
            country: person.country as u8,
            quantity,
        }));
    }

    fn next(&mut self, item: u32, category: &mut usize, person: Visitor, at: Timestamp) -> u32 {
        let good = self.catalogue.goods[item as usize];
        let chance = self.random.unit();
        if chance < 0.50 {
            return self.in_category(*category, person, at);
        }
        if chance < 0.80 {
            let list = &self.catalogue.collections[good.collection as usize];
            return self.choose(list, at, |other, _| other.category != good.category);
        }
        if chance < 0.92 {
            let drift = self.random.weighted(&self.tastes[person.country]);
            // Half of the drifts out of the department stay within the collection instead.
            let department = self.catalogue.departments[usize::from(good.category)];
            let near = self.catalogue.collections[good.collection as usize].as_slice();
            if self.random.chance(0.5) && self.catalogue.departments[drift] != department {
                let other = self.choose(near, at, |_, _| true);
                *category = usize::from(self.catalogue.goods[other as usize].category);
            } else {
                *category = drift;
            }
            return self.in_category(*category, person, at);
        }
        let favourite = self.random.weighted(&self.tastes[person.country]);
        let list = &self.catalogue.categories[favourite];
        self.choose(list, at, |_, _| true)
    }

    fn in_category(&mut self, category: usize, person: Visitor, at: Timestamp) -> u32 {
        let list = &self.catalogue.categories[category];
        let median = self.medians[category];
        self.choose(list, at, |good, random| {
            let price = (f64::from(good.cents) / median).ln();
            let fits = (-(price - 0.5 * person.budget).powi(2) * 4.0).exp();
            let brand = if good.brand == person.brand { 1.0 } else { 0.5 };
            let home = if usize::from(good.home) == person.country { 1.0 } else { 0.45 };
            random.chance(fits * brand * home)
        })
    }

    /// Draws from a list by popularity until an item is suitable; after [`TRIES`] attempts takes any available one.
    fn choose(
        &mut self,
        list: &[u32],
        at: Timestamp,
        is_suitable: impl Fn(DemoItem, &mut Random) -> bool,
    ) -> u32 {
        let mut last = list[0];
        for _ in 0..TRIES {
            let item = list[self.random.zipf(list.len())];
            let good = self.catalogue.goods[item as usize];
            // Sold-out items are viewed less.
            if good.added_at > at || !(good.in_stock || self.random.chance(0.2)) {
                continue;
            }
            last = item;
            if is_suitable(good, &mut self.random) {
                break;
            }
        }
        last
    }
}

impl Iterator for Visits<'_> {
    type Item = DraftEvent;

    fn next(&mut self) -> Option<DraftEvent> {
        loop {
            let done = self.next_session == self.sessions;
            match self.pending.peek() {
                Some(Reverse(draft)) if done || draft.at < self.generated_until => {
                    return self.pending.pop().map(|Reverse(draft)| draft);
                }
                None if done => return None,
                _ => self.visit(),
            }
        }
    }
}

/// Inverse of a cumulative distribution: the index of a quantile, and the fraction within it.
fn place(cumulative: &[f64], share: f64) -> (usize, f64) {
    let sum = cumulative.last().copied().unwrap_or(1.0);
    let target = share.min(1.0) * sum;
    let index = cumulative.partition_point(|bound| *bound <= target).min(cumulative.len() - 1);
    let before = if index == 0 { 0.0 } else { cumulative[index - 1] };
    (index, ((target - before) / (cumulative[index] - before)).clamp(0.0, 1.0))
}

fn median_price(catalogue: &DemoCatalogue, items: &[u32]) -> f64 {
    let mut prices: Vec<u32> = items.iter().map(|item| catalogue.goods[*item as usize].cents).collect();
    prices.sort_unstable();
    prices.get(prices.len() / 2).map_or(1.0, |cents| f64::from(*cents))
}
