//! Reading the log from any position, also while another process writes it.

use crate::frame::{Frame, HEADER_BYTES, MAX_BYTES};
use crate::{LogError, Record, Result, Segment, segments};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes read at a time; more than any frame.
const CHUNK_BYTES: usize = 4 << 20;
const _: () = assert!(CHUNK_BYTES > HEADER_BYTES + MAX_BYTES);

/// The numbers of a record's names in its segment. [`GlobalNames`](crate::GlobalNames) maps them to numbers that hold for
/// the whole log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalNames {
    /// Position of the segment's first event.
    pub segment: u64,
    /// Number of the item's id.
    pub item: u32,
    /// Number of the area's name.
    pub area: u32,
}

/// Reads events in the order of their positions.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    open: Option<OpenSegment>,
    next: u64,
    chunk: Vec<u8>,
}

#[derive(Debug)]
struct OpenSegment {
    segment: Segment,
    file: File,
    offset: u64,
    names: Vec<Box<str>>,
}

/// The state of the last segment, as a reader at the end of the log knows it.
#[derive(Debug)]
pub(super) struct LogEnd {
    pub segment: Segment,
    /// Size in bytes of its complete frames.
    pub length: u64,
    pub names: Vec<Box<str>>,
}

impl Reader {
    /// Reads the log in `dir` from `position`: 0, or a value of [`Self::position`].
    pub fn new(dir: &Path, position: u64) -> Self {
        Self { dir: dir.to_owned(), open: None, next: position, chunk: Vec::new() }
    }

    /// Position of the next event.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The first position of the current segment and the number of its bytes that were read; `None` before the first read.
    pub fn offset(&self) -> Option<(u64, u64)> {
        self.open.as_ref().map(|open| (open.segment.first, open.offset))
    }

    /// Calls `visit` for each event up to the end of the log. A later call continues from there.
    ///
    /// # Errors
    /// A segment cannot be read or is damaged; the text names the segment and the offset.
    pub fn read(&mut self, mut visit: impl FnMut(&Record<'_>, LocalNames)) -> Result<()> {
        while self.read_some(&mut visit)? {}
        Ok(())
    }

    /// Like [`Self::read`], but stops after a few thousand events. Returns `false` at the end of the log.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn read_some(&mut self, mut visit: impl FnMut(&Record<'_>, LocalNames)) -> Result<bool> {
        let Some(mut open) = self.open.take().map_or_else(|| self.first_segment(), |open| Ok(Some(open)))?
        else {
            return Ok(false);
        };
        let segment = open.segment.clone();
        if self.read_frames(&mut open, &mut visit)? {
            self.open = Some(open);
            return Ok(true);
        }
        let later = segments(&self.dir)?.into_iter().find(|other| other.first > segment.first);
        // As there is a later segment, this one is closed: read what was added to it since the last read.
        if later.is_some() && self.read_frames(&mut open, &mut visit)? {
            self.open = Some(open);
            return Ok(true);
        }
        if !self.chunk.is_empty() && (later.is_some() || frame_follows(&self.chunk)) {
            return Err(LogError::Damaged { path: segment.path, offset: open.offset });
        }
        let has_more = later.is_some();
        self.open = Some(match later {
            Some(later) => self.open_segment(later)?,
            None => open,
        });
        Ok(has_more)
    }

    fn first_segment(&mut self) -> Result<Option<OpenSegment>> {
        let mut segments = segments(&self.dir)?;
        let later = segments.partition_point(|segment| segment.first <= self.next);
        if segments.is_empty() {
            return Ok(None);
        }
        self.open_segment(segments.swap_remove(later.saturating_sub(1))).map(Some)
    }

    fn open_segment(&mut self, segment: Segment) -> Result<OpenSegment> {
        let file =
            File::open(&segment.path).map_err(LogError::file("open the log's segment", &segment.path))?;
        // Earlier segments may have been removed.
        self.next = self.next.max(segment.first);
        Ok(OpenSegment { segment, file, offset: 0, names: Vec::new() })
    }

    /// Visits the complete frames of the next chunk; `false` if there are none. Leaves the bytes after them in
    /// `self.chunk`.
    fn read_frames(
        &mut self,
        open: &mut OpenSegment,
        visit: &mut impl FnMut(&Record<'_>, LocalNames),
    ) -> Result<bool> {
        self.chunk.resize(CHUNK_BYTES, 0);
        let mut filled = 0;
        while filled < CHUNK_BYTES {
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
            let valid = frame.read_records(&mut open.names, |record, item, area| {
                if is_new {
                    visit(record, LocalNames { segment, item, area });
                }
            });
            if !valid {
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

    /// The state from which a writer continues; `None` if the log has no segment.
    pub(super) fn into_end(self) -> Option<LogEnd> {
        self.open.map(|open| LogEnd { segment: open.segment, length: open.offset, names: open.names })
    }
}

/// Whether a complete frame follows the invalid one at the beginning of `bytes`. If so, the invalid frame is damaged, not
/// the incomplete end of a log.
fn frame_follows(bytes: &[u8]) -> bool {
    (1..bytes.len().saturating_sub(HEADER_BYTES)).any(|at| Frame::read(&bytes[at..]).is_some())
}
