//! Prices as shops write them: symbols and codes of currencies, separators of thousands, decimal points and commas.
//!
//! A price is read where its spelling leaves one reading (`1.299,00`, `12,9`, `1,23,456.78`). One separator before exactly
//! three digits leaves two, unless the currency decides: `1.299` is 1.299 or 1299. The caller decides between them, by the
//! other prices of the same file or by a setting, or refuses the price.

mod currency;

use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// Longest text, in bytes.
const MAX_TEXT: usize = 64;
/// Most digits before the decimal sign.
const MAX_DIGITS: usize = 15;
/// Most digits after the decimal sign.
const MAX_DECIMALS: usize = 9;
/// Highest price.
pub const MAX_PRICE: f64 = 1e12;

/// The sign before the fraction of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decimal {
    /// `1,299.00`
    #[serde(rename = ".")]
    Dot,
    /// `1.299,00`
    #[serde(rename = ",")]
    Comma,
}

impl Decimal {
    fn other(self) -> Self {
        match self {
            Self::Dot => Self::Comma,
            Self::Comma => Self::Dot,
        }
    }
}

impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "." => Ok(Self::Dot),
            "," => Ok(Self::Comma),
            _ => Err("expected \".\" or \",\"".to_owned()),
        }
    }
}

/// What a text says a number is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// One number, and the decimal sign that its spelling shows.
    Exact(f64, Option<Decimal>),
    /// A number for each decimal sign.
    Either {
        /// If `.` is the decimal sign.
        dot: f64,
        /// If `,` is the decimal sign.
        comma: f64,
    },
}

impl Number {
    /// The number; `decimal` decides between two readings.
    ///
    /// # Errors
    /// Both readings, where nothing decides.
    pub fn resolve(self, decimal: Option<Decimal>) -> Result<f64, (f64, f64)> {
        match (self, decimal) {
            (Self::Exact(number, _), _) => Ok(number),
            (Self::Either { dot, .. }, Some(Decimal::Dot)) => Ok(dot),
            (Self::Either { comma, .. }, Some(Decimal::Comma)) => Ok(comma),
            (Self::Either { dot, comma }, None) => Err((dot, comma)),
        }
    }

    fn highest(self) -> f64 {
        match self {
            Self::Exact(number, _) => number,
            Self::Either { dot, comma } => dot.max(comma),
        }
    }
}

/// A price and its currency, if the text names one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// The number, from 0 to [`MAX_PRICE`].
    pub number: Number,
    /// ISO 4217 code.
    pub currency: Option<&'static str>,
}

/// Why a text is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceError {
    /// It is something else.
    Invalid,
    /// It is below 0.
    Negative,
    /// It is above [`MAX_PRICE`].
    TooHigh,
    /// It names two currencies.
    TwoCurrencies,
}

impl fmt::Display for PriceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Invalid => "is no price such as 15.00 or 15.00 USD",
            Self::Negative => "is negative",
            Self::TooHigh => "is more than 1e12",
            Self::TwoCurrencies => "names two currencies",
        })
    }
}

impl core::error::Error for PriceError {}

/// Reads a price such as `15.00`, `1.299,00 EUR`, `€12.99`, `CHF 1'299.00`, `12,-`. `currency` is that of the context, for a
/// text that names none.
///
/// # Errors
/// It is something else, or out of range.
pub fn read(text: &str, currency: Option<&str>) -> Result<Price, PriceError> {
    let text = text.trim();
    let invalid = PriceError::Invalid;
    if text.len() > MAX_TEXT {
        return Err(invalid);
    }
    let digit = |sign: char| sign.is_ascii_digit();
    let first = text.find(digit).ok_or(invalid)?;
    let last = text.rfind(digit).ok_or(invalid)?;
    // `,89`: the sign belongs to the number, unless it ends a word as in `Rs.`.
    let in_word = |sign: char| sign == '/' || sign.is_alphabetic();
    let start = match text.get(..first).and_then(|before| before.char_indices().next_back()) {
        Some((at, '.' | ',')) if !text.get(..at).is_some_and(|word| word.ends_with(in_word)) => at,
        _ => first,
    };
    let (before, rest) = text.split_at_checked(start).ok_or(invalid)?;
    let (digits, after) = rest.split_at_checked(last + 1 - start).ok_or(invalid)?;
    if before.contains(['-', '−', '(']) {
        return Err(PriceError::Negative);
    }
    // `12,-`, `12.–` and `12:-`: no cents.
    let is_dash = |sign: char| matches!(sign, '-' | '–' | '—');
    let dashes = after.strip_prefix([',', '.', ':']).filter(|rest| rest.starts_with(is_dash));
    let after = dashes.map_or(after, |rest| rest.trim_start_matches(is_dash));
    let (named, has_point_symbol) =
        currency::of_words(before.split_whitespace().chain(after.split_whitespace()))?;
    let mut found = number(digits).ok_or(invalid)?;
    if dashes.is_some() {
        found = match found {
            // Three digits before the dash are thousands.
            Number::Either { .. } => Number::Exact(found.highest(), None),
            Number::Exact(whole, sign) if sign.is_none() || whole.fract() == 0.0 && whole >= 1e3 => found,
            Number::Exact(..) => return Err(invalid),
        };
    }
    if let Number::Either { dot, comma } = found
        && dot > comma
        && (has_point_symbol || named.or(currency).is_some_and(currency::uses_point))
    {
        // `1,299 USD`: where this currency is used, a comma separates thousands, and no price has three decimals.
        found = Number::Exact(dot, None);
    }
    if found.highest() > MAX_PRICE {
        Err(PriceError::TooHigh)
    } else {
        Ok(Price { number: found, currency: named })
    }
}

