//! Import sources: a file is recognised by its first bytes, so that events get the same ids when it is imported again.

use crate::store::{Store, StoreError, error::Result};
use origin_data::input::PREFIX;
use rusqlite::{Connection, params};

impl Store {
    /// The short name of the source whose content begins with `prefix`: its first [`PREFIX`] bytes, or all of a shorter
    /// file. A file that has grown since its last import keeps its name.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn source(&mut self, format: &str, prefix: &[u8]) -> Result<String> {
        let prefix = &prefix[..prefix.len().min(PREFIX)];
        find_or_add(&self.db, format, prefix).map_err(StoreError::sqlite("write", &self.path))
    }
}

fn find_or_add(db: &Connection, format: &str, prefix: &[u8]) -> rusqlite::Result<String> {
    let name = match find(db, format, prefix)? {
        Some((name, length)) if length == prefix.len() => return Ok(name),
        Some((name, _)) => name,
        None => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(format.as_bytes()).update(&[0]).update(prefix);
            hasher.finalize().to_hex()[..10].to_owned()
        }
    };
    db.execute(
        "INSERT OR REPLACE INTO sources (name, format, length, hash) VALUES (?1, ?2, ?3, ?4)",
        params![name, format, prefix.len(), blake3::hash(prefix).as_bytes()],
    )?;
    Ok(name)
}

/// The source with the longest stored prefix of which `prefix` is a continuation that starts at a line end.
fn find(db: &Connection, format: &str, prefix: &[u8]) -> rusqlite::Result<Option<(String, usize)>> {
    let mut query =
        db.prepare("SELECT name, length, hash FROM sources WHERE format = ?1 ORDER BY length DESC, name")?;
    let mut rows = query.query([format])?;
    while let Some(row) = rows.next()? {
        let (length, hash): (usize, [u8; 32]) = (row.get(1)?, row.get(2)?);
        let Some((stored, rest)) = prefix.split_at_checked(length) else { continue };
        let whole_line =
            rest.is_empty() || stored.ends_with(b"\n") || rest.starts_with(b"\n") || rest.starts_with(b"\r");
        if whole_line && *blake3::hash(stored).as_bytes() == hash {
            return Ok(Some((row.get(0)?, length)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_file_keeps_its_name_and_other_files_get_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let short = store.source("sessions", b"1 2\n3 4").unwrap();
        assert_eq!(store.source("sessions", b"1 2\n3 4").unwrap(), short);
        assert_ne!(store.source("jsonl", b"1 2\n3 4").unwrap(), short);
        assert_ne!(store.source("sessions", b"1 2\n3 45\n").unwrap(), short, "the last line differs");
        let grown = [&b"1 2\n3 4\n"[..], &b"5 6\n".repeat(1000)].concat();
        assert_eq!(store.source("sessions", &grown).unwrap(), short);
        let grown_more = [&grown[..], b"7 8\n"].concat();
        assert_eq!(store.source("sessions", &grown_more).unwrap(), short);
        assert_ne!(store.source("sessions", &grown[4..]).unwrap(), short);
    }
}
