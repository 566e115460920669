//! Who sends events, as the log records it. Ids of events are unique within a sender, so that a stranger cannot take an id
//! that a shop's server will use.

use snapshots::event::Trust;
use std::borrow::Cow;

/// The sender of imported events. It counts as the holder of a key.
static IMPORT: Sender =
    Sender { keyed: Cow::Borrowed("i"), public: Cow::Borrowed("i"), order: Cow::Borrowed("i") };

/// The names of a sender. What the holder of a key passes on of others has a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    keyed: Cow<'static, str>,
    public: Cow<'static, str>,
    order: Cow<'static, str>,
}

impl Sender {
    /// The holder of the key with this id of at most 60 bytes without control characters.
    pub fn of_key(key: &str) -> Self {
        let name = |door: char| Cow::Owned(format!("{door}{key}"));
        Self { keyed: name('k'), public: name('e'), order: name('t') }
    }

    /// An import.
    pub fn import() -> &'static Self {
        &IMPORT
    }

    /// The name for events that this vouches for.
    pub(crate) fn name(&self, trust: Trust) -> &str {
        match trust {
            Trust::Public => &self.public,
            Trust::Order => &self.order,
            Trust::Keyed => &self.keyed,
        }
    }

    /// Who vouched for the events of a name.
    pub fn trust_of(name: &str) -> Trust {
        match name.as_bytes().first() {
            Some(b'e') => Trust::Public,
            Some(b't') => Trust::Order,
            _ => Trust::Keyed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_who_vouched() {
        let sender = Sender::of_key("602c94bf");
        for trust in [Trust::Public, Trust::Order, Trust::Keyed] {
            assert_eq!(Sender::trust_of(sender.name(trust)), trust);
        }
        assert_eq!(Sender::trust_of(Sender::import().name(Trust::Keyed)), Trust::Keyed);
        assert_eq!(Sender::trust_of(""), Trust::Keyed, "of a version that did not record senders");
    }
}
