//! Group commit: many requests share one `fdatasync`.
//!
//! Requests put their events into a bounded queue. One thread takes everything that is queued, writes it as one group,
//! makes it durable by one `fdatasync` and only then answers the requests. Meanwhile the next group accumulates, so the
//! cost of a durable event falls as the load rises.

use crate::{LogError, Result, Segment, Sender, Writer};
use origin_data::Standing;
use snapshots::event::{Event, Kind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Most events in the queue. An event takes some 500 bytes, more with long texts.
const MAX_QUEUED_EVENTS: usize = 200_000;
/// A group with this many events is committed even if more are queued.
const MAX_GROUP_EVENTS: usize = 50_000;

/// Why events were not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The queue is full. A retry after a short wait may succeed.
    Busy,
    /// Writing failed; the text has the cause. A retry may succeed, for example when a full disk has space again.
    Failed(Arc<str>),
}

/// Result of storing the events of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendCounts {
    /// Number of events stored now, by kind.
    pub new: [usize; Kind::ALL.len()],
    /// Those of them that are unconfirmed, by kind.
    pub unconfirmed: [usize; Kind::ALL.len()],
    /// Number of events whose id was stored already.
    pub duplicates: usize,
}

enum Job {
    Append(Sender, Vec<Event>, oneshot::Sender<Result<AppendCounts, AppendError>>),
    Rotate(oneshot::Sender<Result<Vec<Segment>>>),
}

/// Handle to the thread that writes the log.
#[derive(Debug)]
pub struct GroupCommit {
    jobs: Option<mpsc::Sender<Job>>,
    queued: Arc<AtomicUsize>,
    position: watch::Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

impl GroupCommit {
    /// Starts the thread. It calls `on_commit` after each group with the duration of the commit and the number of events.
    ///
    /// # Errors
    /// The thread cannot be created.
    pub fn start(
        mut writer: Writer,
        on_commit: impl Fn(Duration, usize) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let (position_sender, position) = watch::channel(writer.position());
        let queued = Arc::new(AtomicUsize::new(0));
        let queue_length = Arc::clone(&queued);
        let work = move || {
            while let Ok(job) = queue.recv() {
                let more = std::iter::from_fn(|| queue.try_recv().ok());
                commit_group(&mut writer, std::iter::once(job).chain(more), &queue_length, &on_commit);
                position_sender.send_replace(writer.position());
            }
        };
        let thread = thread::Builder::new().name("log".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), queued, position, thread: Some(thread) })
    }

    /// Stores the events of a sender ([`Writer::add_from`]), each once, and returns when they are durable.
    ///
    /// # Errors
    /// [`AppendError`]; none of the events counts as stored, and the caller may send them again.
    pub async fn append(&self, sender: Sender, events: Vec<Event>) -> Result<AppendCounts, AppendError> {
        let count = events.len();
        if self.queued.fetch_add(count, Ordering::Relaxed) + count > MAX_QUEUED_EVENTS {
            self.queued.fetch_sub(count, Ordering::Relaxed);
            return Err(AppendError::Busy);
        }
        let (reply, answer) = oneshot::channel();
        self.send(Job::Append(sender, events, reply));
        answer.await.unwrap_or_else(|_| Err(AppendError::Failed(LogError::Stopped.to_string().into())))
    }

    /// Closes the current segment, starts another and returns the closed ones.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub async fn rotate(&self) -> Result<Vec<Segment>> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Rotate(reply));
        answer.await.unwrap_or(Err(LogError::Stopped))
    }

    /// Number of events that are not durable yet.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// The position after the last durable event; the receiver can be read or awaited.
    pub fn position(&self) -> &watch::Receiver<u64> {
        &self.position
    }

    fn send(&self, job: Job) {
        // If the thread has stopped, the job is dropped with its reply channel, and the caller gets an error.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }
}

impl Drop for GroupCommit {
    /// Waits until the queue is written and the thread, which holds the lock of the log, has ended.
    fn drop(&mut self) {
        self.jobs = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn commit_group(
    writer: &mut Writer,
    mut jobs: impl Iterator<Item = Job>,
    queued: &AtomicUsize,
    on_commit: &impl Fn(Duration, usize),
) {
    let (mut waiting, mut rotate, mut events) = (Vec::new(), None, 0);
    while events < MAX_GROUP_EVENTS && rotate.is_none() {
        match jobs.next() {
            Some(Job::Append(sender, appended, reply)) => {
                events += appended.len();
                let mut counts = AppendCounts::default();
                for event in &appended {
                    let kind = event.kind as usize;
                    match writer.add_from(&sender, event) {
                        Some(standing) => {
                            counts.new[kind] += 1;
                            counts.unconfirmed[kind] += usize::from(standing == Standing::Unconfirmed);
                        }
                        None => counts.duplicates += 1,
                    }
                }
                waiting.push((counts, reply));
            }
            Some(Job::Rotate(reply)) => rotate = Some(reply),
            None => break,
        }
    }
    let start = std::time::Instant::now();
    let committed = writer.commit();
    if events > 0 {
        on_commit(start.elapsed(), events);
    }
    queued.fetch_sub(events, Ordering::Relaxed);
    let failed = committed.err().map(|error| AppendError::Failed(with_sources(&error).into()));
    for (counts, reply) in waiting {
        // The request may have been cancelled.
        let _ = reply.send(failed.clone().map_or(Ok(counts), Err));
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
