//! Golden files: every released version of the format stays readable. They hold the shop of [`crate::fixture`].
//! `cargo test -p snapshots write_golden -- --ignored` writes the files of a new version when it is released.

use crate::{
    Snapshot, fixture,
    format::{rows::Table, strategy::NEXT},
};
use std::path::{Path, PathBuf};

const NAMES: [&str; 4] = ["items", "coview", "knn", "region"];

fn folder(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}"))
}

fn tables() -> (fixture::Table, fixture::Table) {
    (fixture::chain(4), fixture::chain(2))
}

fn row(table: &Option<Table>, item: u32) -> Vec<(u32, f32)> {
    let mut row = Vec::new();
    table.as_ref().unwrap().for_each(item, |neighbour, weight| row.push((neighbour, weight)));
    row
}

fn check(shop: &Snapshot) {
    shop.verify().unwrap();
    assert_eq!((shop.len(), &*shop.region, shop.built_at), (30, "gb", fixture::NOW));
    let (coview, knn) = tables();
    for item in 0..fixture::ITEMS {
        let id = fixture::id(item);
        assert_eq!((shop.ids.index(&id), shop.ids.id(item).as_deref()), (Some(item), Some(&*id)));
        let attributes = shop.attributes.item(item, &id);
        assert_eq!((&*attributes.name, attributes.price), ("Thing", Some(item * 100)));
        assert_eq!(attributes.category, ["Garden", "Garden > Tools", "Gardening"][item as usize / 10]);
        assert_eq!((attributes.brand, attributes.in_stock), (["Even", ""][item as usize % 2], item % 3 != 2));
        for (read, written) in [(row(&shop.coview, item), &coview), (row(&shop.knn, item), &knn)] {
            let mut written = written[item as usize].clone();
            written.sort_by_key(|entry| entry.0);
            assert_eq!(read.len(), written.len());
            for (read, written) in read.iter().zip(&written) {
                assert_eq!(read.0, written.0);
                assert!((read.1 - written.1).abs() < 0.02, "{read:?} {written:?}");
            }
        }
    }
    assert_eq!(shop.popularity.order().collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    assert!((shop.popularity.of(3) - 0.25).abs() < 0.01);
    assert_eq!(shop.strategy(NEXT).unwrap().seen, fixture::boost());
}

#[test]
fn version_1_opens() {
    let blobs = NAMES.map(|name| std::fs::read(folder(1).join(name)).unwrap());
    check(&fixture::open(&blobs).unwrap());
}

#[test]
#[ignore = "writes the files that the other test reads"]
fn write_golden() {
    let (coview, knn) = tables();
    for (name, bytes) in NAMES.iter().zip(fixture::blobs(&coview, &knn)) {
        std::fs::write(folder(crate::format::envelope::FORMAT).join(name), bytes).unwrap();
    }
}
