//! Cursors: the set of items shown on earlier pages.
//!
//! A cursor holds a 24-bit fingerprint of each of these items. So no item is shown twice, whatever changes between two
//! pages (the snapshot, the recents, the rules), and the edge keeps no state. Its size is bounded, since paging ends after
//! [`MAX_SHOWN`] items. An item whose fingerprint collides with a shown one is skipped: with a probability below 1 in
//! 30,000 on the last page.
//!
//! Fingerprints of groups follow after a dot, if items shown are variants of a product: the others are not shown either.

use crate::set::SortedSet;
use xxhash_rust::xxh3::xxh3_64;

/// Most items of all pages.
pub const MAX_SHOWN: usize = 512;
/// Between the items and the groups.
const SEPARATOR: char = '.';
/// Prefix of a cursor.
const VERSION: char = '2';
/// The digits of base64url (RFC 4648, section 5).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Digits of a fingerprint.
const WIDTH: usize = 4;

/// The items shown on earlier pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Their fingerprints.
    shown: SortedSet,
    /// The fingerprints of their groups.
    groups: SortedSet,
}

fn fingerprint(id: &str) -> u32 {
    (xxh3_64(id.as_bytes()) >> 40) as u32
}

fn read(text: &str) -> Option<SortedSet> {
    let (prints, rest) = text.as_bytes().as_chunks::<WIDTH>();
    if prints.len() > MAX_SHOWN || !rest.is_empty() {
        return None;
    }
    let digit = |print, byte: &u8| Some(print << 6 | DIGITS.iter().position(|digit| digit == byte)? as u32);
    prints.iter().map(|digits| digits.iter().try_fold(0, digit)).collect()
}

fn write(prints: &SortedSet, text: &mut String) {
    let digit = |number: u32| char::from(DIGITS.get(number as usize & 63).copied().unwrap_or_default());
    for print in prints.numbers() {
        text.extend([18, 12, 6, 0].map(|shift| digit(print >> shift)));
    }
}

impl Cursor {
    /// Parses a cursor; `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let prints = text.strip_prefix(VERSION)?;
        let (shown, groups) = prints.split_once(SEPARATOR).unwrap_or((prints, ""));
        Some(Self { shown: read(shown)?, groups: read(groups)? })
    }

    /// Whether an item was on an earlier page.
    pub fn has_shown(&self, id: &str) -> bool {
        !self.is_empty() && self.shown.contains(fingerprint(id))
    }

    /// Whether an item of this group was on an earlier page.
    pub fn has_shown_group(&self, id: &str) -> bool {
        !self.groups.numbers().is_empty() && self.groups.contains(fingerprint(id))
    }

    /// The number of items shown.
    pub fn len(&self) -> usize {
        self.shown.numbers().len()
    }

    /// Whether this is the first page.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cursor after a page with these items, of these groups; `None` if paging ends here.
    pub fn after<'a, 'b>(
        &self,
        page: impl IntoIterator<Item = &'a str>,
        page_groups: impl IntoIterator<Item = &'b str>,
    ) -> Option<String> {
        let mut shown = self.shown.clone();
        shown.extend(page.into_iter().map(fingerprint));
        if shown.numbers().len() >= MAX_SHOWN {
            return None;
        }
        let mut groups = self.groups.clone();
        groups.extend(page_groups.into_iter().map(fingerprint).take(MAX_SHOWN));
        let mut text = String::from(VERSION);
        write(&shown, &mut text);
        if (1..=MAX_SHOWN).contains(&groups.numbers().len()) {
            text.push(SEPARATOR);
            write(&groups, &mut text);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_knows_what_was_shown(pages in proptest::collection::vec("[a-z]{4,9}", 0..60)) {
            let mut cursor = Cursor::default();
            for page in pages.chunks(7) {
                let groups = page.iter().filter(|id| id.starts_with('a')).map(|id| &id[..2]);
                let next = cursor.after(page.iter().map(|id| &**id), groups).unwrap();
                cursor = Cursor::parse(&next).unwrap();
            }
            prop_assert!(pages.iter().filter(|id| id.starts_with('a')).all(|id| cursor.has_shown_group(&id[..2])));
            prop_assert!(!cursor.has_shown_group("NOT-SHOWN"));
            prop_assert!(pages.iter().all(|id| cursor.has_shown(id)));
            prop_assert!(!cursor.has_shown("NOT-SHOWN"));
        }

        #[test]
        fn any_text_is_a_cursor_or_none(text in "\\PC{0,60}|2?[A-Za-z0-9_.-]{0,60}") {
            let _ = Cursor::parse(&text);
        }
    }

    #[test]
    fn paging_ends() {
        let ids: Vec<String> = (0..MAX_SHOWN).map(|id| id.to_string()).collect();
        assert_eq!(Cursor::default().after(ids.iter().map(|id| &**id), []), None);
        let most =
            Cursor::default().after(ids.iter().skip(1).map(|id| &**id), ids.iter().map(|id| &**id)).unwrap();
        assert!(Cursor::parse(&most).is_some());
        assert_eq!(Cursor::parse(&"A".repeat(9_000)), None);
    }
}
