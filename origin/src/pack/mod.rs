//! Packing: writes learned tables and the catalogue as snapshots of all regions; lite snapshots; refreshing popularity,
//! attributes and rules without learning.
//!
//! May import: `origin_learn`, `origin_data`, `snapshots`.

mod catalogue;
pub mod lite;
pub mod refresh;
pub mod regions;
mod snapshot_set;

pub use catalogue::CatalogueSections;
pub use snapshot_set::{ITEMS, REGION, SnapshotSet};

use anyhow::Result;
use origin_data::Dataset;
use origin_learn::{
    config::Recipe,
    order,
    train::{LearnedTables, TrainingData},
};
use regions::Regions;
use snapshots::{
    envelope::{Envelope, Section},
    ids,
    manifest::{BlobRef, Manifest, RowRange, WORLD},
    rows::{self, Rows},
    strategy,
    time::Timestamp,
};
use std::collections::BTreeMap;

/// How tables are packed.
#[derive(Clone, Copy, Debug)]
pub struct PackOptions {
    /// Whether items are ordered by neighbourhood, which takes time but packs better.
    pub clustered: bool,
    /// Total bytes of the catalogue and its tables above which the tables are sharded.
    pub whole: usize,
    /// Size limit of a shard in bytes.
    pub shard: usize,
}

impl Default for PackOptions {
    /// 25 MiB in total, the limit of one KV value: an isolate can hold two of them while a snapshot is replaced. 1 MiB per
    /// shard: smaller shards make better use of a cache (`cargo xtask bench cache`), but each takes three of the 1,200 API
    /// calls that Cloudflare allows in five minutes.
    fn default() -> Self {
        Self { clustered: true, whole: KV_VALUE, shard: 1 << 20 }
    }
}

impl PackOptions {
    /// For a temporary snapshot: items unordered, tables whole.
    pub fn quick() -> Self {
        Self { clustered: false, whole: usize::MAX, ..Self::default() }
    }
}

/// The most bytes of a value in Workers KV.
pub const KV_VALUE: usize = 25 << 20;
/// Upper bound of what the envelope of a shard adds to its section, in bytes.
pub const ENVELOPE: usize = 256;
/// Estimated size of a neighbour; packed tables took 10 to 16 bits.
const NEIGHBOUR_BITS: usize = 12;

/// Packs the tables for every region.
///
/// # Errors
/// A strategy cannot be encoded, or a section cannot be read back.
pub fn pack(
    log: &Dataset,
    prepared: &TrainingData,
    regions: &Regions,
    recipe: &Recipe,
    LearnedTables { mut coview, mut knn, mut bought }: LearnedTables,
    options: PackOptions,
) -> Result<SnapshotSet> {
    let TrainingData { built_at, order, index, counts, .. } = prepared;
    let (mut order, mut index) = (order.clone(), index.clone());
    let in_shards = options.whole < usize::MAX && {
        let neighbours = [&coview, &knn, &bought].into_iter().flatten().map(Vec::len).sum::<usize>();
        let catalogue = CatalogueSections::new(&log.items, &order);
        catalogue.bytes() + neighbours * NEIGHBOUR_BITS / 8 > options.whole
    };
    if options.clustered {
        let mut by_place = order::cluster(&[&coview, &knn, &bought], order.len());
        if in_shards {
            order::tiers(&mut by_place);
        }
        let place = order::places(&by_place);
        [coview, knn, bought] = [coview, knn, bought].map(|table| order::renumber(table, &place));
        index.iter_mut().for_each(|index| *index = place[*index as usize]);
        order = by_place.iter().map(|index| order[*index as usize]).collect();
    }
    let catalogue = CatalogueSections::new(&log.items, &order);
    let mut built = SnapshotSet::default();
    let item_ids = Section::new(ids::NAME, ids::VERSION, catalogue.ids());
    let fingerprint = item_ids.checksum;
    let envelope = |region: &str, built_at, sections| Envelope {
        region: region.to_owned(),
        built_at,
        catalogue: fingerprint,
        sections,
    };
    // Shared blobs have no time, so that unchanged tables keep their hash when only popularity changes.
    let timeless = Timestamp(0);
    let sections = std::iter::once(item_ids).chain(catalogue.attributes()).collect();
    let mut shared = vec![built.add(ITEMS, &envelope("", timeless, sections))?];
    let limit = if in_shards { options.shard.saturating_sub(ENVELOPE) } else { usize::MAX };
    let has_orders = bought.iter().any(|row| !row.is_empty());
    let orders = has_orders.then_some((rows::BOUGHT, &bought));
    for (name, table) in [(rows::COVIEW, &coview), (rows::KNN, &knn)].into_iter().chain(orders) {
        for part in rows::write_shards(table, limit) {
            let section = Section::new(name, rows::VERSION, part);
            let rows = Rows::open(name, &section.bytes)?;
            let range = RowRange { first: rows.first(), end: rows.end() };
            let blob = built.add(name, &envelope("", timeless, vec![section]))?;
            shared.push(BlobRef { rows: in_shards.then_some(range), ..blob });
        }
    }
    let strategies = strategy::write(&recipe.strategies)?;
    let index: Vec<_> = index.into_iter().map(Some).collect();
    for region in regions.names() {
        let members = regions.members(region, log.areas.iter().map(String::as_str));
        let popularity = counts.learn(&index, *built_at, |area| members[usize::from(area)]);
        let popularity = snapshots::popularity::write(&popularity);
        let sections = vec![
            Section::new(snapshots::popularity::NAME, snapshots::popularity::VERSION, popularity),
            Section::new(strategy::NAME, strategy::VERSION, strategies.clone()),
        ];
        let mut blobs = shared.clone();
        blobs.push(built.add(REGION, &envelope(region, *built_at, sections))?);
        let map = if region == WORLD { regions.of_area().clone() } else { BTreeMap::new() };
        built.manifests.push(Manifest::new(region, *built_at, blobs, map));
    }
    Ok(built)
}
