//! Instants as milliseconds since the Unix epoch (UTC), their RFC 3339 form on the wire, and the forms in which shops send
//! times ([`Timestamp::read`]).
//!
//! Written by hand, since every date library is larger than the rest of the event parser. The tests compare it with
//! `jiff`.

mod read;

use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// An instant: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Days from 1970-01-01 to a proleptic Gregorian date.
/// Method: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`], from the same source.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Parses `digits` decimal digits at the start of `text`.
fn number(text: &mut &[u8], digits: usize) -> Option<i64> {
    let (head, rest) = text.split_at_checked(digits)?;
    let mut value = 0;
    for byte in head {
        value = value * 10 + i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    *text = rest;
    Some(value)
}

fn literal(text: &mut &[u8], allowed: &[u8]) -> Option<u8> {
    let (first, rest) = text.split_first()?;
    *text = rest;
    allowed.contains(first).then_some(*first)
}

impl Timestamp {
    /// Reads an RFC 3339 date-time (`2026-11-20T10:15:30.5Z`, `2026-11-20 10:15:30+01:00`), years 0000 to
    /// 9999. Truncates fractions to milliseconds. `None` for anything else, including leap seconds.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.as_bytes();
        let year = number(&mut rest, 4)?;
        literal(&mut rest, b"-")?;
        let month = number(&mut rest, 2)?;
        literal(&mut rest, b"-")?;
        let day = number(&mut rest, 2)?;
        literal(&mut rest, b"Tt ")?;
        let hour = number(&mut rest, 2)?;
        literal(&mut rest, b":")?;
        let minute = number(&mut rest, 2)?;
        literal(&mut rest, b":")?;
        let second = number(&mut rest, 2)?;
        let in_range = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !in_range {
            return None;
        }
        let mut millis = 0;
        if rest.first() == Some(&b'.') {
            literal(&mut rest, b".")?;
            let mut scale = 100;
            let mut digits = 0;
            while rest.first().is_some_and(u8::is_ascii_digit) {
                millis += number(&mut rest, 1)? * scale;
                scale /= 10;
                digits += 1;
            }
            if digits == 0 || digits > 9 {
                return None;
            }
        }
        let offset_minutes = match literal(&mut rest, b"Zz+-")? {
            sign @ (b'+' | b'-') => {
                let hours = number(&mut rest, 2)?;
                literal(&mut rest, b":")?;
                let minutes = number(&mut rest, 2)?;
                if hours >= 24 || minutes >= 60 {
                    return None;
                }
                let total = hours * 60 + minutes;
                if sign == b'+' { total } else { -total }
            }
            _ => 0,
        };
        if !rest.is_empty() {
            return None;
        }
        let seconds = days_from_civil(year, month, day) * 86_400
            + hour * 3_600
            + (minute - offset_minutes) * 60
            + second;
        Some(Self(seconds * 1_000 + millis))
    }

    /// Minutes since the Unix epoch, the unit of the recents cookie; 0 before the epoch.
    pub fn minutes(self) -> u32 {
        u32::try_from((self.0 / 60_000).max(0)).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with milliseconds unless they are zero. Clamps years to 0 to 9999.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FIRST: i64 = -62_167_219_200_000;
        const LAST: i64 = 253_402_300_799_999;
        let at = self.0.clamp(FIRST, LAST);
        let (year, month, day) = civil_from_days(at.div_euclid(DAY_MS));
        let ms = at.rem_euclid(DAY_MS);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match ms % 1_000 {
            0 => out.write_str("Z"),
            millis => write!(out, ".{millis:03}Z"),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not an RFC 3339 date-time")))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prints_and_parses_as_jiff_does(ms in -62_167_219_200_000i64..253_402_207_200_000) {
            let ours = Timestamp(ms);
            let theirs: jiff::Timestamp = ours.to_string().parse().unwrap();
            prop_assert_eq!(theirs.as_millisecond(), ms);
            prop_assert_eq!(Timestamp::parse(&theirs.to_string()), Some(ours));
        }

        #[test]
        fn any_text_parses_to_an_instant_or_none(text in "\\PC{0,40}") {
            if let Some(at) = Timestamp::parse(&text) {
                prop_assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
            }
        }

        #[test]
        fn offsets_parse_as_in_jiff(
            hour in 0u8..26, minute in 0u8..62, oh in 0u8..24, om in 0u8..60,
            month in 0u8..14, day in 0u8..33,
        ) {
            let text = format!("2024-{month:02}-{day:02}T{hour:02}:{minute:02}:07.25-{oh:02}:{om:02}");
            let theirs = text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond());
            prop_assert_eq!(Timestamp::parse(&text).map(|at| at.0), theirs);
        }
    }
}
