//! The lite snapshot: a region's most popular items and their rows, in one blob small enough for a page to load. It has the
//! format of any snapshot, so a page scores it with the edge's own code.

use anyhow::{Context, Result};
use origin_learn::Table;
use snapshots::{
    Snapshot, attributes,
    envelope::{Envelope, Section},
    ids, popularity, rows, rules, strategy,
};

/// Name of the blob.
pub const NAME: &str = "lite";
/// Its size limit in bytes.
pub const BYTES: usize = 300_000;
/// Its most items.
const ITEMS: usize = 10_000;
/// Upper bound of what the envelope adds to its sections, in bytes.
const ENVELOPE: usize = 1_024;
/// Neighbours per row below which items are left out instead. In generated shops of 12,000 and 40,000 items, [`BYTES`] then
/// hold some 4,500 items: the newest item of 89 and 65 % of the visits is among them, and 66 and 39 % of the whole
/// snapshot's first twelve recommendations are given. With four neighbours these are 42 and 29 %, with sixteen 69 and 36 %,
/// at fewer items. All of [`ITEMS`] take 625 KB.
const FEWEST: usize = 8;

/// The region's most popular items, at most [`ITEMS`], with as many neighbours per row as `bytes` allow. Where [`FEWEST`]
/// are too many, items are left out.
///
/// # Errors
/// An id of the snapshot is damaged.
pub fn lite(snapshot: &Snapshot, bytes: usize) -> Result<Envelope> {
    let bytes = bytes.saturating_sub(ENVELOPE);
    let mut items = head(snapshot);
    let mut kept = LiteRows::new(snapshot, &items);
    let mut fixed = fixed_sections(snapshot, &items)?;
    let size = |fixed: &[Section], tables: &[Section]| {
        fixed.iter().chain(tables).map(|section| section.bytes.len()).sum::<usize>()
    };
    loop {
        let least = size(&fixed, &kept.sections(FEWEST));
        if least <= bytes || items.is_empty() {
            break;
        }
        let fewer = items.len() as f64 * bytes as f64 / least as f64 * 0.97;
        items.truncate(fewer as usize);
        kept = LiteRows::new(snapshot, &items);
        fixed = fixed_sections(snapshot, &items)?;
    }
    let (mut fits, mut too_many) = (FEWEST, rows::MAX_ROW + 1);
    while fits + 1 < too_many {
        let middle = usize::midpoint(fits, too_many);
        match size(&fixed, &kept.sections(middle)) <= bytes {
            true => fits = middle,
            false => too_many = middle,
        }
    }
    let catalogue = fixed.first().map_or(0, |ids| ids.checksum);
    fixed.extend(kept.sections(fits));
    Ok(Envelope { region: snapshot.region.clone(), built_at: snapshot.built_at, catalogue, sections: fixed })
}

/// The region's most popular items, then any others, up to [`ITEMS`].
fn head(snapshot: &Snapshot) -> Vec<u32> {
    let mut taken = vec![false; snapshot.len()];
    let all = snapshot.popularity.order().chain(0..snapshot.len() as u32);
    all.filter(|item| !std::mem::replace(&mut taken[*item as usize], true)).take(ITEMS).collect()
}

/// The items in the order of the whole snapshot, in which similar items lie together.
fn in_order(items: &[u32]) -> Vec<u32> {
    let mut order = items.to_vec();
    order.sort_unstable();
    order
}

/// Item of the whole snapshot → place in `order`.
fn places(order: &[u32], items: usize) -> Vec<Option<u32>> {
    let mut place = vec![None; items];
    (0u32..).zip(order).for_each(|(new, old)| place[*old as usize] = Some(new));
    place
}

/// All sections but the tables; the ids first.
fn fixed_sections(snapshot: &Snapshot, items: &[u32]) -> Result<Vec<Section>> {
    let order = in_order(items);
    let id = |item: &u32| Ok(snapshot.ids.id(*item).context("an id of the snapshot is damaged")?.to_string());
    let names = order.iter().map(id).collect::<Result<Vec<String>>>()?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let known = order.iter().zip(&names).map(|(item, id)| snapshot.attributes.item(*item, id));
    let columns = attributes::sections(snapshot.attributes.currency(), &names, &known.collect::<Vec<_>>());
    let values = order.iter().map(|item| (snapshot.popularity.of(*item), snapshot.popularity.recency(*item)));
    let place = places(&order, snapshot.len());
    let ranked = snapshot.popularity.order().filter_map(|item| place[item as usize]);
    let values = popularity::write_ordered(&values.collect::<Vec<_>>(), ranked.collect());
    let mut sections = vec![Section::new(ids::NAME, ids::VERSION, ids::write(&names))];
    sections.extend(columns);
    sections.push(Section::new(popularity::NAME, popularity::VERSION, values));
    // Strategies and rules name items by their ids.
    let by_name =
        snapshot.sections.iter().filter(|section| [strategy::NAME, rules::NAME].contains(&&*section.name));
    sections.extend(by_name.cloned());
    Ok(sections)
}

/// The tables restricted to the items that are kept, heaviest neighbours first.
struct LiteRows(Vec<(&'static str, Table)>);

impl LiteRows {
    fn new(snapshot: &Snapshot, items: &[u32]) -> Self {
        let order = in_order(items);
        let place = places(&order, snapshot.len());
        let tables = [&snapshot.coview, &snapshot.knn, &snapshot.bought];
        let there =
            rows::TABLES.into_iter().zip(tables).filter_map(|(name, table)| Some((name, table.as_ref()?)));
        let kept = there.map(|(name, table)| {
            let row = |item: &u32| {
                let mut row = Vec::new();
                table.for_each(*item, |neighbour, weight| {
                    row.extend(place[neighbour as usize].map(|new| (new, weight)));
                });
                row.sort_by(|a: &(u32, f32), b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                row
            };
            (name, order.iter().map(row).collect())
        });
        Self(kept.collect())
    }

    /// The tables with at most this many neighbours per row.
    fn sections(&self, neighbours: usize) -> Vec<Section> {
        let cut = |row: &Vec<(u32, f32)>| row.iter().take(neighbours).copied().collect::<Vec<_>>();
        let section = |(name, rows): &(&str, Table)| {
            let rows: Vec<_> = rows.iter().map(cut).collect();
            Section::new(name, rows::VERSION, rows::write(&rows))
        };
        self.0.iter().map(section).collect()
    }
}
