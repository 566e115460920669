//! JSONL: one item a line, with Verge's or Google Merchant's names. Values may be texts, numbers, booleans or lists.

use crate::catalogue::{
    Wrong,
    draft::{Draft, Field},
    row::{About, Row},
};
use anyhow::{Result, bail};
use origin_data::{
    fields::shown_words,
    input::{Input, Line},
};
use serde_json::{Map, Value};

/// Reads a feed.
///
/// # Errors
/// The input cannot be read, or ends inside a line. Rows before that were passed on.
pub(super) fn read(
    mut input: Input<'_>,
    id: Option<&str>,
    about: &mut About,
    mut each: impl FnMut(Row) -> Result<()>,
) -> Result<()> {
    about.format = "jsonl";
    let mut line = Vec::new();
    for number in 1.. {
        match input.next_line(&mut line)? {
            Line::End => break,
            Line::TooLong => bail!("line {number}: a line of more than 4 MiB"),
            Line::Full if line.trim_ascii().is_empty() => continue,
            Line::Full => {}
        }
        let mut row = Row { line: number, ..Row::default() };
        match serde_json::from_slice(&line) {
            Ok(Value::Object(object)) => {
                (row.draft, row.fault) = draft(&object, id, |name| about.ignore(name))
            }
            Ok(_) => row.fault = Some(Wrong::new("", "expected an object such as {\"id\":\"A1\"}")),
            Err(error) if error.is_eof() && input.is_unterminated() => {
                bail!("line {number}: the feed ends inside of a row")
            }
            Err(error) => row.fault = Some(Wrong::new("", shown_words(&error.to_string()))),
        }
        each(row)?;
    }
    Ok(())
}

/// The texts of an object and its first error. `ignore` gets the names that are not read.
pub(super) fn draft(
    object: &Map<String, Value>,
    id: Option<&str>,
    mut ignore: impl FnMut(&str),
) -> (Draft, Option<Wrong>) {
    let (mut draft, mut fault) = (Draft::default(), None);
    for (name, value) in object {
        let field = match id {
            Some(id) if name.eq_ignore_ascii_case(id) => Some(Field::Id),
            Some(_) => Field::of(name).filter(|field| *field != Field::Id),
            None => Field::of(name),
        };
        let Some(field) = field else {
            ignore(name);
            continue;
        };
        if let Err(error) = draft.set_json(field, value) {
            fault.get_or_insert(Wrong::new(name, error));
        }
    }
    (draft, fault)
}
