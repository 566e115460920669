//! REES46: clicks, carts and purchases of a multi-category store, with brands and prices.

use crate::import::{
    Batch, Catalogue, Importer, Parsed, Row, Watched, event, item_id,
    table::{self, Columns},
};
use origin_data::Item;
use origin_data::fields::{self, Reject, filled, shown, whole};
use snapshots::event::{Event, Kind};

/// Items by their latest events.
#[derive(Default)]
pub(super) struct Rees46 {
    catalogue: Catalogue,
    columns: Places,
}

/// Where the columns are.
#[derive(Clone, Copy, Default)]
struct Places {
    time: usize,
    kind: usize,
    item: usize,
    category_id: Option<usize>,
    category_code: Option<usize>,
    brand: Option<usize>,
    price: Option<usize>,
    user: Option<usize>,
    session: Option<usize>,
}

impl Importer for Rees46 {
    fn names(&self) -> &[&str] {
        &[
            "eventtime",
            "eventtype",
            "productid",
            "categoryid",
            "categorycode",
            "brand",
            "price",
            "userid",
            "usersession",
        ]
    }

    fn header(&mut self, columns: &Columns) -> anyhow::Result<Option<Watched>> {
        self.columns = Places {
            time: columns.need(&["eventtime"])?,
            kind: columns.need(&["eventtype"])?,
            item: columns.need(&["productid"])?,
            category_id: columns.find(&["categoryid"]),
            category_code: columns.find(&["categorycode"]),
            brand: columns.find(&["brand"]),
            price: columns.find(&["price"]),
            user: columns.find(&["userid"]),
            session: columns.find(&["usersession"]),
        };
        Ok(Some(Watched { time: Some(self.columns.time), price: self.columns.price, default_order: None }))
    }

    fn row(&mut self, row: Row<'_>, events: &mut Batch<'_>) -> Result<Parsed, Reject> {
        let Places { time, kind, item, category_id, category_code, brand, price, user, session } =
            self.columns;
        let optional = |place: Option<usize>| filled(place.map_or("", |place| row.fields.get(place)));
        let kind = row.fields.get(kind).trim();
        let Some(kind) = Kind::from_name(kind) else {
            return Err(if kind.eq_ignore_ascii_case("remove_from_cart") {
                Reject::new("removed from cart", "takes an interest back")
            } else {
                Reject::new("unknown kind", format!("'{}'", shown(kind)))
            });
        };
        let item = item_id(whole(row.fields.get(item).trim()))?;
        let at = table::time(row.fields.get(time), row.reading)?;
        // The log has 0 for an unknown price, and negative prices of a few returns.
        let price = table::price(optional(price).unwrap_or(""), row.reading, None)?;
        let (price, currency) = price.filter(|(price, _)| *price > 0.0).unzip();
        let currency = currency.flatten().map(str::to_owned);
        let name = |text: Option<&str>| text.map(|text| whole(text).to_owned());
        events.push(Event {
            visitor: name(optional(user)),
            session: name(optional(session)),
            price,
            currency: currency.clone(),
            ..event(kind, item, at)?
        })?;
        // A path has dots between its names. Without a path the id is the category, unless a float has changed its
        // digits.
        let id = optional(category_id).map(whole).filter(|id| !id.contains(['e', 'E', '.']));
        let category = optional(category_code).map(|path| path.replace('.', " > "));
        self.catalogue.update(Item {
            id: item.to_owned(),
            category: category.or_else(|| id.map(str::to_owned)),
            brand: optional(brand).and_then(fields::name),
            price,
            currency,
            ..Item::default()
        });
        Ok(Parsed::Events)
    }

    fn items(&mut self) -> Vec<Item> {
        self.catalogue.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::pipeline::tests::import_table;

    #[test]
    fn kinds_brands_and_categories_are_read() {
        let rows = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n\
            2019-10-01 00:00:01 UTC,view,77,9001,furniture.sofa,acme,543.10,12,ab-cd\n\
            2019-10-01 00:00:02 UTC,cart,77,9001,,,540.00,12,ab-cd\n\
            2019-10-01 00:00:03 UTC,purchase,78.0,9002,NaN,None,0.00,12.0,\\N\n\
            2019-10-01 00:00:04 UTC,remove_from_cart,78,9002,,,1,12,x\n\
            2019-10-01 00:00:04 UTC,gaze,78,9002,,,1,12,x\n\
            yesterday,view,78,9002,,,1,12,x\n\
            2019-10-01 00:00:04 UTC,view,,9002,,,1,12,x\n";
        let (events, refused, items) = import_table(&mut Rees46::default(), rows);
        assert_eq!(refused, ["removed from cart", "unknown kind", "bad date", "bad item id"]);
        assert_eq!(
            events.iter().map(|event| event.kind).collect::<Vec<_>>(),
            [Kind::View, Kind::Cart, Kind::Purchase]
        );
        assert_eq!(events[0].at.to_string(), "2019-10-01T00:00:01Z");
        assert_eq!((events[2].session.as_deref(), events[2].price), (None, None));
        assert_eq!((events[2].visitor.as_deref(), &*events[2].item), (Some("12"), "78"));
        // The second event knew no category code: the path that is known stays.
        assert_eq!(items[0].category.as_deref(), Some("furniture > sofa"));
        assert_eq!((items[0].brand.as_deref(), items[0].price), (Some("acme"), Some(540.0)));
        assert_eq!((items[1].category.as_deref(), &items[1].brand), (Some("9002"), &None));
    }

    #[test]
    fn columns_are_found_in_any_order() {
        let rows = ";user_id;price;product_id;event_type;event_time\n0;7;12,50;5;view;2019-10-01T00:00:01Z\n";
        let (events, refused, items) = import_table(&mut Rees46::default(), rows);
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!((events[0].visitor.as_deref(), events[0].price, items.len()), (Some("7"), Some(12.5), 1));
    }
}
