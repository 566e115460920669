//! Reader and writer of the section. The reader clamps every number to its range, so that the edge needs neither the
//! checks that a document passes before it is published nor their texts.

use super::{
    Boost, Diversify, Experiment, Explore, Facet, Fresh, MAX_EXPERIMENTS, MAX_FACTOR, MAX_NAMES,
    MAX_POSITION, MAX_RULES, MAX_VARIANTS, Match, NAME, Pin, Rule, RuleError, Rules, Variant, When,
    conditions::{Day, Device, Hours, Surface, TimeOfDay},
};
use crate::{
    format::{
        error::Error,
        msgpack::{Reader, Token},
        strategy,
    },
    wire::time::Timestamp,
};

/// Reads a list of at most `most` values.
fn list<T: Default>(
    reader: &mut Reader<'_>,
    most: usize,
    into: &mut Vec<T>,
    read: fn(&mut T, &mut Reader<'_>) -> Option<()>,
) -> Option<()> {
    into.clear();
    for _ in 0..reader.array().filter(|count| *count as usize <= most)? {
        let mut one = T::default();
        read(&mut one, reader)?;
        into.push(one);
    }
    Some(())
}

fn text(into: &mut String, reader: &mut Reader<'_>) -> Option<()> {
    into.clear();
    into.push_str(reader.str()?);
    Some(())
}

fn texts(reader: &mut Reader<'_>, into: &mut Vec<String>) -> Option<()> {
    list(reader, MAX_NAMES, into, text)
}

/// Reads names of `known` values. An unknown name is an error: without it the list could become empty, and an empty
/// condition always holds.
fn named<T>(reader: &mut Reader<'_>, into: &mut Vec<T>, known: impl Fn(&str) -> Option<T>) -> Option<()> {
    into.clear();
    for _ in 0..reader.array().filter(|count| *count <= MAX_VARIANTS as u32)? {
        into.push(known(reader.str()?)?);
    }
    Some(())
}

fn bool(reader: &mut Reader<'_>) -> Option<bool> {
    let Token::Bool(value) = reader.token()? else { return None };
    Some(value)
}

/// Reads a number and clamps it; NaN becomes the least.
fn within(reader: &mut Reader<'_>, least: f32, most: f32) -> Option<f32> {
    Some(reader.f32()?.max(least).min(most))
}

fn whole(reader: &mut Reader<'_>, least: u16, most: u16) -> Option<u16> {
    Some(u16::try_from(reader.u64()?).unwrap_or(most).max(least).min(most))
}

fn price(reader: &mut Reader<'_>) -> Option<Option<f64>> {
    match reader.token()? {
        Token::Unsigned(number) => Some(Some(number as f64)),
        Token::Float(number) => Some(Some(number.max(0.0))),
        _ => None,
    }
}

fn time(reader: &mut Reader<'_>) -> Option<Option<Timestamp>> {
    Timestamp::parse(reader.str()?).map(Some)
}

fn time_of_day(reader: &mut Reader<'_>) -> Option<TimeOfDay> {
    TimeOfDay::parse(reader.str()?)
}

impl Match {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.map(&mut |reader, key| match key {
            "items" => texts(reader, &mut self.items),
            "categories" => texts(reader, &mut self.categories),
            "brands" => texts(reader, &mut self.brands),
            "price_min" => price(reader).map(|read| self.price_min = read),
            "price_max" => price(reader).map(|read| self.price_max = read),
            "newer_than_days" => whole(reader, 0, u16::MAX).map(|read| self.newer_than_days = Some(read)),
            _ => reader.skip(),
        })
    }
}

impl When {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let surface = |name: &str| Surface::ALL.into_iter().find(|known| known.name() == name);
        reader.map(&mut |reader, key| match key {
            "placements" => named(reader, &mut self.placements, surface),
            "regions" => texts(reader, &mut self.regions),
            "devices" => named(reader, &mut self.devices, Device::from_name),
            "segments" => texts(reader, &mut self.segments),
            "returning" => bool(reader).map(|read| self.returning = Some(read)),
            "hours" => self.hours.get_or_insert_default().read(reader),
            "from" => time(reader).map(|read| self.from = read),
            "until" => time(reader).map(|read| self.until = read),
            _ => reader.skip(),
        })
    }
}

impl Hours {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let day = |name: &str| Some(Day::ALL.into_iter().find(|(_, known)| *known == name)?.0);
        reader.map(&mut |reader, key| match key {
            "days" => named(reader, &mut self.days, day),
            "from" => time_of_day(reader).map(|read| self.from = read),
            "to" => time_of_day(reader).map(|read| self.to = read),
            "timezone" => text(self.timezone.get_or_insert_default(), reader),
            _ => reader.skip(),
        })
    }
}

