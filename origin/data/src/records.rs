//! Rows of delimited text with any delimiter. Quoted fields may contain line ends.
//!
//! This module joins lines into records, to find a quote that is not closed: such a file was cut. `csv_core` splits
//! the records into fields. In tab-separated text, a quote that does not enclose a whole field is an ordinary
//! character (`TV 40" slim`).

use crate::input::{Input, Line};
use csv_core::{ReadRecordResult, Reader};
use std::{collections::VecDeque, io};

/// Most lines and bytes of a record; one with more has a stray quote.
const MAX_LINES: usize = 10_000;
const MAX_RECORD: usize = 4 << 20;
/// Most searches for the end of a quote; each may read as many lines as a record may have.
const MAX_STRAYS: u32 = 100;

/// The fields of a record.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    text: &'a str,
    ends: &'a [usize],
    /// Bytes between two fields.
    gap: usize,
}

impl<'a> Fields<'a> {
    /// The fields of a row that is not a record.
    pub const NONE: Self = Self { text: "", ends: &[], gap: 0 };

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The field at an index; empty if the record is too short.
    pub fn get(&self, place: usize) -> &'a str {
        let Some(end) = self.ends.get(place) else { return "" };
        let start =
            place.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| end + self.gap);
        self.text.get(start..*end).unwrap_or("")
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        let fields = *self;
        (0..self.len()).map(move |place| fields.get(place))
    }
}

/// Splits records into fields.
pub struct Splitter {
    delimiter: u8,
    reader: Reader,
    out: Vec<u8>,
    ends: Vec<usize>,
}

impl Splitter {
    /// Splits at `delimiter`, an ASCII character.
    pub fn new(delimiter: u8) -> Self {
        let reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { delimiter, reader, out: Vec::new(), ends: Vec::new() }
    }

    /// The fields of a record.
    pub fn split<'a>(&'a mut self, record: &'a str) -> Fields<'a> {
        self.ends.clear();
        let bytes = record.as_bytes();
        if !record.contains('"') {
            self.ends.extend((0..bytes.len()).filter(|at| bytes[*at] == self.delimiter));
            self.ends.push(bytes.len());
            return Fields { text: record, ends: &self.ends, gap: 1 };
        }
        if self.delimiter == b'\t' && Quotes::default().after(record, b'\t') != Quotes::Closed {
            self.out.clear();
            for field in record.split('\t') {
                match unquoted(field) {
                    Some(text) => self.out.extend(text.replace("\"\"", "\"").bytes()),
                    None => self.out.extend(field.bytes()),
                }
                self.ends.push(self.out.len());
            }
        } else {
            self.quoted(bytes);
        }
        Fields { text: std::str::from_utf8(&self.out).unwrap_or_default(), ends: &self.ends, gap: 0 }
    }

    fn quoted(&mut self, bytes: &[u8]) {
        self.reader.reset();
        self.out.resize(bytes.len() + 1, 0);
        self.ends.resize(bytes.iter().filter(|byte| **byte == self.delimiter).count() + 2, 0);
        let (mut read, mut written, mut fields) = (0, 0, 0);
        loop {
            let (result, used, wrote, ended) =
                self.reader.read_record(&bytes[read..], &mut self.out[written..], &mut self.ends[fields..]);
            (read, written, fields) = (read + used, written + wrote, fields + ended);
            // The output has room for all of it; the only other result is a request for more input, which is the end.
            if matches!(result, ReadRecordResult::Record | ReadRecordResult::End)
                || (used == 0 && wrote == 0 && ended == 0 && read < bytes.len())
            {
                break;
            }
        }
        self.out.truncate(written);
        self.ends.truncate(fields);
    }
}

/// The text in the quotes that enclose a field, if the quotes in it are doubled.
fn unquoted(field: &str) -> Option<&str> {
    let inner = field.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.replace("\"\"", "").contains('"')).then_some(inner)
}

/// The state of quotes at the end of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quotes {
    /// Outside of quotes.
    #[default]
    Closed,
    /// Inside of them.
    Open,
    /// There is text after a closing quote.
    Malformed,
}

impl Quotes {
    /// The state after another line.
    fn after(self, text: &str, delimiter: u8) -> Self {
        #[derive(Clone, Copy, PartialEq)]
        enum At {
            Start,
            Plain,
            Inside,
            Quote,
        }
        let mut at = if self == Self::Open { At::Inside } else { At::Start };
        let mut malformed = false;
        for byte in text.bytes() {
            at = match (at, byte) {
                (At::Start, b'"') | (At::Quote, b'"') => At::Inside,
                (At::Inside, b'"') => At::Quote,
                (At::Inside, _) => At::Inside,
                (_, byte) if byte == delimiter => At::Start,
                (At::Quote, b' ') => At::Quote,
                (At::Quote, _) => {
                    malformed = true;
                    At::Plain
                }
                _ => At::Plain,
            };
        }
        match at {
            At::Inside => Self::Open,
            _ if malformed => Self::Malformed,
            _ => Self::Closed,
        }
    }
}

