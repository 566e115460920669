//! Generates the catalogue of the demo shop: items with names, brands and prices, in order of popularity.

use crate::generate::words::{BRANDS, COLLECTIONS, COUNTRIES, Category, DEPARTMENTS, Department};
use origin_data::Item;
use origin_learn::rng::{Random, cumulative};
use snapshots::time::{DAY_MS, Timestamp};

/// Currency of the shop.
pub(super) const CURRENCY: &str = "GBP";
const BRANDS_A_DEPARTMENT: usize = 8;
/// Approximate number of items of a collection in a department.
const COLLECTION_SIZE: usize = 24;

/// An item as the generation of visits needs it, 24 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct DemoItem {
    /// Index into [`DemoCatalogue::categories`].
    pub category: u16,
    /// Index into the department's brands.
    pub brand: u8,
    /// Country in which it is most popular, an index into [`COUNTRIES`].
    pub home: u8,
    /// Whether it is in stock.
    pub in_stock: bool,
    /// Index into [`DemoCatalogue::collections`].
    pub collection: u32,
    /// Time from which it is available.
    pub added_at: Timestamp,
    /// In hundredths.
    pub cents: u32,
}

/// The catalogue and its order of popularity.
pub(super) struct DemoCatalogue {
    seed: u64,
    /// Every item, by its number.
    pub goods: Vec<DemoItem>,
    /// The items of each category, most popular first.
    pub categories: Vec<Vec<u32>>,
    /// The items of each collection of a department, most popular first.
    pub collections: Vec<Vec<u32>>,
    /// Department of each category.
    pub departments: Vec<usize>,
    /// Permutes the numbers in codes, so that they do not reveal popularity.
    stride: usize,
}

impl DemoCatalogue {
    /// Generates `count` items for a shop whose log runs from `start` to `end`.
    pub(super) fn new(count: usize, seed: u64, start: Timestamp, end: Timestamp) -> Self {
        let kinds: Vec<(usize, &Category)> = DEPARTMENTS
            .iter()
            .enumerate()
            .flat_map(|(number, department)| {
                department.categories.iter().map(move |category| (number, category))
            })
            .collect();
        let departments: Vec<usize> = kinds.iter().map(|(department, _)| *department).collect();
        let ranges = (count / DEPARTMENTS.len() / COLLECTION_SIZE).max(2);
        let mut catalogue = Self {
            seed,
            goods: Vec::with_capacity(count),
            categories: vec![Vec::new(); kinds.len()],
            collections: vec![Vec::new(); ranges * DEPARTMENTS.len()],
            departments,
            stride: stride(count),
        };
        let mut random = Random::new(seed, "catalogue");
        let homes = cumulative(COUNTRIES.iter().map(|(_, weight, _)| *weight));
        for number in 0..count {
            let category = if number < kinds.len() { number } else { random.below(kinds.len()) };
            let (department, kind) = kinds[category];
            let collection = department * ranges + random.below(ranges);
            let brand = random.below(BRANDS_A_DEPARTMENT);
            // Brands differ in price level.
            let tier = 0.6 + 0.15 * brand as f64;
            let price = kind.price * tier * (0.35 * random.normal()).exp();
            // Each list has an item that is available from the beginning.
            let may_be_new =
                !catalogue.categories[category].is_empty() && !catalogue.collections[collection].is_empty();
            let added_at = if random.chance(0.12) && may_be_new {
                Timestamp(start.0 + (random.unit() * (end.0 - start.0) as f64) as i64)
            } else {
                Timestamp(start.0 - (random.unit() * 720.0 * DAY_MS as f64) as i64)
            };
            catalogue.goods.push(DemoItem {
                category: category as u16,
                brand: brand as u8,
                home: random.weighted(&homes) as u8,
                in_stock: random.chance(0.96),
                collection: collection as u32,
                added_at: Timestamp(added_at.0 / 1000 * 1000),
                cents: tidy(price),
            });
            // Items are generated in order of popularity.
            catalogue.categories[category].push(number as u32);
            catalogue.collections[collection].push(number as u32);
        }
        catalogue
    }

