//! A small shop for tests: 30 items in three categories of ten, every third out of stock.

use crate::{
    Bytes, Snapshot,
    format::{
        attributes,
        envelope::{Envelope, Section},
        ids, popularity, rows,
        strategy::{self, NEXT, Repeats, SIMILAR, Seen, Strategy},
    },
    wire::time::Timestamp,
};

pub(crate) const ITEMS: u32 = 30;
pub(crate) const NOW: Timestamp = Timestamp(1_795_000_000_000);

pub(crate) type Table = Vec<Vec<(u32, f32)>>;

/// Row `i` lists the next items. `i + 1` has the greatest weight.
pub(crate) fn chain(length: u32) -> Table {
    (0..ITEMS)
        .map(|item| (1..=length).map(|step| ((item + step) % ITEMS, 1.0 / step as f32)).collect())
        .collect()
}

pub(crate) fn id(item: u32) -> String {
    format!("item-{item}")
}

pub(crate) fn boost() -> Seen {
    Seen::Boost(Repeats { spread: 0.7, fade: 0.6, often: 1.5, ..Repeats::default() })
}

/// The blobs of the shop's snapshot with these tables.
pub(crate) fn blobs(coview: &Table, knn: &Table) -> Vec<Vec<u8>> {
    let names: Vec<String> = (0..ITEMS).map(id).collect();
    let texts: Vec<&str> = names.iter().map(|id| &**id).collect();
    let ids = Section::new(ids::NAME, ids::VERSION, ids::write(&texts));
    let items: Vec<attributes::Item<'_>> = (0..ITEMS)
        .map(|item| attributes::Item {
            name: "Thing".into(),
            category: ["Garden", "Garden > Tools", "Gardening"][item as usize / 10],
            brand: if item % 2 == 0 { "Even" } else { "" },
            price: Some(item * 100),
            in_stock: item % 3 != 2,
            ..attributes::Item::default()
        })
        .collect();
    let wanted: Vec<(f32, f32)> = (0..ITEMS)
        .map(|item| (if item < 20 { 1.0 / (item + 1) as f32 } else { 0.0 }, item as f32 / 30.0))
        .collect();
    let strategies = [
        Strategy::default(),
        Strategy { name: SIMILAR.to_owned(), ..Strategy::default() },
        Strategy { name: NEXT.to_owned(), seen: boost(), ..Strategy::default() },
    ];
    let catalogue = ids.checksum;
    let blob = |region: &str, sections| {
        Envelope { region: region.to_owned(), built_at: NOW, catalogue, sections }.write().unwrap()
    };
    let section = |name, version, bytes| Section::new(name, version, bytes);
    vec![
        blob(
            "",
            vec![
                ids,
                section(attributes::NAME, attributes::VERSION, attributes::write("EUR", &texts, &items)),
            ],
        ),
        blob("", vec![section(rows::COVIEW, rows::VERSION, rows::write(coview))]),
        blob("", vec![section(rows::KNN, rows::VERSION, rows::write(knn))]),
        blob(
            "gb",
            vec![
                section(popularity::NAME, popularity::VERSION, popularity::write(&wanted)),
                section(strategy::NAME, strategy::VERSION, strategy::write(&strategies).unwrap()),
            ],
        ),
    ]
}

pub(crate) fn open(blobs: &[Vec<u8>]) -> Result<Snapshot, crate::Error> {
    Snapshot::open(&blobs.iter().map(|blob| Bytes::from(blob.clone())).collect::<Vec<_>>())
}

/// The opened snapshot of the shop.
pub(crate) fn shop(coview: &Table, knn: &Table) -> Snapshot {
    open(&blobs(coview, knn)).unwrap()
}

/// An opened table.
pub(crate) fn rows(table: &Table) -> rows::Table {
    let section = Bytes::from(rows::write(table));
    rows::Table::open(rows::BOUGHT, std::iter::once(&section)).unwrap()
}
