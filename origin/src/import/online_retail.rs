//! UCI Online Retail I and II: the invoices of a UK gift shop, one line for each item bought.
//!
//! Lines that are not plain purchases:
//! - **Returns**: invoices `C…`, or a quantity below 1. Rejected.
//! - **Adjustments** of bad debt: invoices `A…`. Rejected.
//! - **Codes that are no products**: `POST`, `DOT`, `C2` (carriage), `M` (manual), `D` (discount), `S` (samples),
//!   `BANK CHARGES`, `AMAZONFEE`, `CRUK`, `PADS`, `B`, vouchers `gift_0001_20`. A product's code is five digits
//!   with up to three letters, or `DCGS` and more (the sister shop's goods: `DCGS0003`, `DCGSSBOY`). All others
//!   are rejected, so that an unknown fee cannot be recommended.
//! - **Unit price 0**: stock written off or found, described as `damaged`, `?` or `ebay`. Rejected with
//!   these descriptions.
//! - **No customer** (a quarter of the lines): kept, with the invoice as the visitor.
//! - **Codes in two spellings**: `85123a` is `85123A`.
//! - **Several descriptions of a code**: the most frequent is the name; of equals, the alphabetically first.
//! - **Several prices of a code** (retail, wholesale): the median of the lines is the price.
//! - **Times** are local to the UK and read as UTC; the hour does not matter for learning. Copies of the file write
//!   them in many ways. If no date of a file shows whether the day or the month comes first, dates with `/` have the
//!   month first, as in the original, and dates with `-` and `.` have the day first.
//! - **The same line twice** on an invoice: both are kept, since the shop entered them twice.

use crate::import::countries::code_of;
use crate::import::{
    Batch, Importer, Parsed, Row, Watched, event,
    table::{self, Columns},
};
use origin_data::Item;
use origin_data::fields::{self, Reject, filled, shown, whole};
use origin_data::times::DateOrder;
use snapshots::event::{Event, Kind};
use std::collections::{BTreeMap, HashMap};

const CURRENCY: &str = "GBP";

/// Names and prices of every product so far.
#[derive(Default)]
pub(super) struct OnlineRetail {
    products: HashMap<String, Product>,
    columns: Places,
}

/// Where the columns are.
#[derive(Clone, Copy, Default)]
struct Places {
    invoice: usize,
    code: usize,
    description: Option<usize>,
    quantity: usize,
    date: usize,
    price: usize,
    customer: Option<usize>,
    country: Option<usize>,
}

#[derive(Default)]
struct Product {
    /// How often each description was used.
    names: BTreeMap<String, u32>,
    /// How often each price was asked, in thousandths of a pound.
    prices: BTreeMap<i64, u32>,
}

impl Importer for OnlineRetail {
    fn names(&self) -> &[&str] {
        &[
            "invoiceno",
            "invoice",
            "stockcode",
            "description",
            "quantity",
            "invoicedate",
            "unitprice",
            "price",
            "customerid",
            "country",
        ]
    }

    fn header(&mut self, columns: &Columns) -> anyhow::Result<Option<Watched>> {
        self.columns = Places {
            invoice: columns.need(&["invoiceno", "invoice"])?,
            code: columns.need(&["stockcode"])?,
            description: columns.find(&["description"]),
            quantity: columns.need(&["quantity"])?,
            date: columns.need(&["invoicedate"])?,
            price: columns.need(&["unitprice", "price"])?,
            customer: columns.find(&["customerid"]),
            country: columns.find(&["country"]),
        };
        let Places { date, price, .. } = self.columns;
        Ok(Some(Watched { time: Some(date), price: Some(price), default_order: Some(DateOrder::MonthFirst) }))
    }

