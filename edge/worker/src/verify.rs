//! Checks of what KV returns. A value that fails them is damaged and never used.

use crate::store::LoadedSnapshot;
use snapshots::manifest::{BlobRef, Manifest, RowRange, blob_key, content_hash, manifest_key};
use snapshots::{Bytes, Shard};

/// Reads the manifest of `region`.
///
/// # Errors
/// A message if the value is not a manifest, or is that of another region.
pub fn manifest(region: &str, bytes: &[u8]) -> Result<Manifest, String> {
    let key = manifest_key(region);
    let manifest = Manifest::parse(bytes).map_err(|error| format!("{key}: {error}"))?;
    if manifest.region != region {
        return Err(format!("{key} holds the manifest of region '{}'; publish again", manifest.region));
    }
    Ok(manifest)
}

/// Checks a blob's length and content hash.
///
/// # Errors
/// A message if either differs from the manifest's.
pub fn blob(hash: &str, length: u64, bytes: Vec<u8>) -> Result<Bytes, String> {
    let key = blob_key(hash);
    if u64::try_from(bytes.len()) != Ok(length) {
        return Err(format!("{key} has {} bytes, but its manifest states {length}", bytes.len()));
    }
    if content_hash(&bytes) != hash {
        return Err(format!("{key} is damaged: its content has another hash; publish again"));
    }
    Ok(Bytes::from(bytes))
}

/// Opens a shard of `loaded`.
///
/// # Errors
/// A message if it is not a shard of this snapshot, or holds other rows than the manifest states.
pub fn shard(loaded: &LoadedSnapshot, blob: &BlobRef, bytes: &Bytes) -> Result<Shard, String> {
    let shard = loaded.snapshot.open_shard(bytes).map_err(|error| error.to_string())?;
    let rows = RowRange { first: shard.rows.first(), end: shard.rows.end() };
    if shard.table != blob.name || Some(rows) != blob.rows {
        return Err(format!("{} does not hold the rows that its manifest states", blob_key(&blob.hash)));
    }
    Ok(shard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::time::Timestamp;

    #[test]
    fn a_manifest_of_another_region_is_rejected() {
        let blobs = vec![BlobRef::new("items", b"x")];
        let json = Manifest::new("fr", Timestamp(0), blobs, Default::default()).to_json();
        assert_eq!(manifest("fr", &json).unwrap().region, "fr");
        assert!(manifest("gb", &json).unwrap_err().contains("region 'fr'"));
        assert!(manifest("fr", b"").unwrap_err().starts_with("manifest/fr: not a Verge manifest"));
    }

    #[test]
    fn a_damaged_or_cut_blob_is_rejected() {
        let hash = content_hash(b"abc");
        assert_eq!(blob(&hash, 3, b"abc".to_vec()).unwrap(), "abc");
        assert!(blob(&hash, 3, b"abd".to_vec()).unwrap_err().contains("damaged"));
        assert!(blob(&hash, 3, b"ab".to_vec()).unwrap_err().contains("2 bytes"));
    }
}
