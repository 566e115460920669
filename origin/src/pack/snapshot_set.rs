//! The result of a build: manifests and blobs, as files.

use crate::pack::lite;
use anyhow::{Context, Result, bail};
use origin_data::files::replace_file;
use snapshots::{
    Snapshot,
    envelope::Envelope,
    manifest::{BlobRef, Manifest, WORLD, blob_key, content_hash, manifest_key},
};
use std::{collections::BTreeMap, io::ErrorKind, path::Path};

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
        Self::load_if_built(dir)?.with_context(|| not_built(dir))
    }

    /// Reads what [`Self::save`] wrote; `None` if nothing was saved in this directory yet.
    ///
    /// # Errors
    /// A file cannot be read, is missing or is damaged; the text names it.
    pub fn load_if_built(dir: &Path) -> Result<Option<Self>> {
        let Some(manifests) = Self::manifests_if_built(dir)? else { return Ok(None) };
        let mut built = Self { manifests, ..Self::default() };
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
        Ok(Some(built))
    }

    /// The manifests of a saved snapshot set, without their blobs.
    ///
    /// # Errors
    /// Nothing was built there, or a file is damaged; the message names it.
    pub fn manifests(dir: &Path) -> Result<Vec<Manifest>> {
        Self::manifests_if_built(dir)?.with_context(|| not_built(dir))
    }

    /// The manifests of what [`Self::save`] wrote, without their blobs; `None` if nothing was saved in this directory
    /// yet.
    ///
    /// # Errors
    /// The directory or a file cannot be read or is damaged; the text names it.
    pub fn manifests_if_built(dir: &Path) -> Result<Option<Vec<Manifest>>> {
        let folder = dir.join("manifest");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
        };
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        // A file that is being written, or was when the process was killed.
        paths.retain(|path| path.extension().is_none_or(|extension| extension != "part"));
        // The world's manifest comes last: it points to the others.
        paths.sort_by_key(|path| (path.ends_with(WORLD), path.clone()));
        let read = |path: &std::path::PathBuf| -> Result<Manifest> {
            let named = || format!("in {}", path.display());
            Manifest::parse(&std::fs::read(path).with_context(named)?).with_context(named)
        };
        let manifests = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
        if manifests.is_empty() {
            bail!("{} has no manifests; run `verge build` again", folder.display());
        }
        Ok(Some(manifests))
    }
}

fn not_built(dir: &Path) -> String {
    format!("no snapshots in {}; run `verge build` first", dir.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::time::Timestamp;
    use std::fs;

    fn save(dir: &Path) {
        let mut set = SnapshotSet::default();
        let envelope =
            Envelope { region: WORLD.to_owned(), built_at: Timestamp(1), catalogue: 0, sections: Vec::new() };
        let blob = set.add(REGION, &envelope).unwrap();
        set.manifests.push(Manifest::new(WORLD, Timestamp(1), vec![blob], BTreeMap::new()));
        set.save(dir).unwrap();
    }

    fn file_in(folder: &Path) -> std::path::PathBuf {
        fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
    }

    #[test]
    fn a_missing_directory_is_not_built_and_a_saved_one_loads() {
        let dir = tempfile::tempdir().unwrap();
        assert!(SnapshotSet::load_if_built(dir.path()).unwrap().is_none());
        assert!(SnapshotSet::manifests_if_built(&dir.path().join("missing")).unwrap().is_none());
        let error = SnapshotSet::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("run `verge build` first"), "{error}");
        save(dir.path());
        assert_eq!(SnapshotSet::load_if_built(dir.path()).unwrap().unwrap().blobs.len(), 1);
    }

    #[test]
    fn a_damaged_or_missing_file_is_an_error_and_not_an_empty_set() {
        type Damage = fn(&Path);
        let damages: [(&str, &str, Damage); 4] = [
            ("a cut manifest", "manifest", |dir| fs::write(file_in(&dir.join("manifest")), "{").unwrap()),
            ("a changed blob", "blob", |dir| fs::write(file_in(&dir.join("blob")), "x").unwrap()),
            ("a missing blob", "blob", |dir| fs::remove_file(file_in(&dir.join("blob"))).unwrap()),
            ("no manifest", "manifest", |dir| fs::remove_file(file_in(&dir.join("manifest"))).unwrap()),
        ];
        for (damage, folder, apply) in damages {
            let dir = tempfile::tempdir().unwrap();
            save(dir.path());
            apply(dir.path());
            let error = format!("{:#}", SnapshotSet::load_if_built(dir.path()).unwrap_err());
            assert!(error.contains(folder), "{damage}: {error}");
            let manifests = SnapshotSet::manifests_if_built(dir.path());
            assert_eq!(manifests.is_err(), folder == "manifest", "{damage}");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("manifest"), "a file in place of the directory").unwrap();
        assert!(SnapshotSet::load_if_built(dir.path()).is_err());
    }

    #[test]
    fn an_unfinished_write_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path());
        fs::write(dir.path().join("manifest/gb.part"), "{").unwrap();
        assert_eq!(SnapshotSet::manifests(dir.path()).unwrap().len(), 1);
    }
}
