//! The manifest: a small KV value, written last, that lists the blobs of a region's snapshot.

use super::{error::Error, rows::RowKey};
use crate::wire::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use crate::wire::{
    hash::{content_hash, is_hash},
    region::{CONTINENT, Place, WORLD, is_region},
};

/// The format version of manifests.
pub const FORMAT: u32 = 1;
/// Most blobs of a manifest.
const MAX_BLOBS: usize = 4_096;

/// The KV key of a region's manifest.
pub fn manifest_key(region: &str) -> String {
    format!("manifest/{region}")
}

/// The KV key of a blob.
pub fn blob_key(hash: &str) -> String {
    format!("blob/{hash}")
}

/// A reference to a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// The content: `items`, `coview`, `knn`, `bought`, `region` or `lite`.
    pub name: String,
    /// Its [`content_hash`].
    pub hash: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// For a shard of the table `name`: the items whose rows it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowRange>,
}

impl BlobRef {
    /// The reference to these bytes.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), hash: content_hash(bytes), bytes: bytes.len() as u64, rows: None }
    }
}

/// Items from `first` up to but not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRange {
    /// The first.
    pub first: u32,
    /// One past the last.
    pub end: u32,
}

/// Letters of a country code.
const COUNTRY: usize = 2;
/// The blobs of a region's snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The region.
    pub region: String,
    /// Hash of the content. Snapshots of equal versions give equal answers.
    pub version: String,
    /// The time of the newest event in the tables.
    pub built_at: Timestamp,
    /// The blobs. Every answer needs all of them except shards, of which it needs those that hold its recents' rows.
    pub blobs: Vec<BlobRef>,
    /// A complete snapshot of the region's most popular items in one small blob, for scoring in pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lite: Option<BlobRef>,
    /// In the manifest of [`WORLD`]: the region of each area, a lower-case country code, ISO 3166-2 code (`us-ca`) or
    /// continent (`continent-eu`). Empty in other manifests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<String, String>,
}

impl Manifest {
    /// A manifest; the version is a hash of its content.
    pub fn new(
        region: &str,
        built_at: Timestamp,
        blobs: Vec<BlobRef>,
        regions: BTreeMap<String, String>,
    ) -> Self {
        let (region, version) = (region.to_owned(), String::new());
        Self { format: FORMAT, region, version, built_at, blobs, lite: None, regions }.with_lite(None)
    }

