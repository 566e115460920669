//! The system clock. Learning and packing never read it; they take the time as an argument.

use snapshots::time::Timestamp;
use std::time::SystemTime;

/// The current time in milliseconds since 1970, or 0 if the clock is set to an earlier date.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
