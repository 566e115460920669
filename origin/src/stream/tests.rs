use super::*;
use crate::{
    build,
    pack::{PackOptions, refresh::Refresher, regions::Regions},
    store::Store,
};
use origin_learn::config::Recipe;
use origin_log as log;
use origin_log::{Fsync, Options, Writer};
use snapshots::event::Event;
use std::fs;

const KINDS: [Kind; 4] = [Kind::View, Kind::Click, Kind::Cart, Kind::Purchase];

fn event(number: u32) -> Event {
    Event {
        id: number.to_string(),
        kind: KINDS[number as usize % 4],
        item: format!("item-{}", (number * 7_919 % 40).min(number * 104_729 % 40)),
        visitor: Some(format!("v{}", number / 7)),
        session: None,
        // Now and then one comes late.
        at: Timestamp(
            1_700_000_000_000
                + i64::from(if number.is_multiple_of(11) { number / 2 } else { number }) * 90_000,
        ),
        quantity: None,
        price: None,
        currency: None,
        region: Some(["gb", "fr"][number as usize % 2].to_owned()),
        placement: None,
        request: None,
    }
}

const LIMITS: Limits = Limits { visitors: 50, checkpoint_s: 0 };

struct Shop {
    dir: tempfile::TempDir,
    writer: Writer,
}

impl Shop {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment: 4_000, fsync: Fsync::Os, ..Options::default() };
        let writer = Store::open(dir.path()).unwrap().service_writer(options).unwrap();
        Self { dir, writer }
    }

    fn log(&self) -> std::path::PathBuf {
        log::dir(self.dir.path())
    }

    fn write(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.writer.add(&event(number));
            if number.is_multiple_of(7) {
                self.writer.commit().unwrap();
            }
        }
        self.writer.commit().unwrap();
    }

    fn bytes(&self, tables: &Tables, reader: &Reader) -> Vec<u8> {
        checkpoint::write(tables, reader, &self.log(), LIMITS).unwrap()
    }

    /// What a restart has: the checkpoint and the tail.
    fn restart(&self) -> (Vec<u8>, Option<String>) {
        let (mut tables, mut reader, why) = checkpoint::load(self.dir.path(), &self.log(), LIMITS).unwrap();
        reader.read(|record, place| tables.add(record, place)).unwrap();
        (self.bytes(&tables, &reader), why)
    }

    fn rebuilt(&self) -> Vec<u8> {
        let (tables, reader) = Tables::rebuild(&self.log(), LIMITS).unwrap();
        self.bytes(&tables, &reader)
    }
}

#[test]
fn a_restart_from_any_checkpoint_has_the_tables_of_the_whole_log() {
    let mut shop = Shop::new();
    let (mut tables, mut reader) = Tables::rebuild(&shop.log(), LIMITS).unwrap();
    for round in 0..12 {
        shop.write(round * 50..round * 50 + 50);
        reader.read(|record, place| tables.add(record, place)).unwrap();
        assert_eq!(shop.bytes(&tables, &reader), shop.rebuilt(), "as events came, after {round}");
        if round % 3 == 0 {
            checkpoint::save(&shop.bytes(&tables, &reader), shop.dir.path()).unwrap();
        }
        assert_eq!(shop.restart(), (shop.rebuilt(), None), "restarted after {round}");
    }
    assert!(tables.recents.evicted() > 0 && log::segments(&shop.log()).unwrap().len() > 3);
}

#[test]
fn a_checkpoint_that_cannot_be_used_is_passed_over() {
    let mut shop = Shop::new();
    shop.write(0..300);
    let good = shop.rebuilt();
    let path = shop.dir.path().join(checkpoint::FILE);
    let try_with = |bytes: &[u8], expected: &str| {
        fs::write(&path, bytes).unwrap();
        let (tables, why) = shop.restart();
        assert_eq!(tables, good);
        assert!(why.as_ref().is_some_and(|why| why.contains(expected)), "{why:?}");
    };
    try_with(b"", "cut");
    try_with(&good[..good.len() - 1], "damaged");
    for at in [0, 9, good.len() / 2] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        try_with(&flipped, "damaged");
    }
    fs::write(&path, &good).unwrap();
    let gone = Store::open(shop.dir.path()).unwrap().visitor("v3");
    for segment in shop.writer.rotate().unwrap() {
        log::rewrite(&segment, |record| record.visitor != gone).unwrap();
    }
    let (tables, why) = shop.restart();
    assert!(why.is_some_and(|why| why.contains("rewritten")));
    assert_eq!(tables, shop.rebuilt());
    assert_ne!(tables, good);
}

#[test]
fn popularity_as_events_came_is_that_of_a_build() {
    let mut shop = Shop::new();
    shop.write(0..500);
    let (tables, _) = Tables::rebuild(&shop.log(), LIMITS).unwrap();
    let store = Store::open(shop.dir.path()).unwrap();
    let log = store.log().unwrap();
    let regions = Regions::automatic(&log.events, &log.areas, 10);
    let built = build::build(&log, &regions, &Recipe::default(), PackOptions::default(), |_| {}).unwrap();
    let (manifests, blobs) = (built.manifests.clone(), built.blobs.clone());
    let mut refresher = Refresher::new(built).unwrap();
    refresher.popularity(&tables.counted()).unwrap();
    assert_eq!(refresher.built().manifests, manifests);
    assert_eq!(refresher.built().blobs, blobs);
    assert_eq!(manifests.len(), 3);
}
