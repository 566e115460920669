//! Any table with a header: a mapping says which column holds what.

use crate::import::{
    Batch, Catalogue, Importer, Parsed, Row, Watched, event, item_id,
    table::{self, Columns, plain},
};
use anyhow::bail;
use origin_data::{
    Item,
    fields::{self, Reject, filled, parse_area, parse_currency, shown, whole},
};
use snapshots::{
    category,
    event::{Event, Kind, MAX_FIELD, is_printable},
};
use std::str::FromStr;

/// The fields that a column can be mapped to.
const TARGETS: [&str; 15] = [
    "item", "at", "kind", "visitor", "session", "quantity", "price", "currency", "area", "id", "name",
    "category", "brand", "image", "url",
];

/// The source of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    Column(String),
    /// The same for all rows.
    Constant(String),
}

/// The source of each field of events and items: `item=sku,at=ts,kind=event`, or `kind='purchase'` for all rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping([Option<From>; TARGETS.len()]);

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut mapping = Self::default();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let wrong = || format!("'{}' is not FIELD=COLUMN or FIELD='VALUE'", shown(pair));
            let (target, source) = pair.split_once('=').ok_or_else(wrong)?;
            let (target, source) = (target.trim(), source.trim());
            let Some(place) = TARGETS.iter().position(|name| *name == target) else {
                return Err(format!(
                    "there is no field '{}'; fields are {}",
                    shown(target),
                    TARGETS.join(", ")
                ));
            };
            let constant = source.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            let from = match constant {
                Some(value) => From::Constant(value.to_owned()),
                None if source.is_empty() => return Err(wrong()),
                None => From::Column(source.to_owned()),
            };
            if mapping.0[place].replace(from).is_some() {
                return Err(format!("the field '{target}' is mapped twice"));
            }
        }
        Ok(mapping)
    }
}

impl Mapping {
    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

#[derive(Clone, Debug)]
enum Place {
    Absent,
    Column(usize),
    Constant(String),
}

/// The importer.
pub struct Mapped {
    mapping: Mapping,
    /// For finding the delimiter.
    names: Vec<&'static str>,
    places: Vec<Place>,
    catalogue: Catalogue,
    /// How many quantities were rounded, and the line of the first.
    rounded: (u64, u64),
}

impl Mapped {
    /// An importer with a mapping. If it is empty, columns have the names of the fields.
    pub fn new(mapping: Mapping) -> Self {
        Self {
            mapping,
            names: TARGETS.to_vec(),
            places: vec![Place::Absent; TARGETS.len()],
            catalogue: Catalogue::default(),
            rounded: (0, 0),
        }
    }
}

/// A quantity as events have it; counts in `rounded` those that were not whole, and keeps the line of the first.
fn whole_quantity(quantity: f64, line: u64, rounded: &mut (u64, u64)) -> Result<u32, Reject> {
    let whole = if quantity > 0.0 { quantity.round().max(1.0) } else { 0.0 };
    if !(1.0..=f64::from(u32::MAX)).contains(&whole) {
        let detail = format!("quantity {quantity} is not above 0 and up to {}", u32::MAX);
        return Err(Reject::new("bad number", detail));
    }
    if whole != quantity {
        *rounded = (rounded.0 + 1, if rounded.0 == 0 { line } else { rounded.1 });
    }
    Ok(whole as u32)
}

fn index(target: &str) -> usize {
    TARGETS.iter().position(|name| *name == target).unwrap_or_default()
}

impl Importer for Mapped {
    fn names(&self) -> &[&str] {
        &self.names
    }

