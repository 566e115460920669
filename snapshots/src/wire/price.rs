//! Prices as shops write them: symbols and codes of currencies, separators of thousands, decimal points and commas.
//!
//! A price is read where its spelling leaves one reading (`1.299,00`, `12,9`, `1,23,456.78`). One separator before exactly
//! three digits leaves two, unless the currency decides: `1.299` is 1.299 or 1299, and is refused.

use core::fmt;

/// Longest text, in bytes.
const MAX_TEXT: usize = 64;
/// Most digits before the decimal sign.
const MAX_DIGITS: usize = 15;

/// A price that was read from text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Price {
    /// From 0 to 1e12.
    pub(crate) value: f64,
    /// The ISO 4217 code that the text names.
    pub(crate) currency: Option<&'static str>,
}

/// Why a text is no price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PriceError {
    /// It is no number, or it is negative or too large.
    Invalid,
    /// It can be read as two numbers: with a decimal point, or with a decimal comma.
    Ambiguous(f64, f64),
    /// It names two currencies.
    TwoCurrencies,
}

impl fmt::Display for PriceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid => out.write_str("is not a price from 0 to 1e12 such as 15.00 or 15.00 USD"),
            Self::Ambiguous(one, other) => {
                write!(out, "can be read as {one} or {other}; send a number, or two decimals")
            }
            Self::TwoCurrencies => out.write_str("names two currencies"),
        }
    }
}

/// Reads a price such as `15.00`, `1.299,00 EUR`, `€12.99`, `CHF 1'299.00`. `currency` is the code given beside the text.
///
/// # Errors
/// It is something else, negative, or has two readings.
pub(crate) fn read(text: &str, currency: Option<&str>) -> Result<Price, PriceError> {
    let text = text.trim();
    let invalid = PriceError::Invalid;
    if text.len() > MAX_TEXT {
        return Err(invalid);
    }
    let digit = |sign: char| sign.is_ascii_digit();
    let first = text.find(digit).ok_or(invalid)?;
    let last = text.rfind(digit).ok_or(invalid)?;
    let (mut before, rest) = text.split_at_checked(first).ok_or(invalid)?;
    let (number, after) = rest.split_at_checked(last + 1 - first).ok_or(invalid)?;
    // `,89`: the sign belongs to the number, unless it ends a word as in `Rs.`.
    let mut leading = "";
    if let Some(word) = before.strip_suffix(['.', ',']).filter(|word| !word.ends_with(char::is_alphabetic)) {
        (before, leading) = (word, before.get(word.len()..).unwrap_or_default());
    }
    let mut named: Option<&'static str> = None;
    let mut is_dollar = false;
    for word in before.split_whitespace().chain(after.split_whitespace()) {
        is_dollar |= word == "$";
        let code = currency_of(word).ok_or(invalid)?;
        match (named, code) {
            (Some(known), Some(code)) if known != code => return Err(PriceError::TwoCurrencies),
            (_, Some(code)) => named = Some(code),
            _ => {}
        }
    }
    let uses_point = |code: &str| POINT_CURRENCIES.split(' ').any(|known| known.eq_ignore_ascii_case(code));
    let value = match digits(leading, number).ok_or(invalid)? {
        Number::One(value) => value,
        // `1,299 USD`: where this currency is used, a comma separates thousands, and no price has three decimals.
        Number::Two { point, comma }
            if point > comma && (is_dollar || named.or(currency).is_some_and(uses_point)) =>
        {
            point
        }
        Number::Two { point, comma } => return Err(PriceError::Ambiguous(point, comma)),
    };
    if value > 1e12 {
        return Err(invalid);
    }
    Ok(Price { value, currency: named })
}

/// The readings of digits and separators.
enum Number {
    One(f64),
    /// With a decimal point, and with a decimal comma.
    Two {
        point: f64,
        comma: f64,
    },
}

