//! Delimited text with a header: feeds with Google Merchant's or Verge's names, and the exports of shop systems.

use crate::catalogue::{
    Wrong,
    draft::{Draft, Field},
    feed::{About, Row},
    shopify::Shopify,
    woocommerce::WooCommerce,
};
use anyhow::{Result, bail};
use origin_data::{
    fields::shown,
    input::{Input, Line},
    records::{self, Fields, Records, Splitter},
};

/// The header of a table, and which of its columns are read.
pub(super) struct Header {
    names: Vec<String>,
    used: Vec<bool>,
}

impl Header {
    /// A header with these names.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { used: vec![false; names.len()], names }
    }

    /// The index of the first column with one of these names in lower case.
    pub(super) fn find(&mut self, names: &[&str]) -> Option<usize> {
        let is = |name: &&str| self.names.iter().position(|known| known.trim().to_lowercase() == **name);
        let place = names.iter().find_map(is)?;
        self.used[place] = true;
        Some(place)
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.trim().to_lowercase() == name)
    }

    fn unread(&self) -> impl Iterator<Item = &str> {
        self.names.iter().zip(&self.used).filter(|(_, used)| !**used).map(|(name, _)| name.trim())
    }
}

/// A row of a shop system's export.
pub(super) enum Shaped {
    /// An item.
    Item(Box<Draft>),
    /// Not an item: an image, a draft, a product that only groups variants.
    Nothing,
}

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
        let mut fields: Vec<_> = header.names.iter().map(|name| Field::of(name)).collect();
        if let Some(id) = id {
            let Some(place) = header.find(&[&id.to_lowercase()]) else {
                bail!("line 1: there is no column '{}' to take ids from", shown(id));
            };
            fields.iter_mut().filter(|field| **field == Some(Field::Id)).for_each(|field| *field = None);
            fields[place] = Some(Field::Id);
        }
        if !fields.contains(&Some(Field::Id)) {
            bail!("line 1: the header names no `id`; it names {}", shown(&header.names.join(", ")));
        }
        header.used = fields.iter().map(Option::is_some).collect();
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
    let (mut line, mut number) = (Vec::new(), 0);
    let mut named = None;
    let first = loop {
        number += 1;
        match input.next_line(&mut line)? {
            Line::End => bail!("the feed is empty"),
            Line::TooLong => bail!("line {number}: a line of more than 4 MiB"),
            Line::Full => {}
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        match records::named_delimiter(&text) {
            Some(delimiter) if named.is_none() => named = Some(delimiter),
            _ if text.trim().is_empty() => {}
            _ => break text,
        }
    };
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
    let columns = header.names.len();
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
