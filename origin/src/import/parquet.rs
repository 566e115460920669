//! Parquet files among the tables: a file is recognised by its first bytes and read by way of CSV, so that all importers of
//! tables, their mapping and their checks apply to it.

use anyhow::Result;
use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

/// The first bytes of a Parquet file.
const MAGIC: &[u8] = b"PAR1";

/// A Parquet file as CSV, in a file without a name; `None` if `path` is no Parquet file.
///
/// # Errors
/// The file cannot be read, is damaged, or this program was built without the feature `parquet`.
pub(super) fn as_csv(path: &Path) -> Result<Option<File>> {
    let mut file = File::open(path)?;
    let mut magic = Vec::new();
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    if magic != MAGIC {
        return Ok(None);
    }
    file.rewind()?;
    convert(file).map(Some)
}

#[cfg(feature = "parquet")]
fn convert(file: File) -> Result<File> {
    let mut table = tempfile::tempfile()?;
    origin_parquet::to_csv(file, &table)?;
    table.rewind()?;
    Ok(table)
}

#[cfg(not(feature = "parquet"))]
fn convert(_: File) -> Result<File> {
    anyhow::bail!(
        "it is a Parquet file; build verge with `--features parquet` to read it, or convert it to CSV"
    )
}
