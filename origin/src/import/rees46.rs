//! REES46: clicks, carts and purchases of a multi-category store, with brands and prices.

use crate::import::{Catalogue, Importer, Parsed, Row, event, item_id};
use origin_data::Item;
use origin_data::fields::Reject;
use origin_data::fields::{self, filled, shown};
use snapshots::event::{Event, Kind};
use snapshots::time::Timestamp;

/// Items as their latest event shows them.
#[derive(Default)]
pub struct Rees46(Catalogue);

impl Importer for Rees46 {
    fn start_file(&mut self, first: &str) -> anyhow::Result<bool> {
        Ok(first.starts_with("event_time"))
    }

    fn row(&mut self, row: Row<'_>, events: &mut Vec<Event>) -> Result<Parsed, Reject> {
        let [time, kind, item, category_id, category_code, brand, price, user, session] =
            fields::csv::<9>(row.text)?;
        let kind = match kind.trim() {
            "view" => Kind::View,
            "cart" => Kind::Cart,
            "purchase" => Kind::Purchase,
            "remove_from_cart" => return Err(Reject::new("removed from cart", "takes an interest back")),
            other => return Err(Reject::new("unknown kind", format!("'{}'", shown(other)))),
        };
        let item = item_id(item.trim())?;
        let utc = time.trim().trim_end_matches(" UTC");
        let at = Timestamp::parse(&format!("{utc}Z"))
            .ok_or_else(|| Reject::new("bad date", format!("'{}'", shown(&time))))?;
        // The log writes 0 where it does not know, and a few returns below it.
        let price = fields::price(&price)?.filter(|price| *price > 0.0);
        events.push(Event {
            visitor: filled(&user).map(str::to_owned),
            session: filled(&session).map(str::to_owned),
            price,
            ..event(kind, item, at)?
        });
        self.0.update(Item {
            id: item.to_owned(),
            // A path is written with dots.
            category: filled(&category_code)
                .map(|path| path.replace('.', " > "))
                .or(filled(&category_id).map(str::to_owned)),
            brand: fields::name(&brand),
            price,
            ..Item::default()
        });
        Ok(Parsed::Events)
    }

    fn items(&mut self) -> Vec<Item> {
        self.0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_brands_and_categories_are_read() {
        let mut importer = Rees46::default();
        let mut events = Vec::new();
        let mut row = |text: &str| importer.row(Row { source: "s", line: 1, text }, &mut events);
        row("2019-10-01 00:00:01 UTC,view,77,9001,furniture.sofa,acme,543.10,12,ab-cd").unwrap();
        row("2019-10-01 00:00:02 UTC,cart,77,9001,,,540.00,12,ab-cd").unwrap();
        row("2019-10-01 00:00:03 UTC,purchase,78,9002,,,0.00,12,").unwrap();
        let reason = |result: Result<Parsed, Reject>| result.unwrap_err().reason;
        assert_eq!(
            reason(row("2019-10-01 00:00:04 UTC,remove_from_cart,78,9002,,,1,12,x")),
            "removed from cart"
        );
        assert_eq!(reason(row("2019-10-01 00:00:04 UTC,gaze,78,9002,,,1,12,x")), "unknown kind");
        assert_eq!(reason(row("yesterday,view,78,9002,,,1,12,x")), "bad date");
        assert_eq!(reason(row("2019-10-01 00:00:04 UTC,view,,9002,,,1,12,x")), "bad item id");
        assert_eq!(
            events.iter().map(|event| event.kind).collect::<Vec<_>>(),
            [Kind::View, Kind::Cart, Kind::Purchase]
        );
        assert_eq!(events[0].at.to_string(), "2019-10-01T00:00:01Z");
        assert_eq!((events[2].session.as_deref(), events[2].price), (None, None));
        let items = importer.items();
        // The second event knew no category code: its id counts, the brand stays.
        assert_eq!(items[0].category.as_deref(), Some("9001"));
        assert_eq!((items[0].brand.as_deref(), items[0].price), (Some("acme"), Some(540.0)));
        assert_eq!(items[1].category.as_deref(), Some("9002"));
    }
}
