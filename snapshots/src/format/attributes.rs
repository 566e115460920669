//! Section `attributes`: the attributes of items that pages show and filters use.
//!
//! Columns by item: name, image and URL as dictionary-coded texts, decoded on access; category and brand as indices into
//! sorted lists; price in hundredths; the day it was added to the catalogue; stock. A number takes the bits of the
//! greatest in its column, or those of its index among the distinct numbers if that is shorter, so that an empty column
//! takes no space. A snapshot has one currency.
//!
//! With 250,000 items, names of 30 bytes in four to five words, 2,000 categories, 4,000 brands and 3,000 prices, an item
//! takes 12 bits each for price and brand, 11 each for category and day, 1 for stock and 61 for the name.

use super::{
    envelope::Section,
    error::Error,
    groups::{self, Groups},
    layout::{Column, Strings, join, split},
    sales::{self, Sale, Sales},
    text::{self, Texts},
};
use crate::wire::time::Timestamp;
use bytes::Bytes;
use std::borrow::Cow;

/// Name of the section.
pub const NAME: &str = "attributes";
/// Version of its layout.
pub const VERSION: u32 = 1;
/// Longest name, image or URL, in bytes. A longer one is dropped.
pub const MAX_TEXT: usize = text::MAX_TEXT;

/// The attributes of one item as a page shows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item<'a> {
    /// Name; empty when unknown.
    pub name: Cow<'a, str>,
    /// Category path (`Garden > Tools`); empty when unknown.
    pub category: &'a str,
    /// Brand; empty when unknown.
    pub brand: &'a str,
    /// URL of an image; empty if there is none.
    pub image: Cow<'a, str>,
    /// URL of the item's page; empty if there is none.
    pub url: Cow<'a, str>,
    /// Regular price in hundredths of the currency, less than `u32::MAX`.
    pub price: Option<u32>,
    /// A sale price with its times; in the section [`sales`].
    pub sale: Option<Sale>,
    /// The shop's id of the product that it is a variant of; empty if it has none. In the section [`groups`].
    pub group: &'a str,
    /// The day it was added to the catalogue, in days since 1970-01-01; 0 if unknown.
    pub added: u16,
    /// Whether the item is in stock.
    pub in_stock: bool,
}

/// The attributes of all items, read in place.
#[derive(Clone, Debug)]
pub struct Attributes {
    currency: Bytes,
    names: Texts,
    images: Texts,
    urls: Texts,
    categories: Strings,
    brands: Strings,
    /// In these columns, 0 means unknown.
    category: Column,
    brand: Column,
    price: Column,
    added: Column,
    /// 1 means out of stock.
    stock: Column,
    /// These are from sections of their own.
    pub(crate) sales: Sales,
    pub(crate) groups: Groups,
}

