//! When an event happened: its time, corrected where the sender's clock is wrong.

use super::fields::{Places, shown};
use super::{Door, MAX_AGE_MS, MAX_AHEAD_MS, Outcome, Receiver};
use crate::wire::json::Json;
use crate::wire::time::Timestamp;

/// A difference up to this, in ms, is the time that a request takes, and no wrong clock.
const LATENCY_MS: i64 = 60_000;
/// A clock that is ahead up to this, in ms, is corrected without a warning.
const SILENT_MS: i64 = 1_000;

type FieldError = (&'static str, String);

fn timestamp(value: &Json<'_>) -> Option<Timestamp> {
    match value {
        Json::Text(text) => Timestamp::read(text),
        Json::Number(number) => match number.as_i64() {
            Some(count) => Timestamp::from_count(count),
            None => Timestamp::from_fraction(number.as_f64()?),
        },
        _ => None,
    }
}

/// Reads the time of an event.
///
/// Segment and RudderStack send the time and, as `sentAt`, when they sent it, both by the sender's clock; a server adds
/// `receivedAt` and corrects `timestamp`, but not `originalTimestamp`.
pub(super) fn read(
    places: &Places<'_, '_>,
    receiver: Receiver<'_>,
    out: &mut Outcome,
) -> Result<Timestamp, FieldError> {
    let Receiver { now, door } = receiver;
    let written = places.own(&["at"]).or_else(|| {
        places.envelope(&[
            "timestamp_micros",
            "event_timestamp",
            "timestamp",
            "derived_tstamp",
            "collector_tstamp",
        ])
    });
    let original = places.own(&["originalTimestamp", "original_timestamp"]);
    let received = places.envelope(&["receivedAt", "received_at"]).and_then(timestamp);
    let (value, corrected) = match (written, original) {
        (Some(value), None) => (value, received.is_some()),
        (Some(value), Some(original)) => (value, received.is_some() || value != original),
        (None, Some(original)) => (original, false),
        (None, None) if matches!(door, Door::History) => {
            return Err(("at", "missing; historical events need a time".to_owned()));
        }
        (None, None) => return Ok(now),
    };
    let mut at = timestamp(value).ok_or_else(|| {
        let expected = "expected a time such as 2026-11-20T10:15:30Z, or seconds, ms, µs or ns since 1970";
        ("at", format!("{} is no time; {expected}", shown(value)))
    })?;
    let sent = if corrected { None } else { places.envelope(&["sentAt", "sent_at"]).and_then(timestamp) };
    // Both are of one clock: an event was sent after it happened, and not long after.
    let delay = sent.map(|sent| sent.0.saturating_sub(at.0));
    if delay.is_some_and(|delay| !(-LATENCY_MS..=MAX_AGE_MS).contains(&delay)) {
        out.warn(None, "at", "`sentAt` contradicts the time of the event and was not used".to_owned());
    } else if let Some(sent) = sent {
        let behind = match (received, door) {
            (Some(received), _) => received.0.saturating_sub(sent.0),
            (None, Door::Edge(_)) => now.0.saturating_sub(sent.0),
            // What a server sends late was sent by a browser before.
            (None, Door::Server(_)) => now.0.saturating_sub(sent.0).min(0),
            (None, Door::History) => 0,
        };
        if behind.abs() > LATENCY_MS {
            at.0 = at.0.saturating_add(behind);
            let (seconds, way) = (behind.abs() / 1_000, if behind > 0 { "behind" } else { "ahead" });
            let detail = format!(
                "the sender's clock is {seconds} s {way} by `sentAt`; the time was corrected to {at}"
            );
            out.warn(None, "at", detail);
        }
    }
    let ahead = at.0.saturating_sub(now.0);
    match door {
        Door::Edge(_) if ahead > 0 => {
            if ahead > SILENT_MS {
                let detail = format!("{at} is {} s ahead; the time was set to {now}", ahead / 1_000);
                out.warn(None, "at", detail);
            }
            at = now;
        }
        _ if ahead > MAX_AHEAD_MS => {
            return Err(("at", format!("{at} is more than 5 minutes ahead of {now}; check the clock")));
        }
        _ => {}
    }
    if !matches!(door, Door::History) && at.0 < now.0.saturating_sub(MAX_AGE_MS) {
        return Err(("at", format!("{at} is more than 30 days old; use `verge import` for history")));
    }
    Ok(at)
}
