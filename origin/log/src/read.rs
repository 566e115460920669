//! Reading the log, from any position on, also while another process writes it.

use crate::frame::{Frame, HEADER, MAX};
use crate::{LogError, Record, Result, Segment, segments};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes read at a time; more than any frame.
const CHUNK: usize = 4 << 20;
const _: () = assert!(CHUNK > HEADER + MAX);

/// Where a record's names stand, so that a reader looks each up once a segment and not once an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment whose numbers these are, by its first position.
    pub segment: u64,
    /// The number of the item's id.
    pub item: u32,
    /// The number of the area's name.
    pub area: u32,
}

/// Reads events in the order of their positions.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    open: Option<Open>,
    next: u64,
    chunk: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    segment: Segment,
    file: File,
    offset: u64,
    names: Vec<Box<str>>,
}

/// What a reader that came to the end of the log knows of its last segment.
#[derive(Debug)]
pub(super) struct End {
    pub segment: Segment,
    /// Bytes of whole frames.
    pub whole: u64,
    pub names: Vec<Box<str>>,
}

impl Reader {
    /// Of the log in `dir`, from `position` on: one that a reader gave out, or 0.
    pub fn new(dir: &Path, position: u64) -> Self {
        Self { dir: dir.to_owned(), open: None, next: position, chunk: Vec::new() }
    }

    /// Position of the event that is read next.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The segment it reads and how many of its bytes it has read; `None` before the first.
    pub fn offset(&self) -> Option<(u64, u64)> {
        self.open.as_ref().map(|open| (open.segment.first, open.offset))
    }

    /// Hands out the events that are there by now, and returns at the end of the log. May be called again.
    ///
    /// # Errors
    /// A segment cannot be read or is damaged; the text names it and the place.
    pub fn read(&mut self, mut take: impl FnMut(&Record<'_>, Place)) -> Result<()> {
        while self.read_some(&mut take)? {}
        Ok(())
    }

    /// As [`Self::read`], but a few thousand events; `false` at the end of the log.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn read_some(&mut self, mut take: impl FnMut(&Record<'_>, Place)) -> Result<bool> {
        let Some(mut open) = self.open.take().map_or_else(|| self.first_segment(), |open| Ok(Some(open)))?
        else {
            return Ok(false);
        };
        let segment = open.segment.clone();
        if self.frames(&mut open, &mut take)? {
            self.open = Some(open);
            return Ok(true);
        }
        let later = segments(&self.dir)?.into_iter().find(|other| other.first > segment.first);
        // Only now is it certain that nothing is added to this one.
        if later.is_some() && self.frames(&mut open, &mut take)? {
            self.open = Some(open);
            return Ok(true);
        }
        if !self.chunk.is_empty() && (later.is_some() || frame_follows(&self.chunk)) {
            return Err(LogError::Damaged { path: segment.path, offset: open.offset });
        }
        let moves_on = later.is_some();
        self.open = Some(match later {
            Some(later) => self.enter(later)?,
            None => open,
        });
        Ok(moves_on)
    }

    fn first_segment(&mut self) -> Result<Option<Open>> {
        let mut segments = segments(&self.dir)?;
        let later = segments.partition_point(|segment| segment.first <= self.next);
        if segments.is_empty() {
            return Ok(None);
        }
        self.enter(segments.swap_remove(later.saturating_sub(1))).map(Some)
    }

    fn enter(&mut self, segment: Segment) -> Result<Open> {
        let file =
            File::open(&segment.path).map_err(LogError::file("open the log's segment", &segment.path))?;
        // What stood before may have been removed.
        self.next = self.next.max(segment.first);
        Ok(Open { segment, file, offset: 0, names: Vec::new() })
    }

    /// Hands out the whole frames of the next chunk; `false` when there is none. `self.chunk` is what follows them.
    fn frames(&mut self, open: &mut Open, take: &mut impl FnMut(&Record<'_>, Place)) -> Result<bool> {
        self.chunk.resize(CHUNK, 0);
        let mut filled = 0;
        while filled < CHUNK {
            match open.file.read_at(&mut self.chunk[filled..], open.offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(LogError::file("read the log's segment", &open.segment.path)(error));
                }
            }
        }
        let mut used = 0;
        while let Some(frame) = Frame::read(&self.chunk[used..filled]) {
            let (segment, is_new) = (open.segment.first, frame.first >= self.next);
            let sound = frame.records(&mut open.names, |record, item, area| {
                if is_new {
                    take(record, Place { segment, item, area });
                }
            });
            if !sound {
                return Err(LogError::Unreadable { path: open.segment.path.clone(), offset: open.offset });
            }
            self.next = self.next.max(frame.next);
            open.offset += frame.size() as u64;
            used += frame.size();
        }
        self.chunk.copy_within(used..filled, 0);
        self.chunk.truncate(filled - used);
        Ok(used > 0)
    }

    /// What a writer goes on from, at the end of the log.
    pub(super) fn end(self) -> Option<End> {
        self.open.map(|open| End { segment: open.segment, whole: open.offset, names: open.names })
    }
}

/// Whether a whole frame lies behind what is broken at the beginning of `bytes`: then it is not a frame that a kill
/// left unfinished.
fn frame_follows(bytes: &[u8]) -> bool {
    (1..bytes.len().saturating_sub(HEADER)).any(|at| Frame::read(&bytes[at..]).is_some())
}
