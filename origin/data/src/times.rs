//! Times as files of shops write them: those that [`Timestamp::read`] reads, dates alone, and dates by number
//! (`1.12.2010 8:26`, `12/1/2010 8:26 AM`), whose order of day and month a whole file decides.

use snapshots::time::Timestamp;

/// Whether a date by number begins with its day or its month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// `31/12/2010`
    DayFirst,
    /// `12/31/2010`
    MonthFirst,
}

/// What the dates of a file show about their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderSurvey {
    day_first: bool,
    month_first: bool,
    meridiem: bool,
    dots: bool,
    seen: bool,
}

/// What a survey found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The file has no date whose order is in question.
    NotNeeded,
    /// All dates fit this order, and one fits no other or has a spelling that is used with this order only.
    Order(DateOrder),
    /// Every date fits both.
    Undecided,
    /// Some dates fit one order only, and some the other.
    Contradictory,
}

impl OrderSurvey {
    /// Records a time.
    pub fn see(&mut self, text: &str) {
        let (date, time) = split(text.trim());
        let Some(Date::Numbers { first, second, dots, .. }) = Date::read(date) else { return };
        self.seen = true;
        self.day_first |= first > 12;
        self.month_first |= second > 12;
        self.dots |= dots;
        self.meridiem |= time.to_ascii_lowercase().contains(['a', 'p']);
    }

    /// The result.
    pub fn found(self) -> Found {
        match (self.day_first, self.month_first) {
            _ if !self.seen => Found::NotNeeded,
            (true, true) => Found::Contradictory,
            (true, false) => Found::Order(DateOrder::DayFirst),
            (false, true) => Found::Order(DateOrder::MonthFirst),
            // AM and PM are used with the month first only, dots with the day first only.
            _ if self.dots => Found::Order(DateOrder::DayFirst),
            _ if self.meridiem => Found::Order(DateOrder::MonthFirst),
            _ => Found::Undecided,
        }
    }
}

/// Whether a time has a date by number, for which [`read`] needs an order.
pub fn needs_order(text: &str) -> bool {
    matches!(Date::read(split(text.trim()).0), Some(Date::Numbers { .. }))
}

/// Reads a time in the forms of [`Timestamp::read`] and by the dates above. One without a zone is UTC; a date alone
/// is its midnight. `None` if it is no time, or its order of day and month is needed and not known.
pub fn read(text: &str, order: Option<DateOrder>) -> Option<Timestamp> {
    let text = text.trim();
    if !begins_by_number(text)
        && let Some(at) = Timestamp::read(text)
    {
        return Some(at);
    }
    if text.len() > 64 {
        return None;
    }
    let (date, time) = split(text);
    let (year, month, day) = match Date::read(date)? {
        Date::Known(year, month, day) => (year, month, day),
        Date::Numbers { first, second, year, dots } => match order.or(dots.then_some(DateOrder::DayFirst))? {
            DateOrder::DayFirst => (year, second, first),
            DateOrder::MonthFirst => (year, first, second),
        },
    };
    let (clock, zone) = read_clock(time)?;
    Timestamp::read(&format!("{year:04}-{month:02}-{day:02} {clock} {zone}"))
}

/// Whether a text begins as a date by number does: with at most two digits and a separator.
fn begins_by_number(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (1..=2).contains(&digits) && matches!(text.as_bytes().get(digits), Some(b'.' | b'/' | b'-'))
}

/// Whether a time is a date alone.
pub fn is_date(text: &str) -> bool {
    let (date, time) = split(text.trim());
    time.is_empty() && Date::read(date).is_some()
}

/// Splits date and time of day. A date in words has spaces too.
fn split(text: &str) -> (&str, &str) {
    if let Some((at, _)) = text
        .match_indices(' ')
        .find(|(at, _)| text[at + 1..].get(..3).is_some_and(is_clock_start))
        .or_else(|| {
            text.match_indices(' ')
                .find(|(at, _)| text[at + 1..].get(..2).is_some_and(|two| two.ends_with(':')))
        })
    {
        return (&text[..at], text[at + 1..].trim());
    }
    match text.find(['T', 't']) {
        Some(at) if text[..at].ends_with(|sign: char| sign.is_ascii_digit()) => {
            (&text[..at], &text[at + 1..])
        }
        _ => (text, ""),
    }
}

fn is_clock_start(three: &str) -> bool {
    matches!(three.as_bytes(), [first, second, b':'] if first.is_ascii_digit() && second.is_ascii_digit())
}

