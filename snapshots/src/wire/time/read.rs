//! Times as shops send them: relatives of RFC 3339, RFC 2822, and counts since 1970 in any of the usual units.
//!
//! Each text has one reading or none. A date without a time, a zone without a fixed offset and a count that is no time
//! since 1990 in any unit are refused.

use super::{Timestamp, days_from_civil, days_in_month};

/// Longest text, in bytes. A comment in parentheses at the end does not count.
const MAX_TEXT: usize = 64;
/// Counts are of times from 1990 to 2500, so that no count has two readings. In seconds.
const COUNTED: core::ops::Range<i64> = 631_152_000..16_725_225_600;

impl Timestamp {
    /// Reads a time in any of these forms; a time without a zone is in UTC. `None` for anything else.
    ///
    /// - RFC 3339 and its usual variations: `2026-11-20T10:15:30.5Z`, `2026-11-20 10:15:30 UTC`, `2026-11-20T10:15`,
    ///   `2026-11-20 10:15:30,5 +0100`, `2026-11-20T10:15:30+01`, `2026/11/20 10:15:30`, `20261120T101530Z`
    /// - with dots, the day first: `20.11.2026 10:15:30`
    /// - RFC 2822 and JavaScript's `Date`: `Fri, 20 Nov 2026 10:15:30 +0000`, `Fri Nov 20 2026 10:15:30 GMT+0100 (CET)`
    /// - with the year last: `Fri Nov 20 10:15:30 UTC 2026`
    /// - the number of seconds, milli-, micro- or nanoseconds since 1970: see [`Timestamp::from_count`]
    pub fn read(text: &str) -> Option<Self> {
        let mut text = text.trim();
        if text.ends_with(')') {
            text = text.split_once('(')?.0.trim_end();
        }
        if text.len() > MAX_TEXT {
            return None;
        }
        let mut rest = Scanner(text.as_bytes());
        let digits = rest.digits()?;
        let at = match (digits, rest.peek()) {
            ("", Some(_)) => rest.named_day(),
            (day, Some(b'.')) if day.len() <= 2 => rest.dotted(day),
            (_, None | Some(b'.')) => return read_count(digits, rest),
            (year, Some(sign @ (b'-' | b'/'))) if year.len() == 4 => rest.date(year, sign),
            (date, Some(b'T' | b't')) if date.len() == 8 => {
                let (year, rest_of_date) = date.split_at_checked(4)?;
                let (month, day) = rest_of_date.split_at_checked(2)?;
                let date = Date::new(year, month.parse().ok()?, day)?;
                rest.compact_time(date)
            }
            (day, Some(b' ')) if day.len() <= 2 => rest.day_first(day),
            _ => None,
        }?;
        rest.is_empty().then_some(at)
    }

    /// Reads a count since 1970 of seconds, milli-, micro- or nanoseconds, told apart by size: the unit is the one that gives
    /// a time from 1990 to 2500. Truncated to milliseconds. `None` if no unit does.
    pub fn from_count(count: i64) -> Option<Self> {
        let unit = [1_i64, 1_000, 1_000_000, 1_000_000_000]
            .into_iter()
            .find(|unit| COUNTED.contains(&count.div_euclid(*unit)))?;
        Some(Self(if unit == 1 { count * 1_000 } else { count / (unit / 1_000) }))
    }

    /// [`Timestamp::from_count`] of a number with a fraction. Fractions of seconds are kept to the nearest millisecond.
    pub fn from_fraction(count: f64) -> Option<Self> {
        // Beyond, `as` would saturate.
        if !(0.0..9e18).contains(&count) {
            return None;
        }
        let whole = count as i64;
        let at = Self::from_count(whole)?;
        if COUNTED.contains(&whole) { Some(Self((count * 1_000.0).round() as i64)) } else { Some(at) }
    }
}

/// The rest of a count after its first digits: nothing, or a fraction.
fn read_count(digits: &str, mut rest: Scanner<'_>) -> Option<Timestamp> {
    let count: i64 = digits.parse().ok()?;
    let mut at = Timestamp::from_count(count)?;
    if rest.take(b'.') {
        let millis = rest.fraction()?;
        if COUNTED.contains(&count) {
            at.0 += millis;
        }
    }
    rest.is_empty().then_some(at)
}

/// A date of the proleptic Gregorian calendar, as days since 1970.
#[derive(Clone, Copy)]
struct Date(i64);

impl Date {
    fn new(year: &str, month: i64, day: &str) -> Option<Self> {
        let (year, day): (i64, i64) = (year.parse().ok()?, day.parse().ok()?);
        let exists = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        exists.then(|| Self(days_from_civil(year, month, day)))
    }

