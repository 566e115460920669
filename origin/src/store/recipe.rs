//! The recipe of a data directory: `recipe.toml`, as `verge tune` writes it.

use crate::store::{StoreError, error::Result};
use origin_data::files::{FileError, replace_file};
use origin_learn::config::Recipe;
use std::{io::ErrorKind, path::Path};

/// Name of the file in the data directory.
pub const FILE: &str = "recipe.toml";

/// Reads a recipe file.
///
/// # Errors
/// The file cannot be read, is not TOML, or has an unknown key or a wrong type; the text names file, line and key.
pub fn read(path: &Path) -> Result<Recipe> {
    let text =
        std::fs::read_to_string(path).map_err(|error| FileError::new("read the recipe", path, error))?;
    toml::from_str(&text).map_err(|source| StoreError::Recipe { path: path.to_owned(), source })
}

/// Reads [`FILE`] in a data directory; the default recipe if the file does not exist.
///
/// # Errors
/// As for [`read`].
pub fn load(data_dir: &Path) -> Result<Recipe> {
    match read(&data_dir.join(FILE)) {
        Err(StoreError::File(error)) if error.kind() == ErrorKind::NotFound => Ok(Recipe::default()),
        read => read,
    }
}

/// Writes [`FILE`] in a data directory. The next build uses it.
///
/// # Errors
/// The directory cannot be written.
pub fn save(recipe: &Recipe, data_dir: &Path) -> Result<()> {
    replace_file(&data_dir.join(FILE), recipe.to_toml()?.as_bytes())?;
    Ok(())
}

/// The recipe for a command: `file`, or else that of the data directory. `k` overrides the number of neighbours per row.
///
/// # Errors
/// As for [`read`].
pub fn choose(file: Option<&Path>, data_dir: &Path, k: Option<u8>) -> Result<Recipe> {
    let recipe = file.map_or_else(|| load(data_dir), read)?;
    Ok(Recipe { k: k.unwrap_or(recipe.k), ..recipe })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_the_default_and_an_unreadable_one_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), Recipe::default());
        let found = Recipe { k: 7, ..Recipe::default() };
        save(&found, dir.path()).unwrap();
        assert_eq!(load(dir.path()).unwrap(), found);
        std::fs::write(dir.path().join(FILE), "[coview]\nlamda = 1.0\n").unwrap();
        let error = format!("{:#}", anyhow::Error::from(load(dir.path()).unwrap_err()));
        assert!(error.contains(FILE) && error.contains("lamda"), "{error}");
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        std::fs::create_dir(dir.path().join(FILE)).unwrap();
        assert!(load(dir.path()).is_err(), "an unreadable file is not a missing one");
    }
}
