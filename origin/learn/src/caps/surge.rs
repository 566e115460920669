//! The surge guard: an item that public events push beyond what the log's own history makes likely is held at its bound.
//!
//! ```text
//! bound = m + 4·√(m + m²) + 10 + 2·d     events of one hour in one area
//! m       events an hour on the item in the area before, decayed by e in a week
//! d       distinct address buckets that sent events on it today
//! ```
//! The first two terms are four standard deviations of a negative binomial distribution with the item's mean and dispersion
//! 1, as wide as counts are that follow the time of day and the week; ten are free, for items of which little is known. An
//! honest surge comes from many addresses, each with an event or two, so `d` lifts the bound as fast as it grows: it is not
//! held. That of one sender is. Also, what is held enters `m`, so that interest that lasts is believed after a day or two.
//!
//! Events of senders with a key are part of the history, and never held. A log of less than a day has no history to judge by.
//! An operator may [release](Release) an item. Memory: [`ROOM`] pairs of item and area in each of two generations, 2 · 5 MB.

use super::counters::{Generations, Saved};
use serde::{Deserialize, Serialize};
use snapshots::time::{DAY_MS, Timestamp};

const HOUR_MS: i64 = DAY_MS / 24;
/// Hours in which history decays by e.
const MEMORY_HOURS: f64 = 168.0;
/// Hours of log before which nothing is judged.
const MIN_HOURS: u32 = 24;
/// Events of an hour that are always free.
const FREE: f64 = 10.0;
/// Events of an hour that one more bucket makes free.
const PER_BUCKET: f64 = 2.0;
/// Standard deviations above the mean.
const DEVIATIONS: f64 = 4.0;
/// Keys in a generation: as many as fit into a table of 2^17 places of 41 bytes.
const ROOM: usize = (1 << 17) / 8 * 7;
/// The most surges that are remembered.
const MAX_SURGES: usize = 64;
/// How long after its last held event a surge is over.
const OVER_MS: i64 = DAY_MS;

/// Releases reach back this long, to what was held before the operator saw it.
const RELEASED_BEFORE_MS: i64 = DAY_MS;
/// Releases hold this long. By then the item's history has grown.
const RELEASED_MS: i64 = 7 * DAY_MS;

/// An operator's word that the interest in an item is honest: it is not held from a day before to a week after.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The item's id.
    pub item: String,
    /// When it was released.
    pub at: Timestamp,
}

impl Release {
    fn covers(&self, item: &str, at: Timestamp) -> bool {
        self.item == item && (-RELEASED_BEFORE_MS..RELEASED_MS).contains(&(at.0 - self.at.0))
    }
}

/// An item that was held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surge {
    /// The item's id.
    pub item: String,
    /// The area; empty if unknown.
    pub area: String,
    /// Time of the first event that was held.
    pub from: Timestamp,
    /// Time of the last one.
    pub to: Timestamp,
    /// Number of events held.
    pub held: u64,
    /// The bound at the last one, in events of an hour.
    pub bound: u32,
}

/// Events on an item in an area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rate {
    hour: u32,
    /// Events in this hour.
    now: u32,
    /// Public events in this hour that were not held.
    passed: u32,
    day: u32,
    /// Distinct buckets in this day.
    buckets: u32,
    /// Decayed sum of the hours before.
    past: f64,
}

impl Rate {
    fn enter(&mut self, hour: u32) {
        if hour > self.hour {
            self.past = (self.past + f64::from(self.now)) * decay(hour - self.hour);
            (self.hour, self.now, self.passed) = (hour, 0, 0);
        }
        if hour / 24 > self.day {
            (self.day, self.buckets) = (hour / 24, 0);
        }
    }

    /// The bound of this hour, with a history of this many hours.
    fn bound(&self, hours: u32) -> f64 {
        let mean = self.past * (1.0 - decay(1)) / (1.0 - decay(hours.max(1)));
        mean + DEVIATIONS * (mean + mean * mean).sqrt() + FREE + PER_BUCKET * f64::from(self.buckets)
    }
}

fn decay(hours: u32) -> f64 {
    (-f64::from(hours) / MEMORY_HOURS).exp()
}

/// What the guard knows at one position of the log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Guard {
    rates: Generations<Rate>,
    /// The first hour of the log.
    first: Option<u32>,
    /// The latest surges, oldest first.
    surges: Vec<Surge>,
    /// Number of surges so far.
    count: u64,
    releases: Vec<Release>,
}

/// The content for a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedGuard {
    rates: Saved<Rate>,
    first: Option<u32>,
    surges: Vec<Surge>,
    count: u64,
    releases: Vec<Release>,
}

/// An event that the guard judges.
pub(super) struct Judged<'a> {
    /// Key of item and area.
    pub(super) key: u64,
    pub(super) item: &'a str,
    pub(super) area: &'a str,
    pub(super) at: Timestamp,
    pub(super) is_public: bool,
    /// Whether it is the first of its bucket on the item today.
    pub(super) is_new_bucket: bool,
}

impl Guard {
    pub(super) fn new(releases: Vec<Release>) -> Self {
        Self { rates: Generations::new(ROOM), first: None, surges: Vec::new(), count: 0, releases }
    }

