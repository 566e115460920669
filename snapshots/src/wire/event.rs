//! Events: interactions of visitors with items, as sent from a page to the edge and on to the origin.
//!
//! A body is a JSON object, a JSON array or NDJSON. Besides Verge's own fields, the reader accepts the common e-commerce
//! events of GA4 and Segment, so that an existing data layer can be used unchanged. Valid events of a batch are kept;
//! each invalid one is reported with its index and field.

use super::{
    json::{Json, Object},
    time::{DAY_MS, Timestamp},
};
use crate::wire::hash::content_hash;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Longest item id, in bytes of UTF-8.
pub const MAX_ITEM_ID: usize = 128;
/// Longest of any other identifier (event, visitor, session, request, region, placement), in bytes.
pub const MAX_FIELD: usize = 128;
/// How far an event may be ahead of the receiver's clock, in ms.
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

    /// The kind with this name in Verge, GA4 or Segment.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "impression" | "view_item_list" | "Product List Viewed" => Self::Impression,
            "view" | "view_item" | "Product Viewed" => Self::View,
            "click" | "select_item" | "Product Clicked" => Self::Click,
            "cart" | "add_to_cart" | "Product Added" => Self::Cart,
            "purchase" | "Order Completed" => Self::Purchase,
            _ => return None,
        })
    }

    /// The kind with this numeric value.
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.get(usize::from(value)).copied()
    }
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
}

/// An invalid event and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Position in the batch, from 0.
    pub index: usize,
    /// The invalid field; empty if the value is not an object.
    pub field: &'static str,
    /// What is wrong, and what is expected.
    pub error: String,
}

/// The events of a body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The valid events, in order. A purchase of several items becomes one event per item.
    pub events: Vec<Event>,
    /// The invalid ones.
    pub rejected: Vec<Rejected>,
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

/// Parses a body of at most `max_events` events. `now` limits `at` and is its default; `make_id` makes the id of an event
/// without one.
///
/// # Errors
/// [`BodyError`] if the body cannot be split into events. An invalid event is in [`Batch::rejected`].
pub fn parse_batch(
    body: &[u8],
    max_events: usize,
    now: Timestamp,
    make_id: impl FnMut() -> String,
) -> Result<Batch, BodyError> {
    parse(body, max_events, Clock { now, history: false }, make_id)
}

/// Parses historical events. Like [`parse_batch`], but accepts any age and requires `at`.
///
/// # Errors
/// Those of [`parse_batch`].
pub fn parse_history(
    body: &[u8],
    max_events: usize,
    now: Timestamp,
    make_id: impl FnMut() -> String,
) -> Result<Batch, BodyError> {
    parse(body, max_events, Clock { now, history: true }, make_id)
}

/// The limits on `at`.
#[derive(Clone, Copy)]
struct Clock {
    now: Timestamp,
    history: bool,
}

fn parse(
    body: &[u8],
    max_events: usize,
    clock: Clock,
    mut make_id: impl FnMut() -> String,
) -> Result<Batch, BodyError> {
    let mut batch = Batch::default();
    for (index, value) in parse_values(body, max_events)?.into_iter().enumerate() {
        match read_event(value, clock, &mut make_id) {
            Ok(events) => batch.events.extend(events),
            Err((field, error)) => batch.rejected.push(Rejected { index, field, error }),
        }
        if batch.events.len() > max_events {
            return Err(BodyError::TooMany(max_events));
        }
    }
    Ok(batch)
}

fn parse_values(body: &[u8], max_events: usize) -> Result<Vec<Json<'_>>, BodyError> {
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_slice(body).into_iter::<Json<'_>>() {
        match value.map_err(|error| BodyError::NotJson(error.to_string()))? {
            Json::Array(list) => values.extend(list),
            // GA4's Measurement Protocol wraps its events.
            Json::Object(mut wrapper)
                if wrapper.get("events").is_some_and(|list| list.as_array().is_some()) =>
            {
                let visitor = wrapper.remove("client_id");
                if let Some(Json::Array(mut list)) = wrapper.remove("events") {
                    for event in &mut list {
                        if let (Json::Object(event), Some(visitor)) = (event, &visitor)
                            && event.get("visitor").is_none()
                        {
                            event.push("visitor", visitor.clone());
                        }
                    }
                    values.extend(list);
                }
            }
            other => values.push(other),
        }
        if values.len() > max_events {
            return Err(BodyError::TooMany(max_events));
        }
    }
    if values.is_empty() {
        return Err(BodyError::NotJson("it is empty".to_owned()));
    }
    Ok(values)
}

