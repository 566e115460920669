//! Writing the log: one process, whole groups, each event once.

use crate::frame::Draft;
use crate::{Fsync, Ids, LogError, Options, Reader, Record, Result, Segment, segment_path, segments};
use origin_data::{Interner, files::sync_directory};
use snapshots::event::Event;
use snapshots::time::DAY_MS;
use std::borrow::Cow;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A segment is closed after this long, so that what is to be forgotten does not wait for it to fill.
const SEGMENT_TIME: Duration = Duration::from_millis(DAY_MS as u64);

/// How long another process may hold the lock before it is said to.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// What opening the log cut off its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Of which file.
    pub path: PathBuf,
    /// How many bytes: part of a group that was never acknowledged.
    pub bytes: u64,
}

/// The one who writes a log. Dropping it lets another process write.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    key: [u8; 32],
    options: Options,
    ids: Ids,
    names: Interner,
    file: File,
    segment: Segment,
    /// When the segment was opened, here.
    since: Instant,
    /// Bytes of the segment that are whole frames.
    length: u64,
    /// Position of the next event.
    next: u64,
    cut: Option<Cut>,
    /// Frames that are not written yet, and the one that is open.
    buffer: Vec<u8>,
    open: Draft,
    /// Position of the open frame's first event.
    first: u64,
    /// What to take back if writing fails: hashes of ids, and how many names there were.
    added: Vec<u64>,
    named: usize,
    /// Why nothing can be written any more.
    broken: Option<String>,
    _lock: File,
}

impl Writer {
    /// Opens the log in `dir`, creating it when it is missing, and cuts off what a kill left unfinished. `key` hashes
    /// visitors.
    ///
    /// # Errors
    /// Another process writes it, the directory cannot be written, or a segment is damaged.
    pub fn open(dir: &Path, key: [u8; 32], options: Options) -> Result<Self> {
        fs::create_dir_all(dir).map_err(LogError::file("create the log", dir))?;
        let lock = lock(dir)?;
        let mut seed = [0; 8];
        seed.copy_from_slice(&key[..8]);
        let mut ids = Ids::new(options.ids, u64::from_le_bytes(seed));
        let all = segments(dir)?;
        let newest = all.last().map_or(0, |segment| segment.first);
        let from = newest.saturating_sub(options.ids as u64);
        let mut reader =
            Reader::new(dir, all.iter().rev().map(|one| one.first).find(|first| *first <= from).unwrap_or(0));
        reader.read(|record, _| {
            ids.add(record.id);
        })?;
        let next = reader.position();
        let (segment, whole, names) = match reader.end() {
            Some(end) => (end.segment, end.whole, end.names),
            None => (Segment { first: 0, path: segment_path(dir, 0) }, 0, Vec::new()),
        };
        let known = names.len();
        let names: Interner = names.into_iter().collect();
        if names.len() != known {
            return Err(LogError::Unreadable { path: segment.path, offset: 0 });
        }
        let file = create(&segment.path)?;
        let bytes =
            file.metadata().map_err(LogError::file("use the log's segment", &segment.path))?.len() - whole;
        if bytes > 0 {
            file.set_len(whole)
                .and_then(|()| file.sync_all())
                .map_err(LogError::file("use the log's segment", &segment.path))?;
        }
        sync_directory(dir).map_err(LogError::file("write", dir))?;
        Ok(Self {
            dir: dir.to_owned(),
            key,
            options,
            ids,
            named: names.len(),
            names,
            file,
            since: Instant::now(),
            length: whole,
            next,
            cut: (bytes > 0).then(|| Cut { path: segment.path.clone(), bytes }),
            segment,
            buffer: Vec::new(),
            open: Draft::default(),
            first: next,
            added: Vec::new(),
            broken: None,
            _lock: lock,
        })
    }

