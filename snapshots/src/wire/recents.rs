//! The recents cookie: the visitor's last distinct items, newest first.
//!
//! ```text
//! verge_recents = 1|85123A:v:hmx1s|22423:c3:hmx0k
//!                 │ │      │ └ minutes since the Unix epoch, base 36
//!                 │ │      └ strongest kind (v view, c click, a cart, p purchase), then the count if above 1
//!                 │ └ item id, percent-encoded as `encodeURIComponent` does
//!                 └ version
//! ```
//! A storefront's own script may read and write it. Invalid entries are skipped. What libraries do to a cookie's value is
//! undone: quotes around it, blanks around it and its fields, and percent-encoding of the whole.

use super::{
    event::{Kind, MAX_ITEM_ID, is_printable},
    time::Timestamp,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Name of the cookie.
pub const COOKIE: &str = "verge_recents";
/// Lifetime of the cookie, in seconds.
pub const MAX_AGE_S: u32 = 30 * 86_400;
/// Most entries.
pub const MAX_ENTRIES: usize = 50;
/// Most bytes of the encoded value; the oldest entries are dropped.
pub const MAX_BYTES: usize = 3_072;
/// Most cookies of this name that are read. Cookies of other paths and domains have the same name.
const MAX_COOKIES: usize = 8;
/// How often a value may be percent-encoded as a whole.
const MAX_ENCODINGS: u8 = 3;
const VERSION: &str = "1";
/// The characters that `encodeURIComponent` does not encode.
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// An item that the visitor interacted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The item's id.
    pub item: String,
    /// The strongest kind of event.
    pub kind: Kind,
    /// The number of events, 1 to 9.
    pub count: u8,
    /// The time of the last event, in minutes since the Unix epoch.
    pub minutes: u32,
}

/// The visitor's last distinct items, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recents(Vec<Recent>);

fn kind_letter(kind: Kind) -> char {
    match kind {
        Kind::Impression | Kind::View => 'v',
        Kind::Click => 'c',
        Kind::Cart => 'a',
        Kind::Purchase => 'p',
    }
}

fn base36(mut value: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(value % 36, 36).unwrap_or('0'));
        value /= 36;
        if value == 0 {
            return digits.iter().rev().collect();
        }
    }
}

fn read_entry(entry: &str) -> Option<Recent> {
    let mut fields = entry.split(':').map(str::trim);
    let item = percent_decode_str(fields.next()?).decode_utf8().ok()?.into_owned();
    if !is_printable(&item, MAX_ITEM_ID) {
        return None;
    }
    // A script may write the id alone: a view of unknown age.
    let mut kind = fields.next().unwrap_or("v").chars();
    let recent = Recent {
        item,
        kind: match kind.next() {
            Some('c') => Kind::Click,
            Some('a') => Kind::Cart,
            Some('p') => Kind::Purchase,
            _ => Kind::View,
        },
        count: kind.next().and_then(|digit| digit.to_digit(10)).map_or(1, |count| count.max(1) as u8),
        // After a comma follows the next cookie of a joined header.
        minutes: fields
            .next()
            .and_then(|text| u32::from_str_radix(text.split(',').next()?.trim(), 36).ok())
            .unwrap_or(0),
    };
    Some(recent)
}

/// The value of a cookie of this name, if `pair` is one.
fn cookie_value(pair: &str) -> Option<&str> {
    pair.trim_start().strip_prefix(COOKIE)?.trim_start().strip_prefix('=')
}

/// The values of the cookies of this name. A comma separates cookies only where another of this name follows, as in
/// headers that were joined: an id that a script did not encode may hold a comma.
fn cookie_values(pairs: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(pairs);
    let next = core::iter::from_fn(move || {
        let pair = rest?;
        let joint = pair.match_indices(',').find_map(|(at, _)| {
            let (before, after) = pair.split_at_checked(at)?;
            let after = after.strip_prefix(',')?;
            cookie_value(after).map(|_| (before, after))
        });
        let (one, after) = joint.map_or((pair, None), |(before, after)| (before, Some(after)));
        rest = after;
        Some(one)
    });
    next.filter_map(cookie_value)
}

impl Recents {
    /// Parses a cookie's value: its valid entries, at most [`MAX_ENTRIES`], each item once.
    pub fn parse(value: &str) -> Self {
        Self::decode(value, MAX_ENCODINGS)
    }

    fn decode(value: &str, encodings: u8) -> Self {
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        let (version, entries) = bare.split_once('|').unwrap_or((bare, ""));
        if version.trim() == VERSION {
            return Self::read(entries);
        }
        let decoded = percent_decode_str(bare).decode_utf8().ok().filter(|decoded| *decoded != bare);
        let rest = encodings.checked_sub(1);
        decoded.zip(rest).map(|(decoded, rest)| Self::decode(&decoded, rest)).unwrap_or_default()
    }