/// Reads digits with separators and a decimal sign; `None` for anything else, also for a number with a sign.
pub fn number(text: &str) -> Option<Number> {
    let (mut parts, mut signs) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find(|sign: char| !sign.is_ascii_digit()) {
        let (part, from_sign) = rest.split_at_checked(at)?;
        let sign = from_sign.chars().next()?;
        signs.push(match sign {
            '.' | ',' => sign,
            '\'' | '’' => '\'',
            sign if sign.is_whitespace() => ' ',
            _ => return None,
        });
        parts.push(part);
        rest = from_sign.get(sign.len_utf8()..)?;
    }
    parts.push(rest);
    let Some((last, grouping)) = signs.split_last() else {
        return whole(&parts).map(|number| Number::Exact(number, None));
    };
    let (tail, groups) = parts.split_last()?;
    let mark = match last {
        '.' => Some(Decimal::Dot),
        ',' => Some(Decimal::Comma),
        _ => None,
    };
    match (grouping.first(), mark) {
        // 1.234.567, 1 234 567, 1'234'567
        (Some(first), _) if signs.iter().all(|sign| sign == first) => {
            grouped(&parts, *first).map(|number| Number::Exact(number, mark.map(Decimal::other)))
        }
        (None, None) => grouped(&parts, *last).map(|number| Number::Exact(number, None)),
        // 1.299,00 and 1 299,00
        (Some(first), Some(mark)) if grouping.iter().all(|sign| sign == first) => {
            grouped(groups, *first)?;
            with_fraction(groups, tail).map(|number| Number::Exact(number, Some(mark)))
        }
        (None, Some(mark)) => {
            let decimal = with_fraction(groups, tail)?;
            let front = groups.first()?;
            if tail.len() != 3 || !(1..=3).contains(&front.len()) || front.starts_with('0') {
                return Some(Number::Exact(decimal, Some(mark)));
            }
            let thousands = whole(&parts)?;
            Some(match mark {
                Decimal::Dot => Number::Either { dot: decimal, comma: thousands },
                Decimal::Comma => Number::Either { dot: thousands, comma: decimal },
            })
        }
        _ => None,
    }
}

/// Reads a quantity: a [`number`], in which three zeros after a point are decimals. Programs write `6.000`, and hardly any
/// shop sells by the thousand.
pub fn quantity(text: &str) -> Option<Number> {
    Some(match number(text)? {
        Number::Either { dot, .. } if text.ends_with(".000") => Number::Exact(dot, Some(Decimal::Dot)),
        number => number,
    })
}

/// A whole number in groups of three, or as in India of two before the last three.
fn grouped(parts: &[&str], sign: char) -> Option<f64> {
    let [first, middle @ .., last] = parts else { return None };
    let western = middle.iter().all(|part| part.len() == 3) && (1..=3).contains(&first.len());
    let indian = sign == ','
        && !middle.is_empty()
        && middle.iter().all(|part| part.len() == 2)
        && (1..=2).contains(&first.len());
    if last.len() != 3 || first.starts_with('0') || !(western || indian) {
        return None;
    }
    whole(parts)
}

fn whole(parts: &[&str]) -> Option<f64> {
    let text = parts.concat();
    if text.len() > MAX_DIGITS { None } else { text.parse().ok() }
}

