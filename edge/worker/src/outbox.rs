//! The outbox: events that the origin has not accepted yet, and their packing into bodies.
//!
//! It does no I/O; `forward` does. One request at a time sends the events of all requests in the background. Events that
//! arrive meanwhile are in its next body. After a failure, sending pauses with exponential backoff.

use snapshots::event::Event;
use std::collections::VecDeque;

/// Most bytes of a batch. Queues bill messages by 64 KB.
const MAX_BATCH: usize = 60_000;
/// Most events in the outbox.
const MAX_EVENTS: usize = 10_000;
/// Most bytes in the outbox. An isolate has 128 MB.
const MAX_BYTES: usize = 2 << 20;
/// Most events of a body. The origin accepts 10,000.
const MAX_BODY_EVENTS: usize = 5_000;
/// Most bytes of a body, unless a single batch exceeds it. The origin accepts 8 MiB.
const MAX_BODY: usize = 1 << 20;
/// Pause after the first failure, in ms. Doubles with each failure.
const FIRST_PAUSE_MS: i64 = 500;
/// Longest pause, in ms.
const MAX_PAUSE_MS: i64 = 60_000;
/// How long a request may send, in ms. The platform ends background work after 30 s.
const LEASE_MS: i64 = 30_000;

/// Events as NDJSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The number of events.
    pub events: usize,
    /// One event per line.
    pub lines: String,
}

impl Batch {
    fn append(&mut self, other: &Self) {
        self.events += other.events;
        self.lines.push_str(&other.lines);
    }

    /// The batch of a queue's message. The origin rejects anything that is not events.
    pub fn message(mut lines: String) -> Self {
        if !lines.ends_with('\n') {
            lines.push('\n');
        }
        Self { events: lines.lines().count(), lines }
    }

    /// Joins the first batches to a body, within its limits but at least one. Returns their number too.
    pub fn body<'a>(batches: impl IntoIterator<Item = &'a Self>) -> (Self, usize) {
        let (mut body, mut count) = (Self::default(), 0);
        for batch in batches {
            let fits = body.events + batch.events <= MAX_BODY_EVENTS
                && body.lines.len() + batch.lines.len() <= MAX_BODY;
            if count > 0 && !fits {
                break;
            }
            body.append(batch);
            count += 1;
        }
        (body, count)
    }
}

/// Packs events into batches.
pub fn pack(events: &[Event]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for event in events {
        // These types cannot fail to serialise.
        let line = serde_json::to_string(event).unwrap_or_default() + "\n";
        match batches.last_mut().filter(|batch| batch.lines.len() + line.len() <= MAX_BATCH) {
            Some(batch) => batch.append(&Batch { events: 1, lines: line }),
            None => batches.push(Batch { events: 1, lines: line }),
        }
    }
    batches
}

/// The outcome of sending a body to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The origin has the events.
    Accepted,
    /// The origin rejected the body; a retry is pointless.
    Rejected,
    /// The origin is unavailable; retry later.
    Failed,
}

impl Delivery {
    /// The outcome for a status. A rejected key counts as unavailable, since it can be corrected.
    pub fn from_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Accepted,
            400 | 413 | 415 | 422 => Self::Rejected,
            _ => Self::Failed,
        }
    }
}

/// The next step of the request that sends.
#[derive(Debug, PartialEq, Eq)]
pub enum SendStep {
    /// Send this body.
    Send(Batch),
    /// Wait for so many ms, then call [`Outbox::next`] again.
    Wait(u32),
    /// Stop.
    Done,
}

/// The exclusive right to send. It expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    until: i64,
}

/// An isolate's events that the origin has not accepted yet.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<Batch>,
    events: usize,
    bytes: usize,
    /// Batches at the front that are being sent.
    sending: usize,
    lease: Option<Lease>,
    failures: u32,
    /// When to try the origin again, in ms.
    retry_at: i64,
    dropped: u64,
}

impl Outbox {
    /// Adds a batch. Drops and counts it if the outbox is full.
    pub fn add(&mut self, batch: Batch) {
        let fits = self.events + batch.events <= MAX_EVENTS && self.bytes + batch.lines.len() <= MAX_BYTES;
        if fits {
            self.events += batch.events;
            self.bytes += batch.lines.len();
            self.waiting.push_back(batch);
        } else {
            self.dropped += batch.events as u64;
        }
    }