    fn read(entries: &str) -> Self {
        let mut recents = Self::default();
        for recent in entries.split('|').filter_map(read_entry) {
            if recents.0.len() == MAX_ENTRIES {
                break;
            }
            if !recents.0.iter().any(|known| known.item == recent.item) {
                recents.0.push(recent);
            }
        }
        recents
    }

    /// Parses a `Cookie` header. Of several cookies of this name, the one with the newest entry counts, then the one with
    /// the most entries, then the first.
    pub fn from_cookies(header: &str) -> Self {
        let rank = |recents: &Self| (recents.0.iter().map(|recent| recent.minutes).max(), recents.0.len());
        let all = header.split(';').flat_map(cookie_values).take(MAX_COOKIES).map(Self::parse);
        let better = |best: Self, next: Self| if rank(&next) > rank(&best) { next } else { best };
        all.reduce(better).unwrap_or_default()
    }

    /// Recents of views of these items at `now`, newest first, for callers that store recents themselves.
    pub fn from_ids<'a>(ids: impl IntoIterator<Item = &'a str>, now: Timestamp) -> Self {
        let mut recents = Self::default();
        for id in ids {
            let known = recents.0.iter().any(|recent| recent.item == id);
            if !known && recents.0.len() < MAX_ENTRIES && is_printable(id, MAX_ITEM_ID) {
                recents.0.push(Recent {
                    item: id.to_owned(),
                    kind: Kind::View,
                    count: 1,
                    minutes: now.minutes(),
                });
            }
        }
        recents
    }

    /// The entries, newest first.
    pub fn entries(&self) -> &[Recent] {
        &self.0
    }

    /// Moves an item to the front. Impressions change nothing, since the visitor did not act.
    pub fn touch(&mut self, item: &str, kind: Kind, at: Timestamp) {
        if kind == Kind::Impression || !is_printable(item, MAX_ITEM_ID) {
            return;
        }
        let mut recent = Recent { item: item.to_owned(), kind, count: 1, minutes: at.minutes() };
        if let Some(place) = self.0.iter().position(|known| known.item == item) {
            let known = self.0.remove(place);
            recent.kind = known.kind.max(kind);
            recent.count = known.count.saturating_add(1).min(9);
            recent.minutes = recent.minutes.max(known.minutes);
        }
        self.0.insert(0, recent);
        self.0.truncate(MAX_ENTRIES);
    }

    /// Encodes the cookie's value, at most [`MAX_BYTES`]. Drops the oldest entries that do not fit.
    pub fn encode(&self) -> String {
        let mut out = VERSION.to_owned();
        for recent in &self.0 {
            let id = utf8_percent_encode(&recent.item, &PLAIN);
            let count = if recent.count > 1 { recent.count.to_string() } else { String::new() };
            let entry = format!("|{id}:{}{count}:{}", kind_letter(recent.kind), base36(recent.minutes));
            if out.len() + entry.len() > MAX_BYTES {
                break;
            }
            out.push_str(&entry);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    #[test]
    fn the_newest_is_first_and_the_strongest_kind_stays() {
        let mut recents = Recents::default();
        recents.touch("85123A", Kind::Cart, NOW);
        recents.touch("a|b:c", Kind::View, NOW);
        recents.touch("85123A", Kind::View, NOW);
        recents.touch("22423", Kind::Impression, NOW);
        assert_eq!(recents.encode(), "1|85123A:a2:ht7ui|a%7Cb%3Ac:v:ht7ui");
        assert_eq!(Recents::parse(&recents.encode()), recents);
    }

    #[test]
    fn invalid_entries_are_skipped() {
        let ids = |value: &str| {
            Recents::parse(value).entries().iter().map(|recent| recent.item.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids("1|a:v:0||%ff:v:0|b|c:?:?|a:p:1|%00:v:1"), ["a", "b", "c"]);
        assert_eq!(ids("2|a:v:0"), [""; 0]);
        assert_eq!(ids(&"x".repeat(4_096)), [""; 0]);
        assert_eq!(ids(&format!("1|{}", "é".repeat(4_000))), [""; 0]);
        assert_eq!(ids(&(0..99).fold("1".to_owned(), |all, id| format!("{all}|{id}"))).len(), MAX_ENTRIES);
    }

    #[test]
    fn what_libraries_do_to_a_value_is_undone() {
        let plain = Recents::parse("1|a%7Cb:c3:ht7ui|22423:v:ht7tk");
        assert_eq!((plain.entries().len(), &*plain.entries()[0].item), (2, "a|b"));
        for value in [
            " 1|a%7Cb:c3:ht7ui|22423:v:ht7tk ",
            "\"1|a%7Cb:c3:ht7ui|22423:v:ht7tk\"",
            "1 | a%7Cb : c3 : ht7ui | 22423:v:ht7tk",
            "1%7Ca%257Cb%3Ac3%3Aht7ui%7C22423%3Av%3Aht7tk",
            "1%7ca%257cb:c3:ht7ui%7c22423:v:ht7tk",
            "%221%7Ca%257Cb%3Ac3%3Aht7ui%7C22423%3Av%3Aht7tk%22",
            "\" 1%257Ca%25257Cb%253Ac3%253Aht7ui%257C22423%253Av%253Aht7tk\"",
        ] {
            assert_eq!(Recents::parse(value), plain, "{value}");
        }
        // A quote on one side is part of an id.
        assert_eq!(Recents::parse("1|TV-40\"").entries()[0].item, "TV-40\"");
    }

    #[test]
    fn the_best_of_several_cookies_counts() {
        let ids = |header: &str| {
            let recents = Recents::from_cookies(header);
            recents.entries().iter().map(|recent| recent.item.clone()).collect::<Vec<_>>().join(" ")
        };
        for (header, expected) in [
            ("verge_recents=1|a:v:2;verge_recents=1|b:v:1|c:v:1", "a"),
            ("verge_recents=1|b:v:1|c:v:1; x=y; verge_recents=1|a:v:2", "a"),
            ("verge_recents=1|a; verge_recents=1|b|c", "b c"),
            ("verge_recents=1|a:v:1; verge_recents=1|b:v:1", "a"),
            ("verge_recents=; verge_recents=1|a:v:1; verge_recents=undefined", "a"),
            ("a=b;  verge_recents = 1|a:v:1 ;c=d", "a"),
            ("verge_recents=1|a:v:1, verge_recents=1|b:v:2, x=y", "b"),
            ("verge_recents=1|a,b|c", "a,b c"),
            ("xverge_recents=1|a; verge_recents2=1|b", ""),
            ("", ""),
        ] {
            assert_eq!(ids(header), expected, "{header}");
        }
    }

    /// A value as libraries write it.
    fn written(value: &str, quoted: bool, encodings: usize, blank: &str) -> String {
        let mut value = value.replace('|', &format!("{blank}|{blank}")).replace(':', &format!("{blank}:"));
        for _ in 0..encodings {
            value = utf8_percent_encode(&value, &PLAIN).to_string();
        }
        if quoted { format!("{blank}\"{value}\"{blank}") } else { format!("{blank}{value}{blank}") }
    }

    proptest! {
        #[test]
        fn recents_read_as_they_were_written_in_every_accepted_manner(
            ids in proptest::collection::vec("[ -~]{1,12}|[^\\p{Cc}]{1,9}", 0..9), quoted in any::<bool>(),
            encodings in 0usize..4, blank in "[ ]{0,2}", older in 0usize..3, separator in "[;,] ?",
        ) {
            let mut recents = Recents::default();
            for (number, id) in ids.iter().enumerate() {
                recents.touch(id, Kind::Click, Timestamp(NOW.0 + number as i64 * 60_000));
            }
            let value = written(&recents.encode(), quoted, encodings, &blank);
            prop_assert_eq!(&Recents::parse(&value), &recents);
            let mut cookies = vec!["verge_recents=1|old:v:1".to_owned(); older];
            cookies.insert(older / 2, format!("verge_recents={value}"));
            if !ids.is_empty() {
                prop_assert_eq!(Recents::from_cookies(&cookies.join(&separator)), recents);
            }
        }

        #[test]
        fn any_header_is_read(header in "([;,]? ?(verge_recents)?=?(1\\|)?[^;]{0,9}){0,9}") {
            prop_assert!(Recents::from_cookies(&header).entries().len() <= MAX_ENTRIES);
        }

        #[test]
        fn any_text_reads_and_writes_within_bounds(value in "(1\\|)?\\PC{0,300}") {
            let recents = Recents::parse(&value);
            let encoded = recents.encode();
            prop_assert!(encoded.len() <= MAX_BYTES);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)));
            prop_assert_eq!(Recents::parse(&encoded), recents);
        }

        #[test]
        fn full_recents_drop_the_oldest(ids in proptest::collection::vec("\\PC{1,40}", 0..80)) {
            let mut recents = Recents::default();
            for id in &ids {
                recents.touch(id, Kind::View, NOW);
            }
            let read = Recents::parse(&recents.encode());
            prop_assert!(recents.entries().starts_with(read.entries()));
            prop_assert!(ids.is_empty() || read.entries()[0].item == *ids.last().unwrap());
        }
    }
}
