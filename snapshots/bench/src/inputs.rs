//! The inputs of the benchmarks: snapshots and prefixes of sessions, generated once and read by each host.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use snapshots::envelope::{Envelope, Section};
use snapshots::strategy::{self, Strategy};
use snapshots::{Bytes, Error, Snapshot, attributes, ids, popularity, rows};

/// Neighbours per row of the tables in the scoring cases.
pub const KS: [usize; 3] = [20, 50, 100];
/// Sizes of the snapshots in the opening cases.
const SIZES: [(&str, usize); 4] =
    [("25 KiB", 25 << 10), ("250 KiB", 250 << 10), ("2.5 MiB", 2560 << 10), ("25 MiB", 25 << 20)];
/// Maximum number of recents of a prefix.
const MAX_RECENTS: usize = 50;

/// The inputs of all cases.
#[derive(Default, Serialize, Deserialize)]
pub struct Inputs {
    /// One shop with each number of neighbours in [`KS`], each snapshot in one blob.
    pub shops: Vec<ByteBuf>,
    /// Synthetic snapshots with their names, smallest first.
    pub sizes: Vec<(String, ByteBuf)>,
    /// The recents of each visitor at each step, newest first.
    pub prefixes: Vec<Vec<String>>,
}

/// A seeded random number generator (xorshift64, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

type Rows = Vec<Vec<(u32, f32)>>;

impl Inputs {
    /// Generates the inputs from the blobs of a snapshot, whose rows have the largest number of neighbours in [`KS`], and
    /// from sessions, oldest item first. Without sessions, random walks along the rows take their place.
    ///
    /// # Errors
    /// The blobs are not a snapshot.
    pub fn new(blobs: &[Bytes], sessions: Option<Vec<Vec<String>>>) -> Result<Self, Error> {
        Self::with_sizes(&SIZES, blobs, sessions)
    }

    fn with_sizes(
        sizes: &[(&str, usize)],
        blobs: &[Bytes],
        sessions: Option<Vec<Vec<String>>>,
    ) -> Result<Self, Error> {
        let snapshot = Snapshot::open(blobs)?;
        let catalogue = Envelope::open(blobs.first().ok_or(Error::Missing { section: "any" })?)?.catalogue;
        let shops = KS.iter().map(|k| Ok(ByteBuf::from(truncate_rows(&snapshot, catalogue, *k)?)));
        let sessions = sessions.unwrap_or_else(|| walks(&snapshot, 5_000));
        let prefixes = sessions.iter().flat_map(|session| prefixes(&snapshot, session));
        let sizes =
            sizes.iter().map(|(name, size)| Ok(((*name).to_owned(), synthetic_of_size(*size)?.into())));
        Ok(Self {
            shops: shops.collect::<Result<_, Error>>()?,
            sizes: sizes.collect::<Result<_, Error>>()?,
            prefixes: prefixes.collect(),
        })
    }
}

/// The snapshot in one blob, with the `k` heaviest neighbours of each row. Adds synthetic attributes if it has none.
fn truncate_rows(snapshot: &Snapshot, catalogue: u64, k: usize) -> Result<Vec<u8>, Error> {
    let mut sections: Vec<Section> = snapshot.sections.clone();
    for (name, table) in [(rows::COVIEW, &snapshot.coview), (rows::KNN, &snapshot.knn)] {
        let Some(table) = table else { continue };
        let heaviest = |item| {
            let mut row = Vec::new();
            table.for_each(item, |neighbour, weight| row.push((neighbour, weight)));
            row.sort_by(|a, b| b.1.total_cmp(&a.1));
            row.truncate(k);
            row
        };
        let table: Rows = (0..snapshot.len() as u32).map(heaviest).collect();
        sections.retain(|section| section.name != name);
        sections.push(Section::new(name, rows::VERSION, rows::write(&table)));
    }
    if snapshot.attributes.categories().next().is_none() {
        let ids = (0..snapshot.len() as u32).filter_map(|item| snapshot.ids.id(item));
        let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        sections.retain(|section| section.name != attributes::NAME);
        sections.push(synthetic_attributes(&ids));
    }
    let region = snapshot.region.clone();
    Envelope { region, built_at: snapshot.built_at, catalogue, sections }.write()
}

fn synthetic_attributes(ids: &[String]) -> Section {
    let categories: Vec<String> =
        (0..100).map(|number| format!("Part {} > Shelf {number}", number / 20)).collect();
    let brands: Vec<String> = (0..200).map(|number| format!("Brand {number}")).collect();
    let mut random = Random(88_172_645_463_325_252);
    let item = |id: &String| attributes::Item {
        name: format!("Thing {id} of {}", random.below(500)).into(),
        category: &categories[random.below(categories.len())],
        brand: &brands[random.below(brands.len())],
        price: Some(100 + random.below(20_000) as u32),
        in_stock: random.below(20) > 0,
        ..attributes::Item::default()
    };
    let items: Vec<attributes::Item<'_>> = ids.iter().map(item).collect();
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    Section::new(attributes::NAME, attributes::VERSION, attributes::write("EUR", &ids, &items))
}

