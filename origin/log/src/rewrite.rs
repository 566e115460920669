//! Rewriting closed segments: to erase a visitor, and to forget what is too old.

use crate::frame::{Draft, Frame};
use crate::{LogError, Record, Result, Segment};
use origin_data::{
    Interner,
    files::{replace_file, sync_directory},
};
use std::fs;

/// Leaves the events out of a closed segment that `keep` does not want; how many those were. Positions stay. A segment
/// that would hold nothing is removed. A kill leaves the old file or the new one.
///
/// # Errors
/// The segment cannot be read or written, or is damaged.
pub fn rewrite(segment: &Segment, keep: impl Fn(&Record<'_>) -> bool) -> Result<u64> {
    let path = &segment.path;
    let bytes = fs::read(path).map_err(LogError::file("read the log's segment", path))?;
    let (mut names, mut numbers) = (Vec::new(), Interner::default());
    let (mut open, mut out, mut offset, mut gone) = (Draft::default(), Vec::new(), 0, 0);
    while offset < bytes.len() {
        let Some(frame) = Frame::read(&bytes[offset..]) else {
            return Err(LogError::Damaged { path: path.clone(), offset: offset as u64 });
        };
        let sound = frame.records(&mut names, |record, _, _| {
            if keep(record) {
                open.add(record, &mut numbers);
            } else {
                gone += 1;
            }
        });
        if !sound {
            return Err(LogError::Unreadable { path: path.clone(), offset: offset as u64 });
        }
        open.close(frame.first, frame.span(), &mut out);
        offset += frame.size();
    }
    if gone == 0 {
        return Ok(0);
    }
    if out.is_empty() {
        let folder = path.parent().unwrap_or(std::path::Path::new("."));
        fs::remove_file(path)
            .and_then(|()| sync_directory(folder))
            .map_err(LogError::file("remove the log's segment", path))?;
    } else {
        replace_file(path, &out)?;
    }
    Ok(gone)
}
