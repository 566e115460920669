//! Refreshing a snapshot set without learning: popularity by the newest events, attributes by the catalogue, and rules. Ids
//! and tables stay; newer items wait for the next build.

use crate::pack::{CatalogueSections, ITEMS, REGION, SnapshotSet, lite, regions::Regions};
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

/// A snapshot set that can be refreshed.
pub struct Refresher {
    built: SnapshotSet,
    ids: Vec<String>,
    index_of: HashMap<String, u32>,
    /// By number of a counted item, its index in the snapshot.
    index: Vec<Option<u32>>,
}

impl Refresher {
    /// Takes a snapshot set.
    ///
    /// # Errors
    /// One of its blobs is damaged.
    pub fn new(built: SnapshotSet) -> Result<Self> {
        let items = built
            .manifests
            .first()
            .and_then(|manifest| find(manifest, ITEMS))
            .context("there are no items")?;
        let envelope = open(&built, items)?;
        let ids = known_ids(&envelope)?;
        let index_of = (0u32..).zip(&ids).map(|(index, id)| (id.clone(), index)).collect();
        Ok(Self { built, ids, index_of, index: Vec::new() })
    }

    /// The snapshot set in its current state.
    pub fn built(&self) -> &SnapshotSet {
        &self.built
    }

    /// Returns the snapshot set.
    pub fn into_built(self) -> SnapshotSet {
        self.built
    }

    /// The `count` most popular items of each region, by index.
    ///
    /// # Errors
    /// A blob is damaged.
    pub fn favourites(&self, count: usize) -> Result<Vec<Vec<u32>>> {
        let of = |manifest: &Manifest| {
            let envelope = open(&self.built, find(manifest, REGION).context("there is no popularity")?)?;
            let section = envelope.sections.iter().find(|section| section.name == popularity::NAME);
            let popularity = Popularity::open(&section.context("there is no popularity")?.bytes)?;
            Ok(popularity.order().take(count).collect())
        };
        self.built.manifests.iter().map(of).collect()
    }

    /// Replaces the attributes by those of the catalogue, in any order. `others_in_stock` holds for items that are not in it.
    ///
    /// # Errors
    /// A blob is damaged.
    pub fn attributes(&mut self, catalogue: &[Item], others_in_stock: Option<bool>) -> Result<()> {
        let mut items: Vec<Item> =
            self.ids.iter().map(|id| Item::of_events(id.clone(), others_in_stock)).collect();
        for item in catalogue {
            if let Some(index) = self.index_of.get(&item.id) {
                items[*index as usize] = item.clone();
            }
        }
        let sections = |order: &[u32]| CatalogueSections::new(&items, order).attributes();
        let index_of = self.index_of.clone();
        let all = sections(&(0..items.len() as u32).collect::<Vec<_>>());
        self.replace(ITEMS, |_, envelope| {
            set_attributes(envelope, all.clone());
            Ok(())
        })?;
        self.replace(lite::NAME, |_, envelope| {
            let index = |id: &String| {
                index_of.get(id).copied().with_context(|| format!("the model has no item '{id}'"))
            };
            let order = known_ids(envelope)?.iter().map(index).collect::<Result<Vec<_>>>()?;
            set_attributes(envelope, sections(&order));
            Ok(())
        })
    }

    /// Replaces the popularity.
    ///
    /// # Errors
    /// A blob is damaged.
    pub fn popularity(&mut self, counted: &PopularityCounts<'_>) -> Result<()> {
        for id in counted.items.iter().skip(self.index.len()) {
            self.index.push(self.index_of.get(id).copied());
        }
        // An item without events has no number, but it has an index.
        let index = covering(&self.index, self.ids.len());
        let world = self.built.manifests.iter().find(|manifest| manifest.region == WORLD);
        let regions = Regions::of_areas(world.map(|world| world.regions.clone()).unwrap_or_default());
        self.replace(REGION, |region, envelope| {
            let members = regions.members(region, counted.areas.iter());
            let values = counted.counts.learn(&index, counted.newest, |area| members[usize::from(area)]);
            envelope.built_at = counted.newest;
            set(envelope, Section::new(popularity::NAME, popularity::VERSION, popularity::write(&values)));
            Ok(())
        })
    }

    /// Replaces the rules.
    ///
    /// # Errors
    /// A blob is damaged, or the document breaks a bound.
    pub fn rules(&mut self, document: &Rules) -> Result<()> {
        let section = match document {
            document if *document == Rules::default() => None,
            document => Some(Section::new(rules::NAME, rules::VERSION, document.write()?)),
        };
        let set = |_: &str, envelope: &mut Envelope| {
            envelope.sections.retain(|old| old.name != rules::NAME);
            envelope.sections.extend(section.clone());
            Ok(())
        };
        self.replace(REGION, set)?;
        self.replace(lite::NAME, set)
    }

    /// Replaces the blobs of one name, and the manifests that name them.
    fn replace(&mut self, name: &str, change: impl Fn(&str, &mut Envelope) -> Result<()>) -> Result<()> {
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
                        change(&manifest.region, &mut envelope)?;
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

/// `index`, extended by the indices that it does not name.
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
    let known = Ids::open(&section.context("there are no ids")?.bytes)?;
    let id = |index| known.id(index).map(|id| id.to_string()).context("an id is damaged");
    (0..known.len() as u32).map(id).collect()
}

fn open(built: &SnapshotSet, blob: &BlobRef) -> Result<Envelope> {
    let bytes = built.blobs.get(&blob.hash).with_context(|| format!("the blob {} is missing", blob.hash))?;
    Envelope::open(&bytes.clone().into()).with_context(|| format!("in the blob {}", blob.hash))
}

/// Replaces all sections of attributes. The optional ones follow the one that is always there, as a whole build packs them.
fn set_attributes(envelope: &mut Envelope, sections: Vec<Section>) {
    envelope.sections.retain(|old| !attributes::OPTIONAL.contains(&&*old.name));
    if let Some(place) = envelope.sections.iter().position(|old| old.name == attributes::NAME) {
        envelope.sections.splice(place..=place, sections);
    }
}

fn set(envelope: &mut Envelope, section: Section) {
    for old in envelope.sections.iter_mut().filter(|old| old.name == section.name) {
        *old = section.clone();
    }
}