    /// Writes the code of item `number` to `code`.
    pub(super) fn code(&self, number: u32, code: &mut String) {
        use std::fmt::Write;
        let good = self.goods[number as usize];
        let shuffled = (number as usize + 1) * self.stride % self.goods.len();
        code.clear();
        // Writing to a String does not fail.
        let _ = write!(code, "{}-{shuffled:05}", self.department(good).code);
    }

    /// The item as the catalogue of the shop has it.
    pub(super) fn item(&self, number: u32) -> Item {
        let good = self.goods[number as usize];
        let department = self.department(good);
        let kind = self.kind(good);
        let mut random = Random::new(self.seed ^ u64::from(number), "item");
        let look = COLLECTIONS[good.collection as usize % COLLECTIONS.len()];
        let (made_of, variant) = (random.pick(kind.made_of), random.pick(kind.variants));
        let mut id = String::new();
        self.code(number, &mut id);
        let brands = self.departments[usize::from(good.category)] * 5;
        Item {
            id,
            name: Some(format!("{look} {made_of} {}, {variant}", kind.noun)),
            category: Some(format!("{} > {}", department.name, kind.name)),
            brand: Some(BRANDS[(brands + usize::from(good.brand)) % BRANDS.len()].to_owned()),
            price: Some(f64::from(good.cents) / 100.0),
            currency: Some(CURRENCY.to_owned()),
            in_stock: Some(good.in_stock),
            added_at: Some(good.added_at),
            ..Item::default()
        }
    }

    fn department(&self, good: DemoItem) -> &'static Department {
        &DEPARTMENTS[self.departments[usize::from(good.category)]]
    }

    fn kind(&self, good: DemoItem) -> &'static Category {
        let category = usize::from(good.category);
        let department = self.departments[category];
        let first = self.departments.partition_point(|other| *other < department);
        &DEPARTMENTS[department].categories[category - first]
    }
}

/// Rounds to a usual price: 4.50, 18.99, 149.00.
fn tidy(price: f64) -> u32 {
    let cents = match price {
        ..10.0 => (price * 2.0).round().max(1.0) * 50.0,
        ..60.0 => price.round() * 100.0 - 1.0,
        ..200.0 => price.round() * 100.0,
        _ => (price / 5.0).round() * 500.0,
    };
    cents as u32
}

/// A number near 0.62 · `count` and coprime to it, so that its multiples form a permutation.
fn stride(count: usize) -> usize {
    fn divisor(one: usize, other: usize) -> usize {
        if other == 0 { one } else { divisor(other, one % other) }
    }
    let golden = (count as f64 * 0.618_034) as usize;
    (golden.max(1)..).find(|step| divisor(*step, count) == 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_item_has_a_unique_code_a_name_and_a_price() {
        for count in [1, 2, 100, 3_000] {
            let catalogue = DemoCatalogue::new(count, 5, Timestamp(0), Timestamp(DAY_MS));
            let items: Vec<_> = (0..count as u32).map(|number| catalogue.item(number)).collect();
            let codes: HashSet<_> = items.iter().map(|item| &item.id).collect();
            assert_eq!(codes.len(), count);
            assert!(items.iter().all(|item| item.price.unwrap() >= 0.5 && item.name.is_some()));
        }
    }

    #[test]
    fn items_match_their_categories() {
        let catalogue = DemoCatalogue::new(2_000, 5, Timestamp(0), Timestamp(DAY_MS));
        for item in (0..2_000).map(|number| catalogue.item(number)) {
            let category = item.category.unwrap();
            let (department, kind) = category.split_once(" > ").unwrap();
            let department = DEPARTMENTS.iter().find(|other| other.name == department).unwrap();
            let kind = department.categories.iter().find(|other| other.name == kind).unwrap();
            assert!(item.name.unwrap().contains(kind.noun));
            assert!(item.id.starts_with(department.code));
        }
    }
}
