//! Where snapshots go: a flat space of keys. A directory, or Workers KV.

use anyhow::{Context, Result};
use origin_data::files::replace_file;
use std::path::{Path, PathBuf};

/// A flat space of keys that readers follow: the seam at which other stores attach.
pub trait Destination {
    /// The value of a key; `None` when it has none.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;
    /// Sets a key.
    fn put(&self, key: &str, value: &[u8]) -> Result<()>;
    /// Removes a key; one that is not there is no error.
    fn delete(&self, key: &str) -> Result<()>;
    /// The keys that begin with `prefix`.
    fn list(&self, prefix: &str) -> Result<Vec<String>>;
    /// What to call it when talking to people.
    fn name(&self) -> String;
}

/// A directory: a key is a file below it.
pub struct Directory(PathBuf);

impl Directory {
    /// The directory; it is made when first written to.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Destination for Directory {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let path = self.0.join(key);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<()> {
        replace_file(&self.0.join(key), value).map(|_| ())
    }

    fn delete(&self, key: &str) -> Result<()> {
        match std::fs::remove_file(self.0.join(key)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {key}"))
            }
            _ => Ok(()),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let (folder, start) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        let Ok(entries) = std::fs::read_dir(self.0.join(folder)) else { return Ok(Vec::new()) };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
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
