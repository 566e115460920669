//! Orders: items bought together, and how often they are bought again.

use crate::sessions::{self, Sessions};
use origin_data::{LogEvent, Standing};
use snapshots::{
    event::Kind,
    time::{DAY_MS, Timestamp},
};
use std::collections::HashMap;

/// Weight of an abandoned cart, relative to an order; the ratio is that of the kinds in popularity.
const CARTED: f32 = 0.5;
/// Prior of an item's repurchase rate, in opportunities at the shop's rate.
const PRIOR: f32 = 10.0;

/// An order, or an abandoned cart.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The visitor; 0 if unknown.
    pub visitor: u64,
    /// Time of its last event.
    pub at: Timestamp,
    /// Distinct item indices, oldest first.
    pub items: Vec<u32>,
    /// Whether it is an order.
    pub bought: bool,
}

/// Splits a log, ordered by time, into orders, oldest first. `index` maps the log's items to item indices. The purchases of a
/// session are an order; without purchases its cart is taken. Unconfirmed ones are neither.
pub fn split(events: &[LogEvent], index: &[u32]) -> Vec<Order> {
    let is_believed = |event: &LogEvent| {
        matches!(event.kind, Kind::Cart | Kind::Purchase)
            && event.standing != Standing::Unconfirmed
            && !event.held
    };
    let order = |run: Vec<u32>| {
        let all = || run.iter().map(|place| &events[*place as usize]);
        let bought = all().any(|event| event.kind == Kind::Purchase);
        let mut items = Vec::new();
        for event in all().filter(|event| (event.kind == Kind::Purchase) == bought) {
            let item = index[event.item as usize];
            if !items.contains(&item) {
                items.push(item);
            }
        }
        let last = &events[run[run.len() - 1] as usize];
        Order { visitor: last.visitor, at: last.at, items, bought }
    };
    sessions::split(events, is_believed).into_iter().map(order).collect()
}

/// Orders as sessions, with less weight for abandoned carts.
pub fn sessions(orders: &[Order]) -> Sessions {
    let mut sessions = Sessions::default();
    for order in orders {
        let weight = if order.bought { 1.0 } else { CARTED };
        sessions.push_weighted(order.items.iter().copied(), order.at, weight);
    }
    sessions
}

/// Repurchase statistics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RepurchaseStats {
    /// Repurchases per opportunity, over all items.
    pub rate: f32,
    /// The same by item, smoothed towards `rate`.
    pub rates: Vec<f32>,
    /// Share of the items in later orders that the visitor had bought before.
    pub share: f32,
    /// Median days between two purchases of an item by one visitor; `None` if there are none.
    pub days: Option<f32>,
}