impl Attributes {
    /// Opens the section.
    ///
    /// # Errors
    /// [`Error::Section`] if its columns are inconsistent.
    pub fn open(section: &Bytes) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section: NAME, detail };
        let [currency, names, images, urls, categories, brands, category, brand, price, added, stock] =
            split(section).ok_or(bad("it does not have its eleven columns"))?;
        let numbers = |column| Column::open(column).ok_or(bad("a column of numbers is truncated"));
        let strings = |list| Strings::open(list).ok_or(bad("a list of texts is truncated"));
        let stock = numbers(&stock)?;
        let texts = |column| Texts::open(column, stock.len()).ok_or(bad("a column of texts is inconsistent"));
        let opened = Self {
            currency,
            names: texts(&names)?,
            images: texts(&images)?,
            urls: texts(&urls)?,
            categories: strings(&categories)?,
            brands: strings(&brands)?,
            category: numbers(&category)?,
            brand: numbers(&brand)?,
            price: numbers(&price)?,
            added: numbers(&added)?,
            stock,
            sales: Sales::default(),
            groups: Groups::default(),
        };
        let columns = [&opened.category, &opened.brand, &opened.price, &opened.added];
        if columns.iter().any(|column| column.len() != opened.len()) {
            return Err(bad("its columns have different lengths"));
        }
        Ok(opened)
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.stock.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// ISO 4217 code of all prices; empty when unknown.
    pub fn currency(&self) -> &str {
        core::str::from_utf8(&self.currency).unwrap_or("")
    }

    /// The attributes of the item at an index, whose id is `id`; the default past the end.
    pub fn item(&self, item: u32, id: &str) -> Item<'_> {
        let index = item as usize;
        let text = |column: &Texts| Cow::Owned(column.get(index, id));
        Item {
            name: text(&self.names),
            category: self.category(item).and_then(|place| self.categories.get(place as usize)).unwrap_or(""),
            brand: self.brand(item).and_then(|place| self.brands.get(place as usize)).unwrap_or(""),
            image: text(&self.images),
            url: text(&self.urls),
            price: self.price(item),
            sale: self.sales.sale(item),
            group: self.groups.group(item).and_then(|group| self.groups.name(group)).unwrap_or(""),
            added: self.added(item).unwrap_or(0),
            in_stock: self.in_stock(item),
        }
    }

    /// Whether the item is in stock; true if unknown.
    #[inline]
    pub fn in_stock(&self, item: u32) -> bool {
        self.stock.get(item as usize) != Some(1)
    }

    /// The price in force, in hundredths of the currency: that of a sale which holds, or else the regular one.
    #[inline]
    pub fn price_at(&self, item: u32, now: Timestamp) -> Option<u32> {
        let sale = self.sales.sale(item).filter(|sale| sale.holds(now));
        sale.map_or_else(|| self.price(item), |sale| Some(sale.price))
    }

    /// The groups of variants.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The sales.
    pub fn sales(&self) -> &Sales {
        &self.sales
    }

    /// Regular price in hundredths of the currency.
    #[inline]
    pub fn price(&self, item: u32) -> Option<u32> {
        self.price.get(item as usize)?.checked_sub(1)
    }

    /// The day the item was added to the catalogue, in days since 1970-01-01.
    #[inline]
    pub fn added(&self, item: u32) -> Option<u16> {
        self.added.get(item as usize).and_then(|day| u16::try_from(day).ok()).filter(|day| *day > 0)
    }

    /// Index of the item's category in [`Self::categories`].
    #[inline]
    pub fn category(&self, item: u32) -> Option<u32> {
        self.category.get(item as usize)?.checked_sub(1)
    }

    /// Index of the item's brand in [`Self::brands`].
    #[inline]
    pub fn brand(&self, item: u32) -> Option<u32> {
        self.brand.get(item as usize)?.checked_sub(1)
    }

    /// All category paths, sorted.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        (0..self.categories.len()).map(|place| self.categories.get(place).unwrap_or(""))
    }

    /// All brands, sorted.
    pub fn brands(&self) -> impl Iterator<Item = &str> {
        (0..self.brands.len()).map(|place| self.brands.get(place).unwrap_or(""))
    }
}

/// The sections of attributes that a snapshot may have besides [`NAME`].
pub const OPTIONAL: [&str; 2] = [sales::NAME, groups::NAME];