    fn header(&mut self, columns: &Columns) -> anyhow::Result<Option<Watched>> {
        let by_name = self.mapping.is_empty();
        for (place, target) in TARGETS.iter().enumerate() {
            self.places[place] = match &self.mapping.0[place] {
                None if by_name => columns.find(&[target]).map_or(Place::Absent, Place::Column),
                None => Place::Absent,
                Some(From::Constant(value)) => Place::Constant(value.clone()),
                Some(From::Column(name)) => Place::Column(columns.need(&[&plain(name)])?),
            };
        }
        let has = |target: &str| !matches!(self.places[index(target)], Place::Absent);
        if !has("item") {
            bail!("no column is mapped to `item`; say --map item=COLUMN,at=COLUMN,kind=COLUMN");
        }
        if has("at") != has("kind") {
            bail!(
                "events need both `at` and `kind`; map both, such as at=COLUMN,kind='purchase', or neither for items alone"
            );
        }
        let column = |target: &str| match self.places[index(target)] {
            Place::Column(place) => Some(place),
            _ => None,
        };
        Ok(Some(Watched { time: column("at"), price: column("price"), default_order: None }))
    }

    fn row(&mut self, row: Row<'_>, events: &mut Batch<'_>) -> Result<Parsed, Reject> {
        let text = |target: &str| match &self.places[index(target)] {
            Place::Absent => None,
            Place::Column(place) => filled(row.fields.get(*place)),
            Place::Constant(value) => filled(value),
        };
        let bad = |field: &str, error: String| Reject::new("bad field", format!("{field}: {error}"));
        let short = |field: &str| match text(field).map(whole) {
            Some(value) if !is_printable(value, MAX_FIELD) => {
                Err(bad(field, format!("expected 1 to {MAX_FIELD} printable bytes")))
            }
            value => Ok(value.map(str::to_owned)),
        };
        let item = match &self.places[index("item")] {
            Place::Column(place) => row.fields.get(*place),
            Place::Constant(value) => value,
            Place::Absent => "",
        };
        let item = item_id(whole(item.trim()))?;
        let of_row =
            text("currency").map(parse_currency).transpose().map_err(|error| bad("currency", error))?;
        let default = &events.defaults.currency;
        let context = of_row.as_deref().or(default.as_deref());
        let price = table::price(text("price").unwrap_or(""), row.reading, context)?;
        let (price, named) = price.filter(|(price, _)| *price >= 0.0).unzip();
        let named = named.flatten().map(str::to_owned);
        if let (Some(row), Some(named)) = (&of_row, &named)
            && row != named
        {
            return Err(bad("price", format!("it is in {named}, the row's currency is {row}")));
        }
        let currency = of_row.or(named);
        let is_event = !matches!(self.places[index("kind")], Place::Absent);
        if is_event {
            let kind = text("kind").unwrap_or("");
            let kind =
                kind_of(kind).ok_or_else(|| Reject::new("unknown kind", format!("'{}'", shown(kind))))?;
            let at = table::time(text("at").unwrap_or(""), row.reading)?;
            let quantity = table::quantity(text("quantity").unwrap_or(""), row.reading)?;
            let rounded = &mut self.rounded;
            let quantity =
                quantity.map(|quantity| whole_quantity(quantity, row.line, rounded)).transpose()?;
            events.push(Event {
                id: short("id")?.unwrap_or_default(),
                visitor: short("visitor")?,
                session: short("session")?,
                region: text("area").map(parse_area).transpose().map_err(|error| bad("area", error))?,
                quantity,
                price,
                currency: currency.clone(),
                ..event(kind, item, at)?
            })?;
        }
        let described =
            ["name", "category", "brand", "image", "url"].iter().any(|field| text(field).is_some());
        if described || !is_event {
            let address =
                |field: &str| text(field).filter(|address| is_printable(address, 2_048)).map(str::to_owned);
            self.catalogue.update(Item {
                id: item.to_owned(),
                name: text("name").and_then(fields::name),
                category: text("category").map(category::path).filter(|path| !path.is_empty()),
                brand: text("brand").and_then(fields::name),
                image: address("image"),
                url: address("url"),
                price,
                currency,
                ..Item::default()
            });
        }
        Ok(if is_event { Parsed::Events } else { Parsed::Catalogue })
    }

    fn items(&mut self) -> Vec<Item> {
        self.catalogue.take()
    }

