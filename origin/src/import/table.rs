//! Tables: columns by their header in any order and with any delimiter, and how a whole file writes dates and prices.

use crate::import::{Format, Reading, Watched, parquet};
use anyhow::{Context, Result, bail};
use origin_data::{
    fields::{Reject, filled, shown},
    input::Input,
    price::{self, Marks, Number},
    records::{self, Fields, Found, Records, Splitter},
    times::{self, DateOrder, OrderSurvey},
};
use snapshots::time::Timestamp;
use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

/// The columns of a table.
pub struct Columns {
    names: Vec<String>,
}

impl Columns {
    /// The columns of a header.
    pub fn new(fields: &Fields<'_>) -> Self {
        Self { names: fields.iter().map(plain).collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The index of the first column with one of these names, of letters and digits in lower case.
    pub fn find(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.names.iter().position(|known| known == name))
    }

    /// The same for a required column.
    ///
    /// # Errors
    /// There is none; the error lists the columns of the file.
    pub fn need(&self, names: &[&str]) -> Result<usize> {
        let Some(place) = self.find(names) else {
            let known: Vec<String> = self.names.iter().take(20).map(|name| shown(name)).collect();
            bail!("the header has no column '{}'; it has {}", names.first().unwrap_or(&""), known.join(", "));
        };
        Ok(place)
    }

    /// The format that has such columns.
    pub fn look_like(&self) -> Option<Format> {
        let has = |names: &[&str]| names.iter().all(|name| self.find(&[name]).is_some());
        if has(&["invoiceno", "stockcode"]) || has(&["invoice", "stockcode"]) {
            Some(Format::OnlineRetail)
        } else if has(&["eventtime", "eventtype", "productid"]) {
            Some(Format::Rees46)
        } else if has(&["visitorid", "event", "itemid"])
            || has(&["itemid", "property", "value"])
            || has(&["categoryid", "parentid"])
        {
            Some(Format::Retailrocket)
        } else {
            None
        }
    }
}

/// `Customer ID` and `customer_id` are `customerid`.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|sign| sign.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The format that a line looks like, if it is the header of one or JSON.
pub(super) fn recognise(line: &str) -> Option<Format> {
    if line.trim_start().starts_with('{') {
        return Some(Format::Jsonl);
    }
    [b',', b';', b'\t', b'|']
        .into_iter()
        .find_map(|delimiter| Columns::new(&Splitter::new(delimiter).split(line)).look_like())
}

/// A file that can be read more than once.
pub(super) enum Source {
    /// By its path.
    File(PathBuf),
    /// Standard input, or the CSV form of a Parquet file, in a file without a name.
    Kept(File),
}

impl Source {
    /// Of a path; `keep` says whether standard input is kept to be read twice.
    ///
    /// # Errors
    /// Standard input cannot be read, or not be kept.
    pub(super) fn new(path: &Path, keep: bool) -> Result<Self> {
        if !keep {
            return Ok(Self::File(path.to_owned()));
        }
        if path != Path::new("-") {
            let parquet = parquet::as_csv(path).with_context(|| format!("cannot read {}", path.display()))?;
            return Ok(parquet.map_or_else(|| Self::File(path.to_owned()), Self::Kept));
        }
        let copy = || -> io::Result<File> {
            let mut file = tempfile::tempfile()?;
            io::copy(&mut io::stdin().lock(), &mut file)?;
            Ok(file)
        };
        copy().map(Self::Kept).context("cannot read standard input")
    }

    /// Opens it at its beginning.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn open(&self) -> Result<Input<'static>> {
        match self {
            Self::File(path) => Input::open(path),
            Self::Kept(file) => {
                let mut file = file.try_clone().context("cannot read standard input")?;
                file.rewind().context("cannot read standard input")?;
                Input::over(file, None).context("cannot read standard input")
            }
        }
    }
}

/// How the rows so far write dates and prices. The whole file is read once if a row has two readings.
#[derive(Default)]
pub(super) struct Habits {
    marks: Marks,
    whole: Option<Reading>,
}

