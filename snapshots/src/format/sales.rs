//! Section `sales`: the sale prices of items, with their times. A snapshot without sales does not have it.
//!
//! The indices of the items on sale, ascending; then, alike ordered, their sale prices in hundredths and the times that they
//! hold from and until, in seconds since 1970; last all of these times, ascending. An item takes 3.6 bytes where 20,000 of
//! 250,000 items are on sale for one of a few periods.

use super::{
    error::Error,
    layout::{Column, Packed, join, split},
};
use crate::wire::time::Timestamp;
use bytes::Bytes;

/// Name of the section.
pub const NAME: &str = "sales";
/// Version of its layout.
pub const VERSION: u32 = 1;

/// A sale of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Price in hundredths of the currency.
    pub price: u32,
    /// The second since 1970 that it begins; 0 if it has begun.
    pub from: u32,
    /// The second since 1970 that it ends; `u32::MAX` if it does not.
    pub until: u32,
}

impl Sale {
    /// A sale that holds from an instant until before another.
    pub fn new(price: u32, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        // An instant within a second counts as the next one.
        let second = |at: Timestamp| seconds(Timestamp(at.0.saturating_add(999)));
        Self { price, from: from.map_or(0, second), until: until.map_or(u32::MAX, second) }
    }

    /// Whether it holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        (self.from..self.until).contains(&seconds(now))
    }
}

/// Whole seconds since 1970.
fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.0.div_euclid(1_000).max(0)).unwrap_or(u32::MAX - 1)
}

/// The sales of all items, read in place. The default has none.
#[derive(Clone, Debug, Default)]
pub struct Sales {
    items: Packed,
    prices: Column,
    from: Column,
    until: Column,
    times: Packed,
}

impl Sales {
    /// Opens the section.
    ///
    /// # Errors
    /// [`Error::Section`] if its columns are inconsistent.
    pub fn open(section: &Bytes) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section: NAME, detail };
        let [items, prices, from, until, times] =
            split(section).ok_or(bad("it does not have its five columns"))?;
        let packed = |column| Packed::open(column).ok_or(bad("a column of numbers is truncated"));
        let column = |column| Column::open(&column).ok_or(bad("a column of numbers is truncated"));
        let opened = Self {
            items: packed(items)?,
            prices: column(prices)?,
            from: column(from)?,
            until: column(until)?,
            times: packed(times)?,
        };
        let count = opened.items.len();
        let columns = [&opened.prices, &opened.from, &opened.until];
        if columns.iter().any(|column| column.len() != count) || opened.times.len() > count.saturating_mul(2)
        {
            return Err(bad("its columns have different lengths"));
        }
        Ok(opened)
    }

    /// The sale of an item, whether it holds or not.
    pub fn sale(&self, item: u32) -> Option<Sale> {
        let place = preceding(&self.items, |known| known < item);
        self.items.get(place).filter(|known| *known == item)?;
        Some(Sale {
            price: self.prices.get(place)?,
            from: self.from.get(place)?,
            until: self.until.get(place)?,
        })
    }

    /// The number of instants, up to now, at which a sale began or ended. Prices differ only if this number does.
    pub fn changes(&self, now: Timestamp) -> usize {
        preceding(&self.times, |time| time <= seconds(now))
    }
}

/// How many of the first numbers of an ascending column are so.
fn preceding(column: &Packed, is_so: impl Fn(u32) -> bool) -> usize {
    let (mut start, mut end) = (0, column.len());
    while start < end {
        let middle = usize::midpoint(start, end);
        match column.get(middle).is_some_and(&is_so) {
            true => start = middle + 1,
            false => end = middle,
        }
    }
    start
}