    /// What opening cut off.
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// Position of the next event that will be durable.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Adds an event to the group that [`Self::commit`] makes durable; `false` when its id is stored already.
    pub fn add(&mut self, event: &Event) -> bool {
        let Some(id) = self.ids.add(&event.id) else { return false };
        self.added.push(id);
        let area = area(event.region.as_deref().unwrap_or_default());
        let visitor = event.visitor.as_deref().unwrap_or_default();
        let session = event.session.as_deref().unwrap_or_default();
        let record = Record {
            at: event.at,
            kind: event.kind,
            id: &event.id,
            item: &event.item,
            area: &area,
            visitor: visitor_hash(&self.key, visitor),
            session: if session.is_empty() { 0 } else { hash(&self.key, &["session", visitor, session]) },
            quantity: event.quantity.unwrap_or(1).max(1),
            price: event.price,
            currency: event.currency.as_deref().unwrap_or_default(),
            placement: event.placement.as_deref().unwrap_or_default(),
            request: event.request.as_deref().unwrap_or_default(),
        };
        self.open.add(&record, &mut self.names);
        if self.open.is_full() {
            self.close_frame();
        }
        true
    }

    fn close_frame(&mut self) {
        let span = self.open.span();
        self.open.close(self.first, span, &mut self.buffer);
        self.first += u64::from(span);
    }

    /// Makes what was added durable, all of it or none; the position after it.
    ///
    /// # Errors
    /// The disk is full or fails; nothing that was added since the last commit is stored then, and it may be added
    /// again. After a failed `fdatasync` nobody knows what the disk holds: the log has to be opened anew.
    pub fn commit(&mut self) -> Result<u64> {
        self.close_frame();
        if let Some(why) = &self.broken {
            let why = why.clone();
            self.take_back();
            return Err(LogError::Broken(why));
        }
        if !self.buffer.is_empty()
            && let Err(error) = self.write()
        {
            self.take_back();
            return Err(LogError::file("write the log's segment", &self.segment.path)(error));
        }
        self.length += self.buffer.len() as u64;
        self.next = self.first;
        self.buffer.clear();
        self.added.clear();
        if self.length >= self.options.segment || self.since.elapsed() > SEGMENT_TIME {
            // What was added is stored; a disk without room for another file says so at the next commit.
            let _ = self.rotate();
        }
        self.named = self.names.len();
        Ok(self.next)
    }

    fn write(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.write_all_at(&self.buffer, self.length) {
            if let Err(worse) = self.file.set_len(self.length) {
                self.broken =
                    Some(format!("what was half written cannot be cut off again ({worse}); restart"));
            }
            return Err(error);
        }
        if self.options.fsync == Fsync::Always
            && let Err(error) = self.file.sync_data()
        {
            self.broken = Some(format!("the disk failed before ({error}); mend it and restart"));
            return Err(error);
        }
        Ok(())
    }

    fn take_back(&mut self) {
        self.added.drain(..).for_each(|hash| self.ids.forget(hash));
        self.names.truncate(self.named);
        self.buffer.clear();
        self.open.clear();
        self.first = self.next;
    }

    /// Closes the segment, if it holds anything, and begins another. Returns the closed ones.
    ///
    /// # Errors
    /// The directory cannot be written; then the segment stays the one that is written.
    pub fn rotate(&mut self) -> Result<Vec<Segment>> {
        if self.length > 0 {
            self.file.sync_all().map_err(LogError::file("close the log's segment", &self.segment.path))?;
            let segment = Segment { first: self.next, path: segment_path(&self.dir, self.next) };
            let file = create(&segment.path)?;
            sync_directory(&self.dir).map_err(LogError::file("write", &self.dir))?;
            (self.file, self.segment, self.length) = (file, segment, 0);
            self.names = Interner::default();
            self.named = 0;
            self.since = Instant::now();
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
        .open(path)
        .map_err(LogError::file("write the log's segment", path))
}

/// Takes the lock, and writes into it who holds it.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let mut file = create(&path)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            // A process that was just killed may not have ended yet.
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_TIMEOUT => {
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

/// Areas are compared in lower case.
fn area(name: &str) -> Cow<'_, str> {
    let name = name.trim();
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_lowercase())
    }
}

/// What a visitor's id is in a log with this key; 0 for none.
pub fn visitor_hash(key: &[u8; 32], id: &str) -> u64 {
    if id.is_empty() { 0 } else { hash(key, &["visitor", id]) }
}

/// A hash of `parts` that is never 0, which stands for "unknown".
fn hash(key: &[u8; 32], parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update(&[0]); // No identifier holds a control character.
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes).max(1)
}
