//! Prices as shops write them: symbols and codes of currencies, separators of thousands, decimal points and commas.
//!
//! A price is read by its own spelling where that leaves one reading (`1.299,00`, `12,9`, `1,23,456.78`). One separator
//! before exactly three digits leaves two: `1.299` is 1.299 or 1299. The caller decides between them by the other prices
//! of the feed ([`Marks`]) or by a setting, or refuses the price.

use serde::{Deserialize, Serialize};

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

impl std::str::FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "." => Ok(Self::Dot),
            "," => Ok(Self::Comma),
            _ => Err("expected \".\" or \",\"".to_owned()),
        }
    }
}

/// What a text says a price is.
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
}

/// The decimal signs that the unambiguous prices of a feed show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    dot: bool,
    comma: bool,
}

impl Marks {
    /// Takes note of a price.
    pub fn see(&mut self, number: Number) {
        match number {
            Number::Exact(_, Some(Decimal::Dot)) => self.dot = true,
            Number::Exact(_, Some(Decimal::Comma)) => self.comma = true,
            _ => {}
        }
    }

    /// Whether further prices with a decimal point change nothing.
    pub fn is_settled(self) -> bool {
        self.dot
    }

    /// The decimal sign, if all prices that show one agree.
    pub fn decimal(self) -> Option<Decimal> {
        match (self.dot, self.comma) {
            (true, false) => Some(Decimal::Dot),
            (false, true) => Some(Decimal::Comma),
            _ => None,
        }
    }
}

/// A price and its currency, if the text names one.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// The number.
    pub number: Number,
    /// ISO 4217 code.
    pub currency: Option<&'static str>,
}

/// Reads a price such as `15.00`, `1.299,00 EUR`, `€12.99`, `CHF 1'299.00`, `12,-`. `currency` is that of the row, for a
/// text that names none.
///
/// # Errors
/// It is something else, or negative.
pub fn read(text: &str, currency: Option<&str>) -> Result<Price, String> {
    let text = text.trim();
    let wrong = || "is no price such as 15.00 or 15.00 USD".to_owned();
    if text.len() > 64 {
        return Err(wrong());
    }
    let first = text.find(|sign: char| sign.is_ascii_digit()).ok_or_else(wrong)?;
    let last = text.rfind(|sign: char| sign.is_ascii_digit()).ok_or_else(wrong)?;
    // `,89`: the separator before the first digit belongs to the number, unless it ends a word as in `Rs.`.
    let start = match text[..first].char_indices().next_back() {
        Some((at, '.' | ',')) if !text[..at].ends_with(char::is_alphabetic) => at,
        _ => first,
    };
    let (before, number, after) = (&text[..start], &text[start..=last], &text[last + 1..]);
    if before.contains(['-', '−', '(']) {
        return Err("is negative".to_owned());
    }
    // `12,-` and `12.–`: no cents.
    let no_cents = [",-", ".-", ",–", ".–", ",—", ".—"].iter().find_map(|end| after.strip_prefix(end));
    let after = no_cents.map_or(after, |rest| rest.trim_start_matches('-'));
    let mut named = None;
    let mut of_dot_countries = false;
    for word in before.split_whitespace().chain(after.split_whitespace()) {
        let code = currency_of(word).ok_or_else(wrong)?;
        of_dot_countries |= ["$", "¥", "￥", "Rs", "Rs."].contains(&word);
        match (named, code) {
            (Some(known), Some(code)) if known != code => return Err("names two currencies".to_owned()),
            (_, Some(code)) => named = Some(code),
            _ => {}
        }
    }
    let mut number = digits(number).ok_or_else(wrong)?;
    if no_cents.is_some() && !matches!(number, Number::Exact(whole, None) if whole.fract() == 0.0) {
        number = match number {
            Number::Either { dot, comma } => Number::Exact(dot.max(comma), None),
            Number::Exact(..) => return Err(wrong()),
        };
    }
    let uses_dot = |code: &str| DOT_CURRENCIES.split(' ').any(|known| known.eq_ignore_ascii_case(code));
    if let Number::Either { dot, comma } = number
        && dot > comma
        && (of_dot_countries || named.or(currency).is_some_and(uses_dot))
    {
        // `1,299 USD`: where this currency is used, a comma separates thousands, and no price has three decimals.
        number = Number::Exact(dot, None);
    }
    let of = |number: f64| (0.0..=1e12).contains(&number);
    let bounded = match number {
        Number::Exact(number, _) => of(number),
        Number::Either { dot, comma } => of(dot) && of(comma),
    };
    if bounded { Ok(Price { number, currency: named }) } else { Err("is more than 1e12".to_owned()) }
}

