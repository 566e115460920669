//! Checkpoints: the tables in a file, with their position in the log.
//!
//! A checkpoint only saves time. If it is missing, damaged, of another version, or older than a rewrite of the log
//! (erasure, retention), it is ignored and the tables are rebuilt from the whole log.

use crate::stream::{StreamTables, Trends, VisitorRecents, recents::Recent, trends};
use crate::{config::StreamOptions, store::releases};
use anyhow::{Context, Result};
use origin_data::files::replace_file;
use origin_learn::{
    caps::{Caps, SavedCaps},
    popularity::{Cell, CellKey, Counts},
};
use origin_log::{GlobalNames, Reader, segments};
use serde::{Deserialize, Serialize};
use snapshots::time::Timestamp;
use std::fs;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Increment it with every change of the format or of what the tables count.
const VERSION: u32 = 3;
/// Name of the file in the data directory.
pub const FILE: &str = "tables.checkpoint";

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    version: u32,
    max_visitors: usize,
    position: u64,
    /// The log up to `position`: first position and size in bytes of each segment.
    log: Vec<(u64, u64)>,
    items: Vec<String>,
    areas: Vec<String>,
    newest: i64,
    cells: Vec<(CellKey, Cell)>,
    recents: (u64, Vec<(u64, Vec<Recent>)>),
    trends: trends::SavedTrends,
    caps: SavedCaps,
    events: [u64; 5],
}

/// Serialises the tables. Equal tables give equal bytes.
///
/// # Errors
/// The log's directory cannot be read.
pub fn write(tables: &StreamTables, reader: &Reader, log: &Path, options: StreamOptions) -> Result<Vec<u8>> {
    let checkpoint = Checkpoint {
        version: VERSION,
        max_visitors: options.visitors,
        position: reader.position(),
        log: log_until(log, reader)?,
        items: tables.items.names().iter().map(str::to_owned).collect(),
        areas: tables.areas.names().iter().map(str::to_owned).collect(),
        newest: tables.newest.0,
        cells: tables.counts.cells(),
        recents: tables.recents.save(),
        trends: tables.trends.save(),
        caps: tables.caps.save(),
        events: tables.events,
    };
    let body = rmp_serde::to_vec(&checkpoint).context("cannot serialise the tables")?;
    Ok([&xxh3_64(&body).to_le_bytes()[..], &body].concat())
}

/// Replaces the checkpoint file atomically and durably.
///
/// # Errors
/// The file cannot be written; the previous one stays.
pub fn save(bytes: &[u8], data_dir: &Path) -> Result<()> {
    replace_file(&data_dir.join(FILE), bytes)?;
    Ok(())
}

/// Loads the tables from the checkpoint, with a reader at their position. If the checkpoint is not usable, the tables are
/// empty, the reader is at the beginning of the log, and the text says why.
///
/// # Errors
/// The releases of surges cannot be read. An unusable checkpoint is not an error.
pub fn load(
    data_dir: &Path,
    log: &Path,
    options: StreamOptions,
) -> Result<(StreamTables, Reader, Option<String>)> {
    let releases = releases::load(data_dir)?;
    let read = read(data_dir, log, options).and_then(|(tables, position)| {
        anyhow::ensure!(tables.caps.releases() == releases, "surges were released since the checkpoint");
        Ok((tables, position))
    });
    Ok(match read {
        Ok((tables, position)) => (tables, Reader::new(log, position), None),
        Err(error) => {
            let tables = StreamTables::new(options).with_releases(releases);
            (tables, Reader::new(log, 0), Some(format!("{error:#}")))
        }
    })
}

fn read(data_dir: &Path, log: &Path, options: StreamOptions) -> Result<(StreamTables, u64)> {
    let bytes = fs::read(data_dir.join(FILE)).context("cannot read the checkpoint")?;
    let (checksum, body) = bytes.split_first_chunk().context("the checkpoint is truncated")?;
    anyhow::ensure!(xxh3_64(body) == u64::from_le_bytes(*checksum), "the checkpoint is damaged");
    let saved: Checkpoint = rmp_serde::from_slice(body).context("the checkpoint has another version")?;
    anyhow::ensure!(
        saved.version == VERSION && saved.max_visitors == options.visitors,
        "the checkpoint has another version, or another limit of visitors"
    );
    let present = segment_sizes(log)?;
    let (last, closed) =
        saved.log.split_last().map_or((None, &[][..]), |(last, closed)| (Some(last), closed));
    // Closed segments never change in size unless they are rewritten; the last one may have grown.
    let unchanged = present.get(..closed.len()) == Some(closed)
        && last.is_none_or(|last| {
            present.get(closed.len()).is_some_and(|segment| segment.0 == last.0 && segment.1 >= last.1)
        });
    anyhow::ensure!(unchanged, "the log was rewritten since the checkpoint");
    let tables = StreamTables {
        items: GlobalNames::new(saved.items.into_iter().collect()),
        areas: GlobalNames::new(saved.areas.into_iter().collect()),
        newest: Timestamp(saved.newest),
        counts: Counts::from_cells(saved.cells),
        recents: VisitorRecents::load(options.visitors, saved.recents),
        trends: Trends::load(saved.trends),
        caps: Caps::load(saved.caps),
        events: saved.events,
    };
    Ok((tables, saved.position))
}

/// First position and size in bytes of each segment.
fn segment_sizes(log: &Path) -> Result<Vec<(u64, u64)>> {
    segments(log)?
        .into_iter()
        .map(|segment| Ok((segment.first, fs::metadata(&segment.path)?.len())))
        .collect()
}

/// The segment sizes up to the position of `reader`.
fn log_until(log: &Path, reader: &Reader) -> Result<Vec<(u64, u64)>> {
    let Some((at, offset)) = reader.offset() else { return Ok(Vec::new()) };
    let mut sizes = segment_sizes(log)?;
    sizes.retain(|(first, _)| *first < at);
    sizes.push((at, offset));
    Ok(sizes)
}
