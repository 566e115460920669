//! Fields of a line: splitting, and reading numbers and times as logs write them.

use snapshots::{
    event::{MAX_FIELD, is_printable},
    time::Timestamp,
};
use std::borrow::Cow;

/// Why a line was refused: a reason to count by, and what is wrong with this line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The reason, one of few.
    pub reason: &'static str,
    /// What is wrong with this line.
    pub detail: String,
}

impl Reject {
    /// Of a reason.
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// Reads a time as RFC 3339.
///
/// # Errors
/// It is written otherwise; the text says how to.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "expected RFC 3339, such as 2026-11-20T10:15:30Z".to_owned())
}

/// Reads a country code or a region's name, in lower case.
///
/// # Errors
/// It is empty, too long or not printable.
pub fn parse_area(text: &str) -> Result<String, String> {
    match text.trim().to_lowercase() {
        area if is_printable(&area, MAX_FIELD) => Ok(area),
        _ => Err("expected a country code or a region's name, such as gb".to_owned()),
    }
}

/// Reads an ISO 4217 code, in upper case.
///
/// # Errors
/// It is not three letters.
pub fn parse_currency(text: &str) -> Result<String, String> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Ok(text.to_ascii_uppercase());
    }
    Err("expected an ISO 4217 code, such as GBP".to_owned())
}

/// Splits a line of comma separated values (RFC 4180, a record a line) into exactly `N` fields.
pub fn csv<const N: usize>(line: &str) -> Result<[Cow<'_, str>; N], Reject> {
    exactly(split_csv(line)?)
}

/// Splits a line at tabs into exactly `N` fields.
pub fn tabs<const N: usize>(line: &str) -> Result<[&str; N], Reject> {
    exactly(line.split('\t').collect())
}

fn exactly<T, const N: usize>(fields: Vec<T>) -> Result<[T; N], Reject> {
    fields.try_into().map_err(|fields: Vec<T>| {
        Reject::new("wrong columns", format!("{} fields where {N} are expected", fields.len()))
    })
}

fn split_csv(line: &str) -> Result<Vec<Cow<'_, str>>, Reject> {
    let mut fields = Vec::with_capacity(9);
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (Cow::Borrowed(&rest[..end]), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err(Reject::new("bad quotes", "text after a closing quote")),
        }
    }
}

/// The field whose opening quote is already taken off, and what follows its closing quote.
fn unquote(quoted: &str) -> Result<(Cow<'_, str>, &str), Reject> {
    let mut field = Cow::Borrowed("");
    let mut rest = quoted;
    loop {
        let Some((text, after)) = rest.split_once('"') else {
            return Err(Reject::new("bad quotes", "a quoted field does not end on its line"));
        };
        field += text;
        match after.strip_prefix('"') {
            Some(next) => {
                field += "\"";
                rest = next;
            }
            None => return Ok((field, after)),
        }
    }
}

/// Reads a price; `None` when the field is empty.
pub fn price(text: &str) -> Result<Option<f64>, Reject> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(price) if price.is_finite() && price.abs() <= 1e12 => Ok(Some(price)),
        _ => Err(Reject::new("bad number", format!("price '{}'", shown(text)))),
    }
}

/// The field if there is something in it.
pub fn filled(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty()).then_some(text)
}

/// Text for people: no control characters, single blanks, at most 300 characters; `None` when nothing is left.
pub fn name(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    for word in
        text.split(|sign: char| sign.is_whitespace() || sign.is_control()).filter(|word| !word.is_empty())
    {
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(word);
    }
    if let Some((end, _)) = name.char_indices().nth(300) {
        name.truncate(end);
    }
    (!name.is_empty()).then_some(name)
}

/// The beginning of something that was not understood, for a message.
pub fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

/// The same of every word of a message, which may quote what was not understood.
pub fn shown_words(message: &str) -> String {
    message.split_whitespace().map(shown).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_are_taken_off_and_bad_ones_told() {
        let fields = csv::<3>(r#"a,"b, ""c""",d"#).unwrap();
        assert_eq!(fields.as_slice(), ["a", "b, \"c\"", "d"]);
        assert_eq!(csv::<1>("").unwrap().as_slice(), [""]);
        assert_eq!(csv::<2>("a").unwrap_err().reason, "wrong columns");
        assert_eq!(csv::<1>("\"a").unwrap_err().reason, "bad quotes");
        assert_eq!(csv::<1>("\"a\"b").unwrap_err().reason, "bad quotes");
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(name("  RED\t CUP \u{1}  "), Some("RED CUP".to_owned()));
        assert_eq!(name(" \u{7f} "), None);
        assert_eq!(name(&"é".repeat(400)).unwrap().chars().count(), 300);
    }

    proptest! {
        #[test]
        fn reads_what_the_csv_crate_writes(fields in proptest::array::uniform3("[^\r\n]{0,8}|[\",ab ]{0,8}")) {
            let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
            writer.write_record(&fields).unwrap();
            let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read = super::csv::<3>(written.trim_end_matches('\n')).unwrap();
            prop_assert_eq!(read.as_slice(), fields.as_slice());
        }

        #[test]
        fn any_line_splits_or_is_refused(line in "\\PC{0,40}") {
            let _ = split_csv(&line);
            let _ = price(&line);
            let _ = name(&line);
        }
    }
}
