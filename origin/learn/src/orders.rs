//! Orders: what was bought in one go, and how often it is bought again.

use crate::sessions::{Sessions, runs};
use origin_data::LogEvent;
use snapshots::{
    event::Kind,
    time::{DAY_MS, Timestamp},
};
use std::collections::HashMap;

/// What a cart counts that was never bought, an order counting 1: as the kinds do in popularity.
const CARTED: f32 = 0.5;
/// Chances that an item's own count must outweigh before its rate is believed over the shop's.
const PRIOR: f32 = 10.0;

/// An order, or what lay in a cart where nothing was bought.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Whose; 0 when unknown.
    pub visitor: u64,
    /// When it ended.
    pub at: Timestamp,
    /// Distinct indices, in the order in which they were put there.
    pub items: Vec<u32>,
    /// Whether it was bought.
    pub bought: bool,
}

/// Cuts a log, ordered by time, into orders, oldest first. `index` maps the log's items to item indices. What a
/// session bought is an order; where it bought nothing, what it put into the cart.
pub fn cut(events: &[LogEvent], index: &[u32]) -> Vec<Order> {
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
    runs(events, |kind| matches!(kind, Kind::Cart | Kind::Purchase)).into_iter().map(order).collect()
}

/// Orders as sessions, mere carts with less weight.
pub fn sessions(orders: &[Order]) -> Sessions {
    let mut sessions = Sessions::default();
    for order in orders {
        let weight = if order.bought { 1.0 } else { CARTED };
        sessions.push_weighed(order.items.iter().copied(), order.at, weight);
    }
    sessions
}

/// How often what was bought is bought again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RepurchaseStats {
    /// Of the chances there were, the share that was taken, over all items.
    pub rate: f32,
    /// The same of each item, drawn towards `rate` while there are few chances.
    pub rates: Vec<f32>,
    /// Of what visitors put into orders after their first, the share that they had bought before.
    pub share: f32,
    /// The median of the days from one purchase of an item to the same visitor's next; `None` without any.
    pub days: Option<f32>,
}

impl RepurchaseStats {
    /// Counts. Every order of a visitor after the first that held an item is a *chance* of that item, taken when
    /// it holds the item too; so who never came back says nothing.
    ///
    /// ```text
    /// rate_i = (taken_i + 10 · rate) / (chances_i + 10)        rate = Σ taken / Σ chances
    /// ```
    /// The second is the posterior mean of a Beta prior worth ten chances at the shop's own rate.
    pub fn count(orders: &[Order], items: usize) -> Self {
        /// What a visitor did with one item: orders before the first that held it, times bought, the last time.
        struct Bought {
            before: u32,
            times: u32,
            last: Timestamp,
        }
        let mut by_visitor: HashMap<u64, Vec<&Order>> = HashMap::new();
        for order in orders.iter().filter(|order| order.bought && order.visitor != 0) {
            by_visitor.entry(order.visitor).or_default().push(order);
        }
        let (mut taken, mut chances, mut waits) = (vec![0u32; items], vec![0u32; items], Vec::new());
        let mut later = 0usize;
        for orders in by_visitor.values().filter(|orders| orders.len() > 1) {
            let mut bought: HashMap<u32, Bought> = HashMap::new();
            later += orders[1..].iter().map(|order| order.items.len()).sum::<usize>();
            for (before, order) in (0u32..).zip(orders) {
                for item in &order.items {
                    let new = Bought { before, times: 0, last: order.at };
                    let item = bought.entry(*item).or_insert(new);
                    if item.times > 0 {
                        waits.push(order.at.0 - item.last.0);
                    }
                    (item.times, item.last) = (item.times + 1, order.at);
                }
            }
            for (item, bought) in bought {
                taken[item as usize] += bought.times - 1;
                chances[item as usize] += orders.len() as u32 - 1 - bought.before;
            }
        }
        let sum = |counts: &[u32]| counts.iter().map(|count| f64::from(*count)).sum::<f64>();
        let rate = (sum(&taken) / sum(&chances).max(1.0)) as f32;
        let share = (sum(&taken) / later.max(1) as f64) as f32;
        let smoothed =
            |(taken, chances): (&u32, &u32)| (*taken as f32 + PRIOR * rate) / (*chances as f32 + PRIOR);
        let middle = waits.len() / 2;
        let days = (!waits.is_empty()).then(|| *waits.select_nth_unstable(middle).1 as f32 / DAY_MS as f32);
        Self { rate, rates: taken.iter().zip(&chances).map(smoothed).collect(), share, days }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(day: i64, visitor: u64, kind: Kind, item: u32) -> LogEvent {
        LogEvent { at: Timestamp(day * DAY_MS), kind, item, visitor, session: 0, area: 0, quantity: 1 }
    }

    #[test]
    fn what_is_bought_is_the_order_and_a_cart_counts_where_nothing_is() {
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
        let orders = cut(&events, &[0, 10, 20, 30]);
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
    fn every_later_order_is_a_chance_to_buy_again() {
        let order = |day: i64, visitor, items: &[u32]| Order {
            visitor,
            at: Timestamp(day * DAY_MS),
            items: items.to_vec(),
            bought: true,
        };
        // 0 is bought again in one of two orders by visitor 1; 1 in none of one; visitor 2 never came back.
        let orders = [order(0, 1, &[0]), order(1, 2, &[0, 1]), order(7, 1, &[1]), order(21, 1, &[0, 2])];
        let again = RepurchaseStats::count(&orders, 4);
        let rate = 1.0 / 3.0;
        // Of 1, 0 and 2 in later orders, 0 was bought before.
        assert_eq!((again.rate, again.share, again.days), (rate, 1.0 / 3.0, Some(21.0)));
        assert_eq!(again.rates, [(1.0 + 10.0 * rate) / 12.0, 10.0 * rate / 11.0, rate, rate]);
        assert_eq!(
            RepurchaseStats::count(&[], 1),
            RepurchaseStats { rates: vec![0.0], ..RepurchaseStats::default() }
        );
    }
}
