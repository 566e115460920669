//! Conditions of rules and experiments.

use crate::wire::{query::Placement, time::Timestamp};
use serde::{Deserialize, Serialize};

/// Conditions that must all hold. An empty condition always holds. Caches may delay times by up to 30 s in public
/// answers (`popular`, `similar`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct When {
    /// The answer is for one of these placements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<Surface>,
    /// The snapshot is for one of these regions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// The visitor uses one of these devices. Never holds for public answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// The request names one of these in `segment=`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// Whether the visitor returns: has recents older than 30 minutes. Never holds for public answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returning: Option<bool>,
    /// The local time is within these hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// From this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub from: Option<Timestamp>,
    /// Before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub until: Option<Timestamp>,
}

/// Where an answer is shown: a placement, or one of the two public lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Surface {
    /// The front page.
    Home,
    /// An item's page.
    Product,
    /// The cart.
    Cart,
    /// Search or category results.
    Search,
    /// An email.
    Email,
    /// `/v1/popular`.
    Popular,
    /// `/v1/items/{id}/similar`.
    Similar,
}

impl Surface {
    /// All variants.
    pub const ALL: [Self; 7] =
        [Self::Home, Self::Product, Self::Cart, Self::Search, Self::Email, Self::Popular, Self::Similar];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Home => Placement::Home.name(),
            Self::Product => Placement::Product.name(),
            Self::Cart => Placement::Cart.name(),
            Self::Search => Placement::Search.name(),
            Self::Email => Placement::Email.name(),
            Self::Popular => "popular",
            Self::Similar => "similar",
        }
    }

    /// Whether its answers are public: the same for every visitor.
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Popular | Self::Similar)
    }
}

impl From<Placement> for Surface {
    fn from(placement: Placement) -> Self {
        match placement {
            Placement::Home => Self::Home,
            Placement::Product => Self::Product,
            Placement::Cart => Self::Cart,
            Placement::Search => Self::Search,
            Placement::Email => Self::Email,
        }
    }
}

/// The visitor's kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Device {
    /// A computer.
    Desktop,
    /// A phone.
    Mobile,
    /// A tablet.
    Tablet,
}

impl Device {
    /// All variants.
    pub const ALL: [Self; 3] = [Self::Desktop, Self::Mobile, Self::Tablet];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
        }
    }

    /// The device of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|device| device.name() == name)
    }
}

/// A day of the week, Monday first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// All days and their names in JSON.
    pub const ALL: [(Self, &str); 7] = [
        (Self::Mon, "mon"),
        (Self::Tue, "tue"),
        (Self::Wed, "wed"),
        (Self::Thu, "thu"),
        (Self::Fri, "fri"),
        (Self::Sat, "sat"),
        (Self::Sun, "sun"),
    ];
}

/// Minutes in a day.
const DAY: u16 = 24 * 60;

/// A time of day such as `09:30`. `24:00` is the end of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Reads `HH:MM`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str| {
            let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| two)
        };
        let minute = number(minutes).filter(|minute| *minute < 60)?;
        Some(number(hours)?.checked_mul(60)? + minute).filter(|time| *time <= DAY).map(Self)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("expected a time of day such as 09:30")
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        format!("{:02}:{:02}", time.0 / 60, time.0 % 60)
    }
}

/// Hours on days of the week. If `to` is not after `from`, they end on the next day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hours {
    /// The days on which they begin. Default: every day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// When they begin.
    pub from: TimeOfDay,
    /// When they end.
    pub to: TimeOfDay,
    /// IANA time zone such as `Europe/Berlin`. Default: the visitor's own, for which the condition never holds in public
    /// answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

impl Hours {
    /// Whether they include a minute of the week, 0 at Monday 00:00.
    fn include(&self, minute: u16) -> bool {
        let length = match (self.to.0 + DAY - self.from.0) % DAY {
            0 => DAY,
            length => length,
        };
        let week = 7 * DAY;
        Day::ALL.into_iter().zip(0u16..).any(|((day, _), number)| {
            let begins = number * DAY + self.from.0;
            (self.days.is_empty() || self.days.contains(&day))
                && (minute % week + week - begins % week) % week < length
        })
    }
}

/// Returns the minute of the week, 0 at Monday 00:00, in a time zone, or in the visitor's own if none is given. `None` if
/// the zone is unknown.
pub type Clock<'a> = &'a dyn Fn(Option<&str>) -> Option<u16>;

/// What is known of a visitor besides the query and the recents. Every field is optional.
#[derive(Clone, Copy, Default)]
pub struct VisitorContext<'a> {
    /// The device.
    pub device: Option<Device>,
    /// The id by which experiments assign variants. Default: the oldest recent.
    pub visitor: Option<&'a str>,
    /// The clock; without one, conditions on hours never hold.
    pub clock: Option<Clock<'a>>,
    /// The experiment and variant that a tester wants to see.
    pub forced: Option<(&'a str, &'a str)>,
    /// A uniform random number for exploration; without one, nothing is explored.
    pub random: Option<u64>,
}

/// The inputs of the conditions.
pub struct RequestContext<'a> {
    /// Where the answer is shown.
    pub surface: Surface,
    /// The snapshot's region.
    pub region: &'a str,
    /// The segments that the request names.
    pub segments: &'a [String],
    /// Whether the visitor has recents of an earlier session.
    pub returning: bool,
    /// The current time.
    pub now: Timestamp,
    /// The visitor.
    pub context: &'a VisitorContext<'a>,
}

