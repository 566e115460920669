//! Items whose surges an operator released: `surges.json` in the data directory. Live tables and builds pass the whole log
//! with the same releases.

use crate::store::{StoreError, error::Result};
use origin_data::files::{FileError, replace_file};
use origin_learn::caps::Release;
use snapshots::time::Timestamp;
use std::{io::ErrorKind, path::Path};

/// Name of the file in the data directory.
pub const FILE: &str = "surges.json";
/// The most releases that are kept; the latest.
const MAX: usize = 1_000;

/// Reads the releases, oldest first; none if the file does not exist.
///
/// # Errors
/// The file cannot be read or is damaged.
pub fn load(data_dir: &Path) -> Result<Vec<Release>> {
    let path = data_dir.join(FILE);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| StoreError::Releases { path, source }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(FileError::new("read the releases", &path, error).into()),
    }
}

/// Releases an item. A running service notices within a second.
///
/// # Errors
/// As for [`load`], or the file cannot be written.
pub fn release(data_dir: &Path, item: &str, at: Timestamp) -> Result<()> {
    let mut releases = load(data_dir)?;
    releases.push(Release { item: item.to_owned(), at });
    let surplus = releases.len().saturating_sub(MAX);
    releases.drain(..surplus);
    let bytes = serde_json::to_vec_pretty(&releases)
        .map_err(|source| StoreError::Releases { path: data_dir.join(FILE), source })?;
    replace_file(&data_dir.join(FILE), &bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_kept_and_a_damaged_file_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), []);
        for number in 0..1_002 {
            release(dir.path(), "cup", Timestamp(number)).unwrap();
        }
        let releases = load(dir.path()).unwrap();
        assert_eq!((releases.len(), releases[0].at.0, releases[999].at.0), (1_000, 2, 1_001));
        std::fs::write(dir.path().join(FILE), "[{").unwrap();
        assert!(load(dir.path()).unwrap_err().to_string().contains(FILE));
    }
}
