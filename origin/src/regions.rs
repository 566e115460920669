//! Which region an event's area (a lower-case country code) belongs to.

use crate::store::LogEvent;
use anyhow::{Result, bail};
use snapshots::manifest::{WORLD, is_region};
use std::collections::BTreeMap;

/// Where no regions are configured, an area with this many events becomes one by itself.
pub const MIN_EVENTS: usize = 1_000;
/// The most regions made without being configured, those with the most events.
pub const MAX_AUTOMATIC: usize = 32;

/// The regions a snapshot is built for, and the area each takes in. [`WORLD`] is always one and takes in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regions {
    of_area: BTreeMap<String, String>,
}

impl Regions {
    /// Regions as configured: region → areas.
    ///
    /// # Errors
    /// A region that cannot be one, or an area in two regions; the text names it.
    pub fn configured(regions: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let mut of_area = BTreeMap::new();
        for (region, areas) in regions {
            if !is_region(region) || region == WORLD {
                bail!("[regions] {region}: a region is 1 to 32 of a-z, 0-9 and -, and not '{WORLD}'");
            }
            for area in areas {
                if let Some(other) = of_area.insert(area.to_lowercase(), region.clone()) {
                    bail!("[regions] {region}: '{area}' is in '{other}' already");
                }
            }
        }
        Ok(Self { of_area })
    }

    /// Regions as a manifest of the world has them: area → region.
    pub fn of_areas(of_area: BTreeMap<String, String>) -> Self {
        Self { of_area }
    }

    /// One region for every area with at least `min_events` events.
    pub fn automatic(events: &[LogEvent], areas: &[String], min_events: usize) -> Self {
        let mut counts = vec![0usize; areas.len()];
        for event in events {
            counts[usize::from(event.area)] += 1;
        }
        let mut large: Vec<(usize, &String)> = counts
            .into_iter()
            .zip(areas)
            .filter(|(count, area)| *count >= min_events && is_region(area) && *area != WORLD)
            .collect();
        large.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        large.truncate(MAX_AUTOMATIC);
        Self { of_area: large.into_iter().map(|(_, area)| (area.clone(), area.clone())).collect() }
    }

    /// Area → region, for the manifest of the world.
    pub fn of_area(&self) -> &BTreeMap<String, String> {
        &self.of_area
    }

    /// The names, sorted, [`WORLD`] last: it leads readers to the others, so it is written last.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.of_area.values().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.push(WORLD);
        names
    }

    /// For each of the log's areas, whether it lies in `region`.
    pub fn members(&self, region: &str, areas: &[String]) -> Vec<bool> {
        areas
            .iter()
            // An event that arrives over the wire may name the region itself.
            .map(|area| {
                region == WORLD || area == region || self.of_area.get(area).is_some_and(|of| of == region)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::{event::Kind, time::Timestamp};

    #[test]
    fn large_areas_become_regions_by_themselves() {
        let event = |area| LogEvent {
            at: Timestamp(0),
            kind: Kind::View,
            item: 0,
            visitor: 0,
            session: 0,
            area,
            quantity: 1,
        };
        let events: Vec<_> = [0, 0, 0, 1, 1, 2].map(event).into();
        let areas = ["", "fr", "gb"].map(String::from);
        let regions = Regions::automatic(&events, &areas, 2);
        assert_eq!(regions.names(), ["fr", WORLD]);
        assert_eq!(regions.members("fr", &areas), [false, true, false]);
        assert_eq!(regions.members(WORLD, &areas), [true; 3]);
    }

    #[test]
    fn a_bad_configuration_names_the_key() {
        let one = |region: &str, areas: &[&str]| {
            (region.to_owned(), areas.iter().map(|area| area.to_string()).collect())
        };
        let regions = Regions::configured(&[one("dach", &["DE", "at"])].into()).unwrap();
        assert_eq!(regions.of_area()["de"], "dach");
        for bad in
            [vec![one("DACH", &["de"])], vec![one("world", &[])], vec![one("a", &["de"]), one("b", &["DE"])]]
        {
            let error = Regions::configured(&bad.into_iter().collect()).unwrap_err().to_string();
            assert!(error.starts_with("[regions] "), "{error}");
        }
    }
}
