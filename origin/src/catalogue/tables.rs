//! Rows of named texts, as CSV, TSV and XML feeds hold them, and what Google Merchant calls an item's fields.

use crate::catalogue::{Wrong, check};
use origin_data::{Item, fields::shown};
use snapshots::time::Timestamp;
use std::io::Read;

/// An item as a feed's row names it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    item: Item,
    /// `google_product_category`, which counts where there is no `product_type`.
    google_category: Option<String>,
}

impl Draft {
    /// Takes a field by Verge's or Google's name. An empty one says nothing, an unknown one is ignored, and of one
    /// that comes twice the first counts.
    ///
    /// # Errors
    /// The text is no such thing.
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<(), Wrong> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        let item = &mut self.item;
        let first = |field: &mut Option<String>| {
            field.get_or_insert_with(|| text.to_owned());
        };
        match name {
            "id" if item.id.is_empty() => text.clone_into(&mut item.id),
            "name" | "title" => first(&mut item.name),
            "category" | "product_type" => first(&mut item.category),
            // As a number it says nothing to people.
            "google_product_category" if text.parse::<u32>().is_err() => first(&mut self.google_category),
            "brand" => first(&mut item.brand),
            "currency" => first(&mut item.currency),
            "image" | "image_link" => first(&mut item.image),
            "url" | "link" => first(&mut item.url),
            "price" if item.price.is_none() => {
                let (price, currency) = price(text)?;
                item.price = Some(price);
                if let Some(currency) = currency {
                    item.currency.get_or_insert(currency);
                }
            }
            "in_stock" | "availability" => item.in_stock = Some(availability(name, text)?),
            "added_at" => {
                let at = Timestamp::parse(text).ok_or_else(|| {
                    Wrong::new(name, format!("'{}' is no RFC 3339 time (2026-11-20T10:15:30Z)", shown(text)))
                })?;
                item.added_at = Some(at);
            }
            _ => {}
        }
        Ok(())
    }

    /// The id, if there was one.
    pub(super) fn id(&self) -> &str {
        &self.item.id
    }

    /// The item.
    ///
    /// # Errors
    /// It has no id, or a field is out of bounds.
    pub(super) fn finish(mut self) -> Result<Item, Wrong> {
        if self.item.id.is_empty() {
            return Err(Wrong::new("id", "missing"));
        }
        self.item.category = self.item.category.or(self.google_category);
        check(self.item)
    }
}

/// Reads `15.00`, `15.00 USD`, `USD 15.00` and, as some write it, `15,00 EUR`.
fn price(text: &str) -> Result<(f64, Option<String>), Wrong> {
    let wrong = || Wrong::new("price", format!("'{}' is no price such as 15.00 or 15.00 USD", shown(text)));
    let (number, currency) = match text.split_whitespace().collect::<Vec<_>>()[..] {
        [number] => (number, None),
        [first, second] if first.starts_with(|sign: char| sign.is_ascii_alphabetic()) => {
            (second, Some(first))
        }
        [number, currency] => (number, Some(currency)),
        _ => return Err(wrong()),
    };
    // 1,299.00 has a separator of thousands; 15,00 a decimal comma.
    let number = match number.rsplit_once(',') {
        Some((whole, cents)) if cents.len() == 2 && !number.contains('.') => {
            format!("{}.{cents}", whole.replace(',', ""))
        }
        _ => number.replace(',', ""),
    };
    let price: f64 = number.parse().map_err(|_| wrong())?;
    if price.is_finite() { Ok((price, currency.map(str::to_owned))) } else { Err(wrong()) }
}

fn availability(field: &str, text: &str) -> Result<bool, Wrong> {
    match &*text.to_lowercase().replace([' ', '-'], "_") {
        "in_stock" | "preorder" | "backorder" | "true" | "1" | "yes" => Ok(true),
        "out_of_stock" | "discontinued" | "false" | "0" | "no" => Ok(false),
        _ => {
            let expected = "in_stock, out_of_stock, preorder, backorder, true or false";
            Err(Wrong::new(field, format!("'{}' is none of {expected}", shown(text))))
        }
    }
}

/// What a row was: its line, its id as far as it could be read, and the item.
pub(super) type Row = (u64, String, Result<Item, Wrong>);