/// The result of reading a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The record is in the buffer. The number is that of its first line, from 1.
    Record(u64),
    /// Its beginning is in the buffer, with the reason why it cannot be read.
    Bad(u64, &'static str),
    /// The file ends inside a quoted field. The first line of the record that began in this line is in the buffer.
    Cut(u64),
    /// The end of the file.
    End,
}

/// Reads records.
pub struct Records<'a> {
    input: Input<'a>,
    delimiter: u8,
    /// Lines that were read ahead.
    ahead: VecDeque<Vec<u8>>,
    line: u64,
    strays: u32,
}

impl<'a> Records<'a> {
    /// Reads from the next line of an input. `line` is the number of lines before it.
    pub fn new(input: Input<'a>, delimiter: u8, line: u64) -> Self {
        Self { input, delimiter, ahead: VecDeque::new(), line, strays: 0 }
    }

    /// The input behind them.
    pub fn input(&self) -> &Input<'a> {
        &self.input
    }

    /// Whether the file ends after the last record and without a line end, so that it may have been cut there.
    pub fn ends_without_line_end(&self) -> bool {
        self.ahead.is_empty() && self.input.is_unterminated()
    }

    /// Reads the next record, without its line end, into `record`. Skips empty lines.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn next(&mut self, record: &mut String) -> io::Result<Found> {
        record.clear();
        loop {
            let mut line = Vec::new();
            match self.next_line(&mut line)? {
                Line::End => return Ok(Found::End),
                Line::TooLong => {
                    record.push_str(&crate::encoding::text(&line));
                    return Ok(Found::Bad(self.line, "a line of more than 4 MiB"));
                }
                Line::Full => record.push_str(&crate::encoding::text(&line)),
            }
            if record.trim().is_empty() {
                record.clear();
                continue;
            }
            return self.complete(record);
        }
    }

    fn complete(&mut self, record: &mut String) -> io::Result<Found> {
        let (line, first) = (self.line, record.len());
        if !record.contains('"') {
            return Ok(Found::Record(line));
        }
        let mut quotes = Quotes::default().after(record, self.delimiter);
        let tabs = self.delimiter == b'\t';
        let (mut used, mut more) = (Vec::new(), true);
        while quotes == Quotes::Open && more {
            let mut next = Vec::new();
            more = self.strays < MAX_STRAYS && used.len() < MAX_LINES && record.len() < MAX_RECORD;
            more = more && matches!(self.next_line(&mut next)?, Line::Full);
            if more {
                let text = crate::encoding::text(&next);
                quotes = quotes.after(&text, self.delimiter);
                record.push('\n');
                record.push_str(&text);
                used.push(next);
            }
        }
        // In tab-separated text, an inch sign is not a quote: the line is a record.
        if quotes == Quotes::Closed || (tabs && used.is_empty()) {
            return Ok(Found::Record(line));
        }
        let at_end = quotes == Quotes::Open
            && self.strays < MAX_STRAYS
            && used.len() < MAX_LINES
            && record.len() < MAX_RECORD;
        if quotes == Quotes::Malformed && !tabs {
            return Ok(Found::Bad(line, "text after a closing quote"));
        }
        self.strays += 1;
        record.truncate(first);
        self.line = line;
        used.into_iter().rev().for_each(|line| self.ahead.push_front(line));
        Ok(match tabs {
            true => Found::Record(line),
            false if at_end => Found::Cut(line),
            false => Found::Bad(line, "a quoted field does not end"),
        })
    }

    fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<Line> {
        if let Some(next) = self.ahead.pop_front() {
            *line = next;
            self.line += 1;
            return Ok(Line::Full);
        }
        let found = self.input.next_line(line)?;
        self.line += u64::from(!matches!(found, Line::End));
        Ok(found)
    }
}

/// The delimiter with which a header has the most known names; of equals, the one with the most fields.
pub fn delimiter_of(header: &str, known: impl Fn(&str) -> bool) -> u8 {
    let rate = |delimiter: u8| {
        let mut splitter = Splitter::new(delimiter);
        let fields = splitter.split(header);
        (fields.iter().filter(|name| known(name)).count(), fields.len())
    };
    // The first of equals wins.
    b"|\t;,".iter().copied().max_by_key(|delimiter| rate(*delimiter)).unwrap_or(b',')
}

