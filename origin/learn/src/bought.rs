//! The bought-together table, for carts and order pages.
//!
//! The co-view formula over orders instead of sessions. The sequence within an order carries no information, so transitions
//! have no weight. Apart from the popularity discount, `T[i,j] / T[i,i]` is the probability that an order with `i` contains
//! `j`. The diagonal is therefore multiplied by the probability that `i` is bought again in a later order
//! ([`super::orders::RepurchaseStats`]), which puts it on the scale of its row: items bought before are recommended in shops
//! where visitors re-buy them, and only there.

use crate::{Table, coview, orders, prune};

/// Parameters of the formula; λ is 1, since an order counts only `1/|s|²` as evidence.
const PARAMS: coview::CoviewParams =
    coview::CoviewParams { a: 1.0, g: 0.5, t: 0.5, beta: 0.0, lambda: 1.0, c: 0.15, tau: 1.0 };

/// Learns the table of `items` items, `k` neighbours per row.
pub fn learn(
    orders: &[orders::Order],
    items: usize,
    repurchases: &orders::RepurchaseStats,
    k: usize,
) -> Table {
    let mut table = coview::learn(&orders::sessions(orders), items, &PARAMS, k + 1);
    for (item, row) in (0u32..).zip(&mut table) {
        let own = row.iter_mut().find(|entry| entry.0 == item);
        own.into_iter().for_each(|entry| entry.1 *= repurchases.rates[item as usize]);
        *row = prune(std::mem::take(row), k);
    }
    table
}
