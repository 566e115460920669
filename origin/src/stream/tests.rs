use super::*;
use crate::{
    build,
    pack::{PackOptions, refresh::Refresher, regions::Regions},
    store::{Store, releases},
};
use origin_learn::config::Recipe;
use origin_log as log;
use origin_log::{Fsync, LogOptions, Sender, Writer};
use snapshots::event::{Event, Trust};
use std::fs;

const KINDS: [Kind; 4] = [Kind::View, Kind::Click, Kind::Cart, Kind::Purchase];

fn event(number: u32) -> Event {
    Event {
        id: number.to_string(),
        visitor: Some(format!("v{}", number / 7)),
        region: Some(["gb", "fr"][number as usize % 2].to_owned()),
        ..Event::new(
            KINDS[number as usize % 4],
            format!("item-{}", (number * 7_919 % 40).min(number * 104_729 % 40)),
            // Every eleventh event arrives late.
            Timestamp(
                1_700_000_000_000
                    + i64::from(if number.is_multiple_of(11) { number / 2 } else { number }) * 90_000,
            ),
        )
    }
}

const OPTIONS: StreamOptions = StreamOptions { visitors: 50, checkpoint_s: 0 };

struct Shop {
    dir: tempfile::TempDir,
    writer: Writer,
}

impl Shop {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = LogOptions { segment: 4_000, fsync: Fsync::Os, ..LogOptions::default() };
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

    fn bytes(&self, tables: &StreamTables, reader: &Reader) -> Vec<u8> {
        checkpoint::write(tables, reader, &self.log(), OPTIONS).unwrap()
    }

    /// The tables after a restart, from the checkpoint and the rest of the log, and why the checkpoint was ignored.
    fn restart(&self) -> (Vec<u8>, Option<String>) {
        let (mut tables, mut reader, reason) =
            checkpoint::load(self.dir.path(), &self.log(), OPTIONS).unwrap();
        reader.read(|record, names| tables.add(record, names)).unwrap();
        (self.bytes(&tables, &reader), reason)
    }

    fn rebuilt(&self) -> Vec<u8> {
        let (tables, reader) = StreamTables::rebuild(&self.log(), OPTIONS).unwrap();
        self.bytes(&tables, &reader)
    }
}

#[test]
fn a_restart_from_any_checkpoint_equals_a_rebuild() {
    let mut shop = Shop::new();
    let (mut tables, mut reader) = StreamTables::rebuild(&shop.log(), OPTIONS).unwrap();
    for round in 0..12 {
        shop.write(round * 50..round * 50 + 50);
        reader.read(|record, names| tables.add(record, names)).unwrap();
        assert_eq!(shop.bytes(&tables, &reader), shop.rebuilt(), "updated live, after {round}");
        if round % 3 == 0 {
            checkpoint::save(&shop.bytes(&tables, &reader), shop.dir.path()).unwrap();
        }
        assert_eq!(shop.restart(), (shop.rebuilt(), None), "restarted after {round}");
    }
    assert!(tables.recents.evicted() > 0 && log::segments(&shop.log()).unwrap().len() > 3);
}

#[test]
fn an_unusable_checkpoint_is_ignored() {
    let mut shop = Shop::new();
    shop.write(0..300);
    let good = shop.rebuilt();
    let path = shop.dir.path().join(checkpoint::FILE);
    let try_with = |bytes: &[u8], expected: &str| {
        fs::write(&path, bytes).unwrap();
        let (tables, reason) = shop.restart();
        assert_eq!(tables, good);
        assert!(reason.as_ref().is_some_and(|reason| reason.contains(expected)), "{reason:?}");
    };
    try_with(b"", "truncated");
    try_with(&good[..good.len() - 1], "damaged");
    for at in [0, 9, good.len() / 2] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        try_with(&flipped, "damaged");
    }
    fs::write(&path, &good).unwrap();
    let erased = Store::open(shop.dir.path()).unwrap().visitor_hash("v3");
    for segment in shop.writer.rotate().unwrap() {
        log::rewrite(&segment, |record| record.visitor != erased).unwrap();
    }
    let (tables, reason) = shop.restart();
    assert!(reason.is_some_and(|reason| reason.contains("rewritten")));
    assert_eq!(tables, shop.rebuilt());
    assert_ne!(tables, good);
}

/// A flood of public events: few visitors, few addresses, few items, times of a month.
fn flood(shop: &mut Shop, count: u32) {
    let edge = Sender::of_key("602c94bf");
    for number in 0..count {
        shop.writer.add_from(
            &edge,
            &Event {
                id: format!("public {number}"),
                item: format!("item-{}", number % 3),
                kind: KINDS[number as usize % 4],
                visitor: (number % 2 == 0).then(|| format!("bot {}", number % 9)),
                at: Timestamp(1_700_050_000_000 - i64::from(number % 30) * 86_400_000),
                trust: Some(Trust::Public),
                bucket: Some(number as u16 % 5),
                ..event(number)
            },
        );
    }
    shop.writer.commit().unwrap();
}

#[test]
fn what_is_held_in_live_tables_is_held_in_a_build() {
    let mut shop = Shop::new();
    shop.write(0..200);
    let (mut tables, mut reader) = StreamTables::rebuild(&shop.log(), OPTIONS).unwrap();
    checkpoint::save(&shop.bytes(&tables, &reader), shop.dir.path()).unwrap();
    flood(&mut shop, 700);
    reader.read(|record, names| tables.add(record, names)).unwrap();
    assert_eq!(shop.restart(), (shop.bytes(&tables, &reader), None));
    let log = Store::open(shop.dir.path()).unwrap().log().unwrap();
    let held = log.events.iter().filter(|event| event.held).count();
    assert_eq!(tables.caps.held(), held as u64);
    assert!((50..700).contains(&held), "{held}");
    live_equals_built(&shop);
}

#[test]
fn a_checkpoint_before_a_release_is_ignored() {
    let mut shop = Shop::new();
    shop.write(0..100);
    checkpoint::save(&shop.rebuilt(), shop.dir.path()).unwrap();
    releases::release(shop.dir.path(), "item-1", Timestamp(1_700_000_000_000)).unwrap();
    let reason = shop.restart().1;
    assert!(reason.as_ref().is_some_and(|reason| reason.contains("released")), "{reason:?}");
}

#[test]
fn live_popularity_equals_that_of_a_build() {
    let mut shop = Shop::new();
    shop.write(0..500);
    live_equals_built(&shop);
}

fn live_equals_built(shop: &Shop) {
    let (tables, _) = StreamTables::rebuild(&shop.log(), OPTIONS).unwrap();
    let store = Store::open(shop.dir.path()).unwrap();
    let log = store.log().unwrap();
    let regions = Regions::automatic(&log.events, &log.areas, 10);
    let built = build::build(&log, &regions, &Recipe::default(), PackOptions::default(), |_| {}).unwrap();
    let (manifests, blobs) = (built.manifests.clone(), built.blobs.clone());
    let mut refresher = Refresher::new(built).unwrap();
    refresher.popularity(&tables.popularity_counts()).unwrap();
    assert_eq!(refresher.built().manifests, manifests);
    assert_eq!(refresher.built().blobs, blobs);
    assert_eq!(manifests.len(), 3);
}
