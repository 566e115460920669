//! Fields of an event: where they are, and their values.

use super::{MAX_ITEM_ID, is_printable};
use crate::wire::json::{Json, Object};
use crate::wire::price::{self, MAX_PRICE};
use std::borrow::Cow;

/// What JavaScript, template engines, databases and data frames write where a value is missing.
const PLACEHOLDERS: [&str; 11] = [
    "undefined",
    "null",
    "nan",
    "none",
    "[object object]",
    "[object undefined]",
    "(not set)",
    "\\n",
    "n/a",
    "#n/a",
    "<na>",
];

/// Whether a text stands for a missing value: it is empty, or a placeholder such as `undefined` or `{{id}}`.
pub fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    let is_template = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
    text.is_empty()
        || PLACEHOLDERS.iter().any(|placeholder| placeholder.eq_ignore_ascii_case(text))
        || is_template("{{", "}}")
        || is_template("${", "}")
}

/// Whether a value is there: not null, and no placeholder.
fn is_present(value: &Json<'_>) -> bool {
    match value {
        Json::Null => false,
        Json::Text(text) => !is_placeholder(text),
        _ => true,
    }
}

/// The first of `names` that an object has with a value.
pub(super) fn member<'b, 'a>(object: &'b Object<'a>, names: &[&str]) -> Option<&'b Json<'a>> {
    names.iter().find_map(|name| object.get(name).filter(|value| is_present(value)))
}

/// The places where an event has its fields.
#[derive(Clone, Copy)]
pub(super) struct Places<'b, 'a> {
    pub(super) top: &'b Object<'a>,
    /// `params`, `properties` or the like.
    pub(super) inner: Option<&'b Object<'a>>,
    /// `ecommerce`.
    pub(super) commerce: Option<&'b Object<'a>>,
    /// BigQuery's `event_params`: objects with `key` and `value`.
    pub(super) params: &'b [Json<'a>],
    /// The fields of the object around the events.
    pub(super) wrapper: Option<&'b Object<'a>>,
}

impl<'b, 'a> Places<'b, 'a> {
    pub(super) fn new(top: &'b Object<'a>, wrapper: Option<&'b Object<'a>>) -> Self {
        let object = |name: &str| top.get(name).and_then(Json::as_object);
        let snowplow = || {
            let mut members = top.iter().filter(|(name, _)| name.starts_with("unstruct_event_"));
            members.find_map(|(_, value)| value.as_object())
        };
        let inner = ["params", "properties", "eventModel"].into_iter().find_map(object).or_else(snowplow);
        let commerce =
            object("ecommerce").or_else(|| inner.and_then(|inner| inner.get("ecommerce")?.as_object()));
        let params = top.get("event_params").and_then(Json::as_array).unwrap_or_default();
        Self { top, inner, commerce, params, wrapper }
    }

    /// One of Verge's own fields, or of an envelope's: at the top only, never among a shop's properties.
    pub(super) fn own(&self, names: &[&str]) -> Option<&'b Json<'a>> {
        member(self.top, names)
    }

    /// A field of an envelope, of the event or of the object around it.
    pub(super) fn envelope(&self, names: &[&str]) -> Option<&'b Json<'a>> {
        self.own(names).or_else(|| member(self.wrapper?, names))
    }

    /// The first of `names` that is at the top or among the properties.
    pub(super) fn find(&self, names: &[&str]) -> Option<&'b Json<'a>> {
        if self.inner.is_none() && self.commerce.is_none() && self.params.is_empty() {
            return self.own(names);
        }
        names.iter().find_map(|name| {
            let name = [*name];
            self.own(&name)
                .or_else(|| member(self.inner?, &name))
                .or_else(|| member(self.commerce?, &name))
                .or_else(|| self.param(&name))
        })
    }

    /// Like [`Places::find`], and in the object around the event.
    pub(super) fn find_or_wrapper(&self, names: &[&str]) -> Option<&'b Json<'a>> {
        self.find(names).or_else(|| member(self.wrapper?, names))
    }

    fn param(&self, name: &[&str; 1]) -> Option<&'b Json<'a>> {
        let mut named = self.params.iter().filter_map(Json::as_object);
        let param = named.find(|param| param.get("key").and_then(Json::as_str) == name.first().copied())?;
        let value = param.get("value")?.as_object()?;
        member(value, &["string_value", "int_value", "float_value", "double_value"])
    }
}