    fn notes(&mut self) -> Vec<String> {
        let (count, first) = std::mem::take(&mut self.rounded);
        if count == 0 {
            Vec::new()
        } else {
            vec![format!("quantity rounded {count} times, first in line {first}")]
        }
    }
}

/// A kind by Verge's, GA4's or Segment's name, or by another usual word.
fn kind_of(text: &str) -> Option<Kind> {
    Kind::from_name(text).or_else(|| {
        Some(match &*plain(text) {
            "view" | "viewitem" | "productviewed" | "pageview" | "detail" | "productview" | "pv" => {
                Kind::View
            }
            "click" | "selectitem" | "productclicked" | "select" | "fav" | "favorite" | "wishlist" => {
                Kind::Click
            }
            "cart" | "addtocart" | "productadded" | "add" | "basket" => Kind::Cart,
            "purchase" | "buy" | "order" | "transaction" | "ordercompleted" | "sale" => Kind::Purchase,
            "impression" => Kind::from_name("impression")?,
            _ => return None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::pipeline::tests::import_table;

    #[test]
    fn columns_are_what_the_mapping_says() {
        let map =
            "item=sku,at=When,kind=Action,visitor=user id,price=amount,quantity=n,name=title,category=path";
        let rows = "path;title;sku;When;Action;user id;amount;n\n\
            Home>Cups;Cup;7.0;13.2.2025 10:00;Add to cart;u1;12,50;2.0\n\
            ;Jug;8;1.2.2025 10:00;buy;NULL;9,00;\n\
            ;Jug;8;1.2.2025 10:00;dance;;;\n\
            ;Jug;undefined;1.2.2025 10:00;buy;;;\n\
            ;Jug;8;1.2.2025 10:00;buy;;;0\n\
            ;Jug;9;1.2.2025 10:00;buy;;;2,6\n";
        let mut importer = Mapped::new(map.parse().unwrap());
        let (events, refused, items) = import_table(&mut importer, rows);
        assert_eq!(refused, ["unknown kind", "bad item id", "bad number"]);
        let [cart, buy, rounded] = &events[..] else { panic!("{events:?}") };
        assert_eq!(rounded.quantity, Some(3));
        assert_eq!(importer.notes(), ["quantity rounded 1 times, first in line 7"]);
        assert_eq!(
            (cart.kind, &*cart.item, cart.price, cart.quantity),
            (Kind::Cart, "7", Some(12.5), Some(2))
        );
        assert_eq!(
            (cart.at.to_string(), cart.visitor.as_deref()),
            ("2025-02-13T10:00:00Z".to_owned(), Some("u1"))
        );
        assert_eq!((buy.kind, &buy.visitor), (Kind::Purchase, &None));
        assert_eq!(items[0].category.as_deref(), Some("Home > Cups"));
    }

    #[test]
    fn a_constant_stands_for_a_column_and_items_need_no_event() {
        let bought = "item=sku,at=ts,kind='purchase'".parse().unwrap();
        let (events, _, items) = import_table(&mut Mapped::new(bought), "sku,ts\n5,1741503909000000\n");
        assert_eq!(
            (events[0].kind, events[0].at.to_string(), items.len()),
            (Kind::Purchase, "2025-03-09T07:05:09Z".to_owned(), 0)
        );
        let (events, _, items) =
            import_table(&mut Mapped::new("item=sku,name=label".parse().unwrap()), "sku,label\n5,Cup\n");
        assert_eq!((events.len(), items[0].name.as_deref()), (0, Some("Cup")));
    }

    #[test]
    fn mistakes_in_a_mapping_are_told() {
        let error = |text: &str| text.parse::<Mapping>().unwrap_err();
        assert!(error("item").contains("FIELD=COLUMN") && error("sku=item").contains("fields are item"));
        assert!(error("item=a,item=b").contains("twice"));
        let header = |map: &str, columns: &str| {
            let mut splitter = origin_data::records::Splitter::new(b',');
            Mapped::new(map.parse().unwrap())
                .header(&Columns::new(&splitter.split(columns)))
                .unwrap_err()
                .to_string()
        };
        assert!(header("item=sku", "id,ts").contains("'sku'"));
        assert!(
            header("at=ts", "id,ts").contains("item=COLUMN")
                && header("item=id,at=ts", "id,ts").contains("both")
        );
    }
}
