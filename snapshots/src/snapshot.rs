//! A snapshot: the sections of one region's blobs, opened together.

use crate::{
    format::{
        attributes::{self, Attributes},
        envelope::{Envelope, Section},
        error::Error,
        ids::{self, Ids},
        popularity::{self, Popularity},
        rows::{self, Rows, Table},
        shards::Shard,
        strategy::{self, Strategy},
    },
    rules::{self, Rules, Ruleset},
    wire::time::Timestamp,
};
use bytes::Bytes;

/// One region's tables, read where they lie. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The region it was built for.
    pub region: String,
    /// The moment the tables describe.
    pub built_at: Timestamp,
    /// Fingerprint of the item ids, which every blob of the snapshot states.
    pub catalogue: u64,
    /// The item dictionary.
    pub ids: Ids,
    /// What a page shows of the items.
    pub attributes: Attributes,
    /// Items seen together; absent in a snapshot of popularity alone.
    pub coview: Option<Table>,
    /// Items that are alike.
    pub knn: Option<Table>,
    /// Items bought together; absent where the log holds no orders.
    pub bought: Option<Table>,
    /// What the region wants.
    pub popularity: Popularity,
    /// The named sets of weights.
    pub strategies: Vec<Strategy>,
    /// What the merchandiser decided; none in most snapshots.
    pub rules: Ruleset,
    /// Every section, for people and tools; bytes shared with the above.
    pub sections: Vec<Section>,
}

impl Snapshot {
    /// Opens the blobs of one region. Takes time and memory by the number of sections, not by their size.
    ///
    /// # Errors
    /// [`Error`], which names the section at fault. Sections that are not known are passed over.
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
            // Rows of a shard that is not here yet are no error; rows past the catalogue are.
            if table.end() as usize > items {
                return Err(Error::Mixed { section: name });
            }
            Ok(parts().next().map(|_| table))
        };
        let attributes = Attributes::open(need(attributes::NAME, attributes::VERSION)?)?;
        counted(attributes::NAME, attributes.len())?;
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
    /// [`Error`] when it is no shard, or is one of another catalogue.
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

    /// Adds the rows of a shard to those at hand.
    ///
    /// # Errors
    /// [`Error::Section`] when some of its rows are there already.
    pub fn add(&mut self, shard: Shard) -> Result<(), Error> {
        let table = match shard.table {
            rows::COVIEW => &mut self.coview,
            rows::KNN => &mut self.knn,
            _ => &mut self.bought,
        };
        table.get_or_insert_default().insert(shard.table, shard.rows)
    }

    /// Reads every byte and compares the checksums.
    ///
    /// # Errors
    /// [`Error::Checksum`] with the first section that is damaged.
    pub fn verify(&self) -> Result<(), Error> {
        match self.sections.iter().find(|section| !section.is_intact()) {
            Some(section) => Err(Error::Checksum { section: section.name.clone() }),
            None => Ok(()),
        }
    }

    /// How many items it holds.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it holds no item.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The rows at hand of one of [`rows::TABLES`].
    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        match name {
            rows::COVIEW => self.coview.as_ref(),
            rows::KNN => self.knn.as_ref(),
            _ => self.bought.as_ref(),
        }
    }

    /// The strategy of this name: the merchandiser's, or else the one that was learnt.
    pub fn strategy(&self, name: &str) -> Option<&Strategy> {
        let learnt = || self.strategies.iter().find(|strategy| strategy.name == name);
        self.rules.strategy(name).or_else(learnt)
    }
}
