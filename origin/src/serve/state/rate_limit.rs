//! The rate limit of one API key: a token bucket that holds one second's worth of requests, in one atomic number.
//!
//! Formula: the generic cell rate algorithm (ITU-T I.371, "virtual scheduling"). `due` is when the next request would
//! come at the steady rate; a request that comes more than a second before it is rejected.
//!
//! The crate `governor` implements the same algorithm and would fit. It is not used because it adds five crates, most of
//! them for timers and collections of keys that are not needed here, in place of the thirty lines below.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The capacity of the bucket, in nanoseconds at the steady rate.
const BURST_NS: u64 = 1_000_000_000;

/// The bucket of one key.
#[derive(Debug)]
pub(crate) struct RateLimit {
    created: Instant,
    /// Nanoseconds after `created`.
    due: AtomicU64,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { created: Instant::now(), due: AtomicU64::new(0) }
    }
}

impl RateLimit {
    /// Takes one request from the bucket, which refills at `per_second`; 0 means no limit.
    ///
    /// # Errors
    /// The bucket is empty. The number is the whole seconds to wait, at least 1.
    pub(crate) fn try_acquire(&self, per_second: u32) -> Result<(), u32> {
        let now = u64::try_from(self.created.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        self.try_acquire_at(per_second, now)
    }

    fn try_acquire_at(&self, per_second: u32, now: u64) -> Result<(), u32> {
        let Some(step) = BURST_NS.checked_div(u64::from(per_second)) else { return Ok(()) };
        let next = |due: u64| {
            let due = due.max(now) + step;
            (due - now <= BURST_NS.max(step)).then_some(due)
        };
        match self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Ok(()),
            Err(due) => Err(u32::try_from((due + step).saturating_sub(now + BURST_NS).div_ceil(BURST_NS))
                .unwrap_or(1)
                .max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_steady_rate() {
        let limit = RateLimit::default();
        let passed = |now: u64| (0..100).filter(|_| limit.try_acquire_at(10, now).is_ok()).count();
        assert_eq!(passed(0), 10);
        assert_eq!(limit.try_acquire_at(10, 0), Err(1));
        assert_eq!(passed(500_000_000), 5);
        assert_eq!(passed(60_000_000_000), 10, "unused capacity does not accumulate");
        assert_eq!((0..1000).filter(|_| limit.try_acquire_at(0, 0).is_ok()).count(), 1000);
    }

    #[test]
    fn one_request_a_second_is_possible() {
        let limit = RateLimit::default();
        assert_eq!(limit.try_acquire_at(1, 0), Ok(()));
        assert_eq!(limit.try_acquire_at(1, 500_000_000), Err(1));
        assert_eq!(limit.try_acquire_at(1, 1_000_000_000), Ok(()));
    }
}
