//! Delimited text with a header: feeds with Google Merchant's or Verge's names, and the exports of shop systems.

use crate::catalogue::{
    Wrong,
    draft::{Draft, Field},
    header::{Header, Shaped},
    row::{About, Row},
    shopify::Shopify,
    woocommerce::WooCommerce,
};
use anyhow::{Result, bail};
use origin_data::{
    fields::shown,
    input::Input,
    records::{self, Fields, Records, Splitter},
};

/// How rows become items.
enum Layout {
    Names(Vec<Option<Field>>),
    Shopify(Box<Shopify>),
    WooCommerce(Box<WooCommerce>),
}

impl Layout {
    fn of(header: &mut Header, id: Option<&str>, about: &mut About) -> Result<Self> {
        if (header.has("handle") || header.has("url handle"))
            && (header.has("variant price") || header.has("option1 name") || header.has("option1 value"))
        {
            about.format = "shopify";
            return Ok(Self::Shopify(Box::new(Shopify::new(header))));
        }
        if header.has("type") && header.has("sku") && (header.has("regular price") || header.has("in stock?"))
        {
            about.format = "woocommerce";
            return Ok(Self::WooCommerce(Box::new(WooCommerce::new(header, id)?)));
        }
        let mut fields: Vec<_> = header.names().iter().map(|name| Field::of(name)).collect();
        if let Some(id) = id {
            let Some(place) = header.find(&[&id.to_lowercase()]) else {
                bail!("line 1: there is no column '{}' to take ids from", shown(id));
            };
            fields.iter_mut().filter(|field| **field == Some(Field::Id)).for_each(|field| *field = None);
            fields[place] = Some(Field::Id);
        }
        if !fields.contains(&Some(Field::Id)) {
            bail!("line 1: the header names no `id`; it names {}", shown(&header.names().join(", ")));
        }
        header.set_used(fields.iter().map(Option::is_some));
        Ok(Self::Names(fields))
    }

    fn shape(&mut self, fields: &Fields<'_>) -> Result<Shaped, Wrong> {
        match self {
            Self::Names(columns) => {
                let mut draft = Draft::default();
                for (field, text) in columns.iter().zip(fields.iter()) {
                    if let Some(field) = field {
                        draft.set(*field, 0, text);
                    }
                }
                Ok(Shaped::Item(Box::new(draft)))
            }
            Self::Shopify(layout) => layout.shape(fields),
            Self::WooCommerce(layout) => layout.shape(fields),
        }
    }
}

/// Reads a table.
///
/// # Errors
/// There is no header with an id, the input cannot be read, or it ends inside a row. Rows before that were passed on.
pub(super) fn read(
    mut input: Input<'_>,
    id: Option<&str>,
    about: &mut About,
    mut each: impl FnMut(Row) -> Result<()>,
) -> Result<()> {
    let Some((first, number, named)) = records::first_line(&mut input)? else { bail!("the feed is empty") };
    let known = |name: &str| {
        Field::of(name).is_some()
            || ["handle", "url handle", "type", "sku"].contains(&&*name.trim().to_lowercase())
    };
    let delimiter = named.unwrap_or_else(|| records::delimiter_of(&first, known));
    about.format = if delimiter == b'\t' { "tsv" } else { "csv" };
    let mut splitter = Splitter::new(delimiter);
    let mut header = Header::new(splitter.split(&first).iter().map(str::to_owned).collect());
    let mut layout = Layout::of(&mut header, id, about)?;
    header.unread().for_each(|name| about.ignore(name));
    let columns = header.names().len();
    let mut records = Records::new(input, delimiter, number);
    let mut record = String::new();
    loop {
        let found = records.next(&mut record)?;
        let mut row = match found {
            records::Found::End => return Ok(()),
            records::Found::Cut(line) => bail!("line {line}: the feed ends inside of a quoted field"),
            records::Found::Bad(line, error) => {
                let mut row = Row { line, ..Row::default() };
                let fields = splitter.split(&record);
                if let Layout::Names(_) = layout
                    && let Ok(Shaped::Item(draft)) = layout.shape(&fields)
                {
                    row.draft = *draft;
                }
                row.fault = Some(Wrong::new("", error));
                each(row)?;
                continue;
            }
            records::Found::Record(line) => {
                Row { line, is_unended: records.ends_without_line_end(), ..Row::default() }
            }
        };
        let fields = splitter.split(&record);
        let count = fields.len();
        // Spreadsheets omit or add empty fields at the end.
        let extra = (columns..count).any(|place| !fields.get(place).trim().is_empty());
        match layout.shape(&fields) {
            Ok(Shaped::Item(draft)) => row.draft = *draft,
            Ok(Shaped::Nothing) if count >= columns => {
                about.skipped += 1;
                continue;
            }
            Ok(Shaped::Nothing) => {}
            Err(wrong) => row.fault = Some(wrong),
        }
        if count < columns || extra {
            if count < columns && records.ends_without_line_end() {
                bail!("line {}: the feed ends inside of a row", row.line);
            }
            row.fault = Some(Wrong::new("", format!("{count} fields where the header has {columns}")));
        }
        each(row)?;
    }
}
