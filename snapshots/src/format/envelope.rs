//! The envelope: a MessagePack map that describes a blob and holds its sections as `bin` values.
//!
//! ```text
//! { "verge": 1, "region": "gb", "built_at": 1795000000000, "catalogue": 1234567890,
//!   "sections": [ { "name": "coview", "version": 1, "checksum": 987…, "length": 4096, "bytes": bin }, … ] }
//! ```
//! Any MessagePack tool can display it. Opening reads the keys and the positions of the sections; it reads and copies no
//! section. `catalogue` is the fingerprint of the item ids that all tables index, so that blobs of different catalogues
//! are not mixed unnoticed.

use super::{error::Error, msgpack::Reader};
use crate::wire::time::Timestamp;
use bytes::Bytes;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

/// The newest format this crate writes and reads.
pub const FORMAT: u32 = 1;
/// Most sections of a blob. Bounds what opening may allocate.
const MAX_SECTIONS: u32 = 64;

/// One named, versioned part of a blob.
#[derive(Clone, Debug)]
pub struct Section {
    /// The name: `ids`, `coview`, …
    pub name: String,
    /// The version of its layout.
    pub version: u32,
    /// xxh3-64 of the bytes.
    pub checksum: u64,
    /// The packed bytes, shared with the blob.
    pub bytes: Bytes,
}

impl Section {
    /// A section with these bytes.
    pub fn new(name: &str, version: u32, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), version, checksum: xxh3_64(&bytes), bytes: bytes.into() }
    }

    /// Whether the bytes match the checksum. Reads all of them.
    pub fn is_intact(&self) -> bool {
        xxh3_64(&self.bytes) == self.checksum
    }
}

/// An opened blob.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The region; empty if regions share the blob.
    pub region: String,
    /// The time of the newest event in the tables.
    pub built_at: Timestamp,
    /// Fingerprint of the item ids that the sections index.
    pub catalogue: u64,
    /// The sections.
    pub sections: Vec<Section>,
}

#[derive(Serialize)]
struct Head<'a> {
    verge: u32,
    region: &'a str,
    built_at: i64,
    catalogue: u64,
    sections: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    version: u32,
    checksum: u64,
    length: u64,
    bytes: &'a serde_bytes::Bytes,
}

impl Envelope {
    /// Finds the sections of a blob in O(sections).
    ///
    /// # Errors
    /// [`Error::NotASnapshot`] or [`Error::Format`]. Checksums are not read here: see [`Section::is_intact`].
    pub fn open(blob: &Bytes) -> Result<Self, Error> {
        let not = |why: &str| Error::NotASnapshot(why.to_owned());
        let mut found = None;
        // Read first, so that a newer version is reported as such whatever else has changed.
        let read = Reader(blob).map(&mut |reader, key| match key {
            "verge" => reader.u64().map(|version| found = Some(version)),
            _ => reader.skip(),
        });
        let found = found.ok_or_else(|| not("no MessagePack map with the key `verge`"))?;
        if found != u64::from(FORMAT) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(Error::Format { found, supported: FORMAT });
        }
        read.ok_or_else(|| not("it is truncated or damaged"))?;
        let mut envelope =
            Self { region: String::new(), built_at: Timestamp(0), catalogue: 0, sections: Vec::new() };
        let read = Reader(blob).map(&mut |reader, key| {
            match key {
                "region" => envelope.region = reader.str()?.to_owned(),
                "built_at" => envelope.built_at = Timestamp(reader.i64()?),
                "catalogue" => envelope.catalogue = reader.u64()?,
                "sections" => {
                    let count = reader.array().filter(|count| *count <= MAX_SECTIONS)?;
                    for _ in 0..count {
                        envelope.sections.push(section(reader, blob)?);
                    }
                }
                _ => reader.skip()?,
            }
            Some(())
        });
        read.ok_or_else(|| not("a field has an unexpected type or value"))?;
        Ok(envelope)
    }

    /// Encodes the blob. Equal content gives equal bytes.
    ///
    /// # Errors
    /// [`Error::NotASnapshot`] if MessagePack cannot represent it (a section of 4 GiB).
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

/// Reads a section, whose bytes are a slice of `blob`.
fn section(reader: &mut Reader<'_>, blob: &Bytes) -> Option<Section> {
    let mut section = Section { name: String::new(), version: 0, checksum: 0, bytes: Bytes::new() };
    let mut length = None;
    reader.map(&mut |reader, key| {
        match key {
            "name" => section.name = reader.str()?.to_owned(),
            "version" => section.version = reader.u64()?.try_into().ok()?,
            "checksum" => section.checksum = reader.u64()?,
            "length" => length = Some(reader.u64()?),
            "bytes" => section.bytes = blob.slice_ref(reader.bytes()?),
            _ => reader.skip()?,
        }
        Some(())
    })?;
    (length == Some(section.bytes.len() as u64)).then_some(section)
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
    fn sections_are_slices_of_the_blob() {
        let blob = Bytes::from(example().write().unwrap());
        let opened = Envelope::open(&blob).unwrap();
        assert_eq!((&*opened.region, opened.catalogue), ("gb", u64::MAX));
        assert_eq!(opened.sections[1].version, 7);
        assert!(opened.sections.iter().all(Section::is_intact));
        let inside = blob.as_ptr_range();
        assert!(inside.contains(&opened.sections[1].bytes.as_ptr()), "copied, not read in place");
    }

    #[test]
    fn an_unknown_version_is_reported() {
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
        fn a_truncated_or_flipped_blob_is_rejected_or_bounded(at in 0usize..500, bit in 0u8..8, cut in any::<bool>()) {
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
