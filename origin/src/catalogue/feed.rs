//! Feeds: many items at once, in the formats that shops have already. The format is told by the content.
//!
//! | begins with | is |
//! | --- | --- |
//! | `<` | Google Merchant XML (RSS 2.0 or Atom) |
//! | `{` | JSONL: an item a line, as `PUT /v1/items/{id}` takes it, with its `id` |
//! | else, a tab in the first line | TSV with a header, Google Merchant's or Verge's names |
//! | else | CSV with a header, the same names |
//!
//! Plain, gzip or zstd. A row updates what it names of an item; what it leaves out or empty stays as it was.

use crate::catalogue::{
    Wrong, from_json,
    tables::{self, Row},
    xml,
};
use crate::store::Store;
use anyhow::{Context, Result, bail};
use origin_data::{Item, input::decompressed};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

/// Errors of rows that are told; the others are counted.
const MAX_TOLD: usize = 100;
/// Items a transaction: a kill loses at most so many, and nobody waits long for the store.
const GROUP: usize = 2_000;
/// The longest line of JSON, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// A row that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// From 1; of XML, where the item begins.
    pub line: u64,
    /// The item's id, as far as it could be read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What is wrong.
    #[serde(flatten)]
    pub wrong: Wrong,
}

/// What became of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `xml`, `jsonl`, `tsv` or `csv`.
    pub format: &'static str,
    /// Rows that were items.
    pub items: usize,
    /// Items that are new or have changed.
    pub changed: usize,
    /// Items that were removed, because a full feed does not name them.
    pub removed: usize,
    /// Rows that were not taken.
    pub rejected: usize,
    /// The first of them, at most 100.
    pub errors: Vec<BadRow>,
    /// Why the feed was not read to its end, or the absent items were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Takes a feed over into the store. With `full`, the items that it does not name are removed, but only if the feed
/// was read to its end, has items, and every row's id could be read.
///
/// # Errors
/// The store cannot be written. What is wrong with the feed is in the report.
pub fn take(store: &mut Store, input: impl Read, full: bool) -> Result<Report> {
    let mut report = Report::default();
    let (mut group, mut present) = (Vec::with_capacity(GROUP), HashSet::new());
    let mut nameless = 0;
    let mut broken_store = None;
    let read = read(input, &mut report.format, |(line, id, row)| {
        if full && !id.is_empty() {
            present.insert(id.clone());
        }
        match row {
            Ok(item) => {
                report.items += 1;
                group.push(item);
                if group.len() == GROUP {
                    match store.upsert_items(&group) {
                        Ok(changed) => report.changed += changed,
                        Err(error) => {
                            broken_store = Some(error);
                            bail!("stopped");
                        }
                    }
                    group.clear();
                }
            }
            Err(wrong) => {
                nameless += usize::from(id.is_empty());
                report.rejected += 1;
                if report.errors.len() < MAX_TOLD {
                    report.errors.push(BadRow { line, id, wrong });
                }
            }
        }
        Ok(())
    });
    if let Some(error) = broken_store {
        return Err(error);
    }
    report.changed += store.upsert_items(&group)?;
    report.problem = match read {
        Err(error) => Some(format!("{error:#}; rows before it were taken")),
        Ok(()) if full && nameless > 0 => {
            Some(format!("{nameless} rows have no readable id, so no absent item was removed"))
        }
        Ok(()) if report.items == 0 => Some("it has no items".to_owned()),
        Ok(()) => None,
    };
    if full && report.problem.is_none() {
        report.removed = store.change_catalogue(|change| change.remove_all_but(&present))?;
    }
    Ok(report)
}

fn read(input: impl Read, format: &mut &'static str, each: impl FnMut(Row) -> Result<()>) -> Result<()> {
    let mut input = BufReader::with_capacity(64 << 10, decompressed(input)?);
    let start = input.fill_buf()?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => bail!("the feed is empty"),
        Some(b'<') => {
            *format = "xml";
            xml::read(input, each)
        }
        Some(b'{') => {
            *format = "jsonl";
            json_lines(input, each)
        }
        Some(b'[') => bail!("line 1: an array; send one JSON object a line"),
        _ if first_line.contains(&b'\t') => {
            *format = "tsv";
            tables::read(input, b'\t', each)
        }
        _ => {
            *format = "csv";
            tables::read(input, b',', each)
        }
    }
}

