//! Writing the log: one process at a time, in groups, each event once.

use crate::frame::FrameBuilder;
use crate::order_lines::{Line, OrderLines};
use crate::visitor_key;
use crate::{
    Fsync, LogError, LogOptions, Reader, RecentIds, Record, Result, Segment, Sender, segment_path, segments,
};
use origin_data::{
    Interner, Standing,
    files::{PRIVATE, create_private_dir, sync_directory},
};
use snapshots::event::{BUCKETS, Event, Kind, Trust};
use snapshots::time::DAY_MS;
use std::borrow::Cow;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A segment is closed at this age even if it is not full, because erasure and retention rewrite closed segments only.
const MAX_SEGMENT_AGE: Duration = Duration::from_millis(DAY_MS as u64);

/// How long to wait for the lock of another process.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// An incomplete group that [`Writer::open`] removed from the end of the log. None of its events was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TruncatedTail {
    /// Path of the segment.
    pub path: PathBuf,
    /// Number of bytes removed.
    pub bytes: u64,
}

/// Writes a log. It holds the log's lock until it is dropped.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    key: [u8; 32],
    options: LogOptions,
    ids: RecentIds,
    lines: OrderLines,
    names: Interner,
    file: File,
    segment: Segment,
    /// When this writer opened the segment.
    opened_at: Instant,
    /// Size of the segment in bytes, up to the last commit.
    length: u64,
    /// Position after the last commit.
    next: u64,
    truncated_tail: Option<TruncatedTail>,
    /// Finished frames of the uncommitted group.
    buffer: Vec<u8>,
    /// The frame that events are added to.
    frame: FrameBuilder,
    /// Position of the first event in `frame`.
    frame_first: u64,
    /// Hashes of the uncommitted ids, for a rollback.
    uncommitted_ids: Vec<u64>,
    /// Hashes of the uncommitted order lines, for a rollback.
    uncommitted_lines: Vec<u64>,
    /// Number of names at the last commit, for a rollback.
    committed_names: usize,
    /// Why no further write is possible.
    pub(crate) failure: Option<String>,
    _lock: File,
}

impl Writer {
    /// Opens the log in `dir`, creates it if it is missing, and truncates an incomplete group at its end. `key` is the
    /// key of the visitor hashes.
    ///
    /// # Errors
    /// Another process writes the log, the directory cannot be written, or a segment is damaged.
    pub fn open(dir: &Path, key: [u8; 32], options: LogOptions) -> Result<Self> {
        create_private_dir(dir).map_err(LogError::file("create the log", dir))?;
        let lock = lock(dir)?;
        visitor_key::verify(dir, &key)?;
        visitor_key::mark(dir, &key)?;
        let mut seed = [0; 8];
        seed.copy_from_slice(&key[..8]);
        let seed = u64::from_le_bytes(seed);
        let (mut ids, mut lines) = (RecentIds::new(options.ids, seed), OrderLines::new(options.ids, seed));
        let all = segments(dir)?;
        let newest = all.last().map_or(0, |segment| segment.first);
        let from = newest.saturating_sub(options.ids as u64);
        let mut reader =
            Reader::new(dir, all.iter().rev().map(|one| one.first).find(|first| *first <= from).unwrap_or(0));
        reader.read(|record, _| {
            ids.insert(record.sender, record.id);
            if record.order != 0 {
                let Record { order, item, visitor, .. } = *record;
                lines.insert(Line { order, item, visitor }, Sender::trust_of(record.sender), |_| {});
            }
        })?;
        let next = reader.position();
        let (segment, length, names) = match reader.into_end() {
            Some(end) => (end.segment, end.length, end.names),
            None => (Segment { first: 0, path: segment_path(dir, 0) }, 0, Vec::new()),
        };
        let count = names.len();
        let names: Interner = names.into_iter().collect();
        // A segment defines each name once.
        if names.len() != count {
            return Err(LogError::Unreadable { path: segment.path, offset: 0 });
        }
        let file = create(&segment.path)?;
        let bytes =
            file.metadata().map_err(LogError::file("use the log's segment", &segment.path))?.len() - length;
        if bytes > 0 {
            file.set_len(length)
                .and_then(|()| file.sync_all())
                .map_err(LogError::file("use the log's segment", &segment.path))?;
        }
        sync_directory(dir).map_err(LogError::file("write", dir))?;
        Ok(Self {
            dir: dir.to_owned(),
            key,
            options,
            ids,
            lines,
            committed_names: names.len(),
            names,
            file,
            opened_at: Instant::now(),
            length,
            next,
            truncated_tail: (bytes > 0).then(|| TruncatedTail { path: segment.path.clone(), bytes }),
            segment,
            buffer: Vec::new(),
            frame: FrameBuilder::default(),
            frame_first: next,
            uncommitted_ids: Vec::new(),
            uncommitted_lines: Vec::new(),
            failure: None,
            _lock: lock,
        })
    }