impl Rule {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.map(&mut |reader, key| match key {
            "name" => text(&mut self.name, reader),
            "enabled" => bool(reader).map(|read| self.enabled = read),
            "when" => self.when.read(reader),
            "exclude" => self.exclude.get_or_insert_default().read(reader),
            "only" => self.only.get_or_insert_default().read(reader),
            "boost" => self.boost.insert(Boost { by: 1.0, ..Boost::default() }).read(reader),
            "fresh" => self.fresh.insert(Fresh { days: 1, by: 1.0 }).read(reader),
            "pin" => self.pin.insert(Pin { at: 1, ..Pin::default() }).read(reader),
            "diversify" => self.diversify.get_or_insert_default().read(reader),
            "exclude_bought" => bool(reader).map(|read| self.exclude_bought = read),
            "strategy" => text(self.strategy.get_or_insert_default(), reader),
            "explore" => self.explore.get_or_insert_default().read(reader),
            _ => reader.skip(),
        })
    }
}

impl Boost {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.map(&mut |reader, key| match key {
            "match" => self.items.read(reader),
            "by" => within(reader, 1.0 / MAX_FACTOR, MAX_FACTOR).map(|read| self.by = read),
            _ => reader.skip(),
        })
    }
}

impl Fresh {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.map(&mut |reader, key| match key {
            "days" => whole(reader, 1, 3_650).map(|read| self.days = read),
            "by" => within(reader, 1.0, MAX_FACTOR).map(|read| self.by = read),
            _ => reader.skip(),
        })
    }
}

impl Pin {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.map(&mut |reader, key| match key {
            "item" => text(&mut self.item, reader),
            "at" => whole(reader, 1, MAX_POSITION.into()).map(|read| self.at = read as u8),
            _ => reader.skip(),
        })
    }
}

impl Diversify {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let facet = |name| match name {
            "brand" => Facet::Brand,
            "group" => Facet::Group,
            _ => Facet::Category,
        };
        reader.map(&mut |reader, key| match key {
            "by" => reader.str().map(|name| self.by = facet(name)),
            "at_most" => whole(reader, 1, MAX_POSITION.into()).map(|read| self.at_most = read as u8),
            "decay" => within(reader, f32::MIN_POSITIVE, 1.0).map(|read| self.decay = read),
            _ => reader.skip(),
        })
    }
}

impl Explore {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.map(&mut |reader, key| match key {
            "share" => within(reader, 0.0, 1.0).map(|read| self.share = read),
            _ => reader.skip(),
        })
    }
}

impl Experiment {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.map(&mut |reader, key| match key {
            "id" => text(&mut self.id, reader),
            "enabled" => bool(reader).map(|read| self.enabled = read),
            "layer" => text(&mut self.layer, reader),
            "salt" => text(&mut self.salt, reader),
            "traffic" => {
                reader.array().filter(|count| *count == 2)?;
                self.traffic = [within(reader, 0.0, 1.0)?, within(reader, 0.0, 1.0)?];
                Some(())
            }
            "when" => self.when.read(reader),
            "variants" => list(reader, MAX_VARIANTS, &mut self.variants, Variant::read),
            _ => reader.skip(),
        })
    }
}

impl Variant {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.map(&mut |reader, key| match key {
            "name" => text(&mut self.name, reader),
            "weight" => within(reader, 0.0, 1e6).map(|read| self.weight = read),
            "strategy" => text(self.strategy.get_or_insert_default(), reader),
            "rules_on" => texts(reader, &mut self.rules_on),
            "rules_off" => texts(reader, &mut self.rules_off),
            _ => reader.skip(),
        })
    }
}

impl Rules {
    /// Reads the section. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`Error::Section`] if it is truncated, a field has another type or an unknown name, or a list is too long.
    pub fn open(section: &[u8]) -> Result<Self, Error> {
        let mut read = Self::default();
        let whole = Reader(section).map(&mut |reader, key| match key {
            "rules" => list(reader, MAX_RULES, &mut read.rules, Rule::read),
            "strategies" => strategy::read(reader).ok().map(|strategies| read.strategies = strategies),
            "experiments" => list(reader, MAX_EXPERIMENTS, &mut read.experiments, Experiment::read),
            _ => reader.skip(),
        });
        let detail = "it is truncated, or a field has an unexpected value";
        whole.map(|()| read).ok_or(Error::Section { section: NAME, detail })
    }

    /// Encodes a document that [`Rules::check`] has accepted.
    ///
    /// # Errors
    /// A [`RuleError`] if it could not be read back.
    pub fn write(&self) -> Result<Vec<u8>, RuleError> {
        let bad = |detail: String| RuleError { field: "rules".to_owned(), name: String::new(), detail };
        let section = rmp_serde::to_vec_named(self).map_err(|error| bad(error.to_string()))?;
        Self::open(&section).map_err(|error| bad(error.to_string()))?;
        Ok(section)
    }
}