    fn row(&mut self, row: Row<'_>, events: &mut Batch<'_>) -> Result<Parsed, Reject> {
        let Places { invoice, code, description, quantity, date, price, customer, country } = self.columns;
        let optional = |place: Option<usize>| place.map_or("", |place| row.fields.get(place));
        let [invoice, code, quantity, price] =
            [invoice, code, quantity, price].map(|place| row.fields.get(place));
        let (description, customer, country) = (optional(description), optional(customer), optional(country));
        let invoice = whole(invoice.trim());
        let code = whole(code.trim()).to_uppercase();
        let units = table::quantity(quantity, row.reading)?
            .filter(|units| units.fract() == 0.0)
            .ok_or_else(|| Reject::new("bad number", format!("quantity '{}'", shown(quantity))))?;
        match invoice.as_bytes().first() {
            None => return Err(Reject::new("no invoice", "the first field is empty")),
            Some(b'A' | b'a') => {
                return Err(Reject::new("adjustment", format!("invoice {}", shown(invoice))));
            }
            Some(b'C' | b'c') => return Err(Reject::new("return", format!("invoice {}", shown(invoice)))),
            Some(_) if units < 1.0 => return Err(Reject::new("return", format!("quantity {units}"))),
            Some(_) => {}
        }
        if !is_product(&code) {
            return Err(Reject::new("not a product", format!("code '{}'", shown(&code))));
        }
        let at = table::time(row.fields.get(date), row.reading)?;
        let price = match table::price(price, row.reading, Some(CURRENCY))? {
            Some((_, Some(named))) if named != CURRENCY => {
                return Err(Reject::new(
                    "bad currency",
                    format!("{named}; prices of this shop are in {CURRENCY}"),
                ));
            }
            Some((price, _)) if price > 0.0 => price,
            _ => return Err(Reject::new("no price", format!("unit price '{}'", shown(price)))),
        };
        let customer = filled(customer).map(whole);
        events.push(Event {
            visitor: Some(customer.map_or_else(|| format!("invoice {invoice}"), str::to_owned)),
            session: Some(invoice.to_owned()),
            quantity: Some(units as u32), // `as` saturates.
            price: Some(price),
            currency: Some(CURRENCY.to_owned()),
            region: code_of(filled(country).unwrap_or("")),
            ..event(Kind::Purchase, &code, at)?
        })?;
        let product = self.products.entry(code).or_default();
        if let Some(name) = filled(description).and_then(fields::name) {
            *product.names.entry(name).or_default() += 1;
        }
        *product.prices.entry((price * 1000.0).round() as i64).or_default() += 1;
        Ok(Parsed::Events)
    }

    fn items(&mut self) -> Vec<Item> {
        let products = std::mem::take(&mut self.products);
        products
            .into_iter()
            .map(|(id, product)| Item {
                id,
                price: Some(median(&product.prices) as f64 / 1000.0),
                currency: Some(CURRENCY.to_owned()),
                name: most_frequent(product.names),
                ..Item::default()
            })
            .collect()
    }
}

/// Whether an upper-case code is that of a product.
fn is_product(code: &str) -> bool {
    if let Some(rest) = code.strip_prefix("DCGS") {
        return !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    }
    let Some((digits, letters)) = code.as_bytes().split_at_checked(5) else { return false };
    digits.iter().all(u8::is_ascii_digit) && letters.len() <= 3 && letters.iter().all(u8::is_ascii_alphabetic)
}

/// The median price of all lines; of two, the lower one.
fn median(prices: &BTreeMap<i64, u32>) -> i64 {
    let lines: u64 = prices.values().map(|&count| u64::from(count)).sum();
    let mut before = 0;
    for (&price, &count) in prices {
        before += u64::from(count);
        if before * 2 >= lines {
            return price;
        }
    }
    0
}