/// Reads digits and separators.
fn digits(text: &str) -> Option<Number> {
    let (mut parts, mut signs, mut from) = (Vec::new(), Vec::new(), 0);
    for (at, sign) in text.char_indices().filter(|(_, sign)| !sign.is_ascii_digit()) {
        signs.push(match sign {
            '.' | ',' => sign,
            '\'' | '’' => '\'',
            sign if sign.is_whitespace() => ' ',
            _ => return None,
        });
        parts.push(&text[from..at]);
        from = at + sign.len_utf8();
    }
    parts.push(&text[from..]);
    let Some((last, grouping)) = signs.split_last() else {
        return whole(&parts).map(|n| Number::Exact(n, None));
    };
    let (fraction, groups) = parts.split_last()?;
    let mark = match last {
        '.' => Some(Decimal::Dot),
        ',' => Some(Decimal::Comma),
        _ => None,
    };
    let other = |mark| if mark == Decimal::Dot { Decimal::Comma } else { Decimal::Dot };
    match (grouping.first(), mark) {
        // 1.234.567, 1 299, 1'299
        (Some(first), _) if signs.iter().all(|sign| sign == first) => {
            grouped(&parts, *first).map(|number| Number::Exact(number, mark.map(other)))
        }
        (None, None) => grouped(&parts, *last).map(|number| Number::Exact(number, None)),
        // 1.299,00 and 1 299,00
        (Some(first), Some(mark)) if grouping.iter().all(|sign| sign == first) => {
            grouped(groups, *first)?;
            with_fraction(groups, fraction).map(|number| Number::Exact(number, Some(mark)))
        }
        (None, Some(mark)) => {
            let decimal = with_fraction(groups, fraction)?;
            let front = groups.first()?;
            if fraction.len() != 3 || !(1..=3).contains(&front.len()) || front.starts_with('0') {
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
    if text.len() > 15 { None } else { text.parse().ok() }
}

fn with_fraction(groups: &[&str], fraction: &str) -> Option<f64> {
    let front = groups.concat();
    if fraction.is_empty() || fraction.len() > 9 || front.len() > 15 {
        return None;
    }
    format!("0{front}.{fraction}").parse().ok()
}

/// The code of a currency's code or symbol; `Some(None)` of a symbol that several share.
fn currency_of(word: &str) -> Option<Option<&'static str>> {
    if word.len() == 3 && word.is_ascii() {
        let code = word.to_ascii_uppercase();
        if let Some(known) = CODES.split(' ').find(|known| *known == code) {
            return Some(Some(known));
        }
    }
    let lower = word.to_lowercase();
    SYMBOLS.iter().find(|(symbol, _)| *symbol == lower).map(|(_, code)| (!code.is_empty()).then_some(*code))
}

/// Currencies whose users write a decimal point and commas between thousands, and at most two decimals.
const DOT_CURRENCIES: &str =
    "USD GBP INR AUD NZD JPY CNY KRW HKD SGD TWD THB MYR PHP ILS MXN NGN KES PKR LKR BDT NPR";

const SYMBOLS: [(&str, &str); 40] = [
    ("€", "EUR"),
    ("euro", "EUR"),
    ("euros", "EUR"),
    ("£", "GBP"),
    ("$", ""),
    ("us$", "USD"),
    ("ca$", "CAD"),
    ("c$", "CAD"),
    ("au$", "AUD"),
    ("a$", "AUD"),
    ("nz$", "NZD"),
    ("hk$", "HKD"),
    ("s$", "SGD"),
    ("nt$", "TWD"),
    ("mx$", "MXN"),
    ("r$", "BRL"),
    ("¥", ""),
    ("￥", ""),
    ("円", "JPY"),
    ("元", "CNY"),
    ("₹", "INR"),
    ("rs", ""),
    ("rs.", ""),
    ("₽", "RUB"),
    ("руб.", "RUB"),
    ("₺", "TRY"),
    ("tl", "TRY"),
    ("₴", "UAH"),
    ("₩", "KRW"),
    ("₪", "ILS"),
    ("฿", "THB"),
    ("₫", "VND"),
    ("zł", "PLN"),
    ("kč", "CZK"),
    ("ft", "HUF"),
    ("lei", "RON"),
    ("лв.", "BGN"),
    ("kr", ""),
    ("kr.", ""),
    ("fr.", "CHF"),
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

    fn number(text: &str) -> Option<f64> {
        read(text, None).ok()?.number.resolve(None).ok()
    }

    #[test]
    fn spellings_with_one_reading_are_read() {
        for (text, expected) in [
            ("15.00", 15.0),
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
            ("2.345.678,9", 2_345_678.9),
            ("2,345,678", 2_345_678.0),
            ("3,45,678.90 INR", 345_678.9),
            (".75 GBP", 0.75),
            (",75", 0.75),
            ("0,750 KWD", 0.75),
            ("7,5000", 7.5),
            ("$8.75 USD", 8.75),
            ("49,- €", 49.0),
            ("1.299,- EUR", 1299.0),
            ("R$ 1.250,00", 1250.0),
            ("129 zł", 129.0),
            ("0", 0.0),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn two_readings_are_told_and_decided_by_the_setting() {
        for (text, dot, comma) in
            [("2.450 EUR", 2.45, 2450.0), ("7,250 KWD", 7250.0, 7.25), ("2,450", 2450.0, 2.45)]
        {
            let number = read(text, None).unwrap().number;
            assert_eq!(number.resolve(None), Err((dot, comma)), "{text}");
            assert_eq!(number.resolve(Some(Decimal::Dot)), Ok(dot));
            assert_eq!(number.resolve(Some(Decimal::Comma)), Ok(comma));
        }
        assert_eq!(read("2,450", Some("usd")).unwrap().number.resolve(None), Ok(2450.0));
    }

    #[test]
    fn a_column_decides_only_where_its_prices_agree() {
        let marks = |texts: &[&str]| {
            let mut marks = Marks::default();
            texts.iter().for_each(|text| marks.see(read(text, None).unwrap().number));
            marks.decimal()
        };
        assert_eq!(marks(&["7,50", "12", "1.299"]), Some(Decimal::Comma));
        assert_eq!(marks(&["1,299,000", "12"]), Some(Decimal::Dot));
        assert_eq!(marks(&["7,50", "7.50"]), None);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in [
            "",
            "free",
            "-5.00 EUR",
            "−5",
            "EUR -5",
            "2e3",
            "NaN",
            "inf USD",
            "1 2 3",
            "1,2,3",
            "12,34.56.78",
            "12.99 EUR USD",
            "from 5",
            "5 per",
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
            "1 299.000,5",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    /// Every accepted spelling of a number of cents.
    fn spelt(cents: u64, style: usize) -> String {
        let (units, rest) = (cents / 100, cents % 100);
        let grouped = |sign: &str| {
            let digits = units.to_string();
            let mut text = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place).is_multiple_of(3) {
                    text.push_str(sign);
                }
                text.push(digit);
            }
            text
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
        fn every_spelling_reads_back(cents in 0u64..100_000_000_000, style in 0usize..7) {
            let text = spelt(cents, style);
            prop_assert_eq!(number(&text), Some(cents as f64 / 100.0), "{}", text);
        }

        #[test]
        fn any_text_is_refused_or_keeps_its_digits(text in "[0-9]{0,4}[., '’-]{0,2}[0-9]{0,4}[.,]?[0-9]{0,3} ?(EUR|USD|€|x)?|\\PC{0,20}") {
            if let Ok(price) = read(&text, None) {
                let readings = match price.number {
                    Number::Exact(number, _) => vec![number],
                    Number::Either { dot, comma } => vec![dot, comma],
                };
                let kept = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
                for number in readings {
                    let (kept, read) = (kept(&text), kept(&number.to_string()));
                    let trimmed = |digits: &str| digits.trim_matches('0').to_owned();
                    prop_assert_eq!(trimmed(&kept), trimmed(&read), "{} read as {}", text, number);
                }
            }
        }
    }
}
