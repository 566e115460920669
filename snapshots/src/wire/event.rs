//! Events: interactions of visitors with items, as sent from a page to the edge and on to the origin.
//!
//! A body is a JSON object, a JSON array or NDJSON. Besides Verge's own fields, the reader accepts the e-commerce events of
//! GA4, Google Tag Manager, Segment, RudderStack and Snowplow with their usual wrappers, so that an existing data layer can
//! be used unchanged. Valid events of a batch and valid lines of an order are kept; each invalid one is reported with its
//! index, line and field. An optional field that cannot be read is left out of its event, which a warning says.

mod fields;
mod names;
mod read;
mod sender;
mod split;
mod when;

pub use fields::is_placeholder;

use super::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};

/// Longest item id, in bytes of UTF-8.
pub const MAX_ITEM_ID: usize = 128;
/// Longest of any other identifier (event, visitor, session, request, region, placement), in bytes.
pub const MAX_FIELD: usize = 128;
/// How far an event from a server may be ahead of the receiver's clock, in ms.
pub const MAX_AHEAD_MS: i64 = 5 * 60_000;
/// Greatest age of an event on arrival, in ms.
pub const MAX_AGE_MS: i64 = 30 * DAY_MS;

/// The kinds of events, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Kind {
    /// The item was shown in a list. Used for attribution only.
    Impression = 0,
    /// The item's page was opened.
    View = 1,
    /// The item was clicked in a list.
    Click = 2,
    /// The item was put into the cart.
    Cart = 3,
    /// The item was bought.
    Purchase = 4,
}

impl Kind {
    /// Every kind, by its numeric value.
    pub const ALL: [Self; 5] = [Self::Impression, Self::View, Self::Click, Self::Cart, Self::Purchase];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Impression => "impression",
            Self::View => "view",
            Self::Click => "click",
            Self::Cart => "cart",
            Self::Purchase => "purchase",
        }
    }

    /// The kind with this numeric value.
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.get(usize::from(value)).copied()
    }
}

/// Who vouches for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Nobody: it came through a door that is open to all. Its cart or purchase counts as a view until it is confirmed.
    Public,
    /// The shop, by a token for the line of the order that the origin has verified. Nobody can say this of himself.
    Order,
    /// A sender with a key.
    Keyed,
}

/// Number of address buckets. Each holds a million addresses of IPv4, so a bucket identifies nobody.
pub const BUCKETS: u16 = 1 << 12;
/// Length of an order token: an HMAC-SHA-256 in hexadecimal digits.
pub const ORDER_TOKEN: usize = 64;

/// The text that an order token signs: the id of the order, that of the item and the quantity, a line each.
pub fn order_token_text(order: &str, item: &str, quantity: u32) -> String {
    // No identifier has a control character.
    format!("{order}\n{item}\n{quantity}")
}

/// An event. JSON omits absent optional fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique id, 1 to 128 printable bytes. Retries with the same id count once.
    pub id: String,
    /// The kind.
    pub kind: Kind,
    /// The item's id in the shop: 1 to 128 bytes of printable UTF-8.
    pub item: String,
    /// Random id of the browser, or the shop's pseudonym for the visitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor: Option<String>,
    /// Id of the session. Default: the origin splits sessions at 30 minutes of inactivity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The time of the event.
    pub at: Timestamp,
    /// Number of items. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u32>,
    /// Price of one item in units of the currency (2.55), finite and not negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// ISO 4217 code of the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Region, or lower-case country code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The placement that showed the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
    /// Id of the answer that the event is attributed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Id of the order of a purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// The shop's signature of this line of the order, see [`order_token_text`]. It is not verified yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_token: Option<String>,
    /// Who vouches for the event. The edge always says it; absent, it is who the origin's request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Bucket of the sender's address, below [`BUCKETS`]: a keyed hash that is the same for a million addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<u16>,
}

impl Event {
    /// An event with the required fields only. Its id is empty.
    pub fn new(kind: Kind, item: String, at: Timestamp) -> Self {
        Self {
            id: String::new(),
            kind,
            item,
            visitor: None,
            session: None,
            at,
            quantity: None,
            price: None,
            currency: None,
            region: None,
            placement: None,
            request: None,
            order: None,
            order_token: None,
            trust: None,
            bucket: None,
        }
    }
}

/// An invalid event, or an invalid line of an event with several items, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Position in the batch, from 0.
    pub index: usize,
    /// Position in the event's list of items, from 0; `None` if the whole event is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The invalid field; empty if the value is not an object.
    pub field: &'static str,
    /// What is wrong, and what is expected.
    pub error: String,
}

/// A change of an event that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Position in the batch, from 0.
    pub index: usize,
    /// Position in the event's list of items, from 0; `None` if the change is to the whole event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The field that was changed or left out; empty if this says that more warnings are not listed.
    pub field: &'static str,
    /// What was changed, and why.
    pub detail: String,
}

/// The events of a body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The valid events, in order. A purchase of several items becomes one event per item.
    pub events: Vec<Event>,
    /// The invalid ones.
    pub rejected: Vec<Rejected>,
    /// What was changed in the valid ones, or left out; at most [`MAX_WARNINGS`] and one that counts the others.
    pub warnings: Vec<Warning>,
}