/// A value as a text: a string without blanks around it, or a number as it would be written as an id. `None` for another
/// type, and for a whole number with too many digits to be exact.
pub(super) fn text<'b>(value: &'b Json<'_>) -> Option<Cow<'b, str>> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Json::Text(text) => Some(Cow::Borrowed(text.trim())),
        Json::Number(number) if number.is_f64() => {
            let number = number.as_f64()?;
            let whole = number.fract() == 0.0;
            // As f64 prints it: without the `.0` of a whole number.
            (!whole || number.abs() <= EXACT).then(|| Cow::Owned(number.to_string()))
        }
        Json::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// A value as an identifier of at most `max` bytes.
pub(super) fn identifier(value: &Json<'_>, max: usize) -> Option<String> {
    text(value).filter(|text| is_printable(text, max)).map(Cow::into_owned)
}

/// The item's id.
pub(super) fn item_id(value: &Json<'_>) -> Result<String, String> {
    identifier(value, MAX_ITEM_ID)
        .ok_or_else(|| format!("{} is not an id of 1 to {MAX_ITEM_ID} printable bytes", shown(value)))
}

/// The beginning of a value, to name it in a message.
pub(super) fn shown(value: &Json<'_>) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => number.to_string(),
        Json::Text(text) => {
            let start: String = text.chars().take(40).collect();
            format!("'{}'", start.escape_debug())
        }
        Json::Array(_) => "an array".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    }
}

/// A quantity, and whether it was rounded.
pub(super) fn quantity(value: &Json<'_>) -> Result<(u32, bool), String> {
    let number = match value {
        Json::Number(number) => number.as_f64(),
        Json::Text(text) => match price::quantity(text.trim()).map(|number| number.resolve(None)) {
            Some(Err(readings)) => return Err(two_readings(value, readings)),
            number => number.and_then(Result::ok),
        },
        _ => None,
    };
    let out_of_range =
        || format!("left out: {} is not a number above 0 and up to {}", shown(value), u32::MAX);
    let number = number.filter(|number| *number > 0.0).ok_or_else(out_of_range)?;
    let rounded = number.round().max(1.0);
    if rounded > f64::from(u32::MAX) {
        return Err(out_of_range());
    }
    // In range, and whole.
    Ok((rounded as u32, rounded != number))
}

fn two_readings(value: &Json<'_>, (one, other): (f64, f64)) -> String {
    format!("left out: {} can be read as {one} or {other}; send a number, or two decimals", shown(value))
}

/// A price, and the code of its currency if the value has one. `of_event` is the currency of the event.
pub(super) fn price(value: &Json<'_>, of_event: Option<&str>) -> Result<(f64, Option<String>), String> {
    let wrong = |why: &str| format!("left out: {} {why}", shown(value));
    let is_other = |of_price: &str| of_event.is_some_and(|of_event| of_event != of_price);
    let other = || wrong(&format!("has another currency than the event's {}", of_event.unwrap_or_default()));
    match value {
        Json::Number(number) => {
            let number = number.as_f64().filter(|price| (0.0..=MAX_PRICE).contains(price));
            number.map(|price| (price, None)).ok_or_else(|| wrong("is not a number from 0 to 1e12"))
        }
        Json::Text(text) => {
            let price = price::read(text, of_event).map_err(|error| wrong(&error.to_string()))?;
            if price.currency.is_some_and(is_other) {
                return Err(other());
            }
            let number = price.number.resolve(None).map_err(|readings| two_readings(value, readings))?;
            Ok((number, price.currency.map(str::to_owned)))
        }
        // `{"amount": "12.99", "currencyCode": "EUR"}`, as Shopify's pixels send it.
        Json::Object(parts) => {
            let amount = member(parts, &["amount", "value"]).filter(|amount| amount.as_object().is_none());
            let amount = amount.ok_or_else(|| wrong("has no amount"))?;
            let of_price = member(parts, &["currencyCode", "currency"]).and_then(currency);
            if of_price.as_deref().is_some_and(is_other) {
                return Err(other());
            }
            let (number, named) = self::price(amount, of_price.as_deref().or(of_event))?;
            Ok((number, of_price.or(named)))
        }
        _ => Err(wrong("is not a number from 0 to 1e12")),
    }
}

/// The code of a currency, in upper case.
pub(super) fn currency(value: &Json<'_>) -> Option<String> {
    let code = value.as_str()?.trim();
    let valid = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    valid.then(|| code.to_ascii_uppercase())
}
