//! Group commit: many requests, one writer.
//!
//! Requests hand their events to a bounded queue. One thread takes all that waits there, writes it as one group, makes
//! it durable by one `fdatasync`, and only then wakes those who wait: while the disk works, the next group gathers. So
//! the fuller the queue, the larger the groups, and the less a durable event costs.

use crate::{LogError, Result, Segment, Writer};
use snapshots::event::Event;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Events that may wait in the queue; some 500 bytes each, more with long texts.
pub const QUEUE: usize = 200_000;
/// Events after which a group takes no more.
const GROUP: usize = 50_000;

/// Why events were not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The queue is full; after so long there may be room.
    Busy,
    /// The disk is full or fails; the text says how. Trying again may help.
    Failed(Arc<str>),
}

/// What became of one request's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// By kind: those that were stored now.
    pub new: [usize; snapshots::event::Kind::ALL.len()],
    /// Those that an earlier request had stored, under the same id.
    pub duplicates: usize,
}

enum Job {
    Append(Vec<Event>, oneshot::Sender<Result<Stored, Refused>>),
    Rotate(oneshot::Sender<Result<Vec<Segment>>>),
}

/// The way to the log.
#[derive(Debug)]
pub struct Ingest {
    jobs: Option<mpsc::Sender<Job>>,
    queued: Arc<AtomicUsize>,
    position: watch::Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Ingest {
    /// Starts the thread. `committed` is told how long each group took and how many events it held.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        mut writer: Writer,
        committed: impl Fn(Duration, usize) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let (told, position) = watch::channel(writer.position());
        let queued = Arc::new(AtomicUsize::new(0));
        let waiting = Arc::clone(&queued);
        let work = move || {
            while let Ok(job) = queue.recv() {
                let more = std::iter::from_fn(|| queue.try_recv().ok());
                group(&mut writer, std::iter::once(job).chain(more), &waiting, &committed);
                told.send_replace(writer.position());
            }
        };
        let thread = thread::Builder::new().name("log".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), queued, position, thread: Some(thread) })
    }

    /// Stores events, each once; returns when they are durable.
    ///
    /// # Errors
    /// [`Refused`]; nothing of it counts as stored then, and the same events may be sent again.
    pub async fn append(&self, events: Vec<Event>) -> Result<Stored, Refused> {
        let count = events.len();
        if self.queued.fetch_add(count, Ordering::Relaxed) + count > QUEUE {
            self.queued.fetch_sub(count, Ordering::Relaxed);
            return Err(Refused::Busy);
        }
        let (reply, answer) = oneshot::channel();
        self.send(Job::Append(events, reply));
        answer.await.unwrap_or_else(|_| Err(Refused::Failed("the log's writer has stopped".into())))
    }

    /// Closes the segment that is written and begins another; the closed ones.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub async fn rotate(&self) -> Result<Vec<Segment>> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Rotate(reply));
        answer.await.unwrap_or(Err(LogError::Stopped))
    }

    /// Events that wait to be made durable.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// The position after the last durable event, to read or to follow.
    pub fn position(&self) -> &watch::Receiver<u64> {
        &self.position
    }

    fn send(&self, job: Job) {
        // Where it fails, the reply is dropped, and whoever waits for it is told.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }
}

impl Drop for Ingest {
    /// Lets the thread finish what waits, and waits for it: it holds the lock of the log.
    fn drop(&mut self) {
        self.jobs = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Does one group of jobs.
fn group(
    writer: &mut Writer,
    mut jobs: impl Iterator<Item = Job>,
    queued: &AtomicUsize,
    committed: &impl Fn(Duration, usize),
) {
    let (mut waiting, mut rotate, mut events) = (Vec::new(), None, 0);
    while events < GROUP && rotate.is_none() {
        match jobs.next() {
            Some(Job::Append(appended, reply)) => {
                events += appended.len();
                let mut stored = Stored::default();
                for event in &appended {
                    if writer.add(event) {
                        stored.new[event.kind as usize] += 1;
                    } else {
                        stored.duplicates += 1;
                    }
                }
                waiting.push((stored, reply));
            }
            Some(Job::Rotate(reply)) => rotate = Some(reply),
            None => break,
        }
    }
    let began = std::time::Instant::now();
    let outcome = writer.commit();
    if events > 0 {
        committed(began.elapsed(), events);
    }
    queued.fetch_sub(events, Ordering::Relaxed);
    let refused = outcome.err().map(|error| Refused::Failed(with_sources(&error).into()));
    for (stored, reply) in waiting {
        // Who asked may have gone.
        let _ = reply.send(refused.clone().map_or(Ok(stored), Err));
    }
    if let Some(reply) = rotate {
        let _ = reply.send(writer.rotate());
    }
}

/// An error's text followed by those of its causes.
fn with_sources(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
