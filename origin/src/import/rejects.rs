//! The file of rejected rows with their reasons, to be corrected and imported again.

use anyhow::{Context, Result};
use origin_data::files::create_private_dir;
use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// `DATA_DIR/rejects`.
pub struct Folder {
    dir: PathBuf,
    taken: HashSet<String>,
}

impl Folder {
    /// Creates the folder if it is missing.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let dir = data_dir.join("rejects");
        create_private_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self { dir, taken: HashSet::new() })
    }

    /// The rejects of `log`, which replace those of an earlier import of a log of this name.
    pub fn file_for(&mut self, log: &Path) -> Result<Rejects> {
        let stem = stem(log);
        let mut name = stem.clone();
        let mut count = 1;
        while !self.taken.insert(name.clone()) {
            count += 1;
            name = format!("{stem}-{count}");
        }
        let path = self.dir.join(format!("{name}.csv"));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot replace {}", path.display()))
            }
            _ => Ok(Rejects { path, writer: None }),
        }
    }
}

/// `shop.csv.zst` is called `shop`.
fn stem(log: &Path) -> String {
    let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = [".zst", ".gz"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    match name.rsplit_once('.').map_or(name, |(stem, _)| stem) {
        "" | "-" => "stdin".to_owned(),
        stem => stem.to_owned(),
    }
}

/// The rejects of one log; a file only if there are any.
pub struct Rejects {
    path: PathBuf,
    writer: Option<csv::Writer<File>>,
}

impl Rejects {
    /// Adds a line.
    pub fn add(&mut self, line: u64, reason: &str, row: &str) -> Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let create = || -> Result<_> {
                    let mut writer = csv::Writer::from_path(&self.path)?;
                    writer.write_record(["line", "reason", "row"])?;
                    Ok(writer)
                };
                none.insert(create().with_context(|| format!("cannot write {}", self.path.display()))?)
            }
        };
        writer
            .write_record([&line.to_string(), reason, row])
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Completes the file; its path if there is one.
    pub fn finish(self) -> Result<Option<PathBuf>> {
        let Some(mut writer) = self.writer else { return Ok(None) };
        writer.flush().with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(Some(self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_one_name_do_not_share_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        let names: Vec<_> = ["a/shop.csv.zst", "b/shop.csv", "-", "x.gz"]
            .map(|log| {
                let mut rejects = folder.file_for(Path::new(log)).unwrap();
                rejects.add(1, "why", "a,\"b\"").unwrap();
                let path = rejects.finish().unwrap().unwrap();
                assert_eq!(
                    std::fs::read_to_string(&path).unwrap(),
                    "line,reason,row\n1,why,\"a,\"\"b\"\"\"\n"
                );
                path.file_name().unwrap().to_string_lossy().into_owned()
            })
            .into();
        assert_eq!(names, ["shop.csv", "shop-2.csv", "stdin.csv", "x.csv"]);
        let again = Folder::open(dir.path()).unwrap().file_for(Path::new("shop.csv")).unwrap();
        assert_eq!(again.finish().unwrap(), None);
        assert!(!dir.path().join("rejects/shop.csv").exists());
    }
}
