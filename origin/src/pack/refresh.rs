//! Bringing a model up to date without learning: what regions want by the newest events, and what the catalogue says
//! of the items. Ids and tables stay as they were learnt; items that came since wait for the next learning.

use crate::pack::{Catalogue, ITEMS, REGION, SnapshotSet, lite, regions::Regions};
use anyhow::{Context, Result};
use origin_data::Item;
use origin_learn::popularity::PopularityCounts;
use snapshots::{
    attributes,
    envelope::{Envelope, Section},
    ids::{self, Ids},
    manifest::{BlobRef, Manifest, WORLD},
    popularity::{self, Popularity},
    rules::{self, Rules},
};
use std::collections::HashMap;

/// A model and what it takes to bring it up to date.
pub struct Refresher {
    built: SnapshotSet,
    ids: Vec<String>,
    index_of: HashMap<String, u32>,
    /// The model's index of each item that was counted.
    index: Vec<Option<u32>>,
}

impl Refresher {
    /// Of a model.
    ///
    /// # Errors
    /// A blob of it is damaged.
    pub fn new(built: SnapshotSet) -> Result<Self> {
        let items =
            built.manifests.first().and_then(|manifest| find(manifest, ITEMS)).context("it has no items")?;
        let envelope = open(&built, items)?;
        let ids = known_ids(&envelope)?;
        let index_of = (0u32..).zip(&ids).map(|(index, id)| (id.clone(), index)).collect();
        Ok(Self { built, ids, index_of, index: Vec::new() })
    }

    /// The model as it is now.
    pub fn built(&self) -> &SnapshotSet {
        &self.built
    }

    /// The model, to be kept.
    pub fn into_built(self) -> SnapshotSet {
        self.built
    }

    /// The `count` most wanted items of each region, by index.
    ///
    /// # Errors
    /// A blob of the model is damaged.
    pub fn favourites(&self, count: usize) -> Result<Vec<Vec<u32>>> {
        let of = |manifest: &Manifest| {
            let envelope = open(&self.built, find(manifest, REGION).context("the model has no popularity")?)?;
            let wanted = envelope.sections.iter().find(|section| section.name == popularity::NAME);
            let wanted = Popularity::open(&wanted.context("the model has no popularity")?.bytes)?;
            Ok(wanted.order().take(count).collect())
        };
        self.built.manifests.iter().map(of).collect()
    }

    /// Takes over the catalogue, in any order. `others_in_stock` holds for items that it does not name.
    ///
    /// # Errors
    /// A blob of the model is damaged.
    pub fn attributes(&mut self, catalogue: &[Item], others_in_stock: Option<bool>) -> Result<()> {
        let mut items: Vec<Item> =
            self.ids.iter().map(|id| Item::of_events(id.clone(), others_in_stock)).collect();
        for item in catalogue {
            if let Some(index) = self.index_of.get(&item.id) {
                items[*index as usize] = item.clone();
            }
        }
        let section = |order: &[u32]| {
            let bytes = Catalogue::new(&items, order).attributes();
            Section::new(attributes::NAME, attributes::VERSION, bytes)
        };
        let index_of = self.index_of.clone();
        let all = section(&(0..items.len() as u32).collect::<Vec<_>>());
        self.replace(ITEMS, |_, envelope| set(envelope, all.clone()))?;
        self.replace(lite::NAME, |_, envelope| {
            let known = known_ids(envelope).unwrap_or_default();
            set(
                envelope,
                section(&known.iter().filter_map(|id| index_of.get(id).copied()).collect::<Vec<_>>()),
            );
        })
    }