/// Reads comma or tab separated values with a header line.
///
/// # Errors
/// There is no header with an `id`, or the input ends with an error; what was read before was handed out.
pub(super) fn read(
    input: impl Read,
    separator: u8,
    mut each: impl FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = csv::ReaderBuilder::new();
    // Google's TSV has no quotes, and texts with inches in them.
    reader.delimiter(separator).quoting(separator != b'\t').flexible(true);
    let mut reader = reader.from_reader(input);
    let header: Vec<String> = {
        let names = reader.byte_headers()?.iter();
        names.map(|name| field_name(&String::from_utf8_lossy(name))).collect()
    };
    if !header.iter().any(|name| name == "id") {
        anyhow::bail!("line 1: the header names no `id`; it names {}", shown(&header.join(", ")));
    }
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        let (mut draft, mut outcome) = (Draft::default(), Ok(()));
        if record.len() != header.len() {
            let error = format!("{} fields where the header has {}", record.len(), header.len());
            outcome = Err(Wrong::new("", error));
        }
        for (name, text) in header.iter().zip(&record) {
            let set = match std::str::from_utf8(text) {
                Ok(text) => draft.set(name, text),
                Err(_) => Err(Wrong::new(name, "is no UTF-8")),
            };
            outcome = outcome.and(set);
        }
        let id = draft.id().to_owned();
        each((line, id, outcome.and_then(|()| draft.finish())))?;
    }
    Ok(())
}

/// `g:Image Link` is called `image_link`.
pub(super) fn field_name(name: &str) -> String {
    let name = name.trim_start_matches('\u{feff}').trim().to_lowercase();
    name.strip_prefix("g:").unwrap_or(&name).replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str, separator: u8) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        read(text.as_bytes(), separator, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn prices_and_stock_read_as_shops_write_them() {
        let read = |text| price(text).map(|(price, currency)| (price, currency.unwrap_or_default())).ok();
        assert_eq!(read("15.00"), Some((15.0, String::new())));
        assert_eq!(read("1,299.00 USD"), Some((1299.0, "USD".to_owned())));
        assert_eq!(read("EUR 15,00"), Some((15.0, "EUR".to_owned())));
        assert_eq!([read("free"), read("inf USD"), read("1 2 3"), read("NaN")], [None, None, None, None]);
        assert_eq!(availability("availability", "Out of stock"), Ok(false));
        assert!(availability("availability", "soon").unwrap_err().error.contains("out_of_stock"));
    }

    #[test]
    fn a_row_is_an_item_or_says_which_field_is_wrong() {
        let text = "\u{feff}id,Title,price,availability,color\n\
                    1,\"Red,\ncup\",2.50 gbp,in stock,red\n\
                    2,Jug,dear,in stock,\n\
                    3,Pot\n\
                    ,Mug,1,in stock,\n";
        let rows = rows(text, b',').unwrap();
        let item = rows[0].2.as_ref().unwrap();
        assert_eq!((item.name.as_deref(), item.price), (Some("Red, cup"), Some(2.5)));
        assert_eq!((item.currency.as_deref(), item.in_stock), (Some("GBP"), Some(true)));
        let told: Vec<_> = rows[1..]
            .iter()
            .map(|(line, id, row)| (*line, &**id, &*row.as_ref().unwrap_err().field))
            .collect();
        assert_eq!(told, [(4, "2", "price"), (5, "3", ""), (6, "", "id")]);
        assert!(super::tests::rows("sku,name\n", b',').unwrap_err().to_string().contains("id"));
    }

    #[test]
    fn googles_tabs_hold_inches() {
        let rows =
            rows("id\ttitle\tgoogle_product_category\n7\tTV 40\" \"slim\"\tHome > TV\n", b'\t').unwrap();
        let item = rows[0].2.as_ref().unwrap();
        assert_eq!(
            (item.name.as_deref(), item.category.as_deref()),
            (Some("TV 40\" \"slim\""), Some("Home > TV"))
        );
    }

    proptest! {
        #[test]
        fn any_table_reads_or_is_refused(text in "(id[,\t]price\n)?(\\PC|[,\t\n\"]){0,80}") {
            for separator in [b',', b'\t'] {
                let lines = text.lines().count() as u64;
                for (line, _, row) in rows(&text, separator).unwrap_or_default() {
                    prop_assert!(line <= lines.max(1) + 1);
                    if let Ok(item) = row {
                        prop_assert_eq!(check(item.clone()), Ok(item));
                    }
                }
            }
        }

        #[test]
        fn what_is_written_is_read(
            rows in proptest::collection::vec(("[a-z0-9]{1,8}", "[^\\p{Cc}\\s][^\\p{Cc}\\s,\"]{0,9}( [\",\\PC&&[^\\s]]{1,5})?", 0u32..10_000_000), 1..9),
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["id", "name", "price"]).unwrap();
            for (id, name, cents) in &rows {
                writer.write_record([id, name, &format!("{:.2}", f64::from(*cents) / 100.0)]).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read = super::tests::rows(&text, b',').unwrap();
            prop_assert_eq!(read.len(), rows.len());
            for ((id, name, cents), (_, _, row)) in rows.iter().zip(read) {
                let item = row.unwrap();
                prop_assert_eq!((&item.id, item.price), (id, Some(f64::from(*cents) / 100.0)));
                prop_assert_eq!(item.name, origin_data::fields::name(name));
            }
        }
    }
}
