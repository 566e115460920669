//! Validation of items from requests, feeds and imported logs.

mod availability;
mod draft;
pub mod feed;
mod header;
mod json;
mod row;
mod shopify;
mod tables;
mod woocommerce;
mod xml;

use origin_data::{
    Item,
    fields::{self, is_placeholder, parse_currency},
    price::Decimal,
};
use serde_json::{Map, Value};
use snapshots::{
    category,
    event::{MAX_ITEM_ID, is_printable},
};

/// The fields of an item, as JSON and feeds name them.
pub const FIELDS: [&str; 14] = [
    "id",
    "name",
    "category",
    "brand",
    "price",
    "sale_price",
    "sale_from",
    "sale_until",
    "currency",
    "image",
    "url",
    "in_stock",
    "added_at",
    "group",
];
/// The longest address, in bytes.
const MAX_ADDRESS: usize = 2_048;

/// An error in an item, and its field.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Wrong {
    /// The invalid field; empty if the whole row is invalid.
    pub field: String,
    /// What is wrong and what is expected.
    pub error: String,
}

impl Wrong {
    fn new(field: &str, error: impl Into<String>) -> Self {
        Self { field: field.to_owned(), error: error.into() }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.field {
            "" => write!(out, "{}", self.error),
            field => write!(out, "{field}: {}", self.error),
        }
    }
}

/// Reads an item from JSON. Fields it does not know are ignored.
///
/// # Errors
/// A field that is no such thing, or an id that cannot be one.
pub fn from_json(mut object: Map<String, Value>) -> Result<Item, Wrong> {
    if let Some(id @ Value::Number(_)) = object.get_mut("id") {
        *id = Value::String(id.to_string());
    }
    let item = serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let message = error.inner().to_string();
        let field = if message.starts_with("missing field `id`") { "id" } else { &error.path().to_string() };
        Wrong::new(field.trim_start_matches('.'), fields::shown_words(&message))
    })?;
    check(item)
}

/// An item, and what of its source was not read.
#[derive(Debug)]
pub struct ReadItem {
    /// The item.
    pub item: Item,
    /// Fields that could not be read and were left out.
    pub warnings: Vec<Wrong>,
    /// Names that are not read.
    pub ignored: Vec<String>,
}

/// Reads an item from JSON as feeds have it, by Verge's or Google Merchant's names. `decimal` decides between two
/// readings of a price.
///
/// # Errors
/// The id, a price or a sale cannot be read.
pub fn from_feed_json(object: &Map<String, Value>, decimal: Option<Decimal>) -> Result<ReadItem, Wrong> {
    let mut ignored = Vec::new();
    let (draft, fault) = json::draft(object, None, |name| ignored.push(name.to_owned()));
    if let Some(wrong) = fault {
        return Err(wrong);
    }
    let (item, warnings) = draft.finish(&draft::Reading { decimal, ..draft::Reading::default() })?;
    Ok(ReadItem { item, warnings, ignored })
}

/// The item with normalized texts.
///
/// # Errors
/// A field is out of bounds.
pub fn check(mut item: Item) -> Result<Item, Wrong> {
    if !is_printable(&item.id, MAX_ITEM_ID) {
        return Err(Wrong::new("id", format!("expected 1 to {MAX_ITEM_ID} printable bytes")));
    }
    if is_placeholder(&item.id) {
        return Err(Wrong::new("id", format!("'{}' is a placeholder, not an id", item.id)));
    }
    for (field, price) in [("price", item.price), ("sale_price", item.sale_price)] {
        if price.is_some_and(|price| !(0.0..=1e12).contains(&price)) {
            return Err(Wrong::new(field, "expected a number from 0 to 1e12"));
        }
    }
    if item.group.as_ref().is_some_and(|group| !is_printable(group, MAX_ITEM_ID)) {
        return Err(Wrong::new("group", format!("expected 1 to {MAX_ITEM_ID} printable bytes")));
    }
    if let Some(currency) = &item.currency {
        item.currency = Some(parse_currency(currency).map_err(|error| Wrong::new("currency", error))?);
    }
    for field in [&mut item.name, &mut item.category, &mut item.brand] {
        *field = field.as_deref().and_then(fields::name);
    }
    item.category = item.category.map(|path| category::path(&path)).filter(|path| !path.is_empty());
    for (field, address) in [("image", &item.image), ("url", &item.url)] {
        if address.as_ref().is_some_and(|address| !is_printable(address, MAX_ADDRESS)) {
            return Err(Wrong::new(
                field,
                format!("expected an address of 1 to {MAX_ADDRESS} printable bytes"),
            ));
        }
    }
    Ok(item)
}
