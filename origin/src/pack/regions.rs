//! Maps areas of events (lower-case country codes, or ISO 3166-2 codes such as `us-ca`) to regions.

use anyhow::{Result, bail};
use origin_data::LogEvent;
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
        let on = CONTINENTS.iter().find(|(_, countries)| countries.split(' ').any(|code| code == country));
        let of = |area: &str| self.of_area.get(area).map(String::as_str);
        of(area).or_else(|| of(country)).or_else(|| of(&format!("{CONTINENT}{}", on?.0)))
    }
}

/// The countries of each continent by ISO 3166-1 code, as in the UN's M49 standard. Cloudflare's continents differ in a few
/// islands only.
const CONTINENTS: [(&str, &str); 7] = [
    (
        "af",
        "ao bf bi bj bw cd cf cg ci cm cv dj dz eg eh er et ga gh gm gn gq gw ke km lr ls ly ma mg ml mr mu mw mz na ne \
         ng re rw sc sd sh sl sn so ss st sz td tf tg tn tz ug yt za zm zw",
    ),
    ("an", "aq bv gs hm"),
    (
        "as",
        "ae af am az bd bh bn bt cc cn cx cy ge hk id il in io iq ir jo jp kg kh kp kr kw kz la lb lk mm mn mo mv my np \
         om ph pk ps qa sa sg sy th tj tl tm tr tw uz vn ye",
    ),
    (
        "eu",
        "ad al at ax ba be bg by ch cz de dk ee es fi fo fr gb gg gi gr hr hu ie im is it je li lt lu lv mc md me mk mt \
         nl no pl pt ro rs ru se si sj sk sm ua va xk",
    ),
    (
        "na",
        "ag ai aw bb bl bm bq bs bz ca cr cu cw dm do gd gl gp gt hn ht jm kn ky lc mf mq ms mx ni pa pm pr sv sx tc tt \
         us vc vg vi",
    ),
    ("oc", "as au ck fj fm gu ki mh mp nc nf nr nu nz pf pg pn pw sb tk to tv um vu wf ws"),
    ("sa", "ar bo br cl co ec fk gf gy pe py sr uy ve"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use origin_data::Standing;
    use snapshots::{event::Kind, time::Timestamp};

    #[test]
    fn large_areas_become_automatic_regions() {
        let event = |area| LogEvent {
            at: Timestamp(0),
            kind: Kind::View,
            item: 0,
            visitor: 0,
            session: 0,
            area,
            quantity: 1,
            standing: Standing::Confirmed,
            bucket: None,
        };
        let events: Vec<_> = [0, 0, 0, 1, 1, 2].map(event).into();
        let areas = ["", "fr", "gb"].map(String::from);
        let regions = Regions::automatic(&events, &areas, 2);
        assert_eq!(regions.names(), ["fr", WORLD]);
        assert_eq!(regions.members("fr", areas.iter().map(String::as_str)), [false, true, false]);
        assert_eq!(regions.members(WORLD, areas.iter().map(String::as_str)), [true; 3]);
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
        let codes: Vec<&str> = CONTINENTS.iter().flat_map(|(_, codes)| codes.split(' ')).collect();
        let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
        assert_eq!((distinct.len(), codes.len()), (250, 250), "ISO 3166-1 has 249, and Kosovo");
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