fn json_lines(mut input: impl BufRead, mut each: impl FnMut(Row) -> Result<()>) -> Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut input).take(MAX_LINE).read_until(b'\n', &mut line);
        let length = read.with_context(|| format!("line {number}"))?;
        if length == 0 {
            break;
        }
        if length as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            bail!("line {number} has more than {MAX_LINE} bytes");
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
        if !text.is_empty() {
            let (id, row) = json_row(text);
            each((number, id, row))?;
        }
    }
    Ok(())
}

fn json_row(text: &[u8]) -> (String, Result<Item, Wrong>) {
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => {
            let id = match object.get("id") {
                Some(Value::String(id)) => id.clone(),
                Some(Value::Number(id)) => id.to_string(),
                _ => String::new(),
            };
            (id, from_json(object))
        }
        Ok(_) => (String::new(), Err(Wrong::new("", "expected an object such as {\"id\":\"A1\"}"))),
        Err(error) => (String::new(), Err(Wrong::new("", error.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fed(feeds: &[(&[u8], bool)]) -> (Store, Report, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut report = Report::default();
        for (feed, full) in feeds {
            report = take(&mut store, *feed, *full).unwrap();
        }
        (store, report, dir)
    }

    #[test]
    fn every_format_is_told_by_its_content() {
        let gzip = {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut gzip, b"id\tname\n1\tCup\n").unwrap();
            gzip.finish().unwrap()
        };
        for (feed, format) in [
            (&b"id,name\n1,Cup\n"[..], "csv"),
            (&gzip, "tsv"),
            (b"\xef\xbb\xbf{\"id\":1,\"name\":\"Cup\"}\n\n", "jsonl"),
            (b"\n<rss><item><id>1</id><title>Cup</title></item></rss>", "xml"),
        ] {
            let (store, report, _dir) = fed(&[(feed, false)]);
            let expected = Report { format, items: 1, changed: 1, ..Report::default() };
            assert_eq!(report, expected);
            assert_eq!(store.item("1").unwrap().unwrap().name.as_deref(), Some("Cup"));
        }
    }

    #[test]
    fn a_full_feed_removes_what_it_does_not_name_and_what_is_wrong_stays() {
        let first = b"id,price\n1,1\n2,2\n3,3\n";
        let (store, report, _dir) = fed(&[(first, true), (b"id,price\n1,1\n2,dear\n", true)]);
        assert_eq!((report.items, report.changed, report.removed, report.rejected), (1, 0, 1, 1));
        assert_eq!((report.errors[0].line, &*report.errors[0].wrong.field), (3, "price"));
        assert_eq!((store.count_items().unwrap(), store.item("2").unwrap().unwrap().price), (2, Some(2.0)));
    }

    #[test]
    fn a_feed_that_may_be_cut_removes_nothing() {
        for cut in [
            &b"<rss><item><id>1</id></item><item><id>2"[..],
            b"",
            b"id,price\n",
            b"id,price\n1,1\n,2\n",
            b"{\"id\":\"1\"}\n{\"id\":",
        ] {
            let (store, report, _dir) = fed(&[(b"id\n1\n2\n3\n", true), (cut, true)]);
            assert!(report.problem.is_some() && report.removed == 0, "{report:?}");
            assert_eq!(store.count_items().unwrap(), 3);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_a_feed_or_a_problem(feed in proptest::collection::vec(any::<u8>(), 0..60), start in "(<|\\{|id[,\t]|)") {
            let bytes = [start.as_bytes(), &feed].concat();
            let mut rows = 0;
            let _ = read(&*bytes, &mut "", |_| { rows += 1; Ok(()) });
            prop_assert!(rows <= bytes.len());
        }
    }
}
