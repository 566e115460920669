//! Verge's own format: one JSON value a line, events as `POST /v1/events` takes them, and items.
//!
//! A line is an item if it is an object with an `id` and without fields of events. Events may be of any age, but need
//! a time. Of a line with several events (an order of several items, an array), the valid ones are taken; notes say
//! what was refused, changed or left out, and which names are not read.

use crate::catalogue;
use crate::import::{Batch, Catalogue, Importer, Parsed, Row, item_id};
use origin_data::Item;
use origin_data::{fields::Reject, price::Decimal};
use serde_json::{Map, Value};
use snapshots::event::{Kind, parse_history};
use snapshots::time::Timestamp;
use std::collections::BTreeMap;

/// Most events of one line; a line with more is a file in the wrong format.
const MAX_EVENTS: usize = 10_000;
/// Notes that are kept, and the length of a field's name in them.
const MAX_NOTES: usize = 100;
const MAX_NAME: usize = 60;

/// The items so far.
pub(super) struct Jsonl {
    catalogue: Catalogue,
    now: Timestamp,
    decimal: Option<Decimal>,
    /// What was rejected, changed or left out in accepted rows, by kind of note and field: the number and the first
    /// case.
    notes: BTreeMap<(&'static str, String), (u64, String)>,
}

impl Jsonl {
    /// Events later than `now` are rejected. `decimal` decides between two readings of an item's price.
    pub(super) fn new(now: Timestamp, decimal: Option<Decimal>) -> Self {
        Self { catalogue: Catalogue::default(), now, decimal, notes: BTreeMap::new() }
    }

    fn note(&mut self, kind: &'static str, field: &str, detail: impl FnOnce() -> String) {
        let mut key = (kind, field.chars().filter(|sign| !sign.is_control()).take(MAX_NAME).collect());
        if self.notes.len() >= MAX_NOTES && !self.notes.contains_key(&key) {
            key = ("changed, left out or not read", "other fields".to_owned());
        }
        self.notes.entry(key).or_insert_with(|| (0, detail())).0 += 1;
    }

    fn item(&mut self, object: &Map<String, Value>, line: u64) -> Result<Item, Reject> {
        let read = catalogue::from_feed_json(object, self.decimal).map_err(|wrong| {
            let reason = if wrong.field == "id" { "bad item id" } else { "bad item" };
            Reject::new(reason, wrong.to_string())
        })?;
        for warning in &read.warnings {
            self.note("left out", &warning.field, || format!("line {line}: {}", warning.error));
        }
        for name in &read.ignored {
            self.note("not read", name, || format!("line {line}"));
        }
        Ok(read.item)
    }
}

impl Importer for Jsonl {
    fn row(&mut self, row: Row<'_>, events: &mut Batch<'_>) -> Result<Parsed, Reject> {
        // Most lines are events with a kind; this avoids parsing them twice.
        if !row.text.contains("\"kind\"")
            && let Ok(Value::Object(object)) = serde_json::from_str(row.text)
            && is_item(&object)
        {
            let item = self.item(&object, row.line)?;
            self.catalogue.update(item);
            return Ok(Parsed::Catalogue);
        }
        let mut made = 0;
        let make_id = || {
            made += 1;
            match made {
                1 => format!("{}-{:010}", row.source, row.line),
                more => format!("{}-{:010}-{more}", row.source, row.line),
            }
        };
        let batch = parse_history(row.text.as_bytes(), MAX_EVENTS, self.now, make_id)
            .map_err(|error| Reject::new("no event", error.to_string()))?;
        if let (Some(bad), true) = (batch.rejected.first(), batch.events.is_empty()) {
            return Err(Reject::new(reason(bad.field), bad.error.clone()));
        }
        for bad in &batch.rejected {
            self.note("refused", bad.field, || format!("line {}: {}", row.line, bad.error));
        }
        for warning in &batch.warnings {
            self.note("changed or left out", warning.field, || {
                format!("line {}: {}", row.line, warning.detail)
            });
        }
        for event in batch.events {
            item_id(&event.item)?;
            events.push(event)?;
        }
        Ok(Parsed::Events)
    }

    fn items(&mut self) -> Vec<Item> {
        self.catalogue.take()
    }

    fn notes(&mut self) -> Vec<String> {
        let notes = std::mem::take(&mut self.notes);
        let text =
            |((kind, field), (count, first))| format!("{field} {kind} {count} times, first in {first}");
        notes.into_iter().map(text).collect()
    }
}

fn reason(field: &str) -> &'static str {
    match field {
        "kind" => "unknown kind",
        "item" => "bad item id",
        "at" => "bad date",
        "price" | "quantity" => "bad number",
        "" => "no event",
        _ => "bad field",
    }
}