/// The first line that is not blank, its number, and the delimiter that a line `sep=;` before it names.
///
/// # Errors
/// The input cannot be read.
pub fn first_line(input: &mut Input<'_>) -> anyhow::Result<Option<(String, u64, Option<u8>)>> {
    let (mut line, mut number, mut named) = (Vec::new(), 0, None);
    loop {
        number += 1;
        match input.next_line(&mut line)? {
            Line::End => return Ok(None),
            Line::TooLong => anyhow::bail!("line {number} has more than 4 MiB"),
            Line::Full => {}
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        match named_delimiter(&text) {
            Some(delimiter) if named.is_none() => named = Some(delimiter),
            _ if text.trim().is_empty() => {}
            _ => return Ok(Some((text, number, named))),
        }
    }
}

/// The delimiter that a first line `sep=;` names, as spreadsheets write it.
pub fn named_delimiter(line: &str) -> Option<u8> {
    let line = line.trim_matches(['"', '\r', '\n', '\u{feff}']);
    match line.get(..4)?.eq_ignore_ascii_case("sep=").then(|| &line.as_bytes()[4..])? {
        [delimiter] if delimiter.is_ascii() && *delimiter != b'"' => Some(*delimiter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(text: &str, delimiter: u8) -> Vec<(Found, Vec<String>)> {
        let mut records = Records::new(
            Input::over(std::io::Cursor::new(text.as_bytes().to_vec()), None).unwrap(),
            delimiter,
            0,
        );
        let (mut record, mut all) = (String::new(), Vec::new());
        let mut splitter = Splitter::new(delimiter);
        loop {
            match records.next(&mut record).unwrap() {
                Found::End => return all,
                found => all.push((found, splitter.split(&record).iter().map(str::to_owned).collect())),
            }
        }
    }

    fn fields(text: &str, delimiter: u8) -> Vec<Vec<String>> {
        records(text, delimiter).into_iter().map(|(_, fields)| fields).collect()
    }

    #[test]
    fn quotes_hold_delimiters_and_line_ends() {
        let text = "a;\"b; \"\"c\"\"\";d\r\n\n\"x\ny\";;\"\"\n";
        assert_eq!(fields(text, b';'), [vec!["a", "b; \"c\"", "d"], vec!["x\ny", "", ""]]);
        assert_eq!(records(text, b';')[1].0, Found::Record(3));
        assert_eq!(fields("a", b','), [["a"]]);
    }

    #[test]
    fn tabs_hold_inches_beside_quoted_fields() {
        let text = "1\t\"Mug, \"\"red\"\"\"\t2\n2\tTV 40\" slim\t3\n3\t\"Wide\" TV\t4\n4\t\"20 inch\t5\n5\t\"two\nlines\"\t6\n";
        assert_eq!(
            fields(text, b'\t'),
            [
                ["1", "Mug, \"red\"", "2"],
                ["2", "TV 40\" slim", "3"],
                ["3", "\"Wide\" TV", "4"],
                ["4", "\"20 inch", "5"],
                ["5", "two\nlines", "6"]
            ]
        );
    }

    #[test]
    fn a_quote_that_is_left_open_is_told_and_costs_one_line() {
        let found = |text| records(text, b',').into_iter().map(|(found, _)| found).collect::<Vec<_>>();
        assert_eq!(found("a,\"b\nc,d\n"), [Found::Cut(1), Found::Record(2)]);
        assert_eq!(found("a,\"b\"c\nd\n"), [Found::Bad(1, "text after a closing quote"), Found::Record(2)]);
    }

    #[test]
    fn delimiters_are_found() {
        let known = |name: &str| ["id", "name", "price"].contains(&name);
        for (header, delimiter) in [
            ("id,name,price", b','),
            ("id;name;price", b';'),
            ("\"id\"\t\"name, long\"\tprice", b'\t'),
            ("id|name", b'|'),
            ("other,columns;here,x", b','),
            ("id", b','),
        ] {
            assert_eq!(delimiter_of(header, known), delimiter, "{header}");
        }
        assert_eq!(
            (named_delimiter("sep=;\r"), named_delimiter("sep=,"), named_delimiter("id,sep=")),
            (Some(b';'), Some(b','), None)
        );
    }

    proptest! {
        #[test]
        fn reads_what_the_csv_crate_writes(
            rows in proptest::collection::vec(proptest::array::uniform3("[^\0\r]{0,8}|[\",;\tab \n]{0,8}"), 1..5), delimiter in 0usize..3,
        ) {
            let delimiter = b",;\t"[delimiter];
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read = fields(&written, delimiter);
            prop_assert_eq!(read, rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>());
        }

        #[test]
        fn any_text_is_records(text in "([\",;\t\na ]|\\PC){0,60}") {
            for delimiter in [b',', b';', b'\t', b'|'] {
                prop_assert!(records(&text, delimiter).len() <= text.lines().count());
            }
        }
    }
}
