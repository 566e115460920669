//! A snapshot: the sections of one region's blobs, opened together.
//!
//! May import [`crate::rules`], [`crate::format`] and [`crate::wire`].

use crate::{
    format::{
        attributes::{self, Attributes},
        envelope::{Envelope, Section},
        error::Error,
        groups::{self, Groups},
        ids::{self, Ids},
        popularity::{self, Popularity},
        rows::{self, Rows, Table},
        sales::{self, Sales},
        shards::Shard,
        strategy::{self, Strategy},
    },
    rules::{self, Rules, Ruleset},
    wire::time::Timestamp,
};
use bytes::Bytes;

/// One region's tables, read in place. Clones share the bytes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The region it was built for.
    pub region: String,
    /// The time of the newest event in the tables.
    pub built_at: Timestamp,
    /// Fingerprint of the item ids. Equal in all blobs of a snapshot.
    pub catalogue: u64,
    /// The item dictionary.
    pub ids: Ids,
    /// The items' attributes.
    pub attributes: Attributes,
    /// Items seen together; `None` in a snapshot of popularity alone.
    pub coview: Option<Table>,
    /// Similar items.
    pub knn: Option<Table>,
    /// Items bought together; `None` if the log has no orders.
    pub bought: Option<Table>,
    /// The region's popular items.
    pub popularity: Popularity,
    /// The learned strategies.
    pub strategies: Vec<Strategy>,
    /// The merchandiser's rules; empty in most snapshots.
    pub rules: Ruleset,
    /// All sections, for inspection. They share their bytes with the fields above.
    pub sections: Vec<Section>,
}