enum Date {
    Known(u32, u32, u32),
    Numbers { first: u32, second: u32, year: u32, dots: bool },
}

impl Date {
    fn read(text: &str) -> Option<Self> {
        let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
            let fits = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            fits.then(|| text.parse::<u32>().ok()).flatten()
        };
        if let Some(day) = number(text, 8..=8) {
            return Some(Self::Known(day / 10_000, day / 100 % 100, day % 100));
        }
        if let Some(sign) = ['-', '/', '.'].into_iter().find(|sign| text.matches(*sign).count() == 2) {
            let mut parts = text.split(sign);
            let [a, b, c] = [parts.next()?, parts.next()?, parts.next()?];
            if let Some(year) = number(a, 4..=4) {
                return Some(Self::Known(year, number(b, 1..=2)?, number(c, 1..=2)?));
            }
            if let Some(month) = month(b) {
                return Some(Self::Known(year_of(c)?, month, number(a, 1..=2)?));
            }
            let (first, second) = (number(a, 1..=2)?, number(b, 1..=2)?);
            return Some(Self::Numbers { first, second, year: year_of(c)?, dots: sign == '.' });
        }
        // `Thu, 26 Nov 2026`, `26 November 2026`, `Nov 26, 2026`
        let text = text.split_once(',').filter(|(day, _)| weekday(day)).map_or(text, |(_, rest)| rest);
        let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let [a, b, c] = [words.next()?, words.next()?, words.next()?];
        if words.next().is_some() {
            return None;
        }
        match (month(a), month(b)) {
            (None, Some(month)) => Some(Self::Known(number(c, 4..=4)?, month, number(a, 1..=2)?)),
            (Some(month), None) => Some(Self::Known(number(c, 4..=4)?, month, number(b, 1..=2)?)),
            _ => None,
        }
    }
}

/// Two digits are years from 1970 to 2069.
fn year_of(text: &str) -> Option<u32> {
    let year: u32 = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()?;
    match text.len() {
        4 => Some(year),
        2 if year < 70 => Some(2000 + year),
        2 => Some(1900 + year),
        _ => None,
    }
}

fn month(text: &str) -> Option<u32> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let lower = text.to_ascii_lowercase();
    let is = |name: &str| lower == name || (lower.len() == 3 && name.starts_with(&lower));
    (1..).zip(NAMES).find(|(_, name)| is(name)).map(|(number, _)| number)
}

fn weekday(text: &str) -> bool {
    let lower = text.trim().to_ascii_lowercase();
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
        .iter()
        .any(|name| lower == *name || (lower.len() == 3 && name.starts_with(&lower)))
}

