//! Hit rate of the shard cache: simulates one isolate with the Worker's cache on catalogues too large to learn here.
//!
//! Item popularity follows Zipf's law. A visitor's recents are the last five items, drawn independently. Real recents are
//! similar to each other, so they need fewer shards and have a higher hit rate. A thousand visitors take turns.

use serde::Serialize;
use snapshots::manifest::{BlobRef, RowRange};
use snapshots::rows::{COVIEW, KNN, Rows, write_shard};
use snapshots::shards::{ShardCache, ShardLookup};
use snapshots::{Error, Shard};

/// Bytes per row: 50 neighbours of 12 bits.
const ROW: u64 = 75;
/// The first tier ends at this rank, each further tier at four times the rank of the one before.
const FIRST_TIER: u64 = 1 << 14;
const VISITORS: usize = 1_000;
const RECENTS: usize = 5;
/// Requests that warm the cache up, and requests that are counted.
const WARM_UP: usize = 20_000;
const COUNTED: usize = 50_000;

/// How the rows of a table are ordered before it is cut.
#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// By neighbourhood alone, so that each shard contains popular and unpopular items.
    Neighbourhood,
    /// By tiers of popularity, and by neighbourhood within a tier.
    Tiers,
}

/// The result of a simulation.
#[derive(Serialize)]
pub struct Figures {
    items: u64,
    /// The exponent of Zipf's law.
    skew: f64,
    order: Order,
    shard_kib: u64,
    cache_mib: u64,
    /// MiB of both tables.
    tables_mib: u64,
    /// Share of needed shards that were cached.
    shards: f64,
    /// Share of requests with all needed shards cached.
    requests: f64,
}

/// A seeded random number generator: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Draws a rank from 0 by Zipf's law, with the inverse of its continuous form.
    fn rank(&mut self, items: u64, skew: f64) -> u64 {
        let (unit, items) = (self.unit(), items as f64 + 1.0);
        let rank = if (skew - 1.0).abs() < 1e-9 {
            items.powf(unit)
        } else {
            ((items.powf(1.0 - skew) - 1.0) * unit + 1.0).powf(1.0 / (1.0 - skew))
        };
        (rank as u64).saturating_sub(1)
    }
}

/// The shard with the row of the item of this rank. Within a tier or table, neighbourhoods scatter ranks evenly.
fn shard_of(rank: u64, items: u64, order: Order, shard: u64) -> u64 {
    let (mut start, mut end) = (0, items);
    if order == Order::Tiers {
        end = FIRST_TIER;
        while rank >= end {
            (start, end) = (end, end * 4);
        }
    }
    // A fixed position for each rank, spread over the tier.
    let place = start + rank.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (end.min(items) - start);
    place * ROW / shard
}

fn simulate(items: u64, skew: f64, order: Order, shard_kib: u64, cache_mib: u64) -> Result<Figures, Error> {
    let mut random = Random(1);
    let rows = Rows::open(COVIEW, &write_shard(&[vec![(0, 1.0)]], 0, 16).into())?;
    let mut shards = ShardCache::default();
    let mut visitors = vec![[0u64; RECENTS]; VISITORS];
    visitors.iter_mut().flatten().for_each(|rank| *rank = random.rank(items, skew));
    let (mut needed, mut cached, mut whole) = (0u64, 0u64, 0u64);
    for request in 0..WARM_UP + COUNTED {
        let recents = &mut visitors[(random.unit() * VISITORS as f64) as usize];
        recents.rotate_right(1);
        recents[0] = random.rank(items, skew);
        let mut wanted: Vec<(&str, u64)> = recents
            .iter()
            .flat_map(|rank| {
                [COVIEW, KNN].map(|table| (table, shard_of(*rank, items, order, shard_kib << 10)))
            })
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut missing = 0;
        for (table, number) in &wanted {
            let rows_held = RowRange { first: 0, end: 1 };
            let hash = format!("{table}{number}");
            let blob =
                BlobRef { name: (*table).to_owned(), hash, bytes: shard_kib << 10, rows: Some(rows_held) };
            if let ShardLookup::StartRead = shards.look_up(&blob, cache_mib << 20, request as i64) {
                shards.finish(&blob.hash, Some(Shard { table: COVIEW, rows: rows.clone() }), request as i64);
                missing += 1;
            }
        }
        if request >= WARM_UP {
            needed += wanted.len() as u64;
            cached += wanted.len() as u64 - missing;
            whole += u64::from(missing == 0);
        }
    }
    let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    Ok(Figures {
        items,
        skew,
        order,
        shard_kib,
        cache_mib,
        tables_mib: (2 * items * ROW) >> 20,
        shards: share(cached, needed),
        requests: share(whole, COUNTED as u64),
    })
}

/// Runs all combinations of parameters.
///
/// # Errors
/// The placeholder rows cannot be packed.
pub fn simulations() -> Result<Vec<Figures>, Error> {
    let mut figures = Vec::new();
    for items in [1_000_000, 10_000_000, 100_000_000] {
        for skew in [0.8, 1.0] {
            for (order, shard_kib) in [
                (Order::Neighbourhood, 4_096),
                (Order::Tiers, 4_096),
                (Order::Tiers, 1_024),
                (Order::Tiers, 256),
            ] {
                for cache_mib in [16, 32, 48] {
                    figures.push(simulate(items, skew, order, shard_kib, cache_mib)?);
                }
            }
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_holds_small_tables_and_tiers_help_with_large_ones() {
        let all = simulate(200_000, 1.0, Order::Neighbourhood, 4_096, 48).unwrap();
        assert_eq!((all.shards, all.requests), (1.0, 1.0));
        let mixed = simulate(10_000_000, 1.0, Order::Neighbourhood, 4_096, 32).unwrap();
        let tiers = simulate(10_000_000, 1.0, Order::Tiers, 4_096, 32).unwrap();
        assert!(mixed.shards < 0.5 && tiers.shards > mixed.shards, "{} {}", mixed.shards, tiers.shards);
    }

    #[test]
    fn ranks_follow_zipfs_law() {
        let mut random = Random(7);
        let ranks: Vec<u64> = (0..100_000).map(|_| random.rank(1_000_000, 1.0)).collect();
        let below = |rank: u64| ranks.iter().filter(|drawn| **drawn < rank).count() as f64 / 1e5;
        // ln(n + 1) / ln(items + 1)
        assert!((below(1_000) - 0.5).abs() < 0.01 && below(1_000_000) == 1.0, "{}", below(1_000));
        assert!(ranks.iter().all(|rank| shard_of(*rank, 1_000_000, Order::Tiers, 4 << 20) < 18));
    }
}