/// The sections of all items' attributes: [`write()`], and those of [`OPTIONAL`] that are not empty.
pub fn sections(currency: &str, ids: &[&str], items: &[Item<'_>]) -> Vec<Section> {
    let sales = sales::write(&items.iter().map(|item| item.sale).collect::<Vec<_>>());
    let sales = sales.map(|bytes| Section::new(sales::NAME, sales::VERSION, bytes));
    let columns = Section::new(NAME, VERSION, write(currency, ids, items));
    let groups = groups::write(&items.iter().map(|item| item.group).collect::<Vec<_>>());
    let groups = groups.map(|bytes| Section::new(groups::NAME, groups::VERSION, bytes));
    [Some(columns), sales, groups].into_iter().flatten().collect()
}

/// Encodes the attributes of all items, in index order, with their ids, without sales and groups. A name or URL that
/// contains the id is stored without it.
pub fn write(currency: &str, ids: &[&str], items: &[Item<'_>]) -> Vec<u8> {
    let listed = |field: for<'a> fn(&'a Item<'_>) -> &'a str| {
        let mut entries: Vec<&str> = items.iter().map(field).filter(|entry| !entry.is_empty()).collect();
        entries.sort_unstable();
        entries.dedup();
        let place = |item| entries.binary_search(&field(item)).map_or(0, |place| place as u32 + 1);
        let column = Column::write(&items.iter().map(place).collect::<Vec<_>>());
        [Strings::write(entries.iter().map(|entry| entry.as_bytes())), column]
    };
    let [categories, category] = listed(|item| item.category);
    let [brands, brand] = listed(|item| item.brand);
    let texts = |field: for<'a> fn(&'a Item<'_>) -> &'a str| {
        text::write(&items.iter().map(field).collect::<Vec<_>>(), ids)
    };
    let numbers = |field: fn(&Item<'_>) -> u32| Column::write(&items.iter().map(field).collect::<Vec<_>>());
    join(&[
        currency.as_bytes(),
        &texts(|item| &item.name),
        &texts(|item| &item.image),
        &texts(|item| &item.url),
        &categories,
        &brands,
        &category,
        &brand,
        &numbers(|item| item.price.and_then(|price| price.checked_add(1)).unwrap_or(0)),
        &numbers(|item| item.added.into()),
        &numbers(|item| u32::from(!item.in_stock)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDS: [&str; 3] = ["10", "20", "30"];

    fn items() -> [Item<'static>; 3] {
        [
            Item {
                name: "Lantern".into(),
                category: "Garden > Light",
                price: Some(339),
                added: 20_000,
                in_stock: true,
                ..Item::default()
            },
            Item {
                brand: "Acme",
                url: "https://shop.example/20".into(),
                price: Some(u32::MAX - 1),
                ..Item::default()
            },
            Item {
                category: "Garden",
                brand: "Acme",
                image: "https://shop.example/30.png".into(),
                price: Some(0),
                in_stock: true,
                ..Item::default()
            },
        ]
    }

    fn round_trip(ids: &[&str], items: &[Item<'_>]) -> Attributes {
        let opened = Attributes::open(&write("GBP", ids, items).into()).unwrap();
        assert_eq!(opened.len(), items.len());
        for (index, (item, id)) in items.iter().zip(ids).enumerate() {
            assert_eq!(opened.item(index as u32, id), *item);
        }
        let past = Item { in_stock: true, ..Item::default() };
        assert_eq!(opened.item(items.len() as u32, "1"), past);
        opened
    }

    #[test]
    fn items_read_as_they_were_written() {
        let opened = round_trip(&IDS, &items());
        assert_eq!(opened.currency(), "GBP");
        assert_eq!(opened.categories().collect::<Vec<_>>(), ["Garden", "Garden > Light"]);
        assert_eq!(opened.brands().collect::<Vec<_>>(), ["Acme"]);
        assert_eq!((opened.brand(0), opened.brand(1), opened.brand(2)), (None, Some(0), Some(0)));
        round_trip(&[], &[]);
        round_trip(&["1"], &items()[..1]);
    }

    #[test]
    fn many_items_read_as_they_were_written() {
        let ids: Vec<String> = (0..70_000).map(|number| format!("{}", 1_000_000 + number * 13)).collect();
        let categories: Vec<String> = (0..300).map(|number| format!("Möbler > {number}")).collect();
        let items: Vec<Item<'_>> = (0..70_000u32)
            .map(|number| Item {
                name: format!("Lampa {} i {}", number % 977, ["trä", "glas", "mässing"][number as usize % 3])
                    .into(),
                category: &categories[number as usize % 300],
                url: format!("https://shop.example/{}", ids[number as usize]).into(),
                price: (number % 11 > 0).then_some(number % 1201 * 10),
                added: (number % 2000) as u16,
                in_stock: number % 7 > 0,
                ..Item::default()
            })
            .collect();
        round_trip(&ids.iter().map(|id| &**id).collect::<Vec<_>>(), &items);
    }

    prop_compose! {
        fn item()(
            name in "([a-d]{1,3}( [a-d]{1,3}){0,4}|\\PC{0,9})", category in "[a-c]{0,2}", brand in "\\PC{0,2}",
            url in "(|u/[0-9]{1,3})", price in proptest::option::of(0..u32::MAX), added in any::<u16>(),
            in_stock in any::<bool>(),
        ) -> (String, String, String, String, Option<u32>, u16, bool) {
            (name, category, brand, url, price, added, in_stock)
        }
    }

    proptest! {
        #[test]
        fn any_items_read_as_they_were_written(drawn in proptest::collection::vec(item(), 0..30)) {
            let ids: Vec<String> = (0..drawn.len()).map(|number| number.to_string()).collect();
            let items: Vec<Item<'_>> = drawn
                .iter()
                .map(|(name, category, brand, url, price, added, in_stock)| Item {
                    name: name.into(), category, brand, url: url.into(), price: *price, added: *added,
                    in_stock: *in_stock, ..Item::default()
                })
                .collect();
            round_trip(&ids.iter().map(|id| &**id).collect::<Vec<_>>(), &items);
        }

        #[test]
        fn any_flip_opens_or_gives_an_error(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut section = write("GBP", &IDS, &items());
            let at = at.index(section.len());
            section[at] = to;
            let length = section.len();
            if let Ok(opened) = Attributes::open(&section.into()) {
                prop_assert!(opened.categories().count() <= length && opened.brands().count() <= length);
                for index in 0..4 {
                    let _ = opened.item(index, "10");
                }
            }
        }

        #[test]
        fn any_truncation_gives_an_error(to in any::<prop::sample::Index>()) {
            let mut section = write("GBP", &IDS, &items());
            section.truncate(to.index(section.len()));
            prop_assert!(Attributes::open(&section.into()).is_err());
        }
    }
}