/// Encodes each item's sale, in index order; `None` if there are none.
pub fn write(sales: &[Option<Sale>]) -> Option<Vec<u8>> {
    let on_sale: Vec<(u32, Sale)> =
        (0u32..).zip(sales).filter_map(|(index, sale)| Some((index, (*sale)?))).collect();
    let mut times: Vec<u32> = on_sale.iter().flat_map(|(_, sale)| [sale.from, sale.until]).collect();
    times.retain(|time| (1..u32::MAX).contains(time));
    times.sort_unstable();
    times.dedup();
    let column = |field: fn(&Sale) -> u32| {
        Column::write(&on_sale.iter().map(|(_, sale)| field(sale)).collect::<Vec<_>>())
    };
    let parts = [
        Packed::write(&on_sale.iter().map(|(item, _)| *item).collect::<Vec<_>>()),
        column(|sale| sale.price),
        column(|sale| sale.from),
        column(|sale| sale.until),
        Packed::write(&times),
    ];
    (!on_sale.is_empty()).then(|| join(&parts.each_ref().map(|part| &**part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sale() -> impl Strategy<Value = Sale> {
        let time = || prop_oneof![Just(0), Just(u32::MAX), any::<u32>(), 1_795_000_000u32..1_795_000_009];
        (any::<u32>(), time(), time()).prop_map(|(price, from, until)| Sale { price, from, until })
    }

    #[test]
    fn a_sale_holds_from_its_start_until_before_its_end() {
        let sale = Sale::new(1_500, Some(Timestamp(10_000)), Some(Timestamp(20_000)));
        let holds = [0, 9_999, 10_000, 19_999, 20_000].map(|now| sale.holds(Timestamp(now)));
        assert_eq!(holds, [false, false, true, true, false]);
        let always = Sale::new(1, None, None);
        assert!([i64::MIN, -1, 0, i64::MAX].iter().all(|now| always.holds(Timestamp(*now))));
        let never = Sale::new(1, Some(Timestamp(i64::MAX)), Some(Timestamp(i64::MIN)));
        assert!(!never.holds(Timestamp(0)));
        assert_eq!(write(&[None, None]), None);
        // Twenty thousand items on sale in two periods.
        let many: Vec<_> = (0..250_000u32)
            .map(|item| {
                (item % 25 < 2).then(|| Sale {
                    price: item % 300 * 100,
                    from: 0,
                    until: 1_795_000_000 + item % 2,
                })
            })
            .collect();
        assert!(write(&many).unwrap().len() < 72_000);
    }

    proptest! {
        #[test]
        fn sales_read_as_they_were_written(
            sales in proptest::collection::vec(proptest::option::of(sale()), 0..50), now in 1_794_999_999_000i64..1_795_000_010_000,
        ) {
            let written = write(&sales);
            prop_assert_eq!(written.is_none(), sales.iter().all(Option::is_none));
            let Some(section) = written else { return Ok(()) };
            let opened = Sales::open(&section.into()).unwrap();
            for (item, sale) in (0u32..).zip(&sales) {
                prop_assert_eq!(opened.sale(item), *sale);
            }
            prop_assert_eq!(opened.sale(sales.len() as u32), None);
            let (now, next) = (Timestamp(now), Timestamp(now + 1_000));
            let held = |at| sales.iter().flatten().map(|sale| sale.holds(at)).collect::<Vec<_>>();
            prop_assert!(opened.changes(now) <= opened.changes(next));
            prop_assert!(opened.changes(now) < opened.changes(next) || held(now) == held(next));
        }

        #[test]
        fn any_bytes_open_or_give_an_error(
            sales in proptest::collection::vec(proptest::option::of(sale()), 1..9), at in any::<prop::sample::Index>(), to in any::<u8>(),
            cut in any::<bool>(),
        ) {
            let Some(mut section) = write(&sales) else { return Ok(()) };
            let at = at.index(section.len());
            if cut { section.truncate(at) } else { section[at] = to }
            if let Ok(opened) = Sales::open(&section.into()) {
                prop_assert!(!cut);
                let _ = (opened.sale(0), opened.sale(u32::MAX), opened.changes(Timestamp(0)));
            }
        }
    }
}
