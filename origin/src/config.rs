//! What a deployment decides: a TOML file, overridden by the environment, overridden by the command line.
//!
//! The file is the one named by `--config` or `VERGE_CONFIG`, else `verge.toml` where the command was started,
//! if there is one. Every key has a default, so that no file is needed. An unknown key is an error: a
//! misspelt one would otherwise be a setting that does nothing.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "verge.toml";

/// Every setting of the origin.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the store and the files beside it live. In the file, relative to the file.
    pub data_dir: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { data_dir: PathBuf::from("verge-data") }
    }
}

impl Config {
    /// Reads `file`, or [`DEFAULT_FILE`] if it is there; `data_dir` goes before the file's.
    ///
    /// # Errors
    /// A named file that cannot be read, TOML that does not parse, an unknown key or a wrong type; the text
    /// names the file, the line and the key.
    pub fn load(file: Option<&Path>, data_dir: Option<&Path>) -> Result<Self> {
        let mut config = match file {
            Some(file) => Self::read(file)?,
            None if Path::new(DEFAULT_FILE).exists() => Self::read(Path::new(DEFAULT_FILE))?,
            None => Self::default(),
        };
        if let Some(dir) = data_dir {
            config.data_dir = dir.to_owned();
        }
        Ok(config)
    }

    fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the configuration {}", file.display()))?;
        let mut config: Self =
            toml::from_str(&text).with_context(|| format!("in the configuration {}", file.display()))?;
        if let Some(base) = file.parent() {
            config.data_dir = base.join(&config.data_dir);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_file_and_the_file_before_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("shop.toml");
        std::fs::write(&file, "data_dir = \"here\"\n").unwrap();
        assert_eq!(Config::load(Some(&file), None).unwrap().data_dir, dir.path().join("here"));
        let there = Path::new("there");
        assert_eq!(Config::load(Some(&file), Some(there)).unwrap().data_dir, there);
        std::fs::write(&file, "").unwrap();
        assert_eq!(Config::load(Some(&file), None).unwrap().data_dir, dir.path().join("verge-data"));
    }

    #[test]
    fn a_misspelt_key_and_a_missing_file_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("shop.toml");
        let missing = format!("{:#}", Config::load(Some(&file), None).unwrap_err());
        assert!(missing.contains("shop.toml"), "{missing}");
        std::fs::write(&file, "data_dri = \"here\"\n").unwrap();
        let misspelt = format!("{:#}", Config::load(Some(&file), None).unwrap_err());
        assert!(misspelt.contains("shop.toml") && misspelt.contains("data_dri"), "{misspelt}");
    }
}