    /// Acquires the lease, if there is something to send now and no other request holds it.
    pub fn lease(&mut self, now: i64) -> Option<Lease> {
        let held = self.lease.is_some_and(|lease| now < lease.until);
        if held || self.waiting.is_empty() || self.is_paused(now) {
            return None;
        }
        // What the previous holder was sending is sent again. Event ids make it count once.
        self.sending = 0;
        self.lease = Some(Lease { until: now.saturating_add(LEASE_MS) });
        self.lease
    }

    /// The next step of the lease's holder. [`SendStep::Done`] ends the lease.
    pub fn next(&mut self, lease: Lease, now: i64) -> SendStep {
        if self.lease != Some(lease) {
            return SendStep::Done;
        }
        let pause = self.retry_at.saturating_sub(now).max(0);
        if self.waiting.is_empty() || now.saturating_add(pause) >= lease.until {
            self.lease = None;
            return SendStep::Done;
        }
        if pause > 0 {
            return SendStep::Wait(u32::try_from(pause).unwrap_or(u32::MAX));
        }
        let (body, sending) = Batch::body(&self.waiting);
        self.sending = sending;
        SendStep::Send(body)
    }

    /// Records the outcome of the body of [`Outbox::next`]. A rejected body counts as dropped.
    pub fn sent(&mut self, lease: Lease, outcome: Delivery, now: i64) {
        if self.lease != Some(lease) {
            return;
        }
        let sending = std::mem::take(&mut self.sending);
        if outcome == Delivery::Failed {
            let pause = FIRST_PAUSE_MS.saturating_mul(1 << self.failures.min(16)).min(MAX_PAUSE_MS);
            self.failures = self.failures.saturating_add(1);
            self.retry_at = now.saturating_add(pause);
            return;
        }
        self.failures = 0;
        for batch in self.waiting.drain(..sending.min(self.waiting.len())) {
            self.events -= batch.events;
            self.bytes -= batch.lines.len();
            if outcome == Delivery::Rejected {
                self.dropped += batch.events as u64;
            }
        }
    }

    /// Whether sending is paused at `now` (ms).
    pub const fn is_paused(&self, now: i64) -> bool {
        now < self.retry_at && self.failures > 0
    }

    /// The number of events in the outbox.
    pub const fn len(&self) -> usize {
        self.events
    }

    /// Whether the outbox is empty.
    pub const fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// The number of dropped events since [`Self::take_dropped`].
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns and resets the number of dropped events.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batch(events: usize, bytes: usize) -> Batch {
        Batch { events, lines: "x".repeat(bytes) }
    }

    fn event(id: usize, item: &str) -> Event {
        let json = serde_json::json!({"id": format!("{id}"), "kind": "view", "item": item, "at": "2026-11-20T10:15:30Z"});
        serde_json::from_value(json).unwrap()
    }

    /// The body to send now.
    fn body(outbox: &mut Outbox, lease: Lease, now: i64) -> Batch {
        match outbox.next(lease, now) {
            SendStep::Send(body) => body,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn events_are_packed_in_order_within_the_size_of_a_message() {
        let events: Vec<Event> = (0..500).map(|id| event(id, &"é".repeat(64))).collect();
        let batches = pack(&events);
        assert!(batches.len() > 1 && batches.iter().all(|batch| batch.lines.len() <= MAX_BATCH));
        let lines: String = batches.iter().map(|batch| &*batch.lines).collect();
        let back: Vec<Event> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(back, events);
        let message = Batch::message(batches[0].lines.clone());
        assert_eq!(message, batches[0]);
        assert!(pack(&[]).is_empty());
    }

    #[test]
    fn one_request_sends_and_the_next_body_holds_events_that_arrived_meanwhile() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.lease(0), None);
        outbox.add(batch(1, 10));
        let lease = outbox.lease(0).unwrap();
        assert_eq!(outbox.lease(1), None);
        assert_eq!(body(&mut outbox, lease, 1).events, 1);
        outbox.add(batch(2, 20));
        outbox.add(batch(3, 30));
        outbox.sent(lease, Delivery::Accepted, 2);
        assert_eq!(body(&mut outbox, lease, 2).events, 5);
        outbox.sent(lease, Delivery::Accepted, 3);
        assert_eq!(outbox.next(lease, 3), SendStep::Done);
        assert!(outbox.is_empty() && outbox.lease(4).is_none());
    }

