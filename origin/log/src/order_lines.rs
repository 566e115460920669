//! The lines of the latest orders: each counts once, and confirms what a browser said of it before.
//!
//! A *line* is an item of an order. A browser's purchase of it is unconfirmed. A sender with a key confirms the line for one
//! visitor, as each visitor has orders of his own; a token confirms it for whoever brings it first, since anyone can copy it.
//!
//! | a line of … | is a duplicate after |
//! | --- | --- |
//! | a browser | a confirmation of the line and the visitor; its own repetitions have the same id |
//! | a token | a token or a key for the line |
//! | a key | a token for the line; a key for the line and the visitor |

use crate::recent_ids::RecentHashes;
use origin_data::Standing;
use snapshots::event::Trust;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// An item of an order, and who bought it. Order and visitor are keyed hashes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) order: u64,
    pub(crate) item: &'a str,
    pub(crate) visitor: u64,
}

/// What is remembered of a line.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Mark {
    /// A browser's purchase, by line and visitor.
    Public,
    /// A confirmed purchase, by line and visitor.
    Confirmed,
    /// A purchase with a token, by line.
    Token,
    /// A purchase by a sender with a key, by line.
    Keyed,
}

/// Remembers the lines of the latest orders.
#[derive(Debug)]
pub(crate) struct OrderLines {
    seed: u64,
    marks: RecentHashes,
}

impl OrderLines {
    /// Empty, with room for `window` marks. A secret `seed` keeps callers from constructing lines that collide.
    pub(crate) fn new(window: usize, seed: u64) -> Self {
        Self { seed, marks: RecentHashes::new(window) }
    }

    /// What a line counts for; `None` if it has counted already.
    pub(crate) fn standing(&self, line: Line<'_>, trust: Trust) -> Option<Standing> {
        let has = |mark| self.marks.contains(self.hash(line, mark));
        let is_known = match trust {
            Trust::Public => has(Mark::Confirmed),
            Trust::Order => has(Mark::Token) || has(Mark::Keyed),
            Trust::Keyed => has(Mark::Token) || has(Mark::Confirmed),
        };
        match trust {
            _ if is_known => None,
            Trust::Public => Some(Standing::Unconfirmed),
            Trust::Order | Trust::Keyed if has(Mark::Public) => Some(Standing::Confirming),
            Trust::Order | Trust::Keyed => Some(Standing::Confirmed),
        }
    }

    /// Remembers a line. The new hashes are passed to `added`, for [`Self::remove`].
    pub(crate) fn insert(&mut self, line: Line<'_>, trust: Trust, mut added: impl FnMut(u64)) {
        let marks: &[Mark] = match trust {
            Trust::Public => &[Mark::Public],
            Trust::Order => &[Mark::Confirmed, Mark::Token],
            Trust::Keyed => &[Mark::Confirmed, Mark::Keyed],
        };
        for mark in marks {
            let hash = self.hash(line, *mark);
            if self.marks.insert(hash) {
                added(hash);
            }
        }
    }

    /// Removes a hash that [`Self::insert`] passed.
    pub(crate) fn remove(&mut self, hash: u64) {
        self.marks.remove(hash);
    }

    fn hash(&self, Line { order, item, visitor }: Line<'_>, mark: Mark) -> u64 {
        let visitor = if matches!(mark, Mark::Public | Mark::Confirmed) { visitor } else { 0 };
        let mut bytes = Vec::with_capacity(17 + item.len());
        bytes.push(mark as u8);
        bytes.extend_from_slice(&order.to_le_bytes());
        bytes.extend_from_slice(&visitor.to_le_bytes());
        bytes.extend_from_slice(item.as_bytes());
        xxh3_64_with_seed(&bytes, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Confirmed, Confirming, Unconfirmed};
    use Trust::{Keyed, Order, Public};

    #[test]
    fn a_line_counts_once_however_it_arrives() {
        // Each step: who vouches, the visitor, and what the line counts for.
        for steps in [
            vec![
                (Public, 1, Some(Unconfirmed)),
                (Keyed, 1, Some(Confirming)),
                (Keyed, 1, None),
                (Public, 1, None),
            ],
            vec![
                (Public, 1, Some(Unconfirmed)),
                (Order, 1, Some(Confirming)),
                (Order, 1, None),
                (Keyed, 2, None),
            ],
            // A token that others copy.
            vec![
                (Order, 1, Some(Confirmed)),
                (Order, 2, None),
                (Order, 0, None),
                (Keyed, 0, None),
                (Public, 1, None),
            ],
            vec![
                (Keyed, 1, Some(Confirmed)),
                (Order, 2, None),
                (Keyed, 2, Some(Confirmed)),
                (Public, 1, None),
            ],
            // What a stranger says of an order is never a confirmation, and takes nothing from it.
            vec![(Public, 9, Some(Unconfirmed)), (Keyed, 1, Some(Confirmed)), (Public, 8, Some(Unconfirmed))],
            vec![(Public, 9, Some(Unconfirmed)), (Order, 1, Some(Confirmed))],
        ] {
            let mut lines = OrderLines::new(100, 7);
            for (number, (trust, visitor, expected)) in steps.iter().enumerate() {
                let line = Line { order: 5, item: "cup", visitor: *visitor };
                assert_eq!(lines.standing(line, *trust), *expected, "step {number} of {steps:?}");
                if expected.is_some() {
                    lines.insert(line, *trust, |_| {});
                }
                let other = Line { item: "jug", ..line };
                let alone = if *trust == Public { Unconfirmed } else { Confirmed };
                assert_eq!(lines.standing(other, *trust), Some(alone));
                assert_eq!(lines.standing(Line { order: 6, ..line }, *trust), Some(alone));
            }
        }
    }

    #[test]
    fn removed_marks_are_forgotten() {
        let (mut lines, mut added) = (OrderLines::new(100, 7), Vec::new());
        let line = Line { order: 5, item: "cup", visitor: 1 };
        lines.insert(line, Order, |hash| added.push(hash));
        assert_eq!((added.len(), lines.standing(line, Keyed)), (2, None));
        added.into_iter().for_each(|hash| lines.remove(hash));
        assert_eq!(lines.standing(line, Keyed), Some(Confirmed));
    }
}
