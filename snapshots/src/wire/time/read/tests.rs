use super::Timestamp;
use proptest::prelude::*;

fn read(text: &str) -> Option<String> {
    Timestamp::read(text).map(|at| at.to_string())
}

#[test]
fn usual_spellings_are_read() {
    for text in [
        "2025-03-09T08:07:06Z",
        "2025-03-09t08:07:06z",
        "2025-03-09T08:07:06",
        "2025-03-09 08:07:06",
        "2025-03-09  08:07:06",
        "2025-03-09 08:07:06 UTC",
        "2025-03-09 08:07:06UTC",
        "2025-03-09 08:07:06 GMT",
        "2025-03-09T08:07:06.000000000Z",
        "2025-03-09 08:07:06.000 UTC",
        "2025-03-09T08:07:06+0000",
        "2025-03-09T08:07:06+00",
        "2025-03-09T08:07:06-00:00",
        "2025-03-09T10:07:06+02:00",
        "2025-03-09T10:07:06+0200",
        "2025-03-09T10:07:06 +02",
        "2025-03-09 08:07:06 +0000 UTC",
        "2025-03-09 09:07:06 +0100 CET",
        "2025-03-09T09:07:06+01:00[Europe/Berlin]",
        "2025/03/09 08:07:06",
        "09.03.2025 08:07:06",
        "9.3.2025 10:07:06 +0200",
        "20250309T080706Z",
        "20250309T080706",
        "Sun, 09 Mar 2025 08:07:06 +0000",
        "Sun, 9 Mar 2025 08:07:06 GMT",
        "9 Mar 2025 08:07:06 UT",
        "Sun, 09 Mar 2025 03:07:06 EST",
        "sun, 09 mar 2025 08:07:06 +0000 (UTC)",
        "Sun Mar 09 2025 13:37:06 GMT+0530 (भारतीय मानक समय)",
        "Sun Mar  9 08:07:06 2025",
        "Sun Mar 09 08:07:06 UTC 2025",
        "Sun Mar 09 10:07:06 +0200 2025",
        " 1741507626 ",
        "1741507626000",
        "1741507626000000",
        "1741507626000000000",
        "1741507626.0",
    ] {
        assert_eq!(read(text).as_deref(), Some("2025-03-09T08:07:06Z"), "{text}");
    }
    assert_eq!(read("2025-03-09T08:07Z").as_deref(), Some("2025-03-09T08:07:00Z"));
    assert_eq!(read("2025-03-09 08:07").as_deref(), Some("2025-03-09T08:07:00Z"));
    assert_eq!(read("Sun, 09 Mar 2025 08:07 +0000").as_deref(), Some("2025-03-09T08:07:00Z"));
    assert_eq!(read("2025-03-09T08:07:06,257Z").as_deref(), Some("2025-03-09T08:07:06.257Z"));
    assert_eq!(read("1741507626.257").as_deref(), Some("2025-03-09T08:07:06.257Z"));
    assert_eq!(Timestamp::from_fraction(1_741_507_626.257), Some(Timestamp(1_741_507_626_257)));
    assert_eq!(Timestamp::from_fraction(1_741_507_626_257.5), Some(Timestamp(1_741_507_626_257)));
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "yesterday",
        "2025-03-09",
        "2025-02-29T00:00:00Z",
        "2025-03-09T24:00:00Z",
        "2025-03-09T08:07:60Z",
        "2025-03-09T08:07:06 PM",
        "2025-03-09T08:07:06 IST",
        "2025-03-09T08:07:06+24:00",
        "2025-03-09T08:07:06+1",
        "2025-03-09T08:07:06 +0100 UTC",
        "2025-03-09T08:07:06ZZ",
        "2025-03-09T08:07:06.Z",
        "2025-3-9T08:07:06Z",
        "2025-03/09 08:07:06",
        "09.03.25 08:07",
        "03.19.2025 08:07",
        "03/09/2025 08:07",
        "Mon, 09 Mar 2025 08:07:06 +0000",
        "Sun, 09 Mar 25 08:07:06 +0000",
        "Mon Mar 09 08:07:06 UTC 2025",
        "Sun Mar 09 08:07:06 CET 2025",
        "Sun Mar 09 08:07:06 UTC 25",
        "Sun Mar 09 8:07:06 2025x",
        "0",
        "1",
        "-1741507626",
        "20250309",
        "20250309080706",
        "1741507626x",
        "1.741507626e9",
        "17415076260000000000000000",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    for count in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
        assert_eq!(Timestamp::from_fraction(count), None);
    }
}

proptest! {
    #[test]
    fn every_spelling_of_a_time_reads_back(ms in 631_152_000_000i64..9_000_000_000_000, offset in -14i64..=14) {
        let at = Timestamp(ms);
        let second = Timestamp(ms - ms % 1_000);
        let printed = at.to_string();
        let bare = printed.trim_end_matches('Z');
        let local = Timestamp(ms + offset * 3_600_000).to_string();
        let local = local.trim_end_matches('Z');
        let sign = if offset < 0 { '-' } else { '+' };
        let hours = offset.abs();
        let zoned = jiff::Timestamp::from_millisecond(second.0).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        for (text, expected) in [
            (printed.clone(), at),
            (bare.to_owned(), at),
            (bare.replace('T', " "), at),
            (format!("{} UTC", bare.replace('T', " ")), at),
            (format!("{bare}+0000"), at),
            (format!("{local}{sign}{hours:02}"), at),
            (format!("{local}{sign}{hours:02}00"), at),
            (format!("{local}{sign}{hours:02}:00"), at),
            (format!("{} {sign}{hours:02}:00", local.replace('T', " ")), at),
            (bare.replace(['-', ':'], "").replace('.', ","), at),
            (zoned.strftime("%-d.%m.%Y %H:%M:%S").to_string(), second),
            (zoned.strftime("%a, %d %b %Y %H:%M:%S %z").to_string(), second),
            (zoned.strftime("%a, %-d %b %Y %H:%M:%S GMT").to_string(), second),
            (zoned.strftime("%a %b %d %Y %H:%M:%S GMT%z (X)").to_string(), second),
            (zoned.strftime("%a %b %e %H:%M:%S %Y").to_string(), second),
            (zoned.strftime("%a %b %d %H:%M:%S %z %Y").to_string(), second),
            (format!("{}", ms / 1_000), second),
            (format!("{}.{:03}", ms / 1_000, ms % 1_000), at),
            (format!("{ms}"), at),
            (format!("{ms}999"), at),
            (format!("{ms}999999"), at),
        ] {
            prop_assert_eq!(Timestamp::read(&text), Some(expected), "{}", text);
        }
        prop_assert_eq!(Timestamp::from_fraction(ms as f64 / 1_000.0), Some(at));
    }

    #[test]
    fn what_rfc3339_reads_is_read_alike(text in "\\d{4}-\\d\\d-\\d\\d[Tt ]\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?(Z|[+-]\\d\\d:\\d\\d)") {
        prop_assert_eq!(Timestamp::read(&text), Timestamp::parse(&text));
    }

    #[test]
    fn any_text_has_one_reading_or_none(text in "[-0-9TZ:.+ /,a-zA-Z()]{0,40}|\\PC{0,40}") {
        if let Some(at) = Timestamp::read(&text) {
            prop_assert_eq!(Timestamp::read(&at.to_string()), Some(at));
        }
    }

    #[test]
    fn any_count_is_a_time_since_1990_or_none(count in any::<i64>()) {
        if let Some(at) = Timestamp::from_count(count) {
            prop_assert!((631_152_000_000..16_725_225_600_000).contains(&at.0));
        }
    }
}
