//! Fields of a line: splitting, and reading numbers and times as logs write them.

pub use snapshots::event::is_placeholder;
use snapshots::{
    event::{MAX_FIELD, is_printable},
    time::Timestamp,
};

/// Why a row was rejected: a reason to count by, and the error of this row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The reason, one of a few.
    pub reason: &'static str,
    /// The error of this row.
    pub detail: String,
}

impl Reject {
    /// A rejection for a reason.
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// Reads a time as RFC 3339.
///
/// # Errors
/// It has another form; the error shows the expected one.
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

/// Splits a line at tabs into exactly `N` fields.
pub fn tabs<const N: usize>(line: &str) -> Result<[&str; N], Reject> {
    exactly(line.split('\t').collect())
}

fn exactly<T, const N: usize>(fields: Vec<T>) -> Result<[T; N], Reject> {
    fields.try_into().map_err(|fields: Vec<T>| {
        Reject::new("wrong columns", format!("{} fields where {N} are expected", fields.len()))
    })
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

/// The field without blanks around it; `None` if it is empty or [a placeholder](is_placeholder).
pub fn filled(text: &str) -> Option<&str> {
    let text = text.trim();
    (!is_placeholder(text)).then_some(text)
}

/// A whole number without the decimals that spreadsheets and data frames write: `101.0` and `101,0` are `101`.
pub fn whole(text: &str) -> &str {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Three zeros may be thousands.
    let zeros = |text: &str| matches!(text, "0" | "00");
    match text.split_once(['.', ',']) {
        Some((number, decimals)) if digits(number) && zeros(decimals) => number,
        _ => text,
    }
}

/// Text to display: no control characters, single spaces, at most 300 characters; `None` if it is empty.
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

/// The beginning of an invalid text, for a message.
pub fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

/// The same for each word of a message that may quote an invalid text.
pub fn shown_words(message: &str) -> String {
    message.split_whitespace().map(shown).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_cleaned() {
        assert_eq!(name("  RED\t CUP \u{1}  "), Some("RED CUP".to_owned()));
        assert_eq!(name(" \u{7f} "), None);
        assert_eq!(name(&"é".repeat(400)).unwrap().chars().count(), 300);
    }

    #[test]
    fn missing_values_and_whole_numbers_are_told() {
        assert_eq!([" ", "nan", "\\N", "None"].map(filled), [None; 4]);
        assert_eq!(filled(" none of it "), Some("none of it"));
        assert_eq!(
            ["101.0", "7.00", "7.5", "7.", ".0", "v1.0"].map(whole),
            ["101", "7", "7.5", "7.", ".0", "v1.0"]
        );
        assert_eq!(["6,0", "6,00", "1,000", "1.000", "6,5"].map(whole), ["6", "6", "1,000", "1.000", "6,5"]);
        assert!(["undefined", "NULL", "NaN", "[object Object]", " "].into_iter().all(is_placeholder));
        assert!(!["nullable", "NA", "N", "undefined-1"].into_iter().any(is_placeholder));
    }

    proptest! {
        #[test]
        fn any_line_splits_or_is_refused(line in "\\PC{0,40}") {
            let _ = tabs::<3>(&line);
            let _ = price(&line);
            let _ = name(&line);
        }
    }
}