type FieldError = (&'static str, String);

/// The first of `names` that the event has, at its top level or in its GA4 `params` or Segment `properties`.
fn find<'a, 'b>(event: &'b Object<'a>, names: &[&str]) -> Option<&'b Json<'a>> {
    let inner = ["params", "properties"].iter().find_map(|key| event.get(key)?.as_object());
    names.iter().find_map(|name| {
        let found = event.get(name).or_else(|| inner?.get(name))?;
        (*found != Json::Null).then_some(found)
    })
}

fn text<'b>(value: &'b Json<'_>) -> Option<Cow<'b, str>> {
    match value {
        Json::Text(text) => Some(Cow::Borrowed(text)),
        Json::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

fn read_text(
    event: &Object<'_>,
    field: &'static str,
    names: &[&str],
    max: usize,
) -> Result<Option<String>, FieldError> {
    let Some(value) = find(event, names) else { return Ok(None) };
    match text(value) {
        Some(text) if is_printable(&text, max) => Ok(Some(text.into_owned())),
        _ => Err((field, format!("expected a string of 1 to {max} printable bytes"))),
    }
}

fn read_kind(event: &Object<'_>) -> Result<Kind, FieldError> {
    let name = find(event, &["kind", "event", "name"])
        .ok_or_else(|| ("kind", "missing; one of view, click, cart, purchase, impression".to_owned()))?;
    name.as_str().and_then(Kind::from_name).ok_or_else(|| {
        let shown: String = text(name).unwrap_or_default().chars().take(40).collect();
        let expected = "one of view, click, cart, purchase, impression, or GA4's or Segment's name";
        ("kind", format!("unknown kind '{}'; {expected}", shown.escape_debug()))
    })
}

fn read_at(event: &Object<'_>, Clock { now, history }: Clock) -> Result<Timestamp, FieldError> {
    let value = match find(event, &["at", "timestamp", "originalTimestamp"]) {
        Some(value) => value,
        None if history => {
            return Err(("at", "missing; historical events need a time".to_owned()));
        }
        None => return Ok(now),
    };
    let at = match value {
        Json::Text(text) => Timestamp::parse(text),
        Json::Number(number) => number.as_i64().map(Timestamp),
        _ => None,
    }
    .ok_or_else(|| {
        ("at", "expected RFC 3339 (2026-11-20T10:15:30Z) or milliseconds since 1970".to_owned())
    })?;
    if at.0 > now.0.saturating_add(MAX_AHEAD_MS) {
        return Err(("at", format!("{at} is more than 5 minutes ahead of {now}; check the clock")));
    }
    if !history && at.0 < now.0.saturating_sub(MAX_AGE_MS) {
        return Err(("at", format!("{at} is more than 30 days old; use `verge import` for history")));
    }
    Ok(at)
}

fn read_price(event: &Object<'_>) -> Result<Option<f64>, FieldError> {
    let Some(value) = find(event, &["price"]) else { return Ok(None) };
    let number = match value {
        Json::Text(text) => text.trim().parse().ok(),
        other => other.as_number().and_then(serde_json::Number::as_f64),
    };
    match number {
        Some(price) if price.is_finite() && (0.0..=1e12).contains(&price) => Ok(Some(price)),
        _ => Err(("price", "expected a number from 0 to 1e12 in units of the currency".to_owned())),
    }
}

fn read_quantity(event: &Object<'_>) -> Result<Option<u32>, FieldError> {
    let Some(value) = find(event, &["quantity"]) else { return Ok(None) };
    match value.as_number().and_then(serde_json::Number::as_u64).and_then(|number| u32::try_from(number).ok())
    {
        Some(quantity) if quantity > 0 => Ok(Some(quantity)),
        _ => Err(("quantity", "expected a whole number from 1 to 4294967295".to_owned())),
    }
}

fn read_currency(event: &Object<'_>) -> Result<Option<String>, FieldError> {
    match read_text(event, "currency", &["currency"], 3)? {
        Some(code) if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            Err(("currency", "expected an ISO 4217 code such as GBP".to_owned()))
        }
        code => Ok(code.map(|code| code.to_ascii_uppercase())),
    }
}

/// Reads an object of the body: one event, or one per entry of its GA4 `items` or Segment `products`.
fn read_event(
    value: Json<'_>,
    clock: Clock,
    make_id: &mut impl FnMut() -> String,
) -> Result<Vec<Event>, FieldError> {
    let Json::Object(event) = value else {
        return Err(("", "expected an object such as {\"kind\":\"view\",\"item\":\"A1\"}".to_owned()));
    };
    let item_names = ["item", "item_id", "product_id", "sku"];
    let base = Event {
        id: read_text(&event, "id", &["id", "event_id", "messageId"], MAX_FIELD)?.unwrap_or_else(make_id),
        kind: read_kind(&event)?,
        item: String::new(),
        visitor: read_text(&event, "visitor", &["visitor", "anonymousId", "client_id", "userId"], MAX_FIELD)?,
        session: read_text(&event, "session", &["session", "session_id"], MAX_FIELD)?,
        at: read_at(&event, clock)?,
        quantity: read_quantity(&event)?,
        price: read_price(&event)?,
        currency: read_currency(&event)?,
        region: read_text(&event, "region", &["region"], MAX_FIELD)?,
        placement: read_text(&event, "placement", &["placement"], MAX_FIELD)?,
        request: read_text(&event, "request", &["request"], MAX_FIELD)?,
    };
    let bad_item = || {
        let expected = format!("expected an id of 1 to {MAX_ITEM_ID} printable bytes");
        ("item", format!("missing or invalid; {expected}"))
    };
    if let Some(item) = read_text(&event, "item", &item_names, MAX_ITEM_ID)? {
        return Ok(vec![Event { item, ..base }]);
    }
    let list = find(&event, &["items", "products"]).and_then(Json::as_array).ok_or_else(bad_item)?;
    let mut events = Vec::with_capacity(list.len());
    for (position, entry) in list.iter().enumerate() {
        let entry = entry.as_object().ok_or_else(bad_item)?;
        let item = read_text(entry, "item", &item_names, MAX_ITEM_ID)?.ok_or_else(bad_item)?;
        events.push(Event {
            // Derived from the whole event's id, so that a retry gives the same ids.
            id: match position {
                0 => base.id.clone(),
                _ if base.id.len() > MAX_FIELD - 8 => {
                    format!("{}.{position}", content_hash(base.id.as_bytes()))
                }
                _ => format!("{}.{position}", base.id),
            },
            item,
            quantity: read_quantity(entry)?.or(base.quantity),
            price: read_price(entry)?.or(base.price),
            currency: read_currency(entry)?.or_else(|| base.currency.clone()),
            ..base.clone()
        });
    }
    if events.is_empty() { Err(bad_item()) } else { Ok(events) }
}

#[cfg(test)]
mod tests;