/// Reads digits and separators, with a decimal sign before them (`,89`) in `leading`.
fn digits(leading: &str, text: &str) -> Option<Number> {
    if !leading.is_empty() {
        return fraction(&[""], text).map(Number::One);
    }
    let (mut parts, mut signs) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some((part, after)) = rest.split_once(|sign: char| !sign.is_ascii_digit()) {
        let sign = rest.get(part.len()..)?.chars().next()?;
        signs.push(match sign {
            '.' | ',' => sign,
            '\'' | '’' => '\'',
            sign if sign.is_whitespace() => ' ',
            _ => return None,
        });
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    let Some((last, separators)) = signs.split_last() else { return whole(&parts).map(Number::One) };
    let (tail, groups) = parts.split_last()?;
    let is_decimal = matches!(last, '.' | ',');
    match separators.first() {
        // 1.234.567, 1 299, 1'299
        Some(first) if signs.iter().all(|sign| sign == first) => grouped(&parts, *first).map(Number::One),
        None if !is_decimal => grouped(&parts, *last).map(Number::One),
        // 1.299,00 and 1 299,00
        Some(first) if is_decimal && separators.iter().all(|sign| sign == first) => {
            grouped(groups, *first)?;
            fraction(groups, tail).map(Number::One)
        }
        Some(_) => None,
        None => {
            let decimal = fraction(groups, tail)?;
            let front = groups.first()?;
            if tail.len() != 3 || !(1..=3).contains(&front.len()) || front.starts_with('0') {
                return Some(Number::One(decimal));
            }
            let thousands = whole(&parts)?;
            Some(match last {
                '.' => Number::Two { point: decimal, comma: thousands },
                _ => Number::Two { point: thousands, comma: decimal },
            })
        }
    }
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

fn fraction(groups: &[&str], tail: &str) -> Option<f64> {
    let front = groups.concat();
    let is_short = (1..=9).contains(&tail.len()) && front.len() <= MAX_DIGITS;
    let is_number = tail.bytes().all(|byte| byte.is_ascii_digit());
    if is_short && is_number { format!("0{front}.{tail}").parse().ok() } else { None }
}

/// The code of a currency's code or symbol; `Some(None)` for a symbol that several share.
fn currency_of(word: &str) -> Option<Option<&'static str>> {
    let is_code = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_code && let Some(known) = CODES.split(' ').find(|known| known.eq_ignore_ascii_case(word)) {
        return Some(Some(known));
    }
    let lower = word.to_lowercase();
    SYMBOLS.iter().find(|(symbol, _)| *symbol == lower).map(|(_, code)| (!code.is_empty()).then_some(*code))
}

/// Currencies whose users write a decimal point and commas between thousands, and at most two decimals.
const POINT_CURRENCIES: &str =
    "USD GBP INR AUD NZD JPY CNY KRW HKD SGD TWD THB MYR PHP ILS MXN NGN KES PKR LKR BDT NPR";

const SYMBOLS: [(&str, &str); 24] = [
    ("€", "EUR"),
    ("£", "GBP"),
    ("$", ""),
    ("us$", "USD"),
    ("ca$", "CAD"),
    ("a$", "AUD"),
    ("r$", "BRL"),
    ("¥", ""),
    ("￥", ""),
    ("円", "JPY"),
    ("元", "CNY"),
    ("₹", "INR"),
    ("rs", ""),
    ("rs.", ""),
    ("₽", "RUB"),
    ("₺", "TRY"),
    ("₴", "UAH"),
    ("₩", "KRW"),
    ("₪", "ILS"),
    ("zł", "PLN"),
    ("kč", "CZK"),
    ("ft", "HUF"),
    ("lei", "RON"),
    ("kr", ""),
];

/// The codes of ISO 4217 that are money.
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF \
    CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG \
    HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK \
    MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD \
    SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV \
    WST XAF XCD XOF XPF YER ZAR ZMW ZWG";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Option<f64> {
        read(text, None).ok().map(|price| price.value)
    }

    #[test]
    fn spellings_with_one_reading_are_read() {
        for (text, expected) in [
            ("24.90", 24.9),
            ("2.450,00 EUR", 2450.0),
            ("7,5 €", 7.5),
            ("2\u{a0}450,95 kr", 2450.95),
            ("CHF 3'100.50", 3100.5),
            ("8.75USD", 8.75),
            ("£8.75", 8.75),
            ("2,450 USD", 2450.0),
            ("$2,450", 2450.0),
            ("Rs. 2,450.50", 2450.5),
            ("2.345.678,9", 2_345_678.9),
            ("3,45,678.90 INR", 345_678.9),
            (".75 GBP", 0.75),
            (",75", 0.75),
            ("0,750", 0.75),
            ("1299.000", 1299.0),
            ("$8.75 USD", 8.75),
            ("0", 0.0),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
        assert_eq!(read("£8.75", None), Ok(Price { value: 8.75, currency: Some("GBP") }));
        assert_eq!(read("2,450", Some("USD")).map(|price| price.value), Ok(2450.0));
    }

    #[test]
    fn two_readings_and_what_is_no_price_are_refused() {
        for (text, point, comma) in
            [("2.450 EUR", 2.45, 2450.0), ("7,250 KWD", 7250.0, 7.25), ("2,450", 2450.0, 2.45)]
        {
            assert_eq!(read(text, None), Err(PriceError::Ambiguous(point, comma)), "{text}");
        }
        assert_eq!(read("5 EUR USD", None), Err(PriceError::TwoCurrencies));
        for text in [
            "",
            "free",
            "-5.00 EUR",
            "2e3",
            "NaN",
            "inf USD",
            "1 2 3",
            "1,2,3",
            "12,34.56.78",
            "from 5",
            "12.99/kg",
            "5-6",
            "(5.00)",
            "0x10",
            "12..5",
            "12.",
            "1.2345,6",
            "1'23.4",
            "٣",
            "10000000000000",
            ",1.5",
            "1 299.000,5",
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
            _ => format!("CHF{}.{rest:02}", grouped("'")),
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_a_price_reads_back(cents in 0u64..10_000_000_000_000, style in 0usize..6) {
            let text = spelt(cents, style);
            let expected: f64 = format!("{}.{:02}", cents / 100, cents % 100).parse().unwrap();
            prop_assert_eq!(value(&text), Some(expected), "{}", text);
        }

        #[test]
        fn any_text_is_a_price_or_refused(text in "[-0-9.,' €a-z]{0,20}|\\PC{0,20}") {
            if let Ok(price) = read(&text, None) {
                prop_assert!((0.0..=1e12).contains(&price.value));
                let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
                let printed = digits(&format!("{:.9}", price.value));
                let sent = digits(&text);
                prop_assert!(price.value > 1e6 || printed.trim_matches('0').starts_with(sent.trim_matches('0')), "{}", text);
            }
        }
    }
}