impl Snapshot {
    /// Opens the blobs of one region, in any order. Time and memory grow with the number of sections, not with their size.
    /// Unknown sections are ignored. Checksums are not read: see [`Snapshot::verify`].
    ///
    /// # Errors
    /// [`Error`], which names the damaged or missing section.
    ///
    /// # Examples
    /// ```
    /// use snapshots::envelope::{Envelope, Section};
    /// use snapshots::strategy::{self, Strategy};
    /// use snapshots::{Bytes, Snapshot, attributes, ids, popularity, time::Timestamp};
    ///
    /// # fn main() -> Result<(), snapshots::Error> {
    /// let items = [attributes::Item { name: "Lamp".into(), in_stock: true, ..Default::default() }];
    /// let ids = Section::new(ids::NAME, ids::VERSION, ids::write(&["A1"]));
    /// let envelope = Envelope {
    ///     region: "gb".to_owned(),
    ///     built_at: Timestamp(1_795_000_000_000),
    ///     catalogue: ids.checksum,
    ///     sections: vec![
    ///         ids,
    ///         Section::new(attributes::NAME, attributes::VERSION, attributes::write("GBP", &["A1"], &items)),
    ///         Section::new(popularity::NAME, popularity::VERSION, popularity::write(&[(1.0, 1.0)])),
    ///         Section::new(strategy::NAME, strategy::VERSION, strategy::write(&[Strategy::default()])?),
    ///     ],
    /// };
    /// let snapshot = Snapshot::open(&[Bytes::from(envelope.write()?)])?;
    /// assert_eq!(snapshot.ids.index("A1"), Some(0));
    /// assert_eq!(snapshot.attributes.item(0, "A1").name, "Lamp");
    /// assert!(Snapshot::open(&[Bytes::from_static(b"something else")]).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(blobs: &[Bytes]) -> Result<Self, Error> {
        let (mut region, mut built_at, mut sections) = (String::new(), Timestamp::default(), Vec::new());
        let mut catalogue = None;
        for blob in blobs {
            let envelope = Envelope::open(blob)?;
            if *catalogue.get_or_insert(envelope.catalogue) != envelope.catalogue {
                return Err(Error::Mixed { section: "blob" });
            }
            if !envelope.region.is_empty() {
                region = envelope.region;
            }
            built_at = built_at.max(envelope.built_at);
            sections.extend(envelope.sections);
        }
        let find =
            |name: &'static str, version: u32| match sections.iter().find(|section| section.name == name) {
                Some(section) if section.version == version => Ok(Some(&section.bytes)),
                Some(section) => Err(Error::Format { found: section.version, supported: version }),
                None => Ok(None),
            };
        let need = |name, version| find(name, version)?.ok_or(Error::Missing { section: name });
        let ids = Ids::open(need(ids::NAME, ids::VERSION)?)?;
        let items = ids.len();
        let counted = |section, length| if length == items { Ok(()) } else { Err(Error::Mixed { section }) };
        let table = |name: &'static str| {
            let parts = || sections.iter().filter(|section| section.name == name);
            if let Some(other) = parts().find(|section| section.version != rows::VERSION) {
                return Err(Error::Format { found: other.version, supported: rows::VERSION });
            }
            let table = Table::open(name, parts().map(|section| &section.bytes))?;
            // A table may lack shards that are not loaded yet, but must not have rows past the catalogue.
            if table.end() as usize > items {
                return Err(Error::Mixed { section: name });
            }
            Ok(parts().next().map(|_| table))
        };
        let mut attributes = Attributes::open(need(attributes::NAME, attributes::VERSION)?)?;
        counted(attributes::NAME, attributes.len())?;
        if let Some(section) = find(sales::NAME, sales::VERSION)? {
            attributes.sales = Sales::open(section)?;
        }
        if let Some(section) = find(groups::NAME, groups::VERSION)? {
            attributes.groups = Groups::open(section, items)?;
        }
        let popularity = Popularity::open(need(popularity::NAME, popularity::VERSION)?)?;
        counted(popularity::NAME, popularity.len())?;
        let strategies = strategy::open(need(strategy::NAME, strategy::VERSION)?)?;
        let rules = match find(rules::NAME, rules::VERSION)? {
            Some(section) => Ruleset::new(Rules::open(section)?, &ids, &attributes),
            None => Ruleset::default(),
        };
        let (coview, knn, bought) = (table(rows::COVIEW)?, table(rows::KNN)?, table(rows::BOUGHT)?);
        let catalogue = catalogue.unwrap_or_default();
        Ok(Self {
            region,
            built_at,
            catalogue,
            ids,
            attributes,
            coview,
            knn,
            bought,
            popularity,
            strategies,
            rules,
            sections,
        })
    }

    /// Opens a shard of one of this snapshot's tables.
    ///
    /// # Errors
    /// [`Error`] if the blob is not a shard, or belongs to another catalogue.
    pub fn open_shard(&self, blob: &Bytes) -> Result<Shard, Error> {
        let Envelope { catalogue, sections, .. } = Envelope::open(blob)?;
        let shard = sections.iter().find_map(|section| {
            let table = rows::TABLES.into_iter().find(|table| *table == section.name)?;
            Some((table, section))
        });
        let Some((table, section)) = shard else { return Err(Error::Missing { section: "a table's" }) };
        if section.version != rows::VERSION {
            return Err(Error::Format { found: section.version, supported: rows::VERSION });
        }
        let rows = Rows::open(table, &section.bytes)?;
        if catalogue != self.catalogue || rows.end() as usize > self.len() {
            return Err(Error::Mixed { section: table });
        }
        Ok(Shard { table, rows })
    }

    /// Adds a shard to its table.
    ///
    /// # Errors
    /// [`Error::Section`] if the table has some of its rows already.
    pub fn add(&mut self, shard: Shard) -> Result<(), Error> {
        let table = match shard.table {
            rows::COVIEW => &mut self.coview,
            rows::KNN => &mut self.knn,
            _ => &mut self.bought,
        };
        table.get_or_insert_default().insert(shard.table, shard.rows)
    }

    /// Compares the checksums of all sections. Reads every byte.
    ///
    /// # Errors
    /// [`Error::Checksum`] with the first damaged section.
    pub fn verify(&self) -> Result<(), Error> {
        match self.sections.iter().find(|section| !section.is_intact()) {
            Some(section) => Err(Error::Checksum { section: section.name.clone() }),
            None => Ok(()),
        }
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// One of [`rows::TABLES`].
    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        match name {
            rows::COVIEW => self.coview.as_ref(),
            rows::KNN => self.knn.as_ref(),
            _ => self.bought.as_ref(),
        }
    }

    /// The strategy with this name: the merchandiser's, or else the learned one.
    pub fn strategy(&self, name: &str) -> Option<&Strategy> {
        let learned = || self.strategies.iter().find(|strategy| strategy.name == name);
        self.rules.strategy(name).or_else(learned)
    }
}
