//! How often one key may ask: a bucket that a second fills, in one atomic number.
//!
//! Formula: the generic cell rate algorithm (ITU-T I.371, "virtual scheduling"). `due` is when the next request
//! would come at the steady rate; one that comes more than a second before it is refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How much may come at once, in seconds at the steady rate.
const BURST_NS: u64 = 1_000_000_000;

/// The bucket of one key.
#[derive(Debug)]
pub struct Rate {
    began: Instant,
    /// Nanoseconds after `began`.
    due: AtomicU64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { began: Instant::now(), due: AtomicU64::new(0) }
    }
}

impl Rate {
    /// Whether a request may pass now at `per_second`; 0 lets all pass.
    ///
    /// # Errors
    /// The whole seconds to wait, at least 1.
    pub fn take(&self, per_second: u32) -> Result<(), u32> {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        self.take_at(per_second, now)
    }

    fn take_at(&self, per_second: u32, now: u64) -> Result<(), u32> {
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
        let rate = Rate::default();
        let passed = |now: u64| (0..100).filter(|_| rate.take_at(10, now).is_ok()).count();
        assert_eq!(passed(0), 10);
        assert_eq!(rate.take_at(10, 0), Err(1));
        assert_eq!(passed(500_000_000), 5);
        assert_eq!(passed(60_000_000_000), 10, "what was not used is not kept");
        assert_eq!((0..1000).filter(|_| rate.take_at(0, 0).is_ok()).count(), 1000);
    }

    #[test]
    fn one_a_second_is_possible() {
        let rate = Rate::default();
        assert_eq!(rate.take_at(1, 0), Ok(()));
        assert_eq!(rate.take_at(1, 500_000_000), Err(1));
        assert_eq!(rate.take_at(1, 1_000_000_000), Ok(()));
    }
}
