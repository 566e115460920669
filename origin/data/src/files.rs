//! Replacing files so that a kill or a power cut leaves the old content or the new one.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// An error of the file system, with what was tried on which file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// Of an action such as `read` or `write`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    /// The kind of the file system's error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Reads a file; `None` where there is none.
///
/// # Errors
/// It is there and cannot be read.
pub fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::new("read", path, error)),
    }
}

/// Replaces a file unless it holds these bytes already, creating its folder where needed. Returns the bytes written.
///
/// The bytes go to a file beside it (`NAME.part`), which is synced and renamed; then the folder is synced.
///
/// # Errors
/// The folder cannot be written; the text names the file.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<u64, FileError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(0);
    }
    let replace = || -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs::create_dir_all(folder)?;
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let unfinished = path.with_file_name(name);
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        sync_directory(folder.unwrap_or(Path::new(".")))
    };
    replace().map_err(|error| FileError::new("write", path, error))?;
    Ok(bytes.len() as u64)
}

/// Makes the names in a folder durable: files created, renamed or removed.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_directory(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_once_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("folder/tables.v1");
        assert_eq!(replace_file(&path, b"one").unwrap(), 3);
        assert_eq!(replace_file(&path, b"one").unwrap(), 0);
        assert_eq!(replace_file(&path, b"other").unwrap(), 5);
        assert_eq!(fs::read(&path).unwrap(), b"other");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