/// The most warnings of a batch that are listed.
pub const MAX_WARNINGS: usize = 200;

/// The sender of events at the edge, where anyone may send them, as the platform and the cookie tell. Only a sender with a key
/// is believed when its events name other visitors and regions.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeSender<'a> {
    /// Whether the sender has a key.
    pub is_keyed: bool,
    /// The visitor of the cookie; only with consent.
    pub visitor: Option<&'a str>,
    /// Whether the visitor opts out of tracking. Visitors and sessions are removed then, whoever names them.
    pub opted_out: bool,
    /// The area of the visitor.
    pub region: Option<&'a str>,
    /// Bucket of the sender's address.
    pub bucket: Option<u16>,
}

/// Who receives events.
#[derive(Clone, Copy)]
enum Door<'a> {
    /// The edge: senders are browsers with clocks of their own.
    Edge(EdgeSender<'a>),
    /// The origin: senders are servers. The areas that it knows.
    Server(&'a dyn Fn(&str) -> bool),
    /// An import.
    History,
}

/// The time and the place of reception.
#[derive(Clone, Copy)]
struct Receiver<'a> {
    now: Timestamp,
    door: Door<'a>,
}

/// Why a whole body is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Neither JSON nor NDJSON; with the parser's message.
    NotJson(String),
    /// More events than the limit.
    TooMany(usize),
}

impl core::fmt::Display for BodyError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotJson(why) => write!(
                out,
                "the body is not valid JSON ({why}); send an event object, an array of events, or one event per line"
            ),
            Self::TooMany(limit) => write!(out, "more than {limit} events; send them in parts"),
        }
    }
}

impl core::error::Error for BodyError {}

/// Whether `text` is 1 to `max` bytes of UTF-8 without control characters.
pub fn is_printable(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control)
}

/// Parses a body of at most `max_events` events from servers. `now` limits `at` and is its default; `make_id` makes the id of
/// an event without one. A region that is not an area by `is_area` is left out with a warning.
///
/// The id of a purchase with an order's id is derived from order, item and visitor, so that a line of an order counts once.
///
/// # Errors
/// [`BodyError`] if the body cannot be split into events. An invalid event is in [`Batch::rejected`].
pub fn parse_batch(
    body: &[u8],
    max_events: usize,
    now: Timestamp,
    is_area: &dyn Fn(&str) -> bool,
    make_id: impl FnMut() -> String,
) -> Result<Batch, BodyError> {
    parse(body, max_events, Receiver { now, door: Door::Server(is_area) }, make_id)
}

/// Parses events that reach the edge. Like [`parse_batch`], but sets a time ahead of `now` to `now`. Visitor, session, region
/// and trust follow from `sender`; those that only a sender with a key may name are left out with a warning.
///
/// # Errors
/// Those of [`parse_batch`].
pub fn parse_edge(
    body: &[u8],
    max_events: usize,
    now: Timestamp,
    sender: EdgeSender<'_>,
    make_id: impl FnMut() -> String,
) -> Result<Batch, BodyError> {
    parse(body, max_events, Receiver { now, door: Door::Edge(sender) }, make_id)
}

/// Parses historical events. Like [`parse_batch`], but accepts any age and requires a time.
///
/// # Errors
/// Those of [`parse_batch`].
pub fn parse_history(
    body: &[u8],
    max_events: usize,
    now: Timestamp,
    make_id: impl FnMut() -> String,
) -> Result<Batch, BodyError> {
    parse(body, max_events, Receiver { now, door: Door::History }, make_id)
}

fn parse(
    body: &[u8],
    max_events: usize,
    receiver: Receiver<'_>,
    mut make_id: impl FnMut() -> String,
) -> Result<Batch, BodyError> {
    let mut out = Outcome::default();
    for (index, entry) in split::split(body, max_events)?.into_iter().enumerate() {
        out.index = index;
        let room = max_events.saturating_sub(out.lines);
        let read = read::Reading { receiver, room, out: &mut out }.event(entry, &mut make_id);
        match read {
            Ok(()) => {}
            Err(read::Failure::Field((field, error))) => out.reject(None, field, error),
            Err(read::Failure::TooMany) => return Err(BodyError::TooMany(max_events)),
        }
    }
    Ok(out.finish())
}

/// What was read so far.
#[derive(Default)]
struct Outcome {
    batch: Batch,
    /// The event that is read.
    index: usize,
    /// Events and lines read.
    lines: usize,
    /// Warnings that are not listed.
    unlisted: usize,
}

impl Outcome {
    fn reject(&mut self, line: Option<usize>, field: &'static str, error: String) {
        self.batch.rejected.push(Rejected { index: self.index, line, field, error });
    }

    fn warn(&mut self, line: Option<usize>, field: &'static str, detail: String) {
        if self.batch.warnings.len() < MAX_WARNINGS {
            self.batch.warnings.push(Warning { index: self.index, line, field, detail });
        } else {
            self.unlisted += 1;
        }
    }

    fn finish(mut self) -> Batch {
        if self.unlisted > 0 {
            let detail = format!("{} more warnings are not listed", self.unlisted);
            self.batch.warnings.push(Warning { index: self.index, line: None, field: "", detail });
        }
        self.batch
    }
}

#[cfg(test)]
mod tests;