/// Whether any element holds. An empty list always holds.
fn any<T>(list: &[T], holds: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(holds)
}

impl When {
    /// Whether all conditions are empty.
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all conditions hold.
    pub fn holds(&self, request: &RequestContext<'_>) -> bool {
        let RequestContext { surface, region, segments, returning, now, context } = request;
        let device = context.device.filter(|_| !surface.is_public());
        any(&self.placements, |wanted| wanted == surface)
            && any(&self.regions, |wanted| wanted == region)
            && any(&self.devices, |wanted| Some(*wanted) == device)
            && any(&self.segments, |wanted| segments.contains(wanted))
            && self.returning.is_none_or(|wanted| !surface.is_public() && wanted == *returning)
            && self.from.is_none_or(|from| from <= *now)
            && self.until.is_none_or(|until| *now < until)
            && self.hours.as_ref().is_none_or(|hours| {
                let zone = hours.timezone.as_deref();
                let known = zone.is_some() || !surface.is_public();
                let minute = context.clock.filter(|_| known).and_then(|clock| clock(zone));
                minute.is_some_and(|minute| hours.include(minute))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(days: &[Day], from: &str, to: &str) -> Hours {
        let time = |text| TimeOfDay::parse(text).unwrap();
        Hours { days: days.to_vec(), from: time(from), to: time(to), timezone: None }
    }

    #[test]
    fn hours_include_their_start_exclude_their_end_and_wrap_around_midnight_and_sunday() {
        let minute = |day: u16, hour: u16, minute: u16| day * DAY + hour * 60 + minute;
        let office = hours(&[Day::Mon, Day::Fri], "09:00", "17:30");
        for (at, expected) in [
            (minute(0, 8, 59), false),
            (minute(0, 9, 0), true),
            (minute(0, 17, 29), true),
            (minute(0, 17, 30), false),
            (minute(1, 10, 0), false),
            (minute(4, 10, 0), true),
        ] {
            assert_eq!(office.include(at), expected, "{at}");
        }
        let night = hours(&[Day::Sun], "22:00", "02:00");
        assert!(night.include(minute(6, 23, 0)) && night.include(minute(0, 1, 59)));
        assert!(!night.include(minute(0, 2, 0)) && !night.include(minute(1, 1, 0)));
        assert!((0..7 * DAY).all(|at| hours(&[], "00:00", "24:00").include(at)));
        assert!((0..7 * DAY).all(|at| hours(&[], "07:00", "07:00").include(at)));
    }

    #[test]
    fn times_of_day_are_read_strictly() {
        assert_eq!(String::from(TimeOfDay::parse("09:05").unwrap()), "09:05");
        for text in ["9:05", "09:60", "24:01", "25:00", "", ":", "+9:00", "09:5", "99999:00"] {
            assert_eq!(TimeOfDay::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_condition_must_hold() {
        let clock = |zone: Option<&str>| (zone == Some("Europe/Berlin")).then_some(10 * 60);
        let context =
            VisitorContext { device: Some(Device::Mobile), clock: Some(&clock), ..VisitorContext::default() };
        let segments = ["vip".to_owned()];
        let request = RequestContext {
            surface: Surface::Home,
            region: "gb",
            segments: &segments,
            returning: true,
            now: Timestamp(1_000),
            context: &context,
        };
        let all = When {
            placements: vec![Surface::Cart, Surface::Home],
            regions: vec!["gb".into()],
            devices: vec![Device::Mobile],
            segments: vec!["vip".into(), "b2b".into()],
            returning: Some(true),
            hours: Some(Hours {
                timezone: Some("Europe/Berlin".into()),
                ..hours(&[Day::Mon], "09:00", "17:00")
            }),
            from: Some(Timestamp(1_000)),
            until: Some(Timestamp(1_001)),
        };
        assert!(all.holds(&request) && When::default().holds(&request));
        let but = |change: fn(&mut When)| {
            let mut when = all.clone();
            change(&mut when);
            when.holds(&request)
        };
        assert!(!but(|when| when.placements = vec![Surface::Cart]));
        assert!(!but(|when| when.regions = vec!["fr".into()]));
        assert!(!but(|when| when.devices = vec![Device::Desktop]));
        assert!(!but(|when| when.segments = vec!["b2b".into()]));
        assert!(!but(|when| when.returning = Some(false)));
        assert!(!but(|when| when.from = Some(Timestamp(1_001))));
        assert!(!but(|when| when.until = Some(Timestamp(1_000))));
        assert!(!but(|when| when.hours.as_mut().unwrap().to = TimeOfDay::parse("10:00").unwrap()));
        assert!(
            !but(|when| when.hours.as_mut().unwrap().timezone = None),
            "the visitor's time zone is unknown"
        );
    }

    #[test]
    fn personal_conditions_never_hold_for_public_answers() {
        let clock = |_: Option<&str>| Some(0);
        let context =
            VisitorContext { device: Some(Device::Mobile), clock: Some(&clock), ..VisitorContext::default() };
        for surface in Surface::ALL {
            let request = RequestContext {
                surface,
                region: "gb",
                segments: &[],
                returning: true,
                now: Timestamp(0),
                context: &context,
            };
            let personal = [
                When { devices: vec![Device::Mobile], ..When::default() },
                When { returning: Some(true), ..When::default() },
                When { hours: Some(hours(&[], "00:00", "24:00")), ..When::default() },
            ];
            assert!(personal.iter().all(|when| when.holds(&request) != surface.is_public()));
        }
    }
}
