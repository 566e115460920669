//! RetailRocket: events, the items' properties over time, and the tree of categories, each a file of its own.
//!
//! The files are told apart by their headers and may come in any order, in one command. Of the properties only
//! `categoryid` and `available` have names; the others are hashed by the publisher and are passed over. A
//! property holds from its time on, so that the latest counts. Without the tree a category is its number,
//! with it the path down to it. The log has no sessions: learning cuts visits at 30 minutes of silence.

use crate::import::{Importer, Parsed, Row, event, item_id};
use anyhow::bail;
use origin_data::Item;
use origin_data::fields::Reject;
use origin_data::fields::{self, filled, shown};
use snapshots::event::{Event, Kind};
use snapshots::time::Timestamp;
use std::collections::HashMap;

/// Deeper paths are cut: a tree may have been damaged into a ring.
const MAX_DEPTH: usize = 12;

/// What the files said of items and categories so far.
#[derive(Default)]
pub(super) struct RetailRocket {
    file: File,
    items: HashMap<String, Properties>,
    parents: HashMap<String, String>,
}

#[derive(Clone, Copy, Default)]
enum File {
    #[default]
    Events,
    Properties,
    Tree,
}

/// Values with the time from which they hold.
#[derive(Default)]
struct Properties {
    category: Option<(i64, String)>,
    available: Option<(i64, bool)>,
}

impl Importer for RetailRocket {
    fn start_file(&mut self, first: &str) -> anyhow::Result<bool> {
        self.file = match first.trim() {
            "timestamp,visitorid,event,itemid,transactionid" => File::Events,
            "timestamp,itemid,property,value" => File::Properties,
            "categoryid,parentid" => File::Tree,
            other => bail!(
                "'{}' is no header of RetailRocket's; expected timestamp,visitorid,event,itemid,transactionid \
                 or timestamp,itemid,property,value or categoryid,parentid",
                shown(other)
            ),
        };
        Ok(true)
    }

    fn row(&mut self, row: Row<'_>, events: &mut Vec<Event>) -> Result<Parsed, Reject> {
        match self.file {
            File::Events => {
                events.push(read_event(row.text)?);
                Ok(Parsed::Events)
            }
            File::Properties => self.property(row.text),
            File::Tree => {
                let [category, parent] = fields::csv::<2>(row.text)?;
                if let Some(parent) = filled(&parent) {
                    self.parents.insert(category.trim().to_owned(), parent.to_owned());
                }
                Ok(Parsed::Catalogue)
            }
        }
    }

    fn items(&mut self) -> Vec<Item> {
        let items = std::mem::take(&mut self.items);
        items
            .into_iter()
            .map(|(id, properties)| Item {
                id,
                category: properties.category.map(|(_, category)| self.path(category)),
                in_stock: properties.available.map(|(_, available)| available),
                ..Item::default()
            })
            .collect()
    }
}

impl RetailRocket {
    fn property(&mut self, text: &str) -> Result<Parsed, Reject> {
        let [time, item, property, value] = fields::csv::<4>(text)?;
        let at = parse_millis(&time)?.0;
        let item = item_id(item.trim())?;
        let value = value.trim();
        match property.trim() {
            "categoryid" => later(&mut self.of(item).category, at, value.to_owned()),
            "available" => later(&mut self.of(item).available, at, value == "1"),
            _ => {}
        }
        Ok(Parsed::Catalogue)
    }

    fn of(&mut self, item: &str) -> &mut Properties {
        self.items.entry(item.to_owned()).or_default()
    }

    fn path(&self, category: String) -> String {
        let mut path = category.clone();
        let mut above = &category;
        for _ in 0..MAX_DEPTH {
            let Some(parent) = self.parents.get(above) else { break };
            path = format!("{parent} > {path}");
            above = parent;
        }
        path
    }
}

fn later<T>(known: &mut Option<(i64, T)>, at: i64, value: T) {
    if known.as_ref().is_none_or(|(since, _)| *since <= at) {
        *known = Some((at, value));
    }
}

fn read_event(text: &str) -> Result<Event, Reject> {
    let [time, visitor, kind, item, _transaction] = fields::csv::<5>(text)?;
    let kind = match kind.trim() {
        "view" => Kind::View,
        "addtocart" => Kind::Cart,
        "transaction" => Kind::Purchase,
        other => return Err(Reject::new("unknown kind", format!("'{}'", shown(other)))),
    };
    let visitor = filled(&visitor).map(str::to_owned);
    Ok(Event { visitor, ..event(kind, item.trim(), parse_millis(&time)?)? })
}

fn parse_millis(text: &str) -> Result<Timestamp, Reject> {
    let millis = text.trim().parse().map(Timestamp);
    millis.map_err(|_| Reject::new("bad date", format!("'{}' is no milliseconds since 1970", shown(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(importer: &mut RetailRocket, file: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let (header, rows) = file.split_once('\n').unwrap();
        assert!(importer.start_file(header).unwrap());
        for text in rows.lines() {
            importer.row(Row { source: "s", line: 1, text }, &mut events).unwrap();
        }
        events
    }

    #[test]
    fn three_files_make_one_shop() {
        let mut importer = RetailRocket::default();
        let events = read(
            &mut importer,
            "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257,view,355,\n\
             1433221332118,257,addtocart,355,\n1433221332119,257,transaction,355,4000",
        );
        let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [Kind::View, Kind::Cart, Kind::Purchase]);
        assert_eq!(events[0].at, Timestamp(1_433_221_332_117));
        assert_eq!((events[0].visitor.as_deref(), &events[0].session), (Some("257"), &None));
        read(
            &mut importer,
            "timestamp,itemid,property,value\n300,355,categoryid,20\n200,355,categoryid,99\n\
             100,355,available,1\n200,355,available,0\n100,355,888,n12.000 1101",
        );
        read(&mut importer, "categoryid,parentid\n20,7\n7,\n8,8");
        let items = importer.items();
        assert_eq!(items.len(), 1);
        assert_eq!((items[0].category.as_deref(), items[0].in_stock), (Some("7 > 20"), Some(false)));
    }

    #[test]
    fn another_header_is_refused_with_what_is_expected() {
        let error = RetailRocket::default().start_file("a,b,c").unwrap_err().to_string();
        assert!(error.contains("'a,b,c'") && error.contains("timestamp,visitorid"), "{error}");
    }

    #[test]
    fn a_ring_of_categories_ends() {
        let mut importer = RetailRocket::default();
        read(&mut importer, "categoryid,parentid\n1,2\n2,1");
        assert!(importer.path("1".to_owned()).len() < 100);
    }
}