    /// The incomplete group that [`Self::open`] removed, if there was one.
    pub fn truncated_tail(&self) -> Option<&TruncatedTail> {
        self.truncated_tail.as_ref()
    }

    /// The position after the last durable event.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Adds an imported event to the group that [`Self::commit`] makes durable; `false` if its id is known already.
    pub fn add(&mut self, event: &Event) -> bool {
        self.add_from(Sender::import(), event).is_some()
    }

    /// Adds an event to the group that [`Self::commit`] makes durable, and returns what it counts for; `None` if `sender`
    /// has sent its id before, or if the line of its order has counted already.
    ///
    /// An event without [`Event::trust`] is the sender's own. A token of an order must have been verified: the log does
    /// not know the key.
    pub fn add_from(&mut self, sender: &Sender, event: &Event) -> Option<Standing> {
        let trust = event.trust.unwrap_or(Trust::Keyed);
        let visitor_id = event.visitor.as_deref().unwrap_or_default();
        let visitor = visitor_hash(&self.key, visitor_id);
        let order = match &event.order {
            Some(order) if event.kind == Kind::Purchase => hash(&self.key, &["order", order]),
            _ => 0,
        };
        let line = (order != 0).then_some(Line { order, item: &event.item, visitor });
        let standing = match line {
            Some(line) => self.lines.standing(line, trust)?,
            None if trust == Trust::Keyed => Standing::Confirmed,
            None => Standing::Unconfirmed,
        };
        let name = sender.name(trust);
        let id = self.ids.insert(name, &event.id)?;
        self.uncommitted_ids.push(id);
        if let Some(line) = line {
            self.lines.insert(line, trust, |hash| self.uncommitted_lines.push(hash));
        }
        let area = area(event.region.as_deref().unwrap_or_default());
        let session = event.session.as_deref().unwrap_or_default();
        let record = Record {
            at: event.at,
            kind: event.kind,
            sender: name,
            id: &event.id,
            item: &event.item,
            area: &area,
            visitor,
            session: if session.is_empty() { 0 } else { hash(&self.key, &["session", visitor_id, session]) },
            quantity: event.quantity.unwrap_or(1).max(1),
            price: event.price,
            currency: event.currency.as_deref().unwrap_or_default(),
            placement: event.placement.as_deref().unwrap_or_default(),
            request: event.request.as_deref().unwrap_or_default(),
            standing,
            bucket: event.bucket.filter(|bucket| *bucket < BUCKETS),
            order,
        };
        self.frame.add(&record, &mut self.names);
        if self.frame.is_full() {
            self.finish_frame();
        }
        Some(standing)
    }

    fn finish_frame(&mut self) {
        let span = self.frame.span();
        self.frame.finish(self.frame_first, span, &mut self.buffer);
        self.frame_first += u64::from(span);
    }

