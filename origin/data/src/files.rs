//! Atomic file replacement: after a kill or a power cut, a file has the old content or the new one. Files and folders of
//! the data directory are accessible to their owner alone.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// An I/O error with the action that failed and the path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// Wraps an I/O error. `action` is a verb that completes "cannot … PATH", such as `read` or `write`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    /// The kind of the I/O error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Reads a file; `None` if it does not exist.
///
/// # Errors
/// The file exists but cannot be read.
pub fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::new("read", path, error)),
    }
}

/// Permissions of a file that its owner alone may read and write.
pub const PRIVATE: u32 = 0o600;
/// Permissions of a file that all users may read, less what the process's umask removes.
const SHARED: u32 = 0o666;

/// Creates a folder and its missing parents, each accessible to the owner alone. An existing folder is left as it is.
///
/// # Errors
/// The folder cannot be created.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Replaces a file atomically and durably, and creates its folder if necessary. Returns the number of bytes written, 0 if
/// the file has this content already. The owner alone may read the file.
///
/// Writes `NAME.part`, syncs and renames it, then syncs the folder.
///
/// # Errors
/// The folder or the file cannot be written; the text names the file.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<u64, FileError> {
    replace(path, bytes, PRIVATE)
}

/// [`replace_file`], for a file that other users may read.
///
/// # Errors
/// As for [`replace_file`].
pub fn replace_shared_file(path: &Path, bytes: &[u8]) -> Result<u64, FileError> {
    replace(path, bytes, SHARED)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<u64, FileError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(0);
    }
    let replace = || -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            if mode == PRIVATE { create_private_dir(folder)? } else { fs::create_dir_all(folder)? }
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        sync_directory(folder.unwrap_or(Path::new(".")))
    };
    replace().map_err(|error| FileError::new("write", path, error))?;
    Ok(bytes.len() as u64)
}

/// Makes the entries of a folder durable after files were created, renamed or removed.
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
    fn replaces_changed_files_only_and_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("folder/tables.v1");
        assert_eq!(replace_file(&path, b"one").unwrap(), 3);
        assert_eq!(replace_file(&path, b"one").unwrap(), 0);
        assert_eq!(replace_file(&path, b"other").unwrap(), 5);
        assert_eq!(fs::read(&path).unwrap(), b"other");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn other_users_may_read_shared_files_only() {
        use std::os::unix::fs::PermissionsExt;
        let others = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
        let dir = tempfile::tempdir().unwrap();
        let (private, shared) = (dir.path().join("a/b/private"), dir.path().join("c/shared"));
        replace_file(&private, b"x").unwrap();
        replace_shared_file(&shared, b"x").unwrap();
        assert_eq!(
            [others(&private), others(&dir.path().join("a")), others(&dir.path().join("a/b"))],
            [0; 3]
        );
        assert_ne!((others(&shared), others(&dir.path().join("c"))), (0, 0));
    }
}