    /// Whether this is the day of the week, 0 for Monday. 1970-01-01 was a Thursday.
    fn is(self, weekday: usize) -> bool {
        (self.0 + 3).rem_euclid(7) == weekday as i64
    }

    fn at(self, hour: &str, minute: &str, second: &str) -> Option<Timestamp> {
        let (hour, minute, second): (i64, i64, i64) =
            (hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?);
        let exists = hour < 24 && minute < 60 && second < 60;
        exists.then(|| Timestamp((self.0 * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000))
    }
}

/// What is not read yet.
struct Scanner<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// The bytes at the front that `accept` accepts. They are ASCII.
    fn run(&mut self, accept: impl Fn(&u8) -> bool) -> Option<&'a str> {
        let length = self.0.iter().take_while(|byte| byte.is_ascii() && accept(byte)).count();
        let (run, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        core::str::from_utf8(run).ok()
    }

    /// Digits; none is empty.
    fn digits(&mut self) -> Option<&'a str> {
        self.run(u8::is_ascii_digit)
    }

    fn two_digits(&mut self) -> Option<&'a str> {
        self.digits().filter(|digits| digits.len() == 2)
    }

    fn word(&mut self) -> Option<&'a str> {
        self.run(u8::is_ascii_alphabetic).filter(|word| !word.is_empty())
    }

    /// At least one blank.
    fn blanks(&mut self) -> Option<()> {
        self.run(|byte| *byte == b' ').filter(|blanks| !blanks.is_empty()).map(|_| ())
    }

    /// The milliseconds of 1 to 12 digits after a decimal sign.
    fn fraction(&mut self) -> Option<i64> {
        let digits = self.digits().filter(|digits| (1..=12).contains(&digits.len()))?;
        Some(
            digits
                .bytes()
                .chain(*b"00")
                .take(3)
                .fold(0, |millis, digit| millis * 10 + i64::from(digit - b'0')),
        )
    }

    /// `-11-20T10:15…` after a year.
    fn date(&mut self, year: &str, sign: u8) -> Option<Timestamp> {
        self.take(sign).then_some(())?;
        let month = self.two_digits()?.parse().ok()?;
        self.take(sign).then_some(())?;
        let date = Date::new(year, month, self.two_digits()?)?;
        if !(self.take(b'T') || self.take(b't')) {
            self.blanks()?;
        }
        self.time(date)
    }

    /// `.11.2026 10:15…` after a day.
    fn dotted(&mut self, day: &str) -> Option<Timestamp> {
        self.take(b'.').then_some(())?;
        let month = self.digits().filter(|month| (1..=2).contains(&month.len()))?.parse().ok()?;
        self.take(b'.').then_some(())?;
        let year = self.digits().filter(|year| year.len() == 4)?;
        let date = Date::new(year, month, day)?;
        self.blanks()?;
        self.time(date)
    }

    /// `T101530Z` after a date.
    fn compact_time(&mut self, date: Date) -> Option<Timestamp> {
        let _ = self.take(b'T') || self.take(b't');
        let (hour, rest) = self.digits()?.split_at_checked(2)?;
        let (minute, second) = rest.split_at_checked(2)?;
        let at = match second.len() {
            0 => date.at(hour, minute, "0"),
            2 => date.at(hour, minute, second),
            _ => None,
        }?;
        self.fraction_and_zone(at, !second.is_empty())
    }

    /// `10:15`, with seconds, a fraction of them and a zone if they are there.
    fn time(&mut self, date: Date) -> Option<Timestamp> {
        let hour = self.two_digits()?;
        self.take(b':').then_some(())?;
        let minute = self.two_digits()?;
        let second = if self.take(b':') { Some(self.two_digits()?) } else { None };
        let at = date.at(hour, minute, second.unwrap_or("0"))?;
        self.fraction_and_zone(at, second.is_some())
    }

    fn fraction_and_zone(&mut self, mut at: Timestamp, has_seconds: bool) -> Option<Timestamp> {
        if has_seconds && (self.take(b'.') || self.take(b',')) {
            at.0 += self.fraction()?;
        }
        at.0 -= self.zone()? * 60_000;
        Some(at)
    }

    /// The minutes that the local time is ahead of UTC; 0 without a zone.
    fn zone(&mut self) -> Option<i64> {
        let _ = self.blanks();
        let Some(first) = self.peek() else { return Some(0) };
        let mut minutes = 0;
        let signed = |scanner: &Self| matches!(scanner.peek(), Some(b'+' | b'-'));
        if first.is_ascii_alphabetic() {
            let name = self.word()?;
            minutes = zone_minutes(name)?;
            // `GMT+0100` of JavaScript's dates.
            if minutes == 0 && signed(self) {
                minutes = self.offset()?;
            }
        } else if signed(self) {
            minutes = self.offset()?;
            // Go adds the zone's name to its offset: `+0000 UTC`, `+0100 CET`.
            if self.blanks().is_some() {
                let name = self.word().filter(|name| name.len() <= 5)?;
                if zone_minutes(name).is_some_and(|named| named != minutes) {
                    return None;
                }
            }
        }
        // Java adds `[Europe/Berlin]`.
        if self.take(b'[') {
            self.run(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(byte))?;
            self.take(b']').then_some(())?;
        }
        Some(minutes)
    }

    /// `+01`, `+0100` or `+01:00`.
    fn offset(&mut self) -> Option<i64> {
        let negative = self.take(b'-');
        let _ = negative || self.take(b'+');
        let digits = self.digits()?;
        let (hours, minutes) = match digits.len() {
            2 if self.take(b':') => (digits, self.two_digits()?),
            2 => (digits, "0"),
            4 => digits.split_at_checked(2)?,
            _ => return None,
        };
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        let total = hours * 60 + minutes;
        (hours < 24 && minutes < 60).then_some(if negative { -total } else { total })
    }

    /// `Fri, 20 Nov 2026 …` (RFC 2822), `Fri Nov 20 2026 …` (JavaScript) or `Fri Nov 20 10:15:30 UTC 2026` (C, Java).
    fn named_day(&mut self) -> Option<Timestamp> {
        const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let name = self.word()?;
        let weekday = DAYS.iter().position(|day| day.eq_ignore_ascii_case(name))?;
        let comma = self.take(b',');
        self.blanks()?;
        let (date, at) = if comma || self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            let day = self.digits()?;
            self.day_month_year(day)?
        } else {
            let month = month(self.word()?)?;
            self.blanks()?;
            let day = self.digits().filter(|day| (1..=2).contains(&day.len()))?;
            self.blanks()?;
            match self.digits()? {
                year if year.len() == 4 => self.after_year(year, month, day)?,
                hour => self.year_last(month, day, hour)?,
            }
        };
        date.is(weekday).then_some(at)
    }

    /// ` Nov 2026 10:15:30 +0000` after a day.
    fn day_first(&mut self, day: &str) -> Option<Timestamp> {
        self.day_month_year(day).map(|(_, at)| at)
    }

    fn day_month_year(&mut self, day: &str) -> Option<(Date, Timestamp)> {
        if !(1..=2).contains(&day.len()) {
            return None;
        }
        self.blanks()?;
        let month = month(self.word()?)?;
        self.blanks()?;
        self.year_and_time(month, day)
    }

    fn year_and_time(&mut self, month: i64, day: &str) -> Option<(Date, Timestamp)> {
        let year = self.digits().filter(|year| year.len() == 4)?;
        self.after_year(year, month, day)
    }

    fn after_year(&mut self, year: &str, month: i64, day: &str) -> Option<(Date, Timestamp)> {
        let date = Date::new(year, month, day)?;
        self.blanks()?;
        Some((date, self.time(date)?))
    }

    /// `:15:30 UTC 2026` after an hour, also without a zone.
    fn year_last(&mut self, month: i64, day: &str, hour: &str) -> Option<(Date, Timestamp)> {
        self.take(b':').then_some(())?;
        let minute = self.two_digits()?;
        self.take(b':').then_some(())?;
        let second = self.two_digits()?;
        self.blanks()?;
        let first = self.peek()?;
        let mut minutes = 0;
        if !first.is_ascii_digit() {
            minutes = if first.is_ascii_alphabetic() { zone_minutes(self.word()?)? } else { self.offset()? };
            self.blanks()?;
        }
        let year = self.digits().filter(|year| year.len() == 4)?;
        let date = Date::new(year, month, day)?;
        let local = date.at(hour, minute, second)?;
        Some((date, Timestamp(local.0 - minutes * 60_000)))
    }
}

fn month(name: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let place = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    i64::try_from(place).ok().map(|place| place + 1)
}

/// The zones of RFC 2822, which have one offset each.
fn zone_minutes(name: &str) -> Option<i64> {
    const HOURS: [(&str, i64); 12] = [
        ("z", 0),
        ("utc", 0),
        ("gmt", 0),
        ("ut", 0),
        ("est", -5),
        ("edt", -4),
        ("cst", -6),
        ("cdt", -5),
        ("mst", -7),
        ("mdt", -6),
        ("pst", -8),
        ("pdt", -7),
    ];
    HOURS.iter().find(|(zone, _)| zone.eq_ignore_ascii_case(name)).map(|(_, hours)| hours * 60)
}

#[cfg(test)]
mod tests;