fn most_frequent(names: BTreeMap<String, u32>) -> Option<String> {
    // `max_by_key` returns the last of equals, which in reverse order is the alphabetically first.
    names.into_iter().rev().max_by_key(|(_, count)| *count).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::pipeline::tests::import_table;

    fn import(lines: &[&str]) -> (Vec<Event>, Vec<&'static str>, Vec<Item>) {
        let header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
        import_table(&mut OnlineRetail::default(), &format!("{header}\n{}\n", lines.join("\n")))
    }

    #[test]
    fn the_traps_are_told_apart() {
        let (events, refused, _) = import(&[
            "C1,12345,MUG,-1,2011-01-02 10:00:00,2.5,7.0,France",
            "1,12345,,-4,2011-01-02 10:00:00,0.0,,United Kingdom",
            "A9,B,Adjust bad debt,1,2011-01-02 10:00:00,99.0,,United Kingdom",
            "1,POST,POSTAGE,1,2011-01-02 10:00:00,18.0,7.0,France",
            "1,gift_0001_20,Voucher,1,2011-01-02 10:00:00,17.0,,United Kingdom",
            "1,12345,found,3,2011-01-02 10:00:00,0.0,,United Kingdom",
            "1,12345,MUG,x,2011-01-02 10:00:00,1.0,,United Kingdom",
            "1,12345,MUG,1,2011-02-30 10:00:00,1.0,,United Kingdom",
            "1,12345,MUG,1,2011-01-02 10:00:00,1.0",
            "1,12345,MUG,1,2011-01-02 10:00:00,cheap,,United Kingdom",
        ]);
        assert!(events.is_empty());
        assert_eq!(
            refused,
            [
                "return",
                "return",
                "adjustment",
                "not a product",
                "not a product",
                "no price",
                "bad number",
                "bad date",
                "wrong columns",
                "bad number"
            ]
        );
    }

    #[test]
    fn a_line_is_a_purchase_and_an_invoice_a_session() {
        let (events, refused, _) = import(&[
            "536,12345a,MUG,6,2010-12-01 08:26:00,2.55,17850.0,EIRE",
            "537,DCGS0003,\"TRAY, GLASS\",1,12/1/2010 8:26,2.51,,Unspecified",
        ]);
        assert!(refused.is_empty());
        let [first, second] = &events[..] else { panic!("{events:?}") };
        assert_eq!((first.kind, &*first.item, first.quantity), (Kind::Purchase, "12345A", Some(6)));
        assert_eq!((first.visitor.as_deref(), first.session.as_deref()), (Some("17850"), Some("536")));
        assert_eq!((first.region.as_deref(), first.price), (Some("ie"), Some(2.55)));
        assert_eq!(first.at, second.at);
        assert_eq!(first.at.to_string(), "2010-12-01T08:26:00Z");
        assert_eq!((second.visitor.as_deref(), &second.region), (Some("invoice 537"), &None));
    }

    #[test]
    fn products_are_five_digits_or_of_the_sister_shop() {
        for code in ["85123A", "22423", "15056BL", "47503J", "DCGSSGIRL", "DCGS0066P"] {
            assert!(is_product(code), "{code}");
        }
        for code in
            ["POST", "M", "C2", "PADS", "BANK CHARGES", "GIFT_0001_10", "DCGS", "1234", "12345678", ""]
        {
            assert!(!is_product(code), "{code}");
        }
    }

    #[test]
    fn the_usual_name_and_the_middle_price_win() {
        let line = |name: &str, price: &str| format!("1,12345,{name},1,2011-01-02 10:00:00,{price},,France");
        let lines =
            [line("wrongly coded", "9"), line("RED  MUG ", "1.25"), line("RED MUG", "2.5"), line("", "2.5")];
        let (_, _, items) = import(&lines.each_ref().map(String::as_str));
        assert_eq!(items[0].name.as_deref(), Some("RED MUG"));
        assert_eq!((items[0].price, items[0].currency.as_deref()), (Some(2.5), Some("GBP")));
        let (_, _, items) = import(&[&line("B", "1"), &line("A", "3")]);
        assert_eq!((items[0].name.as_deref(), items[0].price), (Some("A"), Some(1.0)));
    }
}