    /// Passes an event; `false` if it is held.
    pub(super) fn pass(&mut self, event: &Judged<'_>) -> bool {
        let hour = u32::try_from(event.at.0.max(0) / HOUR_MS).unwrap_or(u32::MAX);
        let first = *self.first.insert(self.first.map_or(hour, |first| first.min(hour)));
        let rate = self.rates.entry(event.key);
        rate.enter(hour);
        rate.now = rate.now.saturating_add(1);
        rate.buckets = rate.buckets.saturating_add(u32::from(event.is_new_bucket));
        if !event.is_public {
            return true;
        }
        let hours = hour - first;
        let bound = rate.bound(hours);
        let is_judged = hours >= MIN_HOURS && f64::from(rate.passed) + 1.0 > bound;
        if !is_judged || self.releases.iter().any(|release| release.covers(event.item, event.at)) {
            rate.passed = rate.passed.saturating_add(1);
            return true;
        }
        self.record(event, bound as u32);
        false
    }

    fn record(&mut self, event: &Judged<'_>, bound: u32) {
        let is_same = |surge: &&mut Surge| {
            surge.item == event.item && surge.area == event.area && event.at.0 - surge.to.0 <= OVER_MS
        };
        if let Some(surge) = self.surges.iter_mut().find(is_same) {
            (surge.to, surge.held, surge.bound) = (event.at.max(surge.to), surge.held + 1, bound);
            return;
        }
        if self.surges.len() >= MAX_SURGES {
            self.surges.remove(0);
        }
        let (item, area) = (event.item.to_owned(), event.area.to_owned());
        self.surges.push(Surge { item, area, from: event.at, to: event.at, held: 1, bound });
        self.count += 1;
    }

    pub(super) fn surges(&self) -> &[Surge] {
        &self.surges
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn releases(&self) -> &[Release] {
        &self.releases
    }

    pub(super) fn save(&self) -> SavedGuard {
        let Self { rates, first, surges, count, releases } = self.clone();
        SavedGuard { rates: rates.save(), first, surges, count, releases }
    }

    pub(super) fn load(SavedGuard { rates, first, surges, count, releases }: SavedGuard) -> Self {
        Self { rates: Generations::load(ROOM, rates), first, surges, count, releases }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 20_000 * DAY_MS;

    struct Shop(Guard);

    impl Shop {
        /// A shop with a week of history: two events an hour on the cup.
        fn new(releases: Vec<Release>) -> Self {
            let mut shop = Self(Guard::new(releases));
            for hour in 0..168 {
                assert_eq!(shop.send("cup", hour, 2, 2), 2);
            }
            shop
        }

        /// Sends events in an hour, from as many new buckets; returns how many pass.
        fn send(&mut self, item: &str, hour: i64, events: usize, buckets: usize) -> usize {
            let key = u64::from(item == "cup");
            let of = |number| Judged {
                key,
                item,
                area: "gb",
                at: Timestamp(START + hour * HOUR_MS),
                is_public: true,
                is_new_bucket: number < buckets,
            };
            (0..events).filter(|number| self.0.pass(&of(*number))).count()
        }
    }

    #[test]
    fn a_surge_of_few_senders_is_held_at_its_bound_and_told() {
        let mut shop = Shop::new(Vec::new());
        assert_eq!(shop.send("jug", 168, 500, 20), 50, "a new item");
        let surge = &shop.0.surges()[0];
        assert_eq!(
            (&*surge.item, &*surge.area, surge.held, surge.bound, shop.0.count()),
            ("jug", "gb", 450, 50, 1)
        );
        let known = shop.send("cup", 168, 500, 3);
        assert!((25..35).contains(&known), "{known}: its own history is part of the bound");
        assert_eq!((shop.send("jug", 169, 5, 0), shop.0.count()), (5, 2), "what is usual passes");
    }

    #[test]
    fn many_senders_pass_and_interest_that_lasts_is_believed() {
        let mut shop = Shop::new(Vec::new());
        assert_eq!(shop.send("jug", 168, 800, 500), 800);
        let mut shop = Shop::new(Vec::new());
        let passed: Vec<usize> = (168..168 + 72).map(|hour| shop.send("jug", hour, 60, 5)).collect();
        assert!(passed[0] <= 20 && passed[71] == 60, "{passed:?}");
    }

    #[test]
    fn a_release_passes_what_was_held_a_day_before_and_for_a_week() {
        let at = Timestamp(START + 170 * HOUR_MS);
        let mut shop = Shop::new(vec![Release { item: "jug".to_owned(), at }]);
        assert_eq!([168, 170, 170 + 167].map(|hour| shop.send("jug", hour, 300, 1)), [300; 3]);
        assert!(shop.send("lid", 170, 300, 1) < 300);
        assert!(shop.0.surges().iter().all(|surge| surge.item == "lid"));
    }

    #[test]
    fn a_young_log_and_senders_with_a_key_are_not_judged() {
        let mut shop = Shop(Guard::new(Vec::new()));
        assert_eq!(shop.send("jug", 0, 500, 1) + shop.send("jug", 23, 500, 1), 1_000);
        let mut shop = Shop::new(Vec::new());
        let own = Judged {
            key: 9,
            item: "lid",
            area: "gb",
            at: Timestamp(START + 170 * HOUR_MS),
            is_public: false,
            is_new_bucket: false,
        };
        assert!((0..500).all(|_| shop.0.pass(&own)));
    }

    #[test]
    fn the_list_of_surges_is_bounded() {
        let mut shop = Shop::new(Vec::new());
        for number in 0..100u64 {
            let item = format!("item {number}");
            let key = number + 10;
            let of = Judged {
                key,
                item: &item,
                area: "gb",
                at: Timestamp(START + 170 * HOUR_MS),
                is_public: true,
                is_new_bucket: false,
            };
            (0..20).for_each(|_| _ = shop.0.pass(&of));
        }
        assert_eq!((shop.0.surges().len(), shop.0.count()), (MAX_SURGES, 100));
        assert_eq!(Guard::load(shop.0.save()), shop.0);
    }
}
