//! Background work of the service. Each job is a loop around decisions that are plain functions of their inputs.
//!
//! May import: `state`, and the layers below `serve`; not `http`.

pub(crate) mod feed_watcher;
mod history;
mod publisher;
mod refresh;
mod retention;
mod table_follower;
mod thread;

use crate::config::Feed;
use crate::serve::state::service::Shared;
use anyhow::Result;
use std::thread::JoinHandle as ThreadHandle;
use tokio::task::JoinHandle;

/// The running jobs.
pub(crate) struct Jobs {
    /// They end by themselves when the service stops.
    threads: [ThreadHandle<()>; 2],
    /// They are aborted.
    tasks: [JoinHandle<()>; 2],
}

/// Starts all jobs.
///
/// # Errors
/// The destination is not fully configured, or a thread cannot be started.
pub(crate) fn start(service: &Shared) -> Result<Jobs> {
    let tasks = [tokio::spawn(refresh::run(service.clone())), tokio::spawn(retention::run(service.clone()))];
    tokio::spawn(history::run(service.clone()));
    for feed in &service.config.feeds {
        tokio::spawn(watch(service.clone(), feed.clone()));
    }
    let threads = [table_follower::start(service)?, publisher::start(service)?];
    Ok(Jobs { threads, tasks })
}

/// Watches a feed for as long as the service runs, also after a panic.
async fn watch(service: Shared, feed: Feed) {
    for count in 1.. {
        let watcher = tokio::spawn(feed_watcher::run(service.clone(), feed.clone()));
        match watcher.await {
            Err(error) if error.is_panic() => {
                thread::report_panic(&service, "feeds", thread::pause(count));
                tokio::time::sleep(thread::pause(count)).await;
                service.set_unready("feeds", None);
            }
            _ => return,
        }
    }
}

impl Jobs {
    /// Waits until all events are counted and the publisher has ended.
    pub(crate) async fn stopped(self) {
        self.tasks.into_iter().for_each(|task| task.abort());
        // A panic of a thread was logged when it happened.
        let _ = tokio::task::spawn_blocking(|| self.threads.map(ThreadHandle::join)).await;
    }
}