    /// Takes over what was counted.
    ///
    /// # Errors
    /// A blob of the model is damaged.
    pub fn popularity(&mut self, counted: &PopularityCounts<'_>) -> Result<()> {
        for id in counted.items.iter().skip(self.index.len()) {
            self.index.push(self.index_of.get(id).copied());
        }
        // An item without events has no number, and an index all the same.
        let index = covering(&self.index, self.ids.len());
        let world = self.built.manifests.iter().find(|manifest| manifest.region == WORLD);
        let regions = Regions::of_areas(world.map(|world| world.regions.clone()).unwrap_or_default());
        self.replace(REGION, |region, envelope| {
            let members = regions.members(region, counted.areas.iter());
            let wanted = counted.counts.learn(&index, counted.newest, |area| members[usize::from(area)]);
            envelope.built_at = counted.newest;
            set(envelope, Section::new(popularity::NAME, popularity::VERSION, popularity::write(&wanted)));
        })
    }

    /// Takes over what the merchandiser decided.
    ///
    /// # Errors
    /// A blob of the model is damaged, or the document breaks a bound.
    pub fn rules(&mut self, document: &Rules) -> Result<()> {
        let section = match document {
            document if *document == Rules::default() => None,
            document => Some(Section::new(rules::NAME, rules::VERSION, document.write()?)),
        };
        let set = |_: &str, envelope: &mut Envelope| {
            envelope.sections.retain(|old| old.name != rules::NAME);
            envelope.sections.extend(section.clone());
        };
        self.replace(REGION, set)?;
        self.replace(lite::NAME, set)
    }

    /// Replaces the blobs of one name, and the manifests that name them.
    fn replace(&mut self, name: &str, change: impl Fn(&str, &mut Envelope)) -> Result<()> {
        let mut new = SnapshotSet::default();
        let mut done: HashMap<String, BlobRef> = HashMap::new();
        for manifest in &self.built.manifests {
            let mut built_at = manifest.built_at;
            let (mut blobs, mut lite) = (manifest.blobs.clone(), manifest.lite.clone());
            for blob in blobs.iter_mut().chain(&mut lite).filter(|blob| blob.name == name) {
                let mut envelope = open(&self.built, blob)?;
                *blob = match done.get(&blob.hash) {
                    Some(done) => done.clone(),
                    None => {
                        change(&manifest.region, &mut envelope);
                        let old = blob.hash.clone();
                        done.entry(old).or_insert(new.add(name, &envelope)?).clone()
                    }
                };
                built_at = built_at.max(envelope.built_at);
            }
            let manifest = Manifest::new(&manifest.region, built_at, blobs, manifest.regions.clone());
            new.manifests.push(manifest.with_lite(lite));
        }
        for blob in new.manifests.iter().flat_map(Manifest::named) {
            if let Some(bytes) = self.built.blobs.remove(&blob.hash) {
                new.blobs.entry(blob.hash.clone()).or_insert(bytes);
            }
        }
        self.built = new;
        Ok(())
    }
}

/// `index`, and after it numbers for the indices that it does not name.
fn covering(index: &[Option<u32>], items: usize) -> Vec<Option<u32>> {
    let mut named = vec![false; items];
    index.iter().flatten().for_each(|index| named[*index as usize] = true);
    let unnamed = (0u32..).zip(named).filter(|(_, named)| !named).map(|(index, _)| Some(index));
    index.iter().copied().chain(unnamed).collect()
}

fn find<'a>(manifest: &'a Manifest, name: &str) -> Option<&'a BlobRef> {
    manifest.blobs.iter().find(|blob| blob.name == name)
}

fn known_ids(envelope: &Envelope) -> Result<Vec<String>> {
    let section = envelope.sections.iter().find(|section| section.name == ids::NAME);
    let known = Ids::open(&section.context("it has no ids")?.bytes)?;
    let id = |index| known.id(index).map(|id| id.to_string()).context("an id is damaged");
    (0..known.len() as u32).map(id).collect()
}

fn open(built: &SnapshotSet, blob: &BlobRef) -> Result<Envelope> {
    let bytes = built.blobs.get(&blob.hash).with_context(|| format!("the blob {} is missing", blob.hash))?;
    Envelope::open(&bytes.clone().into()).with_context(|| format!("in the blob {}", blob.hash))
}

