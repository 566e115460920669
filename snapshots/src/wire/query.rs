//! The query string of a request for recommendations.

pub use super::parameters::{ITEM, LIST};
use super::{
    cursor::Cursor,
    event::{MAX_ITEM_ID, is_printable},
    parameters,
};
use crate::wire::region::is_region;
use core::fmt;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use std::borrow::Cow;

/// Most items of an answer.
pub const MAX_LIMIT: usize = 100;
/// Default number of items.
pub const DEFAULT_LIMIT: usize = 12;
/// Most ids in one list (`exclude`, `item`, `recents`).
pub const MAX_IDS: usize = 200;
/// Most bytes of a query string.
pub const MAX_BYTES: usize = 16_384;
/// Most segments.
pub const MAX_SEGMENTS: usize = 8;
/// Longest category path, brand or strategy name, in bytes.
const MAX_TEXT: usize = 256;
const NOT_UTF8: &str = "expected UTF-8, percent-encoded";

/// The parameters that have one value.
const SINGLE: [&str; 10] = [
    "placement",
    "limit",
    "cursor",
    "category",
    "brand",
    "strategy",
    "price_min",
    "price_max",
    "force",
    "region",
];

/// Where the answer is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// The front page.
    #[default]
    Home,
    /// An item's page. `item` is on screen.
    Product,
    /// The cart. Every `item` is in it.
    Cart,
    /// Search or category results.
    Search,
    /// An email. The recents are in `recents=`.
    Email,
}

impl Placement {
    /// The name in queries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Product => "product",
            Self::Cart => "cart",
            Self::Search => "search",
            Self::Email => "email",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Home, Self::Product, Self::Cart, Self::Search, Self::Email]
            .into_iter()
            .find(|placement| placement.name() == text)
    }
}

/// A request for recommendations.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `placement`: home (the default), product, cart, search, email.
    pub placement: Placement,
    /// `item`: the items on screen or in the cart, repeated or separated by commas. A comma of an id is percent-encoded.
    pub items: Vec<String>,
    /// `recents`: the visitor's latest items, newest first, listed like `item`. Replaces the cookie.
    pub recents: Option<Vec<String>>,
    /// `limit`: 1 to 100.
    pub limit: usize,
    /// `cursor`: the `next` of the previous page.
    pub cursor: Cursor,
    /// `exclude`: items that must not be in the answer, listed like `item`.
    pub exclude: Vec<String>,
    /// `category`: only this category and its subcategories.
    pub category: Option<String>,
    /// `brand`: only this brand.
    pub brand: Option<String>,
    /// `price_min`, in hundredths, inclusive.
    pub price_min: Option<u32>,
    /// `price_max`, in hundredths, inclusive.
    pub price_max: Option<u32>,
    /// `strategy`: the strategy's name. Default: that of the placement.
    pub strategy: Option<String>,
    /// `region`: the region. Default: that of the visitor.
    pub region: Option<String>,
    /// `segment`: segments of the visitor (`vip`) for conditions of rules, repeated or separated by commas.
    pub segments: Vec<String>,
    /// `force`: a signed claim of a tester to see a variant.
    pub force: Option<String>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            placement: Placement::Home,
            items: Vec::new(),
            recents: None,
            limit: DEFAULT_LIMIT,
            cursor: Cursor::default(),
            exclude: Vec::new(),
            category: None,
            brand: None,
            price_min: None,
            price_max: None,
            strategy: None,
            region: None,
            segments: Vec::new(),
            force: None,
        }
    }
}

/// An invalid parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The parameter.
    pub field: Cow<'static, str>,
    /// What is wrong, and what is expected.
    pub detail: String,
}

impl fmt::Display for QueryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.field, self.detail)
    }
}

impl core::error::Error for QueryError {}

fn error<T>(field: &'static str, detail: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError { field: field.into(), detail: detail.into() })
}

/// Decodes a percent-encoded name or value, in which `+` is a space; `None` if it is not UTF-8.
fn decode(encoded: &str) -> Option<Cow<'_, str>> {
    if !encoded.contains(['+', '%']) {
        return Some(Cow::Borrowed(encoded));
    }
    let spaced = encoded.replace('+', " ");
    Some(Cow::Owned(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned()))
}

fn add_id(field: &'static str, list: &mut Vec<String>, id: &str) -> Result<(), QueryError> {
    if !is_printable(id, MAX_ITEM_ID) {
        return error(field, format!("an item id is 1 to {MAX_ITEM_ID} printable bytes"));
    }
    if list.len() == MAX_IDS {
        return error(field, format!("more than {MAX_IDS} ids"));
    }
    list.push(id.to_owned());
    Ok(())
}

fn add_ids(field: &'static str, list: &mut Vec<String>, encoded: &str) -> Result<(), QueryError> {
    // Split before decoding: an encoded comma is part of an id.
    for element in encoded.split(',').filter(|element| !element.is_empty()) {
        let Some(element) = decode(element) else { return error(field, NOT_UTF8) };
        // An element that is longer than any id is a list whose commas were encoded too.
        let whole = element.len() <= MAX_ITEM_ID;
        let ids = element.split(|character| !whole && character == ',');
        ids.filter(|id| whole || !id.is_empty()).try_for_each(|id| add_id(field, list, id))?;
    }
    Ok(())
}

