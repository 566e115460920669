//! The made-up visits: who comes when, what they look at next, and what they buy.
//!
//! Behind the clicks there is a structure that learning can find. A session has an interest, a category, and a
//! person a taste, a maker and a budget. The next item is most often a similar one (of the category, near in
//! taste), or one that goes with it (of its collection, in another category of the department); now and then
//! the interest drifts, or everybody's favourite is looked at. Popularity in each list follows Zipf's law;
//! countries want categories to different degrees and prefer items that are at home there.

use crate::generate::catalogue::{Catalogue, Good};
use crate::generate::words::COUNTRIES;
use origin_learn::rng::{Random, cumulative};
use snapshots::event::Kind;
use snapshots::time::{DAY_MS, Timestamp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Visitors that may come again; the one who comes new takes the place of another.
const REMEMBERED: usize = 50_000;
/// Tries to find an item to a person's taste before any will do.
const TRIES: usize = 8;
/// Visits by the hour of the day where the visitor is, from midnight on.
const HOURS: [f64; 24] = [
    2.0, 1.0, 0.6, 0.5, 0.5, 0.8, 1.6, 2.6, 3.4, 4.0, 4.6, 5.0, 5.4, 5.0, 4.8, 4.8, 5.0, 5.4, 6.0, 7.0, 8.0,
    8.0, 6.0, 3.6,
];

/// One event, not yet spelt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Draft {
    /// When.
    pub at: Timestamp,
    /// Breaks ties; rises with the order of making.
    order: u64,
    /// What was done.
    pub kind: Kind,
    /// Number of the item.
    pub item: u32,
    /// Number of the visitor, from 1.
    pub visitor: u64,
    /// Number of the session, from 1.
    pub session: u64,
    /// Index into [`COUNTRIES`].
    pub country: u8,
    /// How many.
    pub quantity: u32,
}

#[derive(Clone, Copy)]
struct Person {
    number: u64,
    country: usize,
    category: usize,
    brand: u8,
    /// Their budget as a place among the prices of any category, from -1 (cheap) to 1.
    budget: f64,
}

/// All events of the log in the order of time, made as they are asked for.
pub struct Visits<'a> {
    catalogue: &'a Catalogue,
    random: Random,
    start: Timestamp,
    days: Vec<f64>,
    hours: Vec<f64>,
    sessions: u64,
    next_session: u64,
    visitors: u64,
    orders: u64,
    people: Vec<Person>,
    countries: Vec<f64>,
    /// For each country, how much it wants each category.
    tastes: Vec<Vec<f64>>,
    /// Median price of each category, in hundredths.
    medians: Vec<f64>,
    /// Events made already that may still be overtaken.
    waiting: BinaryHeap<Reverse<Draft>>,
    /// No event that is still to be made is earlier.
    made_until: Timestamp,
}

impl<'a> Visits<'a> {
    /// `sessions` visits over the `days` that begin at `start`.
    pub fn new(catalogue: &'a Catalogue, sessions: u64, seed: u64, start: Timestamp, days: u32) -> Self {
        let mut random = Random::new(seed, "visits");
        let weights: Vec<f64> =
            catalogue.categories.iter().enumerate().map(|(rank, _)| 1.0 / (rank + 3) as f64).collect();
        let tastes = COUNTRIES
            .iter()
            .map(|_| {
                let wanted = weights.iter().zip(&catalogue.categories).map(|(weight, items)| {
                    let taste = (0.7 * random.normal()).exp();
                    if items.is_empty() { 0.0 } else { weight * taste }
                });
                cumulative(wanted.collect::<Vec<_>>())
            })
            .collect();
        Self {
            medians: catalogue.categories.iter().map(|items| median_price(catalogue, items)).collect(),
            catalogue,
            start,
            // The shop grows a little from day to day and has busy weekends.
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
            waiting: BinaryHeap::new(),
            made_until: start,
            random,
        }
    }

    /// Start of a session: the sessions' share of all, laid on the curve of days and hours.
    fn time_of(&mut self, session: u64) -> Timestamp {
        let share = (session as f64 + self.random.unit()) / self.sessions as f64;
        let (day, in_day) = place(&self.days, share);
        let (hour, in_hour) = place(&self.hours, in_day);
        let ms = day as f64 * DAY_MS as f64 + (hour as f64 + in_hour) * 3_600_000.0;
        Timestamp(self.start.0 + ms as i64)
    }

