//! An item as texts, as a row of a feed has it. The texts become an item when it is known how the whole feed writes
//! prices and dates.

use crate::catalogue::{Wrong, availability, check};
use origin_data::{
    Item,
    fields::{is_placeholder, shown, whole},
    price::{self, Decimal, Marks},
    times::{self, DateOrder, OrderSurvey},
};
use serde_json::Value;
use snapshots::time::{DAY_MS, Timestamp};

/// A field of an item in a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    Name,
    Category,
    GoogleCategory,
    Brand,
    Currency,
    Image,
    Url,
    Price,
    SalePrice,
    SaleDates,
    SaleFrom,
    SaleUntil,
    Stock,
    Quantity,
    AddedAt,
    Group,
}

/// The greatest number up to which a float holds every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Field {
    const COUNT: usize = 17;

    /// The field with one of Verge's, Google Merchant's or Facebook's names.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match &*field_name(name) {
            "id" => Self::Id,
            "name" | "title" => Self::Name,
            "category" | "product_type" | "product_types" => Self::Category,
            "google_product_category" => Self::GoogleCategory,
            "brand" => Self::Brand,
            "currency" => Self::Currency,
            "image" | "image_link" => Self::Image,
            "url" | "link" => Self::Url,
            "price" => Self::Price,
            "sale_price" => Self::SalePrice,
            "sale_price_effective_date" => Self::SaleDates,
            "sale_from" | "sale_price_start_date" => Self::SaleFrom,
            "sale_until" | "sale_price_end_date" => Self::SaleUntil,
            "in_stock" | "availability" => Self::Stock,
            "inventory" | "stock" | "stock_quantity" | "quantity_to_sell_on_facebook" => Self::Quantity,
            "added_at" => Self::AddedAt,
            "group" | "item_group_id" => Self::Group,
            _ => return None,
        })
    }
}

/// `g:Image Link` and `imageLink` are called `image_link`.
pub(super) fn field_name(name: &str) -> String {
    let name = name.trim_start_matches('\u{feff}').trim();
    let name = name.strip_prefix("g:").or_else(|| name.strip_prefix("G:")).unwrap_or(name);
    let mut field = String::with_capacity(name.len() + 2);
    let mut before = ' ';
    for sign in name.chars() {
        if sign.is_uppercase() && before.is_lowercase() {
            field.push('_');
        }
        before = sign;
        match sign {
            ' ' | '-' => field.push('_'),
            sign => field.extend(sign.to_lowercase()),
        }
    }
    field
}

/// How the texts of a feed are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// The decimal sign of prices that can be two numbers.
    pub(super) decimal: Option<Decimal>,
    /// The order of day and month.
    pub(super) dates: Option<DateOrder>,
    /// Currency of prices that name none.
    pub(super) currency: Option<String>,
}

/// The texts of a row, by field.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    fields: [Option<(u8, String)>; Field::COUNT],
}

impl Draft {
    /// Sets a field, unless the text is empty or a placeholder. The text of the highest rank counts; of equals, the
    /// first.
    pub(super) fn set(&mut self, field: Field, rank: u8, text: &str) {
        let text = text.trim();
        // An id's placeholder is kept for the error message, and `none` may be a word for stock. Google's category
        // numbers mean nothing to readers.
        let is_absent = match field {
            Field::Id | Field::Stock => text.is_empty(),
            _ => is_placeholder(text),
        };
        if is_absent || (field == Field::GoogleCategory && text.parse::<u32>().is_ok()) {
            return;
        }
        let known = &mut self.fields[field as usize];
        if known.as_ref().is_none_or(|(known, _)| *known < rank) {
            *known = Some((rank, text.to_owned()));
        }
    }