    #[test]
    fn failures_back_off_exponentially_and_lose_nothing() {
        let mut outbox = Outbox::default();
        outbox.add(batch(1, 10));
        let (mut now, mut pauses) = (0, Vec::new());
        for _ in 0..10 {
            let lease = outbox.lease(now).unwrap();
            assert_eq!(body(&mut outbox, lease, now).events, 1);
            outbox.sent(lease, Delivery::Failed, now);
            assert!(outbox.is_paused(now) && !outbox.is_empty());
            pauses.push(outbox.retry_at - now);
            now = outbox.retry_at + LEASE_MS;
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
        let lease = outbox.lease(now).unwrap();
        body(&mut outbox, lease, now);
        outbox.sent(lease, Delivery::Accepted, now);
        assert_eq!((outbox.len(), outbox.failures, outbox.take_dropped()), (0, 0, 0));
    }

    #[test]
    fn a_sender_waits_for_a_short_pause_and_stops_before_a_long_one() {
        let mut outbox = Outbox::default();
        outbox.add(batch(1, 10));
        let lease = outbox.lease(0).unwrap();
        body(&mut outbox, lease, 0);
        outbox.sent(lease, Delivery::Failed, 100);
        assert_eq!(outbox.next(lease, 200), SendStep::Wait(400));
        assert_eq!(outbox.lease(200), None);
        body(&mut outbox, lease, 600);
        outbox.failures = 6;
        outbox.sent(lease, Delivery::Failed, 600);
        assert_eq!(outbox.next(lease, 600), SendStep::Done);
        assert_eq!(outbox.lease(601), None);
        assert!(outbox.lease(600 + 32_000).is_some());
    }

    #[test]
    fn an_expired_lease_is_replaced_and_its_late_outcome_ignored() {
        let mut outbox = Outbox::default();
        outbox.add(batch(1, 10));
        let old = outbox.lease(0).unwrap();
        body(&mut outbox, old, 0);
        outbox.add(batch(7, 70));
        let new = outbox.lease(LEASE_MS).unwrap();
        assert_eq!(body(&mut outbox, new, LEASE_MS).events, 8);
        outbox.sent(old, Delivery::Accepted, LEASE_MS);
        assert_eq!((outbox.len(), outbox.next(old, LEASE_MS)), (8, SendStep::Done));
        outbox.sent(new, Delivery::Accepted, LEASE_MS);
        assert!(outbox.is_empty());
    }

    #[test]
    fn dropped_and_rejected_events_are_counted() {
        let mut outbox = Outbox::default();
        outbox.add(batch(MAX_EVENTS, 10));
        assert_eq!(outbox.dropped(), 0);
        outbox.add(batch(1, 10));
        assert_eq!((outbox.take_dropped(), outbox.take_dropped()), (1, 0));
        let lease = outbox.lease(0).unwrap();
        body(&mut outbox, lease, 0);
        outbox.sent(lease, Delivery::Rejected, 0);
        assert_eq!(outbox.take_dropped(), MAX_EVENTS as u64);
        outbox.add(batch(1, MAX_BYTES));
        assert_eq!(outbox.dropped(), 0);
        outbox.add(batch(1, 1));
        assert_eq!(outbox.dropped(), 1);
    }

    proptest! {
        /// Every event is accepted once, dropped, or still in the outbox.
        #[test]
        fn every_event_is_accounted_for(steps in prop::collection::vec((0_u8..6, 1_usize..2_000, 1_usize..100_000), 1..200)) {
            let mut outbox = Outbox::default();
            let (mut added, mut taken, mut dropped, mut now) = (0, 0, 0, 0);
            let (mut lease, mut body): (_, Option<Batch>) = (None, None);
            for (step, events, bytes) in steps {
                now += bytes as i64;
                match (step, lease) {
                    (0..=2, _) => {
                        added += events;
                        outbox.add(batch(events, bytes));
                    }
                    (3, _) => lease = outbox.lease(now).or(lease),
                    (4, Some(lease)) => if let SendStep::Send(new) = outbox.next(lease, now) { body = Some(new) },
                    (_, Some(lease)) => if let Some(body) = body.take() {
                        let outcome = [Delivery::Accepted, Delivery::Rejected, Delivery::Failed][events % 3];
                        let before = outbox.len();
                        outbox.sent(lease, outcome, now);
                        let gone = before - outbox.len();
                        prop_assert!(gone == 0 || gone == body.events);
                        taken += if outcome == Delivery::Accepted { gone } else { 0 };
                    },
                    _ => {}
                }
                dropped += outbox.take_dropped() as usize;
                prop_assert!(outbox.events <= MAX_EVENTS && outbox.bytes <= MAX_BYTES);
                prop_assert_eq!(added, taken + dropped + outbox.len());
            }
        }
    }
}