fn add_segments(list: &mut Vec<String>, encoded: &str) -> Result<(), QueryError> {
    let Some(segments) = decode(encoded) else { return error("segment", NOT_UTF8) };
    for segment in segments.split(',') {
        list.extend(short_text("segment", segment)?);
    }
    if list.len() > MAX_SEGMENTS {
        error("segment", format!("more than {MAX_SEGMENTS} segments"))
    } else {
        Ok(())
    }
}

fn short_text(field: &'static str, value: &str) -> Result<Option<String>, QueryError> {
    if value.is_empty() {
        return Ok(None);
    }
    if !is_printable(value, MAX_TEXT) {
        return error(field, format!("expected at most {MAX_TEXT} printable bytes"));
    }
    Ok(Some(value.to_owned()))
}

fn price(field: &'static str, value: &str) -> Result<Option<u32>, QueryError> {
    match hundredths(value).filter(|price| *price <= 4_000_000_000) {
        Some(price) => Ok(Some(price)),
        None => error(field, "expected a price such as 12.75, at most 40000000"),
    }
}

/// Parses a decimal number to hundredths, rounding half up. Written by hand, since parsing any `f64` takes a table of 10 KB.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > 32 || whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut thousandths = whole.bytes().map(Some).chain(fraction.bytes().map(Some).chain([None; 3]).take(3));
    let number = thousandths.try_fold(0u64, |number, digit| {
        number.checked_mul(10)?.checked_add(digit.map_or(0, |digit| u64::from(digit - b'0')))
    })?;
    u32::try_from(number.checked_add(5)? / 10).ok()
}