fn is_item(object: &Map<String, Value>) -> bool {
    const OF_EVENTS: [&str; 10] = [
        "event",
        "event_name",
        "events",
        "batch",
        "params",
        "properties",
        "ecommerce",
        "messageId",
        "item",
        "items",
    ];
    let has = |key: &&str| object.contains_key(*key);
    // An export of items may have `sku` beside `id`; an event's `name` is that of a kind.
    let is_kind = || object.get("name").and_then(Value::as_str).and_then(Kind::from_name).is_some();
    let names_item = ["item_id", "product_id", "sku"].iter().any(has);
    has(&"id") && !OF_EVENTS.iter().any(has) && !(names_item && is_kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::pipeline::Defaults;
    use proptest::prelude::*;

    fn importer() -> Jsonl {
        Jsonl::new(Timestamp(1_795_000_000_000), None)
    }

    #[test]
    fn events_and_items_are_told_apart() {
        let mut importer = importer();
        let defaults = Defaults { now: Timestamp(1_795_000_000_000), ..Defaults::default() };
        let mut events = Batch::new(&defaults);
        let mut row = |text: &str| importer.row(Row::of_line("s", 1, text), &mut events);
        let old = r#"{"id":"e","kind":"view","item":"cup","at":"2009-01-02T03:04:05Z"}"#;
        assert_eq!(row(old), Ok(Parsed::Events));
        assert_eq!(
            row(r#"{"event":"Product Added","properties":{"product_id":5},"timestamp":1700000000000}"#),
            Ok(Parsed::Events)
        );
        assert_eq!(
            row(r#"{"id":7,"name":" Red  cup","price":2.5,"currency":"gbp","in_stock":false}"#),
            Ok(Parsed::Catalogue)
        );
        let reason = |result: Result<Parsed, Reject>| result.unwrap_err().reason;
        assert_eq!(row(r#"{"id":"8","sku":"J-8","name":"Jug"}"#), Ok(Parsed::Catalogue));
        let named = r#"{"id":"e2","name":"view_item","item_id":"8","timestamp":1700000000}"#;
        assert_eq!(row(named), Ok(Parsed::Events));
        assert_eq!(reason(row(r#"{"kind":"view","item":"cup"}"#)), "bad date");
        assert_eq!(reason(row(r#"{"kind":"veiw","item":"cup","at":0}"#)), "unknown kind");
        assert_eq!(reason(row(r#"{"kind":"view","item":"cup","at":"2030-01-01T00:00:00Z"}"#)), "bad date");
        assert_eq!(reason(row(r#"{"id":"7","price":-1}"#)), "bad item");
        assert_eq!(reason(row(r#"{"id":"7","price":"dear"}"#)), "bad item");
        assert_eq!(reason(row(r#"{"id":"","name":"x"}"#)), "bad item id");
        assert_eq!(reason(row("{")), "no event");
        assert_eq!(
            events.events.iter().map(|event| (event.kind, &*event.item)).collect::<Vec<_>>(),
            [(Kind::View, "cup"), (Kind::Cart, "5"), (Kind::View, "8")]
        );
        let items = importer.items();
        assert_eq!((&*items[0].id, items[0].name.as_deref()), ("7", Some("Red cup")));
        assert_eq!((items[0].currency.as_deref(), items[0].in_stock), (Some("GBP"), Some(false)));
    }

    #[test]
    fn valid_lines_of_an_order_are_taken_and_the_others_noted() {
        let mut importer = importer();
        let defaults = Defaults { now: Timestamp(1_795_000_000_000), ..Defaults::default() };
        let mut events = Batch::new(&defaults);
        let text = r#"{"event":"Order Completed","messageId":"m","timestamp":1784000000,
            "properties":{"id":"no","products":[{"sku":"cup","price":"?"},{"sku":"undefined"},{"sku":"jug"}]}}"#;
        assert_eq!(importer.row(Row::of_line("s", 3, text), &mut events), Ok(Parsed::Events));
        assert_eq!(events.events.iter().map(|event| &*event.id).collect::<Vec<_>>(), ["m", "m.2"]);
        let notes = importer.notes();
        assert!(
            notes.len() == 2 && notes[0].starts_with("price changed or left out 1 times, first in line 3"),
            "{notes:?}"
        );
        assert!(notes[1].starts_with("item refused 1 times, first in line 3: missing"), "{notes:?}");
    }

    #[test]
    fn an_item_is_taken_without_what_cannot_be_read() {
        let mut importer = importer();
        let defaults = Defaults::default();
        let mut events = Batch::new(&defaults);
        let text = r#"{"id":"cup","title":"Cup","availability":"some day","colour":"red"}"#;
        assert_eq!(importer.row(Row::of_line("s", 4, text), &mut events), Ok(Parsed::Catalogue));
        let notes = importer.notes();
        assert!(
            notes[0].starts_with("availability left out 1 times, first in line 4: 'some day'"),
            "{notes:?}"
        );
        assert_eq!(notes[1], "colour not read 1 times, first in line 4");
        assert_eq!(importer.items()[0].name.as_deref(), Some("Cup"));
    }

    proptest! {
        #[test]
        fn any_line_reads_or_is_refused(text in "\\PC{0,60}|\\{\"id\":\\PC{0,30}\\}") {
            let _ = importer().row(Row::of_line("s", 1, &text), &mut Batch::new(&Defaults::default()));
        }
    }
}