/// A time of day by 24 hours, and its zone as it is written.
fn read_clock(text: &str) -> Option<(String, &str)> {
    if text.is_empty() {
        return Some(("00:00:00".to_owned(), ""));
    }
    let end = text
        .find(|sign: char| !(sign.is_ascii_digit() || matches!(sign, ':' | '.' | ',')))
        .unwrap_or(text.len());
    let (clock, mut rest) = text.split_at(end);
    rest = rest.trim();
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next().unwrap_or("00"));
    if parts.next().is_some() {
        return None;
    }
    let number = |text: &str| {
        let fits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| text.parse::<u32>().ok()).flatten()
    };
    let mut hour = number(hour)?;
    let (second, fraction) = second.split_once(['.', ',']).unwrap_or((second, "0"));
    let half = rest.get(..2).unwrap_or("").to_ascii_lowercase();
    if half == "am" || half == "pm" {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + if half == "pm" { 12 } else { 0 };
        rest = rest[2..].trim();
    }
    Some((format!("{hour:02}:{:02}:{:02}.{fraction}", number(minute)?, number(second)?), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str, order: Option<DateOrder>) -> String {
        read(text, order).map_or_else(|| "none".to_owned(), |at| at.to_string())
    }

    #[test]
    fn every_spelling_of_one_instant_is_read() {
        for text in [
            "2025-03-09T07:05:09Z",
            "2025-03-09 07:05:09",
            "2025-03-09T07:05:09",
            "2025-03-09 07:05:09 UTC",
            "2025-03-09 07:05:09.000 UTC",
            "2025-03-09T07:05:09+0000",
            "2025-03-09T08:05:09+01",
            "2025-03-09T08:05:09 +01:00",
            "2025-03-09 07:05:09+00:00",
            "2025/03/09 7:05:09",
            "Sun, 09 Mar 2025 07:05:09 +0000",
            "Sun, 9 Mar 2025 07:05:09 GMT",
            "9 March 2025 07:05:09",
            "09-Mar-2025 07:05:09",
            "Mar 9, 2025 7:05:09 AM",
            "9.3.2025 7:05:09",
            "09.03.25 07:05:09",
            "1741503909",
            "1741503909.0",
            "1741503909000",
            "1741503909000000",
            "1741503909000000000",
            "Sun Mar 09 2025 08:05:09 GMT+0100 (CET)",
            "2025-03-09T08:05:09+01:00[Europe/Berlin]",
            "20250309T070509Z",
        ] {
            assert_eq!(shown(text, None), "2025-03-09T07:05:09Z", "{text}");
        }
        assert_eq!(shown("2025-03-09", None), "2025-03-09T00:00:00Z");
        assert_eq!(shown("20250309", None), "2025-03-09T00:00:00Z");
        assert_eq!(shown("2025-03-09T07:05Z", None), "2025-03-09T07:05:00Z");
        assert_eq!(shown("2025-03-09T07:05+0100", None), "2025-03-09T06:05:00Z");
        assert_eq!(shown("1741503909.25", None), "2025-03-09T07:05:09.250Z");
        assert_eq!(shown("3/9/25 12:05 AM", Some(DateOrder::MonthFirst)), "2025-03-09T00:05:00Z");
        assert_eq!(shown("3/9/2025 12:05:00 pm", Some(DateOrder::DayFirst)), "2025-09-03T12:05:00Z");
    }

    #[test]
    fn what_is_no_time_is_nothing() {
        for text in [
            "",
            "yesterday",
            "0",
            "12345",
            "2025-13-01",
            "2025-02-30 10:00:00",
            "2025-03-09 25:00:00",
            "3/9/2025 8:26",
            "2025-03-09T07:05:09+1",
            "2025-03-09 13:00 PM",
            "1e9",
            "-1741503909",
            "9 Marz 2025",
            "2025-03-09 07:05:09 CET",
            "12:30",
            "2025-03-09Tx",
        ] {
            assert_eq!(shown(text, None), "none", "{text}");
        }
    }

    #[test]
    fn a_whole_file_decides_what_comes_first() {
        let found = |texts: &[&str]| {
            let mut survey = OrderSurvey::default();
            texts.iter().for_each(|text| survey.see(text));
            survey.found()
        };
        assert_eq!(found(&["3/9/2025 8:26", "13/9/2025 8:26"]), Found::Order(DateOrder::DayFirst));
        assert_eq!(found(&["3-9-2025", "3-19-2025"]), Found::Order(DateOrder::MonthFirst));
        assert_eq!(found(&["3/9/2025 8:26 AM"]), Found::Order(DateOrder::MonthFirst));
        assert_eq!(found(&["3.9.2025 8:26"]), Found::Order(DateOrder::DayFirst));
        assert_eq!(found(&["3/9/2025 8:26"]), Found::Undecided);
        assert_eq!(found(&["3/19/2025", "19/3/2025"]), Found::Contradictory);
        assert_eq!(found(&["2025-03-09 08:26:00", "nonsense"]), Found::NotNeeded);
    }

    proptest! {
        #[test]
        fn every_instant_reads_back_in_every_spelling(seconds in 631_152_000i64..4_000_000_000) {
            let at = Timestamp(seconds * 1000);
            let text = at.to_string();
            let (date, clock) = text.trim_end_matches('Z').split_once('T').unwrap();
            let [year, month, day] = *date.split('-').collect::<Vec<_>>() else { panic!() };
            for text in [
                text.clone(), format!("{date} {clock}"), format!("{date} {clock} UTC"), format!("{date}T{clock}+0000"),
                format!("{day}.{month}.{year} {clock}"), seconds.to_string(), format!("{seconds}000"),
                format!("{seconds}000000"), format!("{seconds}000000000"),
            ] {
                prop_assert_eq!(read(&text, None), Some(at), "{}", text);
            }
            prop_assert_eq!(read(&format!("{day}/{month}/{year} {clock}"), Some(DateOrder::DayFirst)), Some(at));
            prop_assert_eq!(read(&format!("{month}/{day}/{year} {clock}"), Some(DateOrder::MonthFirst)), Some(at));
        }

        #[test]
        fn any_text_reads_or_does_not(text in "\\PC{0,30}|[0-9./: TZ+-]{0,24}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4} [0-9:]{1,8} ?(AM|PM|é)?") {
            let _ = (read(&text, None), read(&text, Some(DateOrder::DayFirst)), is_date(&text));
            OrderSurvey::default().see(&text);
        }
    }
}
