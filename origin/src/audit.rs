//! The audit log: who changed, exported or erased what, when, and from where.
//!
//! `audit.jsonl` in the data directory holds one JSON object a line, oldest first. Entries are only ever appended, by the
//! service and by commands; an entry survives a kill, and one of an administrator's action a power cut. Visitors are named
//! by their hash.
//!
//! May import: `origin_data`.

use origin_data::files::{FileError, PRIVATE};
use serde::{Deserialize, Serialize};
use snapshots::time::Timestamp;
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Name of the file in the data directory.
pub const FILE: &str = "audit.jsonl";
/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 16 << 10;
/// Longest text of a field, in characters.
const MAX_TEXT: usize = 256;

/// An action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it ended.
    pub at: Timestamp,
    /// Who: the id of an API key, or the user that ran a command.
    pub actor: String,
    /// What: method and route of a request, or a command.
    pub action: String,
    /// What it was done to, such as an item's id or the hash of a visitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// From where: the address of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The status of the response, or `ok` or `failed`.
    pub outcome: String,
}

/// Whether an entry has to survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After `fsync`.
    Synced,
    /// It survives a kill of the process only.
    Written,
}

/// The user that runs this process, as an actor.
pub fn command_line_user() -> String {
    let uid = std::fs::metadata("/proc/self").map(|process| process.uid().to_string());
    format!("command line, uid {}", uid.as_deref().unwrap_or("unknown"))
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// Appends an entry. Long texts are cut.
///
/// # Errors
/// The file cannot be written.
pub fn append(data_dir: &Path, entry: &Entry, durability: Durability) -> Result<(), FileError> {
    let path = data_dir.join(FILE);
    let entry = Entry {
        at: entry.at,
        actor: bounded(&entry.actor),
        action: bounded(&entry.action),
        target: entry.target.as_deref().map(bounded),
        from: entry.from.as_deref().map(bounded),
        outcome: bounded(&entry.outcome),
    };
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(PRIVATE).open(&path)?;
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        if !ends_with_line_break(&mut file)? {
            line.insert(0, b'\n');
        }
        // One write, so that entries of several processes do not mix.
        file.write_all(&line)?;
        if durability == Durability::Synced { file.sync_data() } else { Ok(()) }
    };
    write().map_err(|error| FileError::new("write the audit log", &path, error))
}

/// Whether the file is empty or ends with a whole line, which a kill while writing prevents.
fn ends_with_line_break(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Entries that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// The latest entries, oldest first.
    pub entries: Vec<Entry>,
    /// Numbers of lines that are not entries; a kill while writing leaves one.
    pub damaged: Vec<u64>,
}

/// The latest `last` entries since a time; none if there is no file.
///
/// # Errors
/// The file cannot be read.
pub fn read(data_dir: &Path, since: Option<Timestamp>, last: usize) -> Result<Entries, FileError> {
    let path = data_dir.join(FILE);
    let mut found = Entries::default();
    let mut read = || -> io::Result<()> {
        let mut lines = match File::open(&path) {
            Ok(file) => BufReader::new(file),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut kept = std::collections::VecDeque::new();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Entry>(&line) {
                Ok(entry) if since.is_none_or(|since| entry.at >= since) => {
                    if kept.len() == last {
                        kept.pop_front();
                    }
                    if last > 0 {
                        kept.push_back(entry);
                    }
                }
                Ok(_) => {}
                Err(_) => found.damaged.push(number),
            }
        }
        found.entries = kept.into();
        Ok(())
    };
    read().map_err(|error| FileError::new("read the audit log", &path, error))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(at: i64, target: &str) -> Entry {
        Entry {
            at: Timestamp(at),
            actor: "key 0123abcd".to_owned(),
            action: "PUT /v1/items/{id}".to_owned(),
            target: Some(target.to_owned()),
            from: None,
            outcome: "200".to_owned(),
        }
    }

    #[test]
    fn entries_are_appended_and_a_damaged_line_costs_no_other() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path(), None, 9).unwrap(), Entries::default());
        append(dir.path(), &entry(1, "a"), Durability::Synced).unwrap();
        let path = dir.path().join(FILE);
        let cut = [std::fs::read(&path).unwrap(), b"{\"at\":\"20".to_vec()].concat();
        std::fs::write(&path, cut).unwrap();
        append(dir.path(), &entry(2, "b"), Durability::Written).unwrap();
        append(dir.path(), &entry(3, "c"), Durability::Written).unwrap();
        let all = read(dir.path(), None, 9).unwrap();
        assert_eq!((all.entries, all.damaged), (vec![entry(1, "a"), entry(2, "b"), entry(3, "c")], vec![2]));
        assert_eq!(read(dir.path(), None, 1).unwrap().entries, [entry(3, "c")]);
        assert_eq!(read(dir.path(), Some(Timestamp(2)), 9).unwrap().entries, [entry(2, "b"), entry(3, "c")]);
        assert_eq!(read(dir.path(), None, 0).unwrap().entries, []);
    }

    #[test]
    fn an_unreadable_file_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(FILE)).unwrap();
        assert!(read(dir.path(), None, 9).is_err());
        assert!(append(dir.path(), &entry(1, "a"), Durability::Written).is_err());
    }

    proptest! {
        #[test]
        fn any_text_stays_in_its_entry(target in "\\PC{0,40}|[\\x00-\\x1f\"\\\\]{0,9}") {
            let dir = tempfile::tempdir().unwrap();
            append(dir.path(), &entry(1, &target), Durability::Written).unwrap();
            append(dir.path(), &entry(2, "b"), Durability::Written).unwrap();
            prop_assert_eq!(read(dir.path(), None, 9).unwrap().entries, [entry(1, &target), entry(2, "b")]);
        }

        #[test]
        fn any_file_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE), bytes).unwrap();
            prop_assert_eq!(read(dir.path(), None, 9).unwrap().entries, []);
        }
    }
}
