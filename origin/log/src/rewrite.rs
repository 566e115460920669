//! Rewriting closed segments, to erase a visitor or to apply the retention period.

use crate::frame::{Frame, FrameBuilder};
use crate::{LogError, Record, Result, Segment};
use origin_data::{
    Interner,
    files::{replace_file, sync_directory},
};
use std::fs;

/// Removes the events for which `keep` is false from a closed segment and returns their number. The other events keep
/// their positions. A segment without events is deleted. If the process is killed, the file is the old or the new one.
///
/// # Errors
/// The segment cannot be read or written, or is damaged.
pub fn rewrite(segment: &Segment, keep: impl Fn(&Record<'_>) -> bool) -> Result<u64> {
    let path = &segment.path;
    let bytes = fs::read(path).map_err(LogError::file("read the log's segment", path))?;
    let (mut old_names, mut new_names) = (Vec::new(), Interner::default());
    let (mut builder, mut out, mut offset, mut removed) = (FrameBuilder::default(), Vec::new(), 0, 0);
    while offset < bytes.len() {
        let Some(frame) = Frame::read(&bytes[offset..]) else {
            return Err(LogError::Damaged { path: path.clone(), offset: offset as u64 });
        };
        let valid = frame.read_records(&mut old_names, |record, _, _| {
            if keep(record) {
                builder.add(record, &mut new_names);
            } else {
                removed += 1;
            }
        });
        if !valid {
            return Err(LogError::Unreadable { path: path.clone(), offset: offset as u64 });
        }
        builder.finish(frame.first, frame.span(), &mut out);
        offset += frame.size();
    }
    if removed == 0 {
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
    Ok(removed)
}