fn with_fraction(groups: &[&str], tail: &str) -> Option<f64> {
    let front = groups.concat();
    let is_short = (1..=MAX_DECIMALS).contains(&tail.len()) && front.len() <= MAX_DIGITS;
    if is_short { format!("0{front}.{tail}").parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Option<f64> {
        read(text, None).ok()?.number.resolve(None).ok()
    }

    #[test]
    fn spellings_with_one_reading_are_read() {
        for (text, expected) in [
            ("24.90", 24.9),
            ("2.450,00 EUR", 2450.0),
            ("7,5 €", 7.5),
            ("2\u{a0}450,95 kr", 2450.95),
            ("2\u{202f}450 SEK", 2450.0),
            ("CHF 3'100.50", 3100.5),
            ("3’100 CHF", 3100.0),
            ("8.75USD", 8.75),
            ("£8.75", 8.75),
            ("2,450 USD", 2450.0),
            ("$2,450", 2450.0),
            ("¥2,450", 2450.0),
            ("7,50 Euro", 7.5),
            ("Rs. 2,450.50", 2450.5),
            ("Rs.500", 500.0),
            ("Rp2.450.000", 2_450_000.0),
            ("R 2 450,50", 2450.5),
            ("₱2,450.00", 2450.0),
            ("2.345.678,9", 2_345_678.9),
            ("2,345,678", 2_345_678.0),
            ("3,45,678.90 INR", 345_678.9),
            (".75 GBP", 0.75),
            (",75", 0.75),
            ("0,750", 0.75),
            ("7,5000", 7.5),
            ("1299.000", 1299.0),
            ("$8.75 USD", 8.75),
            ("49,- €", 49.0),
            ("€ 49,--", 49.0),
            ("49:-", 49.0),
            ("1.299,- EUR", 1299.0),
            ("1.299.000,-", 1_299_000.0),
            ("R$ 1.250,00", 1250.0),
            ("129 zł", 129.0),
            ("0", 0.0),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
        assert_eq!(read("£8.75", None).map(|price| price.currency), Ok(Some("GBP")));
        assert_eq!(read("8,75 kr.", None).map(|price| price.currency), Ok(None));
        assert_eq!(read("2,450", Some("usd")).unwrap().number, Number::Exact(2450.0, None));
    }

    #[test]
    fn two_readings_are_told_and_decided_by_the_caller() {
        for (text, dot, comma) in [
            ("2.450 EUR", 2.45, 2450.0),
            ("7,250 KWD", 7250.0, 7.25),
            ("2,450", 2450.0, 2.45),
            ("₫150.000", 150.0, 150_000.0),
        ] {
            let number = read(text, None).unwrap().number;
            assert_eq!(number.resolve(None), Err((dot, comma)), "{text}");
            assert_eq!(number.resolve(Some(Decimal::Dot)), Ok(dot));
            assert_eq!(number.resolve(Some(Decimal::Comma)), Ok(comma));
        }
    }

    #[test]
    fn quantities_are_read_with_decimals_of_zero() {
        let value = |text: &str| quantity(text)?.resolve(None).ok();
        assert_eq!(["6", "6.0", "6,0", "6.000", "1,5"].map(value), [6.0, 6.0, 6.0, 6.0, 1.5].map(Some));
        assert_eq!(["6,000", "1.500", "-6", "6x", ""].map(value), [None; 5]);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        assert_eq!(read("5 EUR USD", None), Err(PriceError::TwoCurrencies));
        assert_eq!(read("10000000000000", None), Err(PriceError::TooHigh));
        for text in ["-5.00 EUR", "−5", "EUR -5", "(5.00)"] {
            assert_eq!(read(text, None), Err(PriceError::Negative), "{text}");
        }
        for text in [
            "",
            "free",
            "2e3",
            "NaN",
            "inf USD",
            "1 2 3",
            "1,2,3",
            "12,34.56.78",
            "from 5",
            "5 per",
            "12.99/kg",
            "5-6",
            "0x10",
            "12..5",
            "12.",
            "1.2345,6",
            "1'23.4",
            "٣",
            ",1.5",
            "1 299.000,5",
            "7,50,-",
            ":-",
        ] {
            assert_eq!(read(text, None), Err(PriceError::Invalid), "{text}");
        }
    }

    /// Every accepted spelling of a number of cents.
    fn spelt(cents: u64, style: usize) -> String {
        let (units, rest) = (cents / 100, cents % 100);
        let grouped = |sign: &str| {
            let digits = units.to_string();
            let separator = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
            digits.char_indices().fold(String::new(), |text, (place, digit)| {
                format!("{text}{}{digit}", if separator(place) { sign } else { "" })
            })
        };
        match style {
            0 => format!("{units}.{rest:02}"),
            1 => format!("{units},{rest:02} EUR"),
            2 => format!("{}.{rest:02} USD", grouped(",")),
            3 => format!("€ {},{rest:02}", grouped(".")),
            4 => format!("{},{rest:02} kr", grouped("\u{a0}")),
            5 => format!("CHF{}.{rest:02}", grouped("'")),
            _ => format!("{}.{rest:02}usd", grouped("’")),
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_a_price_reads_back(cents in 0u64..10_000_000_000_000, style in 0usize..7) {
            let text = spelt(cents, style);
            let expected: f64 = format!("{}.{:02}", cents / 100, cents % 100).parse().unwrap();
            prop_assert_eq!(value(&text), Some(expected), "{}", text);
        }

        #[test]
        fn any_text_is_refused_or_keeps_its_digits(
            text in "[-0-9.,' €a-z]{0,20}|[0-9]{0,4}[., '’-]{0,2}[0-9]{0,4}[.,]?[0-9]{0,3} ?(EUR|USD|€|x)?|\\PC{0,20}",
        ) {
            if let Ok(price) = read(&text, None) {
                let readings = match price.number {
                    Number::Exact(number, _) => vec![number],
                    Number::Either { dot, comma } => vec![dot, comma],
                };
                let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
                for number in readings {
                    prop_assert!((0.0..=MAX_PRICE).contains(&number));
                    let (kept, sent) = (digits(&number.to_string()), digits(&text));
                    let (kept, sent) = (kept.trim_matches('0'), sent.trim_matches('0'));
                    // More digits are more than a float holds.
                    prop_assert!(sent.len() > 15 || sent == kept, "{} read as {}", text, number);
                }
            }
        }
    }
}