impl RepurchaseStats {
    /// Computes the statistics. Every order of a visitor after the first with an item is an *opportunity* to buy the item
    /// again, so visitors with a single order do not count.
    ///
    /// ```text
    /// rate_i = (repurchases_i + 10 · rate) / (opportunities_i + 10)        rate = Σ repurchases / Σ opportunities
    /// ```
    /// `rate_i` is the posterior mean under a Beta prior worth ten opportunities at the shop's rate.
    pub fn new(orders: &[Order], items: usize) -> Self {
        /// One visitor and item: earlier orders without it, number of purchases, time of the last.
        struct Bought {
            before: u32,
            times: u32,
            last: Timestamp,
        }
        let mut by_visitor: HashMap<u64, Vec<&Order>> = HashMap::new();
        for order in orders.iter().filter(|order| order.bought && order.visitor != 0) {
            by_visitor.entry(order.visitor).or_default().push(order);
        }
        let (mut repurchases, mut opportunities, mut intervals) =
            (vec![0u32; items], vec![0u32; items], Vec::new());
        let mut later = 0usize;
        for orders in by_visitor.values().filter(|orders| orders.len() > 1) {
            let mut bought: HashMap<u32, Bought> = HashMap::new();
            later += orders[1..].iter().map(|order| order.items.len()).sum::<usize>();
            for (before, order) in (0u32..).zip(orders) {
                for item in &order.items {
                    let new = Bought { before, times: 0, last: order.at };
                    let item = bought.entry(*item).or_insert(new);
                    if item.times > 0 {
                        intervals.push(order.at.0 - item.last.0);
                    }
                    (item.times, item.last) = (item.times + 1, order.at);
                }
            }
            for (item, bought) in bought {
                repurchases[item as usize] += bought.times - 1;
                opportunities[item as usize] += orders.len() as u32 - 1 - bought.before;
            }
        }
        let sum = |counts: &[u32]| counts.iter().map(|count| f64::from(*count)).sum::<f64>();
        let rate = (sum(&repurchases) / sum(&opportunities).max(1.0)) as f32;
        let share = (sum(&repurchases) / later.max(1) as f64) as f32;
        let smoothed = |(count, opportunities): (&u32, &u32)| {
            (*count as f32 + PRIOR * rate) / (*opportunities as f32 + PRIOR)
        };
        let middle = intervals.len() / 2;
        let days =
            (!intervals.is_empty()).then(|| *intervals.select_nth_unstable(middle).1 as f32 / DAY_MS as f32);
        Self { rate, rates: repurchases.iter().zip(&opportunities).map(smoothed).collect(), share, days }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(day: i64, visitor: u64, kind: Kind, item: u32) -> LogEvent {
        LogEvent::new(Timestamp(day * DAY_MS), kind, item, visitor)
    }

    #[test]
    fn purchases_make_an_order_and_carts_count_without_them() {
        use Kind::{Cart, Purchase, View};
        let events = [
            event(0, 1, View, 0),
            event(0, 1, Cart, 1),
            event(0, 1, Purchase, 2),
            event(0, 1, Purchase, 3),
            event(0, 1, Purchase, 2),
            event(1, 2, Cart, 3),
            event(2, 1, Purchase, 0),
        ];
        let orders = split(&events, &[0, 10, 20, 30]);
        let order = |day: i64, visitor, items: &[u32], bought| Order {
            visitor,
            at: Timestamp(day * DAY_MS),
            items: items.to_vec(),
            bought,
        };
        let expected = [order(0, 1, &[20, 30], true), order(1, 2, &[30], false), order(2, 1, &[0], true)];
        assert_eq!(orders, expected);
        assert_eq!(
            sessions(&orders).iter().map(|session| session.weight).collect::<Vec<_>>(),
            [1.0, 0.5, 1.0]
        );
    }

    #[test]
    fn orders_that_anyone_may_have_made_up_are_none() {
        let said = |standing, item| LogEvent { standing, ..event(0, 1, Kind::Purchase, item) };
        let index = [0, 1, 2];
        let made_up = [said(Standing::Unconfirmed, 0), said(Standing::Unconfirmed, 1)];
        assert_eq!(split(&made_up, &index), []);
        let confirmed =
            [made_up[0], made_up[1], said(Standing::Confirming, 0), said(Standing::Confirming, 1)];
        assert_eq!(split(&confirmed, &index)[0].items, [0, 1]);
    }

    #[test]
    fn every_later_order_is_an_opportunity() {
        let order = |day: i64, visitor, items: &[u32]| Order {
            visitor,
            at: Timestamp(day * DAY_MS),
            items: items.to_vec(),
            bought: true,
        };
        // Visitor 1 buys 0 again in one of two later orders, 1 in none of one; visitor 2 has a single order.
        let orders = [order(0, 1, &[0]), order(1, 2, &[0, 1]), order(7, 1, &[1]), order(21, 1, &[0, 2])];
        let repurchases = RepurchaseStats::new(&orders, 4);
        let rate = 1.0 / 3.0;
        // Later orders hold 1, 0 and 2; of these, 0 was bought before.
        assert_eq!((repurchases.rate, repurchases.share, repurchases.days), (rate, 1.0 / 3.0, Some(21.0)));
        assert_eq!(repurchases.rates, [(1.0 + 10.0 * rate) / 12.0, 10.0 * rate / 11.0, rate, rate]);
        assert_eq!(
            RepurchaseStats::new(&[], 1),
            RepurchaseStats { rates: vec![0.0], ..RepurchaseStats::default() }
        );
    }
}