    fn person(&mut self) -> Person {
        // On the first day few can have been there before.
        let known = self.people.len() as f64;
        if self.random.chance(0.45 * known / (known + 300.0)) {
            return *self.random.pick(&self.people);
        }
        self.visitors += 1;
        let country = self.random.weighted(&self.countries);
        let person = Person {
            number: self.visitors,
            country,
            category: self.random.weighted(&self.tastes[country]),
            brand: self.random.below(8) as u8,
            budget: (0.5 * self.random.normal()).clamp(-1.0, 1.0),
        };
        if self.people.len() < REMEMBERED {
            self.people.push(person);
        } else {
            let place = self.random.below(REMEMBERED);
            self.people[place] = person;
        }
        person
    }

    /// Makes one whole session.
    fn visit(&mut self) {
        let start = self.time_of(self.next_session);
        self.next_session += 1;
        self.made_until = start;
        let person = self.person();
        // People come back for something else as often as not.
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
                self.make(Kind::Click, item, at, person, 1);
                at = Timestamp(at.0 + 400 + self.random.below(1_200) as i64);
            }
            self.make(Kind::View, item, at, person, 1);
            if self.catalogue.goods[item as usize].in_stock
                && self.random.chance(0.06)
                && !cart.contains(&item)
            {
                let wait = 4_000 + self.random.exponential(15_000.0) as i64;
                at = Timestamp(at.0 + wait);
                self.make(Kind::Cart, item, at, person, 1);
                cart.push(item);
            }
        }
        if !cart.is_empty() && self.random.chance(0.5) {
            at = Timestamp(at.0 + 30_000 + self.random.exponential(60_000.0) as i64);
            for item in cart {
                let quantity = 1 + self.random.zipf(4) as u32;
                self.make(Kind::Purchase, item, at, person, quantity);
            }
        }
    }

    fn make(&mut self, kind: Kind, item: u32, at: Timestamp, person: Person, quantity: u32) {
        self.orders += 1;
        self.waiting.push(Reverse(Draft {
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

    fn next(&mut self, item: u32, category: &mut usize, person: Person, at: Timestamp) -> u32 {
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
            // To a neighbour in the department more often than away from it.
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

    fn in_category(&mut self, category: usize, person: Person, at: Timestamp) -> u32 {
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

    /// Draws from a list by popularity until one suits; after a few tries any that can be seen.
    fn choose(&mut self, list: &[u32], at: Timestamp, suits: impl Fn(Good, &mut Random) -> bool) -> u32 {
        let mut last = list[0];
        for _ in 0..TRIES {
            let item = list[self.random.zipf(list.len())];
            let good = self.catalogue.goods[item as usize];
            // What is sold out is found less.
            if good.added_at > at || !(good.in_stock || self.random.chance(0.2)) {
                continue;
            }
            last = item;
            if suits(good, &mut self.random) {
                break;
            }
        }
        last
    }
}

impl Iterator for Visits<'_> {
    type Item = Draft;

    fn next(&mut self) -> Option<Draft> {
        loop {
            let done = self.next_session == self.sessions;
            match self.waiting.peek() {
                Some(Reverse(draft)) if done || draft.at < self.made_until => {
                    return self.waiting.pop().map(|Reverse(draft)| draft);
                }
                None if done => return None,
                _ => self.visit(),
            }
        }
    }
}

/// Where a share from 0 to 1 of all weight falls: the index, and how far into it.
fn place(cumulative: &[f64], share: f64) -> (usize, f64) {
    let sum = cumulative.last().copied().unwrap_or(1.0);
    let target = share.min(1.0) * sum;
    let index = cumulative.partition_point(|bound| *bound <= target).min(cumulative.len() - 1);
    let before = if index == 0 { 0.0 } else { cumulative[index - 1] };
    (index, ((target - before) / (cumulative[index] - before)).clamp(0.0, 1.0))
}

fn median_price(catalogue: &Catalogue, items: &[u32]) -> f64 {
    let mut prices: Vec<u32> = items.iter().map(|item| catalogue.goods[*item as usize].cents).collect();
    prices.sort_unstable();
    prices.get(prices.len() / 2).map_or(1.0, |cents| f64::from(*cents))
}
