//! Feeds: many items at once, in the formats that shops already have. The content decides which format it is.
//!
//! | begins with | is |
//! | --- | --- |
//! | `<` | Google Merchant XML (RSS 2.0 or Atom) |
//! | `{` | JSONL: an item a line |
//! | else | delimited text with a header: Google Merchant's, Facebook's or Verge's names, or the product export of Shopify or WooCommerce |
//!
//! Feeds are plain, gzip or zstd, in any of the usual encodings. A row changes the fields that it names; absent and
//! empty fields keep their values, except that a price without a sale price ends the sale.
//!
//! A feed is read twice. The first reading finds how it writes prices and dates, which row of an id is the last, and
//! whether it is complete; the second one stores the items.

use crate::catalogue::{
    Wrong,
    draft::Reading,
    json,
    row::{About, Row},
    tables, xml,
};
use crate::{config::MAX_REMOVED, store::Store};
use anyhow::{Result, bail};
use origin_data::{
    Item,
    encoding::utf8,
    input::{Input, decompressed},
    price::{Decimal, Marks},
    times::{Found, OrderSurvey},
};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read};

/// Most rows that a report lists; the others are counted.
const MAX_TOLD: usize = 100;
/// Most changes that a dry run shows.
const MAX_SHOWN: usize = 20;
/// Items in a transaction: a killed process loses at most this many, and other writers do not wait long.
const GROUP: usize = 2_000;

/// How a feed is imported.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The feed names every item; others are removed.
    pub full: bool,
    /// Store nothing, and report what would change.
    pub dry_run: bool,
    /// The largest share of the catalogue that it may remove.
    pub max_removed: f64,
    /// The decimal sign of prices with two readings, if the other prices of the feed do not show it.
    pub decimal: Option<Decimal>,
    /// Currency of prices that name none.
    pub currency: Option<String>,
    /// The column that holds the ids, where it is not `id`.
    pub id: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            full: false,
            dry_run: false,
            max_removed: MAX_REMOVED,
            decimal: None,
            currency: None,
            id: None,
        }
    }
}

/// A rejected row or a field that was left out, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// Line number from 1; in XML, of the item's first line.
    pub line: u64,
    /// The item's id, if it could be read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What is wrong.
    #[serde(flatten)]
    pub wrong: Wrong,
}

/// What a dry run would change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// The item's id.
    pub id: String,
    /// The stored item; absent if it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Item>,
    /// The item after the change; absent if it would be removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Item>,
}

/// The result of an import of a feed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// `xml`, `jsonl`, `tsv`, `csv`, `shopify` or `woocommerce`.
    pub format: &'static str,
    /// Rows that were items.
    pub items: usize,
    /// Items that are new or have changed.
    pub changed: usize,
    /// Items that were removed, because a full feed does not name them.
    pub removed: usize,
    /// Rows that were rejected.
    pub rejected: usize,
    /// Rows that are not items: images, drafts, products that only group variants.
    pub skipped: usize,
    /// Rows with an id that a later row has too: the last row counts.
    pub duplicates: usize,
    /// The first rejected rows, at most 100.
    pub errors: Vec<BadRow>,
    /// Fields that were left out of accepted rows, and duplicates; at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<BadRow>,
    /// Columns that are not read, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// Whether this was a dry run, which stores nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The first changes that a dry run found, at most 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Shown>,
    /// Why the feed failed: it was not read to its end, or absent items were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The result of the first reading.
#[derive(Default)]
struct Survey {
    marks: Marks,
    dates: OrderSurvey,
    hasher: RandomState,
    /// By the hash of an id, the number and line of its last row.
    last: HashMap<u64, (u64, u64)>,
    rows: u64,
}

impl Survey {
    fn see(&mut self, row: &Row) {
        self.rows += 1;
        if row.fault.is_none() && !row.draft.id().is_empty() {
            row.draft.survey(&mut self.marks, &mut self.dates);
            // A row that will be rejected does not replace an accepted one.
            let any = Reading { decimal: Some(Decimal::Dot), ..Reading::default() };
            if row.draft.finish(&any).is_ok()
                || row.draft.finish(&Reading::default()).is_err_and(|wrong| wrong.field.contains("sale_"))
            {
                self.last.insert(self.hasher.hash_one(row.draft.id()), (self.rows, row.line));
            }
        }
    }

    /// The line of a later row with this id, which replaces row `number`.
    fn later(&self, id: &str, number: u64) -> Option<u64> {
        self.last.get(&self.hasher.hash_one(id)).filter(|(last, _)| *last > number).map(|(_, line)| *line)
    }
}

