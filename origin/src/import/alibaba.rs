//! The Alibaba sample: clicks, collects, carts and purchases by the day, and the items' features.
//!
//! A line of four fields is an event (`user item kind yyyymmdd`), one of five an item (`item top-category category
//! brand price`), separated by tabs. A click (1) opens the item's page and is a view; a collect (2) is weaker than
//! the cart and is a click. The log has days without times, in no order: each event is at 00:00 UTC of its day, in
//! the order of the file, and a session is all events of a user in a day. Brand 0 means none.

use crate::import::{Batch, Catalogue, Importer, Parsed, Row, event, item_id};
use origin_data::Item;
use origin_data::fields::Reject;
use origin_data::fields::{self, shown};
use snapshots::event::{Event, Kind};
use snapshots::time::Timestamp;

/// The items' features so far.
#[derive(Default)]
pub(super) struct Alibaba(Catalogue);

impl Importer for Alibaba {
    fn row(&mut self, row: Row<'_>, events: &mut Batch<'_>) -> Result<Parsed, Reject> {
        if row.text.split('\t').count() == 5 {
            return self.item(row.text);
        }
        let [user, item, kind, day] = fields::tabs::<4>(row.text)?;
        let kind = match kind {
            "1" => Kind::View,
            "2" => Kind::Click,
            "3" => Kind::Cart,
            "4" => Kind::Purchase,
            other => {
                let detail = format!("'{}'; 1 click, 2 collect, 3 cart, 4 buy", shown(other));
                return Err(Reject::new("unknown kind", detail));
            }
        };
        let at = parse_day(day)
            .ok_or_else(|| Reject::new("bad date", format!("'{}', expected yyyymmdd", shown(day))))?;
        events.push(Event {
            visitor: Some(user.to_owned()),
            session: Some(day.to_owned()),
            ..event(kind, item, at)?
        })?;
        Ok(Parsed::Events)
    }

    fn items(&mut self) -> Vec<Item> {
        self.0.take()
    }
}

impl Alibaba {
    fn item(&mut self, text: &str) -> Result<Parsed, Reject> {
        let [item, top, category, brand, price] = fields::tabs::<5>(text)?;
        self.0.update(Item {
            id: item_id(item)?.to_owned(),
            category: Some(format!("{top} > {category}")),
            brand: (brand != "0" && !brand.is_empty()).then(|| brand.to_owned()),
            price: fields::price(price)?.filter(|price| *price > 0.0),
            ..Item::default()
        });
        Ok(Parsed::Catalogue)
    }
}

fn parse_day(day: &str) -> Option<Timestamp> {
    if day.len() != 8 || !day.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = day.split_at(4);
    let (month, day) = rest.split_at(2);
    Timestamp::parse(&format!("{year}-{month}-{day}T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::pipeline::Defaults;

    #[test]
    fn events_and_items_are_told_by_their_fields() {
        let mut importer = Alibaba::default();
        let defaults = Defaults { now: Timestamp(1_795_000_000_000), ..Defaults::default() };
        let mut events = Batch::new(&defaults);
        let mut row = |text: &str| importer.row(Row::of_line("s", 1, text), &mut events);
        assert_eq!(row("5\t700\t1\t20190616"), Ok(Parsed::Events));
        assert_eq!(row("5\t700\t2\t20190611"), Ok(Parsed::Events));
        assert_eq!(row("700\t33\t50002\t0\t21.8"), Ok(Parsed::Catalogue));
        assert_eq!(row("5\t700\t0\t2").unwrap_err().reason, "unknown kind");
        assert_eq!(row("5\t700\t1\t20191316").unwrap_err().reason, "bad date");
        assert_eq!(row("5\t700\t1\t2019é6").unwrap_err().reason, "bad date");
        assert_eq!(row("5 700 1").unwrap_err().reason, "wrong columns");
        assert_eq!((events.events[0].kind, events.events[1].kind), (Kind::View, Kind::Click));
        assert_eq!(events.events[0].at.to_string(), "2019-06-16T00:00:00Z");
        assert_ne!(events.events[0].session, events.events[1].session);
        let items = importer.items();
        assert_eq!((items[0].category.as_deref(), &items[0].brand), (Some("33 > 50002"), &None));
        assert_eq!(items[0].price, Some(21.8));
    }
}
