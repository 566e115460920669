//! Section `attributes`: what a page shows of an item and what filters ask of it.
//!
//! Columns by item: name, image and address as text; category and brand as places in a dictionary of their own;
//! price in hundredths; the day it joined the catalogue; flags. One currency a snapshot.

use crate::{
    error::Error,
    layout::{Strings, U32s, join, split},
};
use bytes::Bytes;

/// Name of the section.
pub const NAME: &str = "attributes";
/// Version of its layout.
pub const VERSION: u32 = 1;
/// Where an item has no category, brand or price.
const NONE: u32 = u32::MAX;
const OUT_OF_STOCK: u8 = 1;
/// What separates a category from its parent in a path.
pub const PATH_SEPARATOR: &str = " > ";

/// The attributes of one item as a page shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Item<'a> {
    /// Name; empty when unknown.
    pub name: &'a str,
    /// Category path (`Garden > Tools`); empty when unknown.
    pub category: &'a str,
    /// Brand; empty when unknown.
    pub brand: &'a str,
    /// Address of a picture; empty when there is none.
    pub image: &'a str,
    /// Address of the item's page; empty when there is none.
    pub url: &'a str,
    /// Price in hundredths of the currency.
    pub price: Option<u32>,
    /// Days from 1970-01-01 to the day it joined the catalogue; 0 when unknown.
    pub added: u16,
    /// Whether it can be bought now.
    pub in_stock: bool,
}

/// All items' attributes, read in place.
#[derive(Clone, Debug)]
pub struct Attributes {
    currency: Bytes,
    names: Strings,
    images: Strings,
    urls: Strings,
    categories: Strings,
    brands: Strings,
    category: U32s,
    brand: U32s,
    price: U32s,
    added: Bytes,
    flags: Bytes,
}

impl Attributes {
    /// Opens the section.
    ///
    /// # Errors
    /// [`Error::Section`] when its columns do not fit each other.
    pub fn open(section: &Bytes) -> Result<Self, Error> {
        let bad = |detail| Error::Section { section: NAME, detail };
        let [currency, no, nt, io, it, uo, ut, co, ct, bo, bt, category, brand, price, added, flags] =
            split(section).ok_or(bad("not its columns"))?;
        let text = |offsets, text| Strings::new(offsets, text).ok_or(bad("a column of text is cut"));
        let numbers = |column| U32s::new(column).ok_or(bad("a column of numbers is cut"));
        let opened = Self {
            currency,
            names: text(no, nt)?,
            images: text(io, it)?,
            urls: text(uo, ut)?,
            categories: text(co, ct)?,
            brands: text(bo, bt)?,
            category: numbers(category)?,
            brand: numbers(brand)?,
            price: numbers(price)?,
            added,
            flags,
        };
        let count = opened.len();
        let columns = [
            opened.images.len(),
            opened.urls.len(),
            opened.category.len(),
            opened.brand.len(),
            opened.price.len(),
            opened.flags.len(),
        ];
        if columns.iter().any(|length| *length != count) || opened.added.len() != count * 2 {
            return Err(bad("its columns count different items"));
        }
        Ok(opened)
    }

    /// How many items the columns cover.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// ISO 4217 code of all prices; empty when unknown.
    pub fn currency(&self) -> &str {
        core::str::from_utf8(&self.currency).unwrap_or("")
    }

