//! The recents cookie: the visitor's last distinct items, newest first.
//!
//! ```text
//! verge_recents = 1|85123A:v:hmx1s|22423:c3:hmx0k
//!                 │ │      │ └ minutes since the Unix epoch, base 36
//!                 │ │      └ strongest kind (v view, c click, a cart, p purchase), then the count if above 1
//!                 │ └ item id, percent-encoded as `encodeURIComponent` does
//!                 └ version
//! ```
//! A storefront's own script may read and write it. Invalid entries are skipped.

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
/// Most bytes of a value that are read. Other scripts may write longer ones.
const MAX_READ: usize = 4_096;
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
    let mut fields = entry.split(':');
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
        minutes: fields.next().and_then(|text| u32::from_str_radix(text, 36).ok()).unwrap_or(0),
    };
    Some(recent)
}

impl Recents {
    /// Parses a cookie's value: its valid entries, at most [`MAX_ENTRIES`], each item once.
    pub fn parse(value: &str) -> Self {
        let mut recents = Self::default();
        let end = (0..=value.len().min(MAX_READ)).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
        let mut parts = value.get(..end).unwrap_or("").split('|');
        if parts.next() != Some(VERSION) {
            return recents;
        }
        for recent in parts.filter_map(read_entry) {
            if recents.0.len() < MAX_ENTRIES && !recents.0.iter().any(|known| known.item == recent.item) {
                recents.0.push(recent);
            }
        }
        recents
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

    proptest! {
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