impl Habits {
    /// How to read a row. `survey` reads the whole file.
    ///
    /// # Errors
    /// The file cannot be read, or its dates contradict each other.
    pub(super) fn reading(
        &mut self,
        fields: &Fields<'_>,
        watched: Watched,
        survey: impl FnOnce() -> Result<Reading>,
    ) -> Result<Reading> {
        if let Some(whole) = self.whole {
            return Ok(whole);
        }
        let date = watched.time.map_or("", |place| fields.get(place));
        // A year of four digits, or a number since 1970, needs no order.
        let open_date = !date.bytes().take(4).all(|byte| byte.is_ascii_digit()) && times::needs_order(date);
        let price = watched.price.map_or("", |place| fields.get(place));
        let open_price = match simple(price) {
            Some(_) => {
                if !self.marks.is_settled() && price.contains('.') {
                    self.marks.see(Number::Exact(0.0, Some(price::Decimal::Dot)));
                }
                false
            }
            None => match price::read(price, None).map(|price| price.number) {
                Ok(Number::Either { .. }) => self.marks.decimal().is_none(),
                Ok(number) => {
                    self.marks.see(number);
                    false
                }
                Err(_) => false,
            },
        };
        if open_date || open_price {
            return Ok(*self.whole.insert(survey()?));
        }
        Ok(Reading { dates: None, decimal: self.marks.decimal() })
    }
}

/// Reads all rows of a file to find the order of its dates and its decimal sign. Adds notes for the report to `told`.
///
/// # Errors
/// The file cannot be read, or its dates contradict each other or have two readings.
pub(super) fn survey(
    source: &Source,
    delimiter: u8,
    watched: Watched,
    order: Option<DateOrder>,
    told: &mut Vec<String>,
) -> Result<Reading> {
    let mut input = source.open()?;
    let line = records::first_line(&mut input)?.map_or(0, |(_, line, _)| line);
    let mut records = Records::new(input, delimiter, line);
    let (mut record, mut splitter) = (String::new(), Splitter::new(delimiter));
    let (mut dates, mut marks) = (OrderSurvey::default(), Marks::default());
    let mut example = String::new();
    loop {
        match records.next(&mut record)? {
            Found::End => break,
            Found::Bad(..) | Found::Cut(_) => continue,
            Found::Record(_) => {}
        }
        let fields = splitter.split(&record);
        if let Some(time) = watched.time.map(|place| fields.get(place)) {
            dates.see(time);
            if example.is_empty() && times::needs_order(time) {
                example = shown(time);
            }
        }
        if let Some(Ok(price)) = watched.price.map(|place| price::read(fields.get(place), None)) {
            marks.see(price.number);
        }
    }
    let dates = match (order, dates.found()) {
        (_, times::Found::NotNeeded) => None,
        (Some(order), _) | (None, times::Found::Order(order)) => Some(order),
        (None, times::Found::Contradictory) => {
            bail!(
                "some dates have the day first and some the month, such as '{example}'; say which with --dates"
            )
        }
        (None, times::Found::Undecided) => match watched.default_order {
            // A dash is not used in dates with the month first.
            Some(_) if example.contains('-') => Some(DateOrder::DayFirst),
            Some(order) => Some(order),
            None => {
                bail!("dates such as '{example}' can have the day or the month first; say which with --dates")
            }
        },
    };
    if let Some(order) = dates {
        let order = if order == DateOrder::DayFirst { "day/month/year" } else { "month/day/year" };
        told.push(format!("dates such as '{example}' were read as {order}"));
    }
    Ok(Reading { dates, decimal: marks.decimal() })
}

/// A plain number with one reading.
fn simple(text: &str) -> Option<f64> {
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    (plain && decimals != 3 && text.len() < 16).then(|| text.parse().ok()).flatten()
}