    /// Makes the added events durable, all of them or none, and returns the position after them.
    ///
    /// # Errors
    /// Writing failed, for example because the disk is full. No event since the last commit is stored, and all may be
    /// added again. After a failed `fdatasync` the content of the disk is unknown, so every later commit fails until the
    /// log is reopened.
    pub fn commit(&mut self) -> Result<u64> {
        self.finish_frame();
        if let Some(failure) = &self.failure {
            let failure = failure.clone();
            self.roll_back();
            return Err(LogError::WriterFailed(failure));
        }
        if !self.buffer.is_empty()
            && let Err(error) = self.write()
        {
            self.roll_back();
            return Err(LogError::file("write the log's segment", &self.segment.path)(error));
        }
        self.length += self.buffer.len() as u64;
        self.next = self.frame_first;
        self.buffer.clear();
        self.uncommitted_ids.clear();
        self.uncommitted_lines.clear();
        if self.length >= self.options.segment || self.opened_at.elapsed() > MAX_SEGMENT_AGE {
            // The group is durable. If no new segment can be created, the next commit tries again.
            let _ = self.rotate();
        }
        self.committed_names = self.names.len();
        Ok(self.next)
    }

    fn write(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.write_all_at(&self.buffer, self.length) {
            if let Err(truncate) = self.file.set_len(self.length) {
                self.failure = Some(format!(
                    "a partial write to the log could not be removed ({truncate}); restart verge"
                ));
            }
            return Err(error);
        }
        if self.options.fsync == Fsync::Always
            && let Err(error) = self.file.sync_data()
        {
            self.failure = Some(format!("an earlier fdatasync of the log failed ({error}); restart verge"));
            return Err(error);
        }
        Ok(())
    }

    fn roll_back(&mut self) {
        self.uncommitted_ids.drain(..).for_each(|hash| self.ids.remove(hash));
        self.uncommitted_lines.drain(..).for_each(|hash| self.lines.remove(hash));
        self.names.truncate(self.committed_names);
        self.buffer.clear();
        self.frame.clear();
        self.frame_first = self.next;
    }

    /// Closes the current segment, unless it is empty, and starts another. Returns all closed segments.
    ///
    /// # Errors
    /// The directory cannot be written; the current segment stays open.
    pub fn rotate(&mut self) -> Result<Vec<Segment>> {
        if self.length > 0 {
            self.file.sync_all().map_err(LogError::file("close the log's segment", &self.segment.path))?;
            let segment = Segment { first: self.next, path: segment_path(&self.dir, self.next) };
            let file = create(&segment.path)?;
            sync_directory(&self.dir).map_err(LogError::file("write", &self.dir))?;
            (self.file, self.segment, self.length) = (file, segment, 0);
            self.names = Interner::default();
            self.committed_names = 0;
            self.opened_at = Instant::now();
        }
        let mut closed = segments(&self.dir)?;
        closed.retain(|segment| segment.first < self.segment.first);
        Ok(closed)
    }
}

fn create(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE)
        .open(path)
        .map_err(LogError::file("write the log's segment", path))
}

/// Locks the log and writes the command and process id into the lock file.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let mut file = create(&path)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            // A process that was killed a moment ago may still hold the lock.
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    holder => holder.to_owned(),
                };
                return Err(LogError::Locked { holder, dir: dir.to_owned() });
            }
            Err(TryLockError::Error(error)) => {
                return Err(LogError::file("lock", &path)(error));
            }
        }
    }
    let command: Vec<String> = std::env::args().skip(1).collect();
    file.set_len(0)
        .and_then(|()| writeln!(file, "`verge {}` (process {})", command.join(" "), std::process::id()))
        .map_err(LogError::file("write", &path))?;
    Ok(file)
}

/// The area in lower case.
fn area(name: &str) -> Cow<'_, str> {
    let name = name.trim();
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_lowercase())
    }
}

/// The keyed hash that stands for a visitor's id in a log with this key; 0 if the id is empty.
pub fn visitor_hash(key: &[u8; 32], id: &str) -> u64 {
    if id.is_empty() { 0 } else { hash(key, &["visitor", id]) }
}

/// The keyed hash of `parts`; never 0, which stands for "unknown".
fn hash(key: &[u8; 32], parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update(&[0]); // Ids contain no control characters, so parts cannot run into each other.
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes).max(1)
}
