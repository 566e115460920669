//! The query string of a request for recommendations.

use super::{
    cursor::Cursor,
    event::{MAX_ITEM_ID, is_printable},
};
use crate::wire::region::is_region;
use core::{fmt, ops::Deref};
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
    /// `item`: the items on screen or in the cart, repeated or separated by commas.
    pub items: Vec<String>,
    /// `recents`: the visitor's latest items, newest first. Replaces the cookie.
    pub recents: Option<Vec<String>>,
    /// `limit`: 1 to 100.
    pub limit: usize,
    /// `cursor`: the `next` of the previous page.
    pub cursor: Cursor,
    /// `exclude`: items that must not be in the answer.
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
    pub field: &'static str,
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
    Err(QueryError { field, detail: detail.into() })
}

fn add_ids(field: &'static str, list: &mut Vec<String>, value: &str) -> Result<(), QueryError> {
    for id in value.split(',').filter(|id| !id.is_empty()) {
        if !is_printable(id, MAX_ITEM_ID) {
            return error(field, format!("an item id is 1 to {MAX_ITEM_ID} printable bytes"));
        }
        if list.len() == MAX_IDS {
            return error(field, format!("more than {MAX_IDS} ids"));
        }
        list.push(id.to_owned());
    }
    Ok(())
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
    /// Parses a query string (without `?`). Ignores unknown parameters, such as a shop's own `utm_source`.
    ///
    /// # Errors
    /// [`QueryError`] with the first invalid parameter.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        if query.len() > MAX_BYTES {
            return error("query", format!("longer than {MAX_BYTES} bytes; send fewer ids"));
        }
        Self::read(form_urlencoded::parse(query.as_bytes()))
    }

    /// Reads decoded names and values.
    ///
    /// # Errors
    /// As for [`Query::parse`].
    pub fn read<'a>(
        pairs: impl Iterator<Item = (impl Deref<Target = str>, impl Into<Cow<'a, str>>)>,
    ) -> Result<Self, QueryError> {
        let mut parsed = Self::default();
        for (name, value) in pairs {
            let value = value.into();
            match &*name {
                "placement" => match Placement::parse(&value) {
                    Some(placement) => parsed.placement = placement,
                    None => return error("placement", "one of home, product, cart, search, email"),
                },
                "item" => add_ids("item", &mut parsed.items, &value)?,
                "recents" => add_ids("recents", parsed.recents.get_or_insert_default(), &value)?,
                "exclude" => add_ids("exclude", &mut parsed.exclude, &value)?,
                "limit" => match value.parse() {
                    Ok(limit @ 1..=MAX_LIMIT) => parsed.limit = limit,
                    _ => return error("limit", format!("expected a whole number from 1 to {MAX_LIMIT}")),
                },
                "cursor" if value.is_empty() => {}
                "cursor" => match Cursor::parse(&value) {
                    Some(cursor) => parsed.cursor = cursor,
                    None => {
                        return error("cursor", "malformed; send `next` of the previous page, or none");
                    }
                },
                "category" => parsed.category = short_text("category", &value)?,
                "brand" => parsed.brand = short_text("brand", &value)?,
                "strategy" => parsed.strategy = short_text("strategy", &value)?,
                "price_min" => parsed.price_min = price("price_min", &value)?,
                "price_max" => parsed.price_max = price("price_max", &value)?,
                "segment" => {
                    for segment in
                        value.split(',').filter_map(|segment| short_text("segment", segment).transpose())
                    {
                        parsed.segments.push(segment?);
                    }
                    if parsed.segments.len() > MAX_SEGMENTS {
                        return error("segment", format!("more than {MAX_SEGMENTS} segments"));
                    }
                }
                "force" => parsed.force = short_text("force", &value)?,
                "region" if value.is_empty() => {}
                "region" if is_region(&value) => parsed.region = Some(value.into_owned()),
                "region" => return error("region", "expected 1 to 32 of a-z, 0-9 and -"),
                _ => {}
            }
        }
        Ok(parsed)
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
        ] {
            assert_eq!(Query::parse(query).unwrap_err().field, field, "{query}");
        }
        assert_eq!(Query::parse(&"x".repeat(MAX_BYTES + 1)).unwrap_err().field, "query");
        assert_eq!(Query::parse(&format!("item={}", "a,".repeat(201))).unwrap_err().field, "item");
    }

    proptest! {
        #[test]
        fn any_text_parses_or_names_a_parameter(query in "\\PC{0,200}|([a-z_]{1,9}=[!-~]{0,9}&){0,9}") {
            if let Err(error) = Query::parse(&query) {
                prop_assert!(!error.field.is_empty());
            }
        }
    }
}
