//! RetailRocket: events, the items' properties over time, and the tree of categories, each a file of its own.
//!
//! The files are recognized by their headers and may be given in any order, in one command. Of the properties only
//! `categoryid` and `available` have names; the publisher hashed the others, which are ignored. The latest value of a
//! property counts. A category is the path to it in the tree, or its number without the tree. The log has no
//! sessions: learning ends visits after 30 minutes without events.

use crate::import::{
    Batch, Importer, Parsed, Row, Watched, event, item_id,
    table::{self, Columns},
};
use anyhow::bail;
use origin_data::Item;
use origin_data::fields::{Reject, filled, shown, whole};
use snapshots::event::{Event, Kind};
use std::collections::HashMap;

/// Deeper paths are cut, since a damaged tree may contain a cycle.
const MAX_DEPTH: usize = 12;

/// The items and categories of the files so far.
#[derive(Default)]
pub(super) struct RetailRocket {
    file: File,
    items: HashMap<String, Properties>,
    parents: HashMap<String, String>,
}

/// What a file is, and where its columns are.
#[derive(Clone, Copy)]
enum File {
    Events { time: usize, visitor: Option<usize>, kind: usize, item: usize },
    Properties { time: usize, item: usize, property: usize, value: usize },
    Tree { category: usize, parent: usize },
}

impl Default for File {
    fn default() -> Self {
        Self::Tree { category: 0, parent: 1 }
    }
}

/// Values and their times.
#[derive(Default)]
struct Properties {
    category: Option<(i64, String)>,
    available: Option<(i64, bool)>,
}

impl Importer for RetailRocket {
    fn names(&self) -> &[&str] {
        &[
            "timestamp",
            "visitorid",
            "event",
            "itemid",
            "transactionid",
            "property",
            "value",
            "categoryid",
            "parentid",
        ]
    }

    fn header(&mut self, columns: &Columns) -> anyhow::Result<Option<Watched>> {
        let find = |name| columns.find(&[name]);
        self.file = if let (Some(time), Some(kind), Some(item)) =
            (find("timestamp"), find("event"), find("itemid"))
        {
            File::Events { time, visitor: find("visitorid"), kind, item }
        } else if let (Some(time), Some(item), Some(property), Some(value)) =
            (find("timestamp"), find("itemid"), find("property"), find("value"))
        {
            File::Properties { time, item, property, value }
        } else if let (Some(category), Some(parent)) = (find("categoryid"), find("parentid")) {
            File::Tree { category, parent }
        } else {
            bail!(
                "this is no header of RetailRocket's; expected timestamp,visitorid,event,itemid,transactionid or \
                 timestamp,itemid,property,value or categoryid,parentid"
            )
        };
        let time = match self.file {
            File::Events { time, .. } | File::Properties { time, .. } => Some(time),
            File::Tree { .. } => None,
        };
        Ok(Some(Watched { time, ..Watched::default() }))
    }

    fn row(&mut self, row: Row<'_>, events: &mut Batch<'_>) -> Result<Parsed, Reject> {
        let text = |place: usize| row.fields.get(place).trim();
        match self.file {
            File::Events { time, visitor, kind, item } => {
                let kind = Kind::from_name(text(kind))
                    .ok_or_else(|| Reject::new("unknown kind", format!("'{}'", shown(text(kind)))))?;
                let visitor =
                    visitor.and_then(|place| filled(text(place))).map(|visitor| whole(visitor).to_owned());
                let at = table::time(text(time), row.reading)?;
                events.push(Event { visitor, ..event(kind, whole(text(item)), at)? })?;
                Ok(Parsed::Events)
            }
            File::Properties { time, item, property, value } => {
                // Only the order of these times matters.
                let at = table::time(text(time), row.reading)?.0;
                let item = item_id(whole(text(item)))?;
                match text(property) {
                    "categoryid" => later(&mut self.of(item).category, at, whole(text(value)).to_owned()),
                    "available" => later(&mut self.of(item).available, at, whole(text(value)) == "1"),
                    _ => {}
                }
                Ok(Parsed::Catalogue)
            }
            File::Tree { category, parent } => {
                if let Some(parent) = filled(text(parent)) {
                    self.parents.insert(whole(text(category)).to_owned(), whole(parent).to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::pipeline::tests::read_table;
    use snapshots::time::Timestamp;

    fn read(importer: &mut RetailRocket, file: &str) -> Vec<Event> {
        read_table(importer, file).0
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
            "timestamp,itemid,property,value\n1433221300000,355,categoryid,20\n2015-06-01T00:00:00Z,355,categoryid,99\n\
             1433221100.0,355,available,1\n1433221200,355,available,0\n1433221100000,355,888,n12.000 1101",
        );
        read(&mut importer, "categoryid,parentid\n20,7\n7,\n8,8");
        let items = importer.items();
        assert_eq!(items.len(), 1);
        assert_eq!((items[0].category.as_deref(), items[0].in_stock), (Some("7 > 20"), Some(false)));
    }

    #[test]
    fn a_ring_of_categories_ends() {
        let mut importer = RetailRocket::default();
        read(&mut importer, "categoryid,parentid\n1,2\n2,1");
        assert!(importer.path("1".to_owned()).len() < 100);
    }
}
