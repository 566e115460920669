//! Maps areas of events (lower-case country codes, or ISO 3166-2 codes such as `us-ca`) to regions.

use anyhow::{Result, bail};
use origin_data::{LogEvent, areas};
use snapshots::manifest::{CONTINENT, WORLD, is_region};
use std::collections::BTreeMap;

/// Without configured regions, an area with this many events becomes a region.
pub const MIN_EVENTS: usize = 1_000;
/// The most automatic regions; those with the most events.
pub const MAX_AUTOMATIC: usize = 32;

/// The regions that snapshots are built for, with their areas. [`WORLD`] is always one of them and has all areas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regions {
    of_area: BTreeMap<String, String>,
}

impl Regions {
    /// Configured regions: region → areas.
    ///
    /// # Errors
    /// A region has an invalid name, or two regions share an area; the message names it.
    pub fn configured(regions: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let mut of_area = BTreeMap::new();
        for (region, areas) in regions {
            if !is_region(region) || region == WORLD {
                bail!("[regions] {region}: a region is 1 to 32 of a-z, 0-9 and -, and not '{WORLD}'");
            }
            for area in areas {
                if let Some(other) = of_area.insert(area.to_lowercase(), region.clone()) {
                    bail!("[regions] {region}: '{area}' is already in '{other}'");
                }
            }
        }
        Ok(Self { of_area })
    }

    /// Regions of a manifest of the world: area → region.
    pub fn of_areas(of_area: BTreeMap<String, String>) -> Self {
        Self { of_area }
    }

    /// One region for every country or subdivision with at least `min_events` events. Other areas are names of configured
    /// regions, or made up. Events that are held do not count.
    pub fn automatic(events: &[LogEvent], areas: &[String], min_events: usize) -> Self {
        let mut counts = vec![0usize; areas.len()];
        for event in events.iter().filter(|event| !event.held) {
            counts[usize::from(event.area)] += 1;
        }
        let mut large: Vec<(usize, &String)> = counts
            .into_iter()
            .zip(areas)
            .filter(|(count, area)| *count >= min_events && areas::is_iso(area))
            .collect();
        large.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        large.truncate(MAX_AUTOMATIC);
        Self { of_area: large.into_iter().map(|(_, area)| (area.clone(), area.clone())).collect() }
    }

    /// Area → region, for the manifest of the world.
    pub fn of_area(&self) -> &BTreeMap<String, String> {
        &self.of_area
    }

    /// The names, sorted, with [`WORLD`] last: its manifest points to the others, so it is written last.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.of_area.values().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.push(WORLD);
        names
    }

    /// For each of the log's areas, whether it lies in `region`.
    pub fn members<'a>(&self, region: &str, areas: impl IntoIterator<Item = &'a str>) -> Vec<bool> {
        // An event from the edge may name the region itself.
        let is_member =
            |area: &str| region == WORLD || area == region || self.region_of(area) == Some(region);
        areas.into_iter().map(is_member).collect()
    }

    /// The region of an area, looked up as at the edge: by area, then country, then continent.
    fn region_of(&self, area: &str) -> Option<&str> {
        let country = area.split('-').next().unwrap_or(area);
        let of = |area: &str| self.of_area.get(area).map(String::as_str);
        of(area).or_else(|| of(country)).or_else(|| of(&format!("{CONTINENT}{}", areas::continent(country)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshots::{event::Kind, time::Timestamp};

    #[test]
    fn large_areas_become_automatic_regions() {
        let event = |area| LogEvent { area, ..LogEvent::new(Timestamp(0), Kind::View, 0, 0) };
        let events: Vec<_> = [0, 0, 0, 1, 1, 2].map(event).into();
        let areas = ["", "fr", "gb"].map(String::from);
        let regions = Regions::automatic(&events, &areas, 2);
        assert_eq!(regions.names(), ["fr", WORLD]);
        assert_eq!(regions.members("fr", areas.iter().map(String::as_str)), [false, true, false]);
        assert_eq!(regions.members(WORLD, areas.iter().map(String::as_str)), [true; 3]);
        let areas = ["atlantis", "fr-idf", "world"].map(String::from);
        assert_eq!(Regions::automatic(&events, &areas, 1).names(), ["fr-idf", WORLD]);
    }

    #[test]
    fn areas_belong_to_the_smallest_region_that_contains_them() {
        let regions = [
            ("west", vec!["us-ca"]),
            ("us", vec!["us"]),
            ("europe", vec!["continent-eu"]),
            ("fr", vec!["fr"]),
        ];
        let owned = |(region, areas): (&str, Vec<&str>)| {
            (region.to_owned(), areas.into_iter().map(str::to_owned).collect())
        };
        let regions = Regions::configured(&regions.map(owned).into()).unwrap();
        let areas = ["us", "us-ca", "us-ny", "fr", "de", "de-be", "jp", ""].map(String::from);
        let of = |region| {
            let members = regions.members(region, areas.iter().map(String::as_str));
            areas
                .iter()
                .zip(members)
                .filter(|(_, is_member)| *is_member)
                .map(|(area, _)| &**area)
                .collect::<Vec<_>>()
        };
        assert_eq!(of("west"), ["us-ca"]);
        assert_eq!(of("us"), ["us", "us-ny"]);
        assert_eq!(of("europe"), ["de", "de-be"]);
        assert_eq!(of("fr"), ["fr"]);
    }

    #[test]
    fn an_invalid_configuration_names_the_key() {
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