/// Imports a feed into the store; `open` opens it for each reading. With `full`, items that it does not name are
/// removed, but only if the feed is complete, has items, every row has a readable id, and at most the share
/// `max_removed` of the catalogue would be removed.
///
/// # Errors
/// The store cannot be written. Errors in the feed are in the report.
pub fn take(
    store: &mut Store,
    open: impl Fn() -> Result<Box<dyn Read>>,
    options: &Options,
) -> Result<Report> {
    // The share refers to the catalogue before the import, so that many new items do not permit more removals.
    let before = store.count_items()?;
    let mut survey = Survey::default();
    let mut first = About::default();
    let whole = open().and_then(|input| {
        read(input, options, &mut first, |row| {
            survey.see(&row);
            Ok(())
        })
    });
    let reading = Reading {
        decimal: survey.marks.decimal().or(options.decimal),
        dates: match survey.dates.found() {
            Found::Order(order) => Some(order),
            _ => None,
        },
        currency: options.currency.clone(),
    };
    let mut taking = Taking {
        store,
        options,
        reading,
        survey,
        report: Report { dry_run: options.dry_run, ..Report::default() },
        group: Vec::with_capacity(GROUP),
        present: HashSet::new(),
        nameless: 0,
        rows: 0,
        torn: None,
        broken_store: None,
    };
    let mut about = About::default();
    let again = open().and_then(|input| read(input, options, &mut about, |row| taking.row(row)));
    if let Some(error) = taking.broken_store {
        return Err(error);
    }
    taking.store_group()?;
    let Taking { store, mut report, present, nameless, torn, .. } = taking;
    (report.format, report.skipped) = (about.format, about.skipped);
    report.ignored = about.into_ignored().collect();
    let torn = torn.filter(|_| options.full).map(|line| {
        format!("line {line}: the last row has no line end and an unreadable field, so the feed may have been cut; no item was removed")
    });
    report.problem = match whole.and(again) {
        Err(error) => Some(format!("{error:#}; rows before it were stored")),
        Ok(()) if options.full && nameless > 0 => {
            Some(format!("{nameless} rows have no readable id, so no item was removed"))
        }
        Ok(()) if torn.is_some() => torn,
        Ok(()) if report.items == 0 => Some("the feed has no items".to_owned()),
        Ok(()) => None,
    };
    if options.full && report.problem.is_none() {
        remove_absent(store, &present, before, options, &mut report)?;
    }
    Ok(report)
}

fn remove_absent(
    store: &mut Store,
    present: &HashSet<String>,
    before: u64,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    Ok(store.change_catalogue(|change| {
        let absent = change.all_but(present)?;
        if absent.len() as f64 > options.max_removed * before as f64 {
            report.problem = Some(format!(
                "it would remove {} of {before} items, a larger share than `max_removed` ({}), so none was removed",
                absent.len(),
                options.max_removed
            ));
            return Ok(());
        }
        report.removed = absent.len();
        for id in absent {
            if options.dry_run {
                if report.changes.len() < MAX_SHOWN {
                    report.changes.push(Shown { before: change.item(&id)?, after: None, id });
                }
            } else {
                change.remove(&id)?;
            }
        }
        Ok(())
    })?)
}

/// The second reading.
struct Taking<'a> {
    store: &'a mut Store,
    options: &'a Options,
    reading: Reading,
    survey: Survey,
    report: Report,
    group: Vec<Item>,
    present: HashSet<String>,
    nameless: usize,
    rows: u64,
    /// The line of a last row without a line end, of which something cannot be read.
    torn: Option<u64>,
    broken_store: Option<anyhow::Error>,
}

impl Taking<'_> {
    fn row(&mut self, row: Row) -> Result<()> {
        self.rows += 1;
        let (line, id) = (row.line, row.draft.id().to_owned());
        if self.options.full && !id.is_empty() {
            self.present.insert(id.clone());
        }
        if let Some(later) = self.survey.later(&id, self.rows) {
            self.report.duplicates += 1;
            let wrong = Wrong::new("id", format!("is in line {later} again; the last row counts"));
            tell(&mut self.report.warnings, BadRow { line, id, wrong });
            return Ok(());
        }
        let item = match row.fault {
            Some(wrong) => Err(wrong),
            None => row.draft.finish(&self.reading),
        };
        if row.is_unended && !matches!(&item, Ok((_, warnings)) if warnings.is_empty()) {
            self.torn = Some(line);
        }
        match item {
            Ok((item, warnings)) => {
                self.report.items += 1;
                for wrong in warnings {
                    tell(&mut self.report.warnings, BadRow { line, id: id.clone(), wrong });
                }
                self.group.push(item);
                if self.group.len() == GROUP
                    && let Err(error) = self.store_group()
                {
                    self.broken_store = Some(error);
                    bail!("stopped");
                }
            }
            Err(wrong) => {
                self.nameless += usize::from(id.is_empty());
                self.report.rejected += 1;
                tell(&mut self.report.errors, BadRow { line, id, wrong });
            }
        }
        Ok(())
    }

    fn store_group(&mut self) -> Result<()> {
        if self.options.dry_run {
            for item in self.group.drain(..) {
                let before = self.store.item(&item.id)?;
                let mut after = before.clone().unwrap_or_else(|| item.clone());
                after.update(item);
                if before.as_ref() != Some(&after) {
                    self.report.changed += 1;
                    if self.report.changes.len() < MAX_SHOWN {
                        self.report.changes.push(Shown { id: after.id.clone(), before, after: Some(after) });
                    }
                }
            }
            return Ok(());
        }
        if !self.group.is_empty() {
            self.report.changed += self.store.change_catalogue(|change| {
                change.curate()?;
                let mut changed = 0;
                for item in &self.group {
                    changed += usize::from(change.update(item)?);
                }
                Ok(changed)
            })?;
            self.group.clear();
        }
        Ok(())
    }
}

fn tell(list: &mut Vec<BadRow>, row: BadRow) {
    if list.len() < MAX_TOLD {
        list.push(row);
    }
}

fn read(
    input: impl Read,
    options: &Options,
    about: &mut About,
    each: impl FnMut(Row) -> Result<()>,
) -> Result<()> {
    let mut input = BufReader::with_capacity(64 << 10, utf8(decompressed(input)?)?);
    let start = input.fill_buf()?;
    let id = options.id.as_deref();
    match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => bail!("the feed is empty"),
        Some(b'<') => xml::read(input, about, each),
        Some(b'{') => json::read(Input::over(input, None)?, id, about, each),
        Some(b'[') => bail!("line 1: an array; send one JSON object a line"),
        _ => tables::read(Input::over(input, None)?, id, about, each),
    }
}

#[cfg(test)]
mod tests;