    /// All that is known of an item; the default past the end.
    pub fn item(&self, item: u32) -> Item<'_> {
        let index = item as usize;
        Item {
            name: self.names.get(index).unwrap_or(""),
            category: self.category(item).and_then(|place| self.categories.get(place as usize)).unwrap_or(""),
            brand: self.brand(item).and_then(|place| self.brands.get(place as usize)).unwrap_or(""),
            image: self.images.get(index).unwrap_or(""),
            url: self.urls.get(index).unwrap_or(""),
            price: self.price(item),
            added: self
                .added
                .get(index * 2..)
                .and_then(<[u8]>::first_chunk)
                .map_or(0, |day| u16::from_le_bytes(*day)),
            in_stock: self.in_stock(item),
        }
    }

    /// Whether the item can be bought; unknown counts as yes.
    #[inline]
    pub fn in_stock(&self, item: u32) -> bool {
        self.flags.get(item as usize).is_none_or(|flags| flags & OUT_OF_STOCK == 0)
    }

    /// Price in hundredths of the currency.
    #[inline]
    pub fn price(&self, item: u32) -> Option<u32> {
        self.price.get(item as usize).filter(|price| *price != NONE)
    }

    /// Place of the item's category in [`Self::categories`].
    #[inline]
    pub fn category(&self, item: u32) -> Option<u32> {
        self.category.get(item as usize).filter(|place| *place != NONE)
    }

    /// Place of the item's brand in [`Self::brands`].
    #[inline]
    pub fn brand(&self, item: u32) -> Option<u32> {
        self.brand.get(item as usize).filter(|place| *place != NONE)
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

/// Packs the attributes of all items, in index order.
pub fn write(currency: &str, items: &[Item<'_>]) -> Vec<u8> {
    let dictionary = |field: fn(&Item<'_>) -> String| {
        let mut entries: Vec<String> = items.iter().map(field).filter(|entry| !entry.is_empty()).collect();
        entries.sort_unstable();
        entries.dedup();
        let column = U32s::write(items.iter().map(|item| {
            entries.binary_search(&field(item)).ok().and_then(|at| u32::try_from(at).ok()).unwrap_or(NONE)
        }));
        (Strings::write(entries.iter().map(|entry| &**entry)), column)
    };
    let (categories, category) = dictionary(|item| item.category.to_owned());
    let (brands, brand) = dictionary(|item| item.brand.to_owned());
    let names = Strings::write(items.iter().map(|item| item.name));
    let images = Strings::write(items.iter().map(|item| item.image));
    let urls = Strings::write(items.iter().map(|item| item.url));
    let price = U32s::write(items.iter().map(|item| item.price.unwrap_or(NONE)));
    let added: Vec<u8> = items.iter().flat_map(|item| item.added.to_le_bytes()).collect();
    let flags: Vec<u8> = items.iter().map(|item| if item.in_stock { 0 } else { OUT_OF_STOCK }).collect();
    let text = [&names, &images, &urls, &categories, &brands];
    let mut parts: Vec<&[u8]> = vec![currency.as_bytes()];
    parts.extend(text.iter().flat_map(|column| column.iter().map(Vec::as_slice)));
    parts.extend([&*category, &brand, &price, &added, &flags]);
    join(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn items_read_as_they_were_written() {
        let items = [
            Item {
                name: "Lantern",
                category: "Garden > Light",
                price: Some(339),
                added: 20_000,
                in_stock: true,
                ..Item::default()
            },
            Item { brand: "Acme", url: "https://shop.example/2", in_stock: false, ..Item::default() },
            Item {
                category: "Garden",
                brand: "Acme",
                image: "https://shop.example/3.png",
                in_stock: true,
                ..Item::default()
            },
        ];
        let opened = Attributes::open(&write("GBP", &items).into()).unwrap();
        assert_eq!(opened.currency(), "GBP");
        for (index, item) in items.iter().enumerate() {
            assert_eq!(opened.item(index as u32), *item);
        }
        assert_eq!(opened.categories().collect::<Vec<_>>(), ["Garden", "Garden > Light"]);
        assert_eq!(opened.brand(1), opened.brand(2));
        assert_eq!(opened.item(3).name, "");
    }

    proptest! {
        #[test]
        fn any_flip_opens_or_gives_an_error(at in 0usize..400, to in any::<u8>()) {
            let item = Item { name: "Lantern", category: "Garden", brand: "Acme", ..Item::default() };
            let mut section = write("GBP", &[item; 3]);
            let at = at % section.len();
            section[at] = to;
            if let Ok(opened) = Attributes::open(&section.into()) {
                for index in 0..4 {
                    let _ = opened.item(index);
                }
            }
        }
    }
}
