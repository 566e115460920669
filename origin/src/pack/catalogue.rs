//! The catalogue as a snapshot holds it.

use origin_data::Item;
use origin_learn::{Table, content};
use snapshots::{attributes, category, ids, time::DAY_MS};

/// The catalogue in index order, with what the snapshot needs of it.
pub struct Catalogue<'a> {
    items: Vec<&'a Item>,
    categories: Vec<String>,
}

impl<'a> Catalogue<'a> {
    pub fn new(items: &'a [Item], order: &[u32]) -> Self {
        let items: Vec<&Item> = order.iter().map(|place| &items[*place as usize]).collect();
        let categories = items.iter().map(|item| category::path(item.category.as_deref().unwrap_or("")));
        Self { categories: categories.collect(), items }
    }

    fn price(item: &Item) -> Option<u32> {
        let hundredths = (item.price? * 100.0).round();
        (0.0..f64::from(u32::MAX)).contains(&hundredths).then_some(hundredths as u32)
    }

    fn id_texts(&self) -> Vec<&str> {
        self.items.iter().map(|item| &*item.id).collect()
    }

    pub fn ids(&self) -> Vec<u8> {
        ids::write(&self.id_texts())
    }

    pub fn attributes(&self) -> Vec<u8> {
        let text = |field: &'a Option<String>| field.as_deref().unwrap_or("");
        let views = self.items.iter().zip(&self.categories).map(|(item, category)| attributes::Item {
            name: text(&item.name).into(),
            category,
            brand: text(&item.brand),
            image: text(&item.image).into(),
            url: text(&item.url).into(),
            price: Self::price(item),
            added: item.added_at.map_or(0, |at| u16::try_from(at.0 / DAY_MS).unwrap_or(0)),
            in_stock: item.in_stock.unwrap_or(true),
        });
        let currency = self.items.iter().find_map(|item| item.currency.as_deref()).unwrap_or("");
        attributes::write(currency, &self.id_texts(), &views.collect::<Vec<_>>())
    }

    pub fn bytes(&self) -> usize {
        self.ids().len() + self.attributes().len()
    }

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