fn set(envelope: &mut Envelope, section: Section) {
    for old in envelope.sections.iter_mut().filter(|old| old.name == section.name) {
        *old = section.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build, pack::PackOptions};
    use origin_data::Interner;
    use origin_data::{Dataset, LogEvent};
    use origin_learn::config::Recipe;
    use origin_learn::popularity::Counts;
    use snapshots::{event::Kind, time::Timestamp};

    fn log(events: u32) -> Dataset {
        let item = |number: u32| Item {
            id: format!("i{number}"),
            name: Some(format!("Thing {number}")),
            price: Some(f64::from(number)),
            currency: Some("GBP".to_owned()),
            ..Item::default()
        };
        let event = |number: u32| LogEvent {
            at: Timestamp(1_700_000_000_000 + i64::from(number) * 60_000),
            kind: [Kind::View, Kind::Click, Kind::Purchase][number as usize % 3],
            item: (number * 7_919 % 40).min(number * 104_729 % 40),
            visitor: u64::from(number / 6) + 1,
            session: 0,
            area: (number % 3) as u16,
            quantity: 1,
        };
        Dataset {
            events: (0..events).map(event).collect(),
            items: (0..50).map(item).collect(),
            areas: ["", "fr", "gb"].map(String::from).into(),
        }
    }

    fn build(log: &Dataset) -> SnapshotSet {
        let regions = Regions::automatic(&log.events, &log.areas, 10);
        build::build(log, &regions, &Recipe::default(), PackOptions::default(), |_| {}).unwrap()
    }

    fn ids(log: &Dataset) -> Interner {
        log.items.iter().map(|item| &item.id).collect()
    }

    fn areas(log: &Dataset) -> Interner {
        log.areas.iter().collect()
    }

    #[test]
    fn of_an_unchanged_shop_it_is_the_model_byte_for_byte() {
        let log = log(900);
        let built = build(&log);
        let (blobs, manifests) = (built.blobs.clone(), built.manifests.clone());
        let mut refresher = Refresher::new(built).unwrap();
        let counts = Counts::of(&log.events);
        let (items, areas, newest) = (&ids(&log), &areas(&log), log.events.last().unwrap().at);
        refresher.popularity(&PopularityCounts { counts: &counts, items, areas, newest }).unwrap();
        refresher.attributes(&log.items, None).unwrap();
        assert_eq!(refresher.built().manifests, manifests);
        assert_eq!(refresher.built().blobs, blobs);
    }

    #[test]
    fn what_changes_is_seen_and_tables_stay() {
        let (before, mut after) = (log(900), log(900));
        let newest = after.events.last().unwrap().at;
        let bought = |item| LogEvent {
            at: Timestamp(newest.0 + 1),
            kind: Kind::Purchase,
            item,
            area: 2,
            ..after.events[0]
        };
        // An item that nobody wanted before, as the last of the catalogue.
        after.events.extend([bought(49); 500]);
        let mut refresher = Refresher::new(build(&before)).unwrap();
        let coview = |built: &SnapshotSet| find(&built.manifests[0], "coview").unwrap().clone();
        let table = coview(refresher.built());
        let counts = Counts::of(&after.events);
        let (items, areas, newest) = (&ids(&after), &areas(&after), after.events.last().unwrap().at);
        refresher.popularity(&PopularityCounts { counts: &counts, items, areas, newest }).unwrap();
        let changed = Item { in_stock: Some(false), ..after.items[3].clone() };
        after.items[3] = changed;
        refresher.attributes(&after.items, None).unwrap();
        assert_eq!(coview(refresher.built()), table);
        for (region, first) in [("gb", true), (WORLD, true), ("fr", false)] {
            let snapshot = refresher.built().open(region).unwrap();
            let top = snapshot.popularity.order().next().unwrap();
            assert_eq!(snapshot.ids.id(top).unwrap().to_string() == "i49", first, "{region}");
            let in_stock = |id| snapshot.attributes.in_stock(snapshot.ids.index(id).unwrap());
            assert_eq!(["i3", "i8"].map(in_stock), [false, true]);
            assert_eq!(snapshot.built_at.0, newest.0 + 1);
        }
    }
}
