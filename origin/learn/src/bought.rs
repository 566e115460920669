//! The table of what is bought together, for carts and order pages.
//!
//! The co-view table's formula over orders in place of sessions. Order within an order says nothing, so nothing of
//! it is transitions. There `T[i,j] / T[i,i]` is, but for the discount on the popular, the chance that an order with
//! `i` holds `j`; so the diagonal times the chance that `i` is bought again in a later order
//! ([`super::orders::RepurchaseStats`]) is on one scale with its row: what a visitor bought before comes back where people
//! re-buy, and stays away where they do not.

use crate::{Table, coview, orders, prune};

/// The numbers of the formula: λ 1, since an order counts only `1/|s|²` as evidence.
const RECIPE: coview::CoviewParams =
    coview::CoviewParams { a: 1.0, g: 0.5, t: 0.5, beta: 0.0, lambda: 1.0, c: 0.15, tau: 1.0 };

/// Learns the table of `items` items, `k` neighbours a row.
pub fn learn(orders: &[orders::Order], items: usize, again: &orders::RepurchaseStats, k: usize) -> Table {
    let mut table = coview::learn(&orders::sessions(orders), items, &RECIPE, k + 1);
    for (item, row) in (0u32..).zip(&mut table) {
        let own = row.iter_mut().find(|entry| entry.0 == item);
        own.into_iter().for_each(|entry| entry.1 *= again.rates[item as usize]);
        *row = prune(std::mem::take(row), k);
    }
    table
}
