//! Rewriting closed segments: to erase a visitor, and to forget what is too old.

use crate::frame::{Draft, Frame};
use crate::{Record, Segment};
use anyhow::{Context, Result, bail};
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
    let path = segment.path.display();
    let bytes = fs::read(&segment.path).with_context(|| format!("cannot read the log's segment {path}"))?;
    let (mut names, mut numbers) = (Vec::new(), Interner::default());
    let (mut open, mut out, mut offset, mut gone) = (Draft::default(), Vec::new(), 0, 0);
    while offset < bytes.len() {
        let Some(frame) = Frame::read(&bytes[offset..]) else {
            bail!("the log's segment {path} is damaged at byte {offset}: restore the file from a backup");
        };
        let sound = frame.records(&mut names, |record, _, _| {
            if keep(record) {
                open.add(record, &mut numbers);
            } else {
                gone += 1;
            }
        });
        if !sound {
            bail!("the log's segment {path}: the frame at byte {offset} holds no events of this version");
        }
        open.close(frame.first, u32::try_from(frame.next - frame.first)?, &mut out);
        offset += frame.size();
    }
    if gone == 0 {
        return Ok(0);
    }
    let dir = segment.path.parent().context("a segment lies in a directory")?;
    if out.is_empty() {
        fs::remove_file(&segment.path)
            .and_then(|()| sync_directory(dir))
            .with_context(|| format!("cannot remove the log's segment {path}"))?;
    } else {
        replace_file(&segment.path, &out)?;
    }
    Ok(gone)
}