    /// Sets the lite snapshot and updates the version.
    #[must_use]
    pub fn with_lite(self, lite: Option<BlobRef>) -> Self {
        let mut content: Vec<&str> = self.blobs.iter().chain(&lite).map(|blob| &*blob.hash).collect();
        content.extend(self.regions.iter().flat_map(|(area, region)| [&**area, &**region]));
        let version = content_hash(content.join("\n").as_bytes()).chars().take(16).collect();
        Self { version, lite, ..self }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Error::Manifest`] or [`Error::Format`]. Every hash of a parsed manifest is safe in a blob key.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let not = |error: serde_json::Error| Error::Manifest(error.to_string());
        let Version { format: found } = serde_json::from_slice(bytes).map_err(not)?;
        if found != FORMAT {
            return Err(Error::Format { found, supported: FORMAT });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(not)?;
        let wrong = if manifest.blobs.is_empty() || manifest.blobs.len() > MAX_BLOBS {
            "it lists no blobs, or too many"
        } else if !manifest.named().all(|blob| is_hash(&blob.hash)) {
            "a blob's hash is not 32 hexadecimal digits"
        } else if !is_region(&manifest.region) || !manifest.regions.values().all(|name| is_region(name)) {
            "a region's name is not 1 to 32 of a-z, 0-9 and -"
        } else {
            return Ok(manifest);
        };
        Err(Error::Manifest(wrong.to_owned()))
    }

    /// All blobs, including the lite snapshot.
    pub fn named(&self) -> impl Iterator<Item = &BlobRef> {
        self.blobs.iter().chain(&self.lite)
    }

    /// The blobs that every answer needs: all except shards and the lite snapshot.
    pub fn resident(&self) -> impl Iterator<Item = &BlobRef> {
        self.blobs.iter().filter(|blob| blob.rows.is_none())
    }

    /// Whether tables are sharded.
    pub fn is_sharded(&self) -> bool {
        self.blobs.iter().any(|blob| blob.rows.is_some())
    }

    /// The shard that holds a row; `None` if the table is not sharded or has no such row.
    pub fn shard(&self, (table, item): RowKey) -> Option<&BlobRef> {
        let holds = |blob: &&BlobRef| {
            blob.rows.is_some_and(|rows| (rows.first..rows.end).contains(&item)) && blob.name == table
        };
        self.blobs.iter().find(holds)
    }

    /// The manifest as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// The region of a visitor: that of the subdivision (`us-ca`), the country, the continent (`continent-na`), or
    /// [`WORLD`]. Calls `place` only if the manifest maps areas other than countries.
    pub fn region_at(&self, country: &str, place: &dyn Fn() -> Place) -> &str {
        let of = |area: &str| self.regions.get(area).map(String::as_str);
        if self.regions.keys().all(|area| area.len() == COUNTRY) {
            return of(country).unwrap_or(WORLD);
        }
        let place = place();
        let on = || of(&format!("{CONTINENT}{}", place.continent));
        of(&place.area(country)).or_else(|| of(country)).or_else(on).unwrap_or(WORLD)
    }

    /// The region of an area, or [`WORLD`] if the manifest does not list it.
    pub fn region_of(&self, area: &str) -> &str {
        self.regions.get(&area.to_ascii_lowercase()).map_or(WORLD, |region| region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Manifest {
        let blob = BlobRef::new("items", b"x");
        let regions = BTreeMap::from([("gb".to_owned(), "uk".to_owned())]);
        Manifest::new(WORLD, Timestamp(1_795_000_000_000), vec![blob], regions)
    }

    #[test]
    fn a_manifest_reads_as_it_was_written() {
        assert_eq!(Manifest::parse(&example().to_json()).unwrap(), example());
        assert_eq!((example().region_of("GB"), example().region_of("fr")), ("uk", WORLD));
    }

    #[test]
    fn the_finest_listed_area_determines_the_region() {
        let named = |areas: &[&str]| {
            let regions = areas.iter().map(|area| ((*area).to_owned(), format!("r-{area}"))).collect();
            Manifest::new(WORLD, Timestamp(0), vec![BlobRef::new("items", b"x")], regions)
        };
        let place = || Place { continent: "na".into(), subdivision: "ca".into() };
        let all = named(&["us-ca", "us", "continent-na"]);
        assert_eq!(all.region_at("us", &place), "r-us-ca");
        assert_eq!(named(&["us-ny", "us", "continent-na"]).region_at("us", &place), "r-us");
        assert_eq!(named(&["us-ny", "continent-na"]).region_at("us", &place), "r-continent-na");
        assert_eq!(all.region_at("fr", &Place::default), WORLD);
        let never = || -> Place { panic!("not needed: all areas are countries") };
        assert_eq!(named(&["us", "fr"]).region_at("us", &never), "r-us");
        assert_eq!(named(&["us"]).region_at("", &never), WORLD);
    }

    #[test]
    fn the_version_covers_the_lite_snapshot_which_old_manifests_lack() {
        let lite = BlobRef::new("lite", b"y");
        let with = example().with_lite(Some(lite.clone()));
        assert_eq!(Manifest::parse(&with.to_json()).unwrap(), with);
        assert_ne!(with.version, example().version);
        assert_eq!(with.with_lite(None), example());
        assert!(!String::from_utf8(example().to_json()).unwrap().contains("lite"));
        let json = String::from_utf8(example().with_lite(Some(lite)).to_json()).unwrap();
        let elsewhere = json.replace(&content_hash(b"y"), "../manifest/world");
        assert!(matches!(Manifest::parse(elsewhere.as_bytes()), Err(Error::Manifest(_))));
    }

    #[test]
    fn names_that_could_escape_their_key_are_rejected() {
        for (from, to) in [(&*content_hash(b"x"), "../manifest/world"), ("\"world\"", "\"../x\"")] {
            let json = String::from_utf8(example().to_json()).unwrap().replace(from, to);
            assert!(matches!(Manifest::parse(json.as_bytes()), Err(Error::Manifest(_))), "{json}");
        }
        let newer = br#"{"format":2,"anything":true}"#;
        assert_eq!(Manifest::parse(newer), Err(Error::Format { found: 2, supported: FORMAT }));
    }

    proptest! {
        #[test]
        fn any_flip_parses_or_is_rejected(at in 0usize..500, to in any::<u8>()) {
            let mut json = example().to_json();
            let at = at % json.len();
            json[at] = to;
            let _ = Manifest::parse(&json);
        }
    }
}
