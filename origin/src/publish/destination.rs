//! Publishing destinations: a key-value interface, and a directory that implements it.

use super::error::Result;
use origin_data::files::{FileError, read_if_exists, replace_shared_file};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A key-value store from which the edge reads snapshots. Implement it to publish elsewhere.
pub trait Destination {
    /// The value of a key; `None` if the key does not exist.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;
    /// Sets the value of a key.
    fn put(&self, key: &str, value: &[u8]) -> Result<()>;
    /// Deletes a key. It is not an error if the key does not exist.
    fn delete(&self, key: &str) -> Result<()>;
    /// All keys that begin with `prefix`.
    fn list(&self, prefix: &str) -> Result<Vec<String>>;
    /// A name for messages.
    fn name(&self) -> String;
}

/// A directory in which each key is a file.
pub struct Directory(PathBuf);

impl Directory {
    /// A directory, which is created by the first write.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Destination for Directory {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(read_if_exists(&self.0.join(key))?)
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<()> {
        replace_shared_file(&self.0.join(key), value)?;
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        let path = self.0.join(key);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(FileError::new("remove", &path, error).into())
            }
            _ => Ok(()),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let (folder, start) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        let path = self.0.join(folder);
        let unreadable = |error| FileError::new("read", &path, error);
        let entries = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
            if name.starts_with(start) && !name.ends_with(".part") {
                keys.push(format!("{folder}/{name}"));
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }
}
