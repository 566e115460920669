//! The tables as a file, with the position of the log that they are of.
//!
//! It is a shortcut and nothing else: one that is missing, damaged, of another version, or of a log that was rewritten
//! since (a visitor erased, old events forgotten) is passed over, and the log read from its beginning.

use crate::stream::{Limits, Recents, Tables, Trends, recents::Recent, trends};
use anyhow::{Context, Result};
use origin_data::files::replace_file;
use origin_learn::popularity::{Cell, CellKey, Counts};
use origin_log::{Reader, SegmentNames, segments};
use serde::{Deserialize, Serialize};
use snapshots::time::Timestamp;
use std::fs;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Changes with everything that changes what the tables of a log are.
const VERSION: u32 = 1;
/// The file in the data directory.
pub const FILE: &str = "tables.checkpoint";

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    limits: usize,
    position: u64,
    /// The log up to the position: each segment's first position and its bytes.
    log: Vec<(u64, u64)>,
    items: Vec<String>,
    areas: Vec<String>,
    newest: i64,
    cells: Vec<(CellKey, Cell)>,
    recents: (u64, Vec<(u64, Vec<Recent>)>),
    trends: trends::Saved,
    events: [u64; 5],
}

/// The tables as bytes: equal tables give equal bytes.
///
/// # Errors
/// None that can be told of.
pub fn write(tables: &Tables, reader: &Reader, log: &Path, limits: Limits) -> Result<Vec<u8>> {
    let saved = Saved {
        version: VERSION,
        limits: limits.visitors,
        position: reader.position(),
        log: extent(log, reader)?,
        items: tables.items.names().iter().map(str::to_owned).collect(),
        areas: tables.areas.names().iter().map(str::to_owned).collect(),
        newest: tables.newest.0,
        cells: tables.counts.cells(),
        recents: tables.recents.save(),
        trends: tables.trends.save(),
        events: tables.events,
    };
    let body = rmp_serde::to_vec(&saved).context("cannot write the tables")?;
    Ok([&xxh3_64(&body).to_le_bytes()[..], &body].concat())
}

/// Writes the file, durably, in place of the one before.
///
/// # Errors
/// It cannot be written; the one before stays.
pub fn save(bytes: &[u8], data_dir: &Path) -> Result<()> {
    replace_file(&data_dir.join(FILE), bytes).map(|_| ())
}

/// The tables of a log, by the checkpoint where there is a usable one, and a reader that goes on from there. The text says
/// why there is none.
///
/// # Errors
/// The log cannot be read.
pub fn load(data_dir: &Path, log: &Path, limits: Limits) -> Result<(Tables, Reader, Option<String>)> {
    let (tables, reader, why) = match read(data_dir, log, limits) {
        Ok((tables, position)) => (tables, Reader::new(log, position), None),
        Err(why) => (Tables::new(limits), Reader::new(log, 0), Some(format!("{why:#}"))),
    };
    Ok((tables, reader, why))
}

fn read(data_dir: &Path, log: &Path, limits: Limits) -> Result<(Tables, u64)> {
    let bytes = fs::read(data_dir.join(FILE)).context("there is no checkpoint")?;
    let (checksum, body) = bytes.split_first_chunk().context("the checkpoint is cut")?;
    anyhow::ensure!(xxh3_64(body) == u64::from_le_bytes(*checksum), "the checkpoint is damaged");
    let saved: Saved = rmp_serde::from_slice(body).context("the checkpoint is of another version")?;
    anyhow::ensure!(
        saved.version == VERSION && saved.limits == limits.visitors,
        "it is of another version or limit"
    );
    let now = sizes(log)?;
    let (last, before) =
        saved.log.split_last().map_or((None, &[][..]), |(last, before)| (Some(last), before));
    let same = now.get(..before.len()) == Some(before)
        && last
            .is_none_or(|last| now.get(before.len()).is_some_and(|now| now.0 == last.0 && now.1 >= last.1));
    anyhow::ensure!(same, "the log was rewritten since the checkpoint");
    let tables = Tables {
        items: SegmentNames::new(saved.items.into_iter().collect()),
        areas: SegmentNames::new(saved.areas.into_iter().collect()),
        newest: Timestamp(saved.newest),
        counts: Counts::from_cells(saved.cells),
        recents: Recents::load(limits.visitors, saved.recents),
        trends: Trends::load(saved.trends),
        events: saved.events,
    };
    Ok((tables, saved.position))
}

fn sizes(log: &Path) -> Result<Vec<(u64, u64)>> {
    segments(log)?
        .into_iter()
        .map(|segment| Ok((segment.first, fs::metadata(&segment.path)?.len())))
        .collect()
}

/// The segments up to where a reader is.
fn extent(log: &Path, reader: &Reader) -> Result<Vec<(u64, u64)>> {
    let Some((at, offset)) = reader.offset() else { return Ok(Vec::new()) };
    let mut sizes = sizes(log)?;
    sizes.retain(|(first, _)| *first < at);
    sizes.push((at, offset));
    Ok(sizes)
}