/// A synthetic snapshot of just under `size` bytes: 50 neighbours per row, most of them close in the index order.
fn synthetic_of_size(size: usize) -> Result<Vec<u8>, Error> {
    let bytes_per_item = |items| Ok::<_, Error>(synthetic_snapshot(items)?.len() as f64 / items as f64);
    let guess = (size as f64 / bytes_per_item(2_000)?) as usize;
    let mut items = (size as f64 / bytes_per_item(guess.min(20_000))?) as usize;
    loop {
        let blob = synthetic_snapshot(items)?;
        if blob.len() <= size {
            return Ok(blob);
        }
        items = (items as f64 * size as f64 / blob.len() as f64 * 0.995) as usize;
    }
}

fn synthetic_snapshot(items: usize) -> Result<Vec<u8>, Error> {
    let mut random = Random(items as u64 + 1);
    let names: Vec<String> = (0..items).map(|item| format!("{}", 1_000_000 + item * 7)).collect();
    let mut row = |item: usize| {
        let mut row: Vec<(u32, f32)> = (0..50)
            .map(|place| {
                let reach = if place % 4 == 0 { items } else { 300 };
                let neighbour = (item + 1 + random.below(reach)) % items;
                (neighbour as u32, 1.0 / (place + 1) as f32)
            })
            .collect();
        row.sort_by_key(|entry| entry.0);
        row.dedup_by_key(|entry| entry.0);
        row
    };
    let table: Rows = (0..items).map(&mut row).collect();
    let popularity: Vec<(f32, f32)> =
        (0..items).map(|item| (1.0 / (item + 1) as f32, item as f32 / items as f32)).collect();
    let texts: Vec<&str> = names.iter().map(|name| &**name).collect();
    let ids = Section::new(ids::NAME, ids::VERSION, ids::write(&texts));
    let catalogue = ids.checksum;
    let sections = vec![
        ids,
        synthetic_attributes(&names),
        Section::new(rows::COVIEW, rows::VERSION, rows::write(&table)),
        Section::new(popularity::NAME, popularity::VERSION, popularity::write(&popularity)),
        Section::new(strategy::NAME, strategy::VERSION, strategy::write(&[Strategy::default()])?),
    ];
    Envelope { region: "world".to_owned(), built_at: Default::default(), catalogue, sections }.write()
}

/// The visitor's recents before each step but the first, without items that the snapshot does not have.
fn prefixes(snapshot: &Snapshot, session: &[String]) -> Vec<Vec<String>> {
    let known: Vec<&String> = session.iter().filter(|id| snapshot.ids.index(id).is_some()).collect();
    (1..known.len())
        .map(|length| {
            let mut recents: Vec<String> = Vec::new();
            for id in known[..length].iter().rev() {
                if recents.len() < MAX_RECENTS && !recents.contains(id) {
                    recents.push((*id).clone());
                }
            }
            recents
        })
        .collect()
}

/// Sessions of 2 to 9 items; each item is a neighbour of the one before.
fn walks(snapshot: &Snapshot, count: usize) -> Vec<Vec<String>> {
    let mut random = Random(362_436_069);
    let popular: Vec<u32> = snapshot.popularity.order().collect();
    let mut walk = || {
        let mut item = popular.get(random.below(popular.len())).copied()?;
        let mut session = Vec::new();
        for _ in 0..2 + random.below(8) {
            session.push(snapshot.ids.id(item)?.to_string());
            let mut row = Vec::new();
            snapshot.coview.as_ref()?.for_each(item, |neighbour, _| row.push(neighbour));
            item = row.get(random.below(row.len())).copied().unwrap_or(item);
        }
        Some(session)
    };
    (0..count).filter_map(|_| walk()).collect()
}

#[cfg(test)]
pub(crate) fn small() -> Inputs {
    let blob = Bytes::from(synthetic_snapshot(300).unwrap());
    Inputs::with_sizes(&[("25 KiB", 25 << 10)], &[blob], None).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_have_the_size_in_their_name() {
        let inputs = small();
        let [(_, blob)] = inputs.sizes.as_slice() else { panic!("not one size") };
        assert!((24 << 10..=25 << 10).contains(&blob.len()), "{}", blob.len());
        assert!(inputs.shops.is_sorted_by_key(|blob| blob.len()));
    }
}
