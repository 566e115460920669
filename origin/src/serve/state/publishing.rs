//! Requests to the publisher, and its status.

use crate::serve::state::lock;
use snapshots::time::Timestamp;
use std::sync::Mutex;
use tokio::sync::Notify;

/// Connects handlers with the publisher.
#[derive(Default)]
pub(crate) struct Publishing {
    /// Requests a publish now, whatever the intervals.
    pub(crate) publish_requested: Notify,
    /// Requests to learn a model now.
    pub(crate) learn_requested: Notify,
    status: Mutex<PublishingStatus>,
}

/// The publisher's status, as `GET /v1/admin/status` shows it.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct PublishingStatus {
    /// When the destination last was up to date.
    pub(crate) published_at: Option<Timestamp>,
    /// Time of the newest published event.
    pub(crate) newest: Option<Timestamp>,
    /// Why publishing fails; `None` if it does not.
    pub(crate) failing: Option<String>,
    /// Whether a model is being learned.
    pub(crate) learning: bool,
    /// How the last learning ended.
    pub(crate) learnt: Option<String>,
}

impl Publishing {
    /// The current status.
    pub(crate) fn status(&self) -> PublishingStatus {
        lock(&self.status).clone()
    }

    /// Changes the status.
    pub(crate) fn update(&self, change: impl FnOnce(&mut PublishingStatus)) {
        change(&mut lock(&self.status));
    }
}