/// Reads a price, and the currency that it names; `None` when it is missing. `currency` is that of the row or the file.
///
/// # Errors
/// It is not a price, or has two readings.
pub(super) fn price(
    text: &str,
    reading: Reading,
    currency: Option<&str>,
) -> Result<Option<(f64, Option<&'static str>)>, Reject> {
    let Some(text) = filled(text) else { return Ok(None) };
    if let Some(number) = simple(text) {
        return Ok(Some((number, None)));
    }
    let wrong = |error: &str| Reject::new("bad number", format!("price '{}' {error}", shown(text)));
    let price = price::read(text, currency).map_err(|error| wrong(&error.to_string()))?;
    let number = price.number.resolve(reading.decimal).map_err(|readings| wrong(&two_readings(readings)))?;
    Ok(Some((number, price.currency)))
}

/// Reads a quantity, which may be negative; `None` when it is missing.
///
/// # Errors
/// It is not a number, or has two readings.
pub(super) fn quantity(text: &str, reading: Reading) -> Result<Option<f64>, Reject> {
    let Some(text) = filled(text) else { return Ok(None) };
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Some(number as f64));
    }
    let wrong = |error: &str| Reject::new("bad number", format!("quantity '{}' {error}", shown(text)));
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = price::quantity(digits).ok_or_else(|| wrong("is no number"))?;
    let number = number.resolve(reading.decimal).map_err(|readings| wrong(&two_readings(readings)))?;
    Ok(Some(sign * number))
}

fn two_readings((one, other): (f64, f64)) -> String {
    format!("can be {one} or {other}; set `decimal` to \".\" or \",\"")
}

/// Reads a time.
///
/// # Errors
/// It is none.
pub(super) fn time(text: &str, reading: Reading) -> Result<Timestamp, Reject> {
    times::read(text, reading.dates).ok_or_else(|| Reject::new("bad date", format!("'{}'", shown(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognised_by_their_columns() {
        for (line, format) in [
            ("Invoice;StockCode;Description", Some(Format::OnlineRetail)),
            ("\"event_time\",\"event_type\",\"product_id\"", Some(Format::Rees46)),
            ("categoryid,parentid", Some(Format::Retailrocket)),
            ("{\"kind\":\"view\"}", Some(Format::Jsonl)),
            ("17 42 17", None),
        ] {
            assert_eq!(recognise(line), format, "{line}");
        }
    }

    #[test]
    fn prices_are_read_by_the_files_habit() {
        let comma = Reading { decimal: Some(price::Decimal::Comma), ..Reading::default() };
        let price = |text, reading| price(text, reading, None).map(|price| price.map(|(number, _)| number));
        assert_eq!(price("2.450", comma), Ok(Some(2450.0)));
        assert_eq!(price("2.450", Reading::default()).unwrap_err().reason, "bad number");
        assert_eq!((price("6,95", Reading::default()), price("nan", comma)), (Ok(Some(6.95)), Ok(None)));
        assert_eq!(price("-3.5", comma), Ok(Some(-3.5)));
        assert_eq!(super::price("2,450", Reading::default(), Some("GBP")), Ok(Some((2450.0, None))));
        assert_eq!(super::price("2,5 €", Reading::default(), None), Ok(Some((2.5, Some("EUR")))));
    }

    #[test]
    fn quantities_are_read_by_the_files_habit() {
        let comma = Reading { decimal: Some(price::Decimal::Comma), ..Reading::default() };
        for (text, expected) in
            [("6", 6.0), ("6,0", 6.0), ("6.000", 6.0), ("-6.0", -6.0), ("+2", 2.0), ("1,5", 1.5)]
        {
            assert_eq!(quantity(text, Reading::default()), Ok(Some(expected)), "{text}");
        }
        assert_eq!((quantity("1.500", comma), quantity(" nan", comma)), (Ok(Some(1500.0)), Ok(None)));
        for text in ["1,500", "one", "6x", "--6", "1e3"] {
            assert!(quantity(text, Reading::default()).is_err(), "{text}");
        }
    }
}