    /// Sets a field to a value of JSON. A list of names of categories is a path; of other lists, the first element
    /// counts. A price may be `{"value": "12.99", "currency": "EUR"}`.
    ///
    /// # Errors
    /// The value has the wrong type.
    pub(super) fn set_json(&mut self, field: Field, value: &Value) -> Result<(), String> {
        let scalar = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(yes) => Some(yes.to_string()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        match value {
            Value::Null => {}
            Value::Bool(_) | Value::Array(_) if field == Field::Id => {
                return Err("expected a text or a number".to_owned());
            }
            Value::Number(number) if field == Field::Id && number.is_f64() => {
                let number = number.as_f64().filter(|number| number.abs() <= EXACT);
                let number = number.ok_or("has more digits than the number keeps; send a text")?;
                self.set(field, 0, &number.to_string());
            }
            Value::Number(number) if matches!(field, Field::Price | Field::SalePrice) => {
                // In JSON the point is the decimal sign; six decimals leave one reading.
                let number = number.as_f64().filter(|number| number.is_finite()).unwrap_or(-1.0);
                self.set(field, 0, &if number < 1e-6 { number.to_string() } else { format!("{number:.6}") });
            }
            Value::Array(list) => {
                let texts: Vec<String> =
                    list.iter().filter_map(scalar).filter(|text| !text.trim().is_empty()).collect();
                if texts.is_empty() && !list.is_empty() {
                    return Err("expected a text or a list of texts".to_owned());
                }
                let one_path = field == Field::Category && !texts.iter().any(|text| text.contains('>'));
                let text =
                    if one_path { texts.join(" > ") } else { texts.into_iter().next().unwrap_or_default() };
                self.set(field, 0, &text);
            }
            Value::Object(parts) if matches!(field, Field::Price | Field::SalePrice) => {
                let value = parts.get("value").or_else(|| parts.get("amount"));
                let Some(amount) = value.filter(|value| scalar(value).is_some()) else {
                    return Err("expected a number, a text, or a value with its currency".to_owned());
                };
                self.set_json(field, amount)?;
                if let Some(Value::String(currency)) =
                    parts.get("currency").or_else(|| parts.get("currencyCode"))
                {
                    self.set(Field::Currency, 0, currency);
                }
            }
            value => match scalar(value) {
                Some(text) => self.set(field, 0, &text),
                None => return Err("expected a text or a number".to_owned()),
            },
        }
        Ok(())
    }

    /// The id; empty if there is none.
    pub(super) fn id(&self) -> &str {
        whole(self.get(Field::Id).unwrap_or(""))
    }

    /// The text of a field.
    pub(super) fn get(&self, field: Field) -> Option<&str> {
        self.fields[field as usize].as_ref().map(|(_, text)| &**text)
    }

    /// Records how prices and dates are written.
    pub(super) fn survey(&self, marks: &mut Marks, dates: &mut OrderSurvey) {
        for field in [Field::Price, Field::SalePrice] {
            if let Some(price) =
                self.get(field).and_then(|text| price::read(text, self.get(Field::Currency)).ok())
            {
                marks.see(price.number);
            }
        }
        let (from, until) =
            self.get(Field::SaleDates).and_then(|text| text.split_once('/')).unwrap_or_default();
        let fields =
            [Field::SaleFrom, Field::SaleUntil, Field::AddedAt].map(|field| self.get(field).unwrap_or(""));
        fields.into_iter().chain([from, until]).for_each(|text| dates.see(text));
    }

    /// The item, and the fields that could not be read and were left out.
    ///
    /// # Errors
    /// There is no id, or a price, the currency or the sale cannot be read.
    pub(super) fn finish(&self, reading: &Reading) -> Result<(Item, Vec<Wrong>), Wrong> {
        let id = self.id();
        match id {
            "" => return Err(Wrong::new("id", "missing")),
            id if is_placeholder(id) => {
                return Err(Wrong::new("id", format!("'{}' is a placeholder, not an id", shown(id))));
            }
            _ => {}
        }
        let text = |field| self.get(field).map(str::to_owned);
        let mut warnings = Vec::new();
        let mut item = Item {
            id: id.to_owned(),
            name: text(Field::Name),
            category: text(Field::Category).or_else(|| text(Field::GoogleCategory)),
            brand: text(Field::Brand),
            currency: text(Field::Currency),
            image: text(Field::Image),
            url: text(Field::Url),
            group: text(Field::Group),
            ..Item::default()
        };
        self.prices(&mut item, reading, &mut warnings)?;
        item.in_stock = self.stock(&mut warnings);
        if let Some(at) = self.get(Field::AddedAt) {
            item.added_at = times::read(at, reading.dates);
            if item.added_at.is_none() {
                warnings.push(Wrong::new("added_at", no_time(at)));
            }
        }
        Ok((check(item)?, warnings))
    }

    fn prices(&self, item: &mut Item, reading: &Reading, warnings: &mut Vec<Wrong>) -> Result<(), Wrong> {
        let read = |field, name: &str| -> Result<Option<(f64, Option<&'static str>)>, Wrong> {
            let Some(text) = self.get(field) else { return Ok(None) };
            let wrong = |error: String| Wrong::new(name, format!("'{}' {error}", shown(text)));
            let currency = self.get(Field::Currency).or(reading.currency.as_deref());
            let price = price::read(text, currency).map_err(|error| wrong(error.to_string()))?;
            let number = price.number.resolve(reading.decimal).map_err(|(one, other)| {
                wrong(format!("can be {one} or {other}; set `decimal` to \".\" or \",\""))
            })?;
            Ok(Some((number, price.currency)))
        };
        if let Some((price, named)) = read(Field::Price, "price")? {
            item.price = Some(price);
            item.currency = named.map(str::to_owned).or(item.currency.take());
        }
        if let Some((sale, named)) = read(Field::SalePrice, "sale_price")? {
            let known = item.currency.as_deref();
            let other = named.filter(|named| known.is_some_and(|known| !known.eq_ignore_ascii_case(named)));
            match other {
                Some(named) => {
                    let error =
                        format!("is in {named}, the price in {}; left out", known.unwrap_or_default());
                    warnings.push(Wrong::new("sale_price", error));
                }
                // Many exports write 0 if there is no sale.
                None if sale == 0.0 && item.price.is_some_and(|price| price > 0.0) => {
                    warnings.push(Wrong::new("sale_price", "is 0; left out"));
                }
                None => {
                    item.sale_price = Some(sale);
                    item.currency = item.currency.take().or(named.map(str::to_owned));
                }
            }
        }
        if item.currency.is_none() && (item.price.is_some() || item.sale_price.is_some()) {
            item.currency.clone_from(&reading.currency);
        }
        if item.sale_price.is_none() {
            return Ok(());
        }
        let (from, until) = match self.get(Field::SaleDates) {
            Some(dates) => {
                let wrong =
                    || Wrong::new("sale_price_effective_date", format!("'{}' is no time/time", shown(dates)));
                dates.split_once('/').map(|(from, until)| (Some(from), Some(until))).ok_or_else(wrong)?
            }
            None => (self.get(Field::SaleFrom), self.get(Field::SaleUntil)),
        };
        let time = |text: Option<&str>, name: &str, last: bool| -> Result<Option<Timestamp>, Wrong> {
            let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
            let at = times::read(text, reading.dates).ok_or_else(|| Wrong::new(name, no_time(text)))?;
            // A sale that ends on a day lasts until the end of that day.
            Ok(Some(if last && times::is_date(text) { Timestamp(at.0.saturating_add(DAY_MS)) } else { at }))
        };
        item.sale_from = time(from, "sale_from", false)?;
        item.sale_until = time(until, "sale_until", true)?;
        let wrong = if item.price.zip(item.sale_price).is_some_and(|(price, sale)| sale > price) {
            "is higher than the price; left out"
        } else if item.sale_from.zip(item.sale_until).is_some_and(|(from, until)| from >= until) {
            "ends before it begins; left out"
        } else {
            return Ok(());
        };
        warnings.push(Wrong::new("sale_price", wrong));
        (item.sale_price, item.sale_from, item.sale_until) = (None, None, None);
        Ok(())
    }

    fn stock(&self, warnings: &mut Vec<Wrong>) -> Option<bool> {
        for (field, name) in [(Field::Stock, "availability"), (Field::Quantity, "quantity")] {
            match self.get(field).map(availability::read) {
                Some(Ok(available)) => return Some(available),
                Some(Err(error)) => warnings.push(Wrong::new(name, error)),
                None => {}
            }
        }
        None
    }
}

fn no_time(text: &str) -> String {
    format!(
        "'{}' is no time such as 2026-11-20T10:15:30Z, or its day and month cannot be told apart",
        shown(text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(fields: &[(&str, &str)], reading: &Reading) -> Result<(Item, Vec<Wrong>), Wrong> {
        let mut draft = Draft::default();
        for (name, text) in fields {
            draft.set(Field::of(name).unwrap(), 0, text);
        }
        draft.finish(reading)
    }

    #[test]
    fn names_are_those_of_verge_google_and_facebook() {
        for (name, field) in [
            ("g:image_link", Field::Image),
            ("Image Link", Field::Image),
            ("imageLink", Field::Image),
            ("ID", Field::Id),
            ("sale price effective date", Field::SaleDates),
            ("Item-Group-ID", Field::Group),
        ] {
            assert_eq!(Field::of(name), Some(field), "{name}");
        }
        assert_eq!(Field::of("colour"), None);
    }

    #[test]
    fn a_price_of_two_readings_is_refused_with_both() {
        let price = [("id", "1"), ("price", "2.450 EUR")];
        let wrong = read(&price, &Reading::default()).unwrap_err();
        assert!(wrong.field == "price" && wrong.error.contains("2.45 or 2450"), "{wrong}");
        let comma = Reading { decimal: Some(Decimal::Comma), ..Reading::default() };
        assert_eq!(read(&price, &comma).unwrap().0.price, Some(2450.0));
        let pounds = Reading { currency: Some("GBP".to_owned()), ..Reading::default() };
        let item = read(&[("id", "1"), ("price", "2,450")], &pounds).unwrap().0;
        assert_eq!((item.price, item.currency.as_deref()), (Some(2450.0), Some("GBP")));
    }

    #[test]
    fn a_sale_keeps_the_regular_price_and_its_dates() {
        let sale = |more: &[(&str, &str)]| {
            let fields = [&[("id", "1"), ("price", "20 EUR"), ("sale_price", "15 EUR")], more].concat();
            read(&fields, &Reading::default())
        };
        let (item, warnings) =
            sale(&[("sale_price_effective_date", "2025-03-09T00:00+0100/2025-03-10T00:00+0100")]).unwrap();
        assert_eq!((item.price, item.sale_price, warnings.len()), (Some(20.0), Some(15.0), 0));
        assert_eq!(item.sale_from.unwrap().to_string(), "2025-03-08T23:00:00Z");
        let (item, _) = sale(&[("sale_until", "2025-03-10")]).unwrap();
        assert_eq!(item.sale_until.unwrap().to_string(), "2025-03-11T00:00:00Z");
        assert_eq!(
            sale(&[("sale_price_effective_date", "soon")]).unwrap_err().field,
            "sale_price_effective_date"
        );
        for no_sale in ["25", "0.00", "15 USD"] {
            let (item, warnings) =
                read(&[("id", "1"), ("price", "20 EUR"), ("sale_price", no_sale)], &Reading::default())
                    .unwrap();
            assert_eq!((item.sale_price, &*warnings[0].field), (None, "sale_price"), "{no_sale}");
            assert_eq!((item.price, item.currency.as_deref()), (Some(20.0), Some("EUR")));
        }
    }

    #[test]
    fn json_values_are_read_as_they_are_meant() {
        let mut draft = Draft::default();
        for (name, value) in [
            ("id", json!(39910.0)),
            ("title", json!("Cup")),
            ("price", json!({"value": "12.99", "currency": "EUR"})),
            ("salePrice", json!(11.234)),
            ("category", json!(["Home", "Dr. Cups"])),
            ("image_link", json!(["a.jpg", "b.jpg"])),
            ("in_stock", json!(0)),
            ("brand", json!(null)),
        ] {
            draft.set_json(Field::of(name).unwrap(), &value).unwrap();
        }
        let (item, warnings) = draft.finish(&Reading::default()).unwrap();
        assert!(warnings.is_empty());
        assert_eq!((&*item.id, item.price, item.sale_price), ("39910", Some(12.99), Some(11.234)));
        assert_eq!(
            (item.category.as_deref(), item.image.as_deref()),
            (Some("Home > Dr. Cups"), Some("a.jpg"))
        );
        assert_eq!((item.in_stock, item.currency.as_deref(), item.brand), (Some(false), Some("EUR"), None));
        assert!(draft.set_json(Field::Name, &json!({"a": 1})).is_err());
        for id in [json!(true), json!(["7"]), json!(1e300)] {
            assert!(draft.set_json(Field::Id, &id).is_err(), "{id}");
        }
        assert!(
            draft.set_json(Field::Price, &json!(-1)).is_ok()
                && Draft::default().finish(&Reading::default()).is_err()
        );
    }
}
