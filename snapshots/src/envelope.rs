//! The envelope: one MessagePack map that says what a blob is and holds its sections as `bin` values.
//!
//! ```text
//! { "verge": 1, "region": "gb", "built_at": 1795000000000, "catalogue": 1234567890,
//!   "sections": [ { "name": "coview", "version": 1, "checksum": 987…, "length": 4096, "bytes": bin }, … ] }
//! ```
//! Any MessagePack tool shows it. Opening reads the map's keys and remembers where each section lies; nothing
//! of a section is read or copied. `catalogue` is the fingerprint of the item ids that all tables index, so
//! that blobs of different catalogues cannot be mixed unnoticed.

use crate::{error::Error, time::Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The newest format this crate writes and reads.
pub const FORMAT: u32 = 1;
/// More sections than any snapshot has: a bound on what opening may allocate.
const MAX_SECTIONS: usize = 64;

/// One named, versioned part of a blob.
#[derive(Clone, Debug)]
pub struct Section {
    /// What it holds: `ids`, `coview`, …
    pub name: String,
    /// Version of its layout.
    pub version: u32,
    /// xxh3-64 of the bytes.
    pub checksum: u64,
    /// The packed bytes, shared with the blob.
    pub bytes: Bytes,
}

impl Section {
    /// A section to be written.
    pub fn new(name: &str, version: u32, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), version, checksum: xxh3_64(&bytes), bytes: bytes.into() }
    }

    /// Whether the bytes are those that were written. Reads all of them.
    pub fn is_intact(&self) -> bool {
        xxh3_64(&self.bytes) == self.checksum
    }
}

/// An opened blob.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The region it was built for; empty where all regions share it.
    pub region: String,
    /// The moment the tables describe: the newest event they were learnt from.
    pub built_at: Timestamp,
    /// Fingerprint of the item ids that the sections index.
    pub catalogue: u64,
    /// Its sections.
    pub sections: Vec<Section>,
}

#[derive(Serialize, Deserialize)]
struct Head<'a> {
    verge: u32,
    #[serde(borrow)]
    region: &'a str,
    built_at: i64,
    catalogue: u64,
    sections: Vec<Entry<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    name: &'a str,
    version: u32,
    checksum: u64,
    length: u64,
    #[serde(borrow)]
    bytes: &'a serde_bytes::Bytes,
}

/// Only the version, so that a newer envelope is named as such whatever else changed in it.
#[derive(Deserialize)]
struct Version {
    verge: u32,
}

impl Envelope {
    /// Finds the sections of a blob, in time that grows with their number only.
    ///
    /// # Errors
    /// [`Error::NotASnapshot`] or [`Error::Format`]. Checksums are not read here: see [`Section::is_intact`].
    pub fn open(blob: &Bytes) -> Result<Self, Error> {
        let not = |why: &dyn core::fmt::Display| Error::NotASnapshot(why.to_string());
        let Version { verge: found } = rmp_serde::from_slice(blob).map_err(|error| not(&error))?;
        if found != FORMAT {
            return Err(Error::Format { found, supported: FORMAT });
        }
        let head: Head<'_> = rmp_serde::from_slice(blob).map_err(|error| not(&error))?;
        if head.sections.len() > MAX_SECTIONS {
            return Err(not(&"too many sections"));
        }
        let mut sections = Vec::with_capacity(head.sections.len());
        for entry in head.sections {
            if entry.length != entry.bytes.len() as u64 {
                return Err(not(&format_args!("section '{}' has another length than stated", entry.name)));
            }
            sections.push(Section {
                name: entry.name.to_owned(),
                version: entry.version,
                checksum: entry.checksum,
                bytes: blob.slice_ref(entry.bytes),
            });
        }
        Ok(Self {
            region: head.region.to_owned(),
            built_at: Timestamp(head.built_at),
            catalogue: head.catalogue,
            sections,
        })
    }

    /// The bytes of the blob. The same content gives the same bytes.
    ///
    /// # Errors
    /// [`Error::NotASnapshot`] when MessagePack cannot hold it (a section of 4 GiB).
    pub fn write(&self) -> Result<Vec<u8>, Error> {
        let sections = self.sections.iter().map(|section| Entry {
            name: &section.name,
            version: section.version,
            checksum: section.checksum,
            length: section.bytes.len() as u64,
            bytes: serde_bytes::Bytes::new(&section.bytes),
        });
        let head = Head {
            verge: FORMAT,
            region: &self.region,
            built_at: self.built_at.0,
            catalogue: self.catalogue,
            sections: sections.collect(),
        };
        rmp_serde::to_vec_named(&head).map_err(|error| Error::NotASnapshot(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Envelope {
        Envelope {
            region: "gb".to_owned(),
            built_at: Timestamp(1_795_000_000_000),
            catalogue: u64::MAX,
            sections: vec![Section::new("ids", 1, vec![1, 2, 3]), Section::new("coview", 7, vec![0; 300])],
        }
    }

    #[test]
    fn sections_lie_inside_the_blob() {
        let blob = Bytes::from(example().write().unwrap());
        let opened = Envelope::open(&blob).unwrap();
        assert_eq!((&*opened.region, opened.catalogue), ("gb", u64::MAX));
        assert_eq!(opened.sections[1].version, 7);
        assert!(opened.sections.iter().all(Section::is_intact));
        let inside = blob.as_ptr_range();
        assert!(inside.contains(&opened.sections[1].bytes.as_ptr()), "copied, not read in place");
    }

    #[test]
    fn another_version_is_named() {
        let newer = rmp_serde::to_vec_named(&serde_json::json!({"verge": 9, "new": true})).unwrap();
        let error = Envelope::open(&newer.into()).unwrap_err();
        assert_eq!(error, Error::Format { found: 9, supported: FORMAT });
    }

    proptest! {
        #[test]
        fn any_bytes_open_or_give_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Envelope::open(&bytes.into());
        }

        #[test]
        fn a_cut_or_flipped_blob_is_noticed_or_harmless(at in 0usize..500, bit in 0u8..8, cut in any::<bool>()) {
            let mut blob = example().write().unwrap();
            let at = at % blob.len();
            if cut { blob.truncate(at) } else { blob[at] ^= 1 << bit }
            if let Ok(opened) = Envelope::open(&blob.into()) {
                prop_assert!(!cut);
                prop_assert!(opened.sections.len() <= 2);
            }
        }
    }
}
