//! The system clock. Learning and packing never read it: the time is passed to them.

use snapshots::time::Timestamp;
use std::time::SystemTime;

/// Milliseconds since 1970 by the system clock; 0 where it stands before 1970.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
