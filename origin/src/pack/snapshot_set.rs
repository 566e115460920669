//! The result of a build: manifests and blobs, as files.

use crate::pack::lite;
use anyhow::{Context, Result, bail};
use origin_data::files::replace_file;
use snapshots::{
    Snapshot,
    envelope::Envelope,
    manifest::{BlobRef, Manifest, WORLD, blob_key, content_hash, manifest_key},
};
use std::{collections::BTreeMap, path::Path};

/// Name of the blob of ids and attributes.
pub const ITEMS: &str = "items";
/// Name of the blob of a region's popularity and strategies.
pub const REGION: &str = "region";

/// Blobs by hash, and the manifests that name them, the world's last.
#[derive(Debug, Default)]
pub struct SnapshotSet {
    /// Content hash → bytes.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// One per region.
    pub manifests: Vec<Manifest>,
}

impl SnapshotSet {
    /// Adds a blob.
    ///
    /// # Errors
    /// The envelope cannot be written.
    pub(crate) fn add(&mut self, name: &str, envelope: &Envelope) -> Result<BlobRef> {
        let bytes = envelope.write()?;
        let blob = BlobRef::new(name, &bytes);
        self.blobs.insert(blob.hash.clone(), bytes);
        Ok(blob)
    }

    /// Opens one region's snapshot.
    ///
    /// # Errors
    /// There is no such region, or its bytes are damaged.
    pub fn open(&self, region: &str) -> Result<Snapshot> {
        let manifest = self.manifests.iter().find(|manifest| manifest.region == region);
        let manifest = manifest.with_context(|| {
            let names: Vec<&str> = self.manifests.iter().map(|manifest| &*manifest.region).collect();
            format!("no region '{region}'; one of {}", names.join(", "))
        })?;
        let blobs = manifest.blobs.iter().map(|blob| {
            let bytes =
                self.blobs.get(&blob.hash).with_context(|| format!("{} is missing", blob_key(&blob.hash)))?;
            Ok(bytes.clone().into())
        });
        let snapshot = Snapshot::open(&blobs.collect::<Result<Vec<_>>>()?)?;
        snapshot.verify()?;
        Ok(snapshot)
    }

    /// Adds a lite snapshot to each region.
    ///
    /// # Errors
    /// A region cannot be opened.
    pub(crate) fn add_lite(&mut self) -> Result<()> {
        for place in 0..self.manifests.len() {
            let manifest = self.manifests[place].clone();
            let lite = self.add(lite::NAME, &lite::lite(&self.open(&manifest.region)?, lite::BYTES))?;
            self.manifests[place] = manifest.with_lite(Some(lite));
        }
        Ok(())
    }

    /// Writes blobs, then manifests, and removes files of earlier builds. Returns the bytes written.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn save(&self, dir: &Path) -> Result<u64> {
        let mut wrote = 0;
        let mut keep: Vec<String> = self.blobs.keys().map(|hash| blob_key(hash)).collect();
        for (hash, bytes) in &self.blobs {
            wrote += replace_file(&dir.join(blob_key(hash)), bytes)?;
        }
        for manifest in &self.manifests {
            let key = manifest_key(&manifest.region);
            wrote += replace_file(&dir.join(&key), &manifest.to_json())?;
            keep.push(key);
        }
        for folder in ["blob", "manifest"] {
            for entry in std::fs::read_dir(dir.join(folder))? {
                let entry = entry?;
                let key = format!("{folder}/{}", entry.file_name().to_string_lossy());
                if !keep.contains(&key) {
                    std::fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(wrote)
    }

    /// Loads a saved snapshot set.
    ///
    /// # Errors
    /// Nothing was built there, or a file is missing or damaged; the message names it.
    pub fn load(dir: &Path) -> Result<Self> {
        let mut built = Self { manifests: Self::manifests(dir)?, ..Self::default() };
        for blob in built.manifests.iter().flat_map(Manifest::named) {
            if !built.blobs.contains_key(&blob.hash) {
                let path = dir.join(blob_key(&blob.hash));
                let bytes = std::fs::read(&path).with_context(|| format!("in {}", path.display()))?;
                if content_hash(&bytes) != blob.hash {
                    bail!("{} is damaged; run `verge build` again", path.display());
                }
                built.blobs.insert(blob.hash.clone(), bytes);
            }
        }
        Ok(built)
    }

    /// The manifests of a saved snapshot set, without their blobs.
    ///
    /// # Errors
    /// Nothing was built there, or a file is damaged; the message names it.
    pub fn manifests(dir: &Path) -> Result<Vec<Manifest>> {
        let nothing = || format!("no snapshots in {}; run `verge build` first", dir.display());
        let entries = std::fs::read_dir(dir.join("manifest")).with_context(nothing)?;
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        // The world's manifest comes last: it points to the others.
        paths.sort_by_key(|path| (path.ends_with(WORLD), path.clone()));
        let read = |path: &std::path::PathBuf| -> Result<Manifest> {
            let named = || format!("in {}", path.display());
            Manifest::parse(&std::fs::read(path).with_context(named)?).with_context(named)
        };
        let manifests = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
        if manifests.is_empty() { bail!(nothing()) } else { Ok(manifests) }
    }
}
