//! The catalogue as sections of a snapshot.

use origin_data::Item;
use origin_learn::{Table, content};
use snapshots::{attributes, category, envelope::Section, ids, sales::Sale, time::DAY_MS};

fn hundredths(units: f64) -> Option<u32> {
    let hundredths = (units * 100.0).round();
    (0.0..f64::from(u32::MAX)).contains(&hundredths).then_some(hundredths as u32)
}

/// The catalogue in index order, to be written as sections.
pub struct CatalogueSections<'a> {
    items: Vec<&'a Item>,
    categories: Vec<String>,
}

impl<'a> CatalogueSections<'a> {
    /// Takes the items by their places in `order`.
    pub fn new(items: &'a [Item], order: &[u32]) -> Self {
        let items: Vec<&Item> = order.iter().map(|place| &items[*place as usize]).collect();
        let categories = items.iter().map(|item| category::path(item.category.as_deref().unwrap_or("")));
        Self { categories: categories.collect(), items }
    }

    fn price(item: &Item) -> Option<u32> {
        hundredths(item.price?)
    }

    /// The item's sale; `None` if it could not hold at any time, or does not lower the price.
    fn sale(item: &Item) -> Option<Sale> {
        let sale = Sale::new(hundredths(item.sale_price?)?, item.sale_from, item.sale_until);
        (sale.from < sale.until && Self::price(item).is_none_or(|regular| sale.price < regular))
            .then_some(sale)
    }

    fn id_texts(&self) -> Vec<&str> {
        self.items.iter().map(|item| &*item.id).collect()
    }

    /// The section of ids.
    pub fn ids(&self) -> Vec<u8> {
        ids::write(&self.id_texts())
    }

    /// The sections of attributes.
    pub fn attributes(&self) -> Vec<Section> {
        let text = |field: &'a Option<String>| field.as_deref().unwrap_or("");
        let views = self.items.iter().zip(&self.categories).map(|(item, category)| attributes::Item {
            name: text(&item.name).into(),
            category,
            brand: text(&item.brand),
            image: text(&item.image).into(),
            url: text(&item.url).into(),
            price: Self::price(item),
            sale: Self::sale(item),
            group: text(&item.group),
            added: item.added_at.map_or(0, |at| u16::try_from(at.0 / DAY_MS).unwrap_or(0)),
            in_stock: item.in_stock.unwrap_or(true),
        });
        let currency = self.items.iter().find_map(|item| item.currency.as_deref()).unwrap_or("");
        attributes::sections(currency, &self.id_texts(), &views.collect::<Vec<_>>())
    }

    /// Size of all sections.
    pub fn bytes(&self) -> usize {
        self.ids().len() + self.attributes().iter().map(|section| section.bytes.len()).sum::<usize>()
    }

    /// The KNN table by content, `k` neighbours per row.
    pub fn content_table(&self, k: usize) -> Table {
        let contents = self.items.iter().zip(&self.categories).map(|(item, category)| content::Content {
            name: item.name.as_deref().unwrap_or(""),
            category,
            brand: item.brand.as_deref().unwrap_or(""),
            price: Self::price(item),
        });
        content::learn(&contents.collect::<Vec<_>>(), k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::time::Timestamp;

    fn names(items: &[Item]) -> Vec<String> {
        let order: Vec<u32> = (0..items.len() as u32).collect();
        CatalogueSections::new(items, &order).attributes().into_iter().map(|section| section.name).collect()
    }

    #[test]
    fn a_sale_is_packed_if_it_lowers_the_price_at_some_time() {
        let sale = |sale_price, from: i64, until: i64| {
            let (sale_from, sale_until) = (Some(Timestamp(from)), Some(Timestamp(until)));
            Item { price: Some(20.0), sale_price: Some(sale_price), sale_from, sale_until, ..Item::default() }
        };
        let packed = CatalogueSections::sale(&sale(15.0, 1_000, 2_000));
        assert_eq!(packed, Some(Sale { price: 1_500, from: 1, until: 2 }));
        assert_eq!(names(&[sale(15.0, 1_000, 2_000)]), ["attributes", "sales"]);
        for item in [
            sale(20.0, 1_000, 2_000),
            sale(25.0, 1_000, 2_000),
            sale(15.0, 2_000, 1_000),
            sale(-1.0, 0, 9_000),
        ] {
            assert_eq!(CatalogueSections::sale(&item), None);
            assert_eq!(names(&[item]), ["attributes"]);
        }
        assert!(CatalogueSections::sale(&Item { price: None, ..sale(15.0, 0, 9_000) }).is_some());
    }
}