impl Query {
    /// Parses the query string of a list (without `?`).
    ///
    /// # Errors
    /// As for [`Query::parse_only`].
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        Self::parse_only(query, LIST)
    }

    /// Parses a query string (without `?`) of a path with the `accepted` parameters: [`LIST`], [`ITEM`] or none. Ignores
    /// parameters that campaigns, analytics and caches append, such as `utm_source`.
    ///
    /// # Errors
    /// [`QueryError`] with the first invalid or unknown parameter.
    pub fn parse_only(query: &str, accepted: &[&str]) -> Result<Self, QueryError> {
        if query.len() > MAX_BYTES {
            return error("query", format!("longer than {MAX_BYTES} bytes; send fewer ids"));
        }
        let mut parsed = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, encoded) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).unwrap_or(Cow::Borrowed(name));
            match &*name {
                name if parameters::is_ignored(name) => {}
                name if !accepted.contains(&name) => {
                    let (field, detail) = parameters::unknown(name, accepted);
                    return Err(QueryError { field: field.into(), detail });
                }
                "item" => add_ids("item", &mut parsed.items, encoded)?,
                "recents" => add_ids("recents", parsed.recents.get_or_insert_default(), encoded)?,
                "exclude" => add_ids("exclude", &mut parsed.exclude, encoded)?,
                "segment" => add_segments(&mut parsed.segments, encoded)?,
                _ => parsed.set(&name, encoded)?,
            }
        }
        Ok(parsed)
    }

    /// Sets a parameter that has one value.
    fn set(&mut self, name: &str, encoded: &str) -> Result<(), QueryError> {
        let Some(field) = SINGLE.into_iter().find(|known| *known == name) else { return Ok(()) };
        let Some(value) = decode(encoded) else { return error(field, NOT_UTF8) };
        match field {
            "placement" => match Placement::parse(&value) {
                Some(placement) => self.placement = placement,
                None => return error(field, "one of home, product, cart, search, email"),
            },
            "limit" => match value.parse() {
                Ok(limit @ 1..=MAX_LIMIT) => self.limit = limit,
                _ => return error(field, format!("expected a whole number from 1 to {MAX_LIMIT}")),
            },
            "cursor" if value.is_empty() => {}
            "cursor" => match Cursor::parse(&value) {
                Some(cursor) => self.cursor = cursor,
                None => return error(field, "malformed; send `next` of the previous page, or none"),
            },
            "category" => self.category = short_text(field, &value)?,
            "brand" => self.brand = short_text(field, &value)?,
            "strategy" => self.strategy = short_text(field, &value)?,
            "price_min" => self.price_min = price(field, &value)?,
            "price_max" => self.price_max = price(field, &value)?,
            "force" => self.force = short_text(field, &value)?,
            _ if value.is_empty() => {}
            _ if is_region(&value) => self.region = Some(value.into_owned()),
            _ => return error(field, "expected 1 to 32 of a-z, 0-9 and -"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prices_are_read_to_the_nearest_hundredth() {
        for (text, expected) in [
            ("12.75", Some(1_275)),
            ("12", Some(1_200)),
            ("12.", Some(1_200)),
            (".5", Some(50)),
            ("0.994", Some(99)),
            ("0.995", Some(100)),
            ("0.9949999", Some(99)),
            ("007.1", Some(710)),
            ("42949672.95", Some(u32::MAX)),
            ("42949672.96", None),
            ("99999999999999999999999", None),
            ("", None),
            (".", None),
            ("-1", None),
            ("1e3", None),
            ("1,5", None),
            ("1.2.3", None),
        ] {
            assert_eq!(hundredths(text), expected, "{text}");
        }
    }

    #[test]
    fn parameters_are_read() {
        let query = Query::parse(
            "placement=product&item=85123A&limit=3&exclude=a,b&exclude=c%26d&category=Garden+%3E+Tools\
             &price_max=12.75&region=gb&utm_source=x",
        )
        .unwrap();
        assert_eq!((query.placement, query.limit, query.price_max), (Placement::Product, 3, Some(1_275)));
        assert_eq!(query.exclude, ["a", "b", "c&d"]);
        assert_eq!(query.category.as_deref(), Some("Garden > Tools"));
        assert_eq!(
            (query.items, query.recents, query.region.as_deref()),
            (vec!["85123A".to_owned()], None, Some("gb"))
        );
        assert_eq!(Query::parse(""), Ok(Query::default()));
    }

    #[test]
    fn errors_name_the_invalid_parameter() {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("placement=moon", "placement"),
            ("cursor=%00", "cursor"),
            ("price_max=-1", "price_max"),
            ("price_min=NaN", "price_min"),
            ("region=../x", "region"),
            ("item=%0a", "item"),
            ("limt=3", "limt"),
            ("utm=x", "utm"),
            ("=x", "query"),
            ("utm_source=x&fbclid=%ff&_=1&colour=red", "colour"),
        ] {
            assert_eq!(Query::parse(query).unwrap_err().field, field, "{query}");
        }
        let error = Query::parse("limt=3").unwrap_err();
        assert_eq!(error.to_string(), "limt: unknown parameter; did you mean `limit`?");
        assert_eq!(Query::parse_only("limit=3", ITEM).unwrap_err().field, "limit");
        assert_eq!(Query::parse_only("region=gb&gclid=x", ITEM).unwrap().region.as_deref(), Some("gb"));
        assert_eq!(Query::parse_only("region=gb", &[]).unwrap_err().field, "region");
        assert_eq!(Query::parse_only("&utm_medium=email&", &[]), Ok(Query::default()));
        assert_eq!(Query::parse(&"x".repeat(MAX_BYTES + 1)).unwrap_err().field, "query");
        assert_eq!(Query::parse(&format!("item={}", "a,".repeat(201))).unwrap_err().field, "item");
    }

    #[test]
    fn a_comma_separates_ids_and_an_encoded_one_is_part_of_an_id() {
        let list = |query: &str| Query::parse(query).map(|query| query.exclude);
        assert_eq!(list("exclude=a%2Cb,c").unwrap(), ["a,b", "c"]);
        assert_eq!(list("exclude=a%2cb&exclude=c+d&exclude=%2C").unwrap(), ["a,b", "c d", ","]);
        assert_eq!(list("exclude=,a,,&exclude=").unwrap(), ["a"]);
        assert_eq!(list("ex%63lude=a").unwrap(), ["a"]);
        // Names of segments have no commas.
        assert_eq!(Query::parse("segment=a%2Cb,c").unwrap().segments, ["a", "b", "c"]);
        // No id is so long: the commas of the whole list were encoded.
        let long: Vec<String> = (0..40).map(|number| format!("item-{number}")).collect();
        assert_eq!(list(&format!("exclude={}", long.join("%2C"))).unwrap(), long);
        assert_eq!(list(&format!("exclude={}", "a".repeat(129))).unwrap_err().field, "exclude");
        assert_eq!(list("exclude=%ff").unwrap_err().field, "exclude");
        assert_eq!(list(&format!("exclude={}", "a%2C".repeat(201))).unwrap_err().field, "exclude");
    }

    proptest! {
        #[test]
        fn ids_read_as_they_were_written(
            ids in proptest::collection::vec("[ -~]{1,9}|[,%+&=;| é]{1,4}|[^\\p{Cc}]{1,9}", 0..9), repeated in any::<bool>(),
        ) {
            // The former is how URLSearchParams writes a list, the latter how OpenAPI's `explode: false` does.
            let encode = |id: &String| form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>();
            let encoded: Vec<String> = ids.iter().map(encode).collect();
            let query = match repeated {
                true => encoded.iter().map(|id| format!("item={id}&")).collect(),
                false => format!("item={}", encoded.join(",")),
            };
            prop_assert_eq!(Query::parse(&query).unwrap().items, ids);
        }

        #[test]
        fn any_text_parses_or_names_a_parameter(query in "\\PC{0,200}|([a-z_]{1,9}=[!-~]{0,9}&){0,9}") {
            if let Err(error) = Query::parse(&query) {
                prop_assert!(!error.field.is_empty());
            }
        }
    }
}
