//! Reading and writing the section. What is read is held within its bounds number by number, so that the edge needs none
//! of the checks, and none of their texts, that a document passes before it is published.

use super::{
    Boost, Diversify, Experiment, Explore, Facet, Fresh, MAX_EXPERIMENTS, MAX_FACTOR, MAX_NAMES,
    MAX_POSITION, MAX_RULES, MAX_VARIANTS, Match, NAME, Pin, Rule, RuleError, Rules, Variant, When,
    conditions::{Day, Device, Hours, Surface, TimeOfDay},
};
use crate::{
    error::Error,
    msgpack::{Reader, Token},
    strategy,
    time::Timestamp,
};

/// Reads a list of at most `most` values.
fn list<'a, T>(
    reader: &mut Reader<'a>,
    most: usize,
    mut read: impl FnMut(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = reader.array()? as usize;
    if count > most {
        return None;
    }
    let mut list = Vec::new();
    for _ in 0..count {
        list.push(read(reader)?);
    }
    Some(list)
}

fn text(reader: &mut Reader<'_>) -> Option<String> {
    Some(reader.str()?.to_owned())
}

fn texts(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    list(reader, MAX_NAMES, text)
}

/// Texts of which each names one of `known`; others name none.
fn named<T: Copy>(reader: &mut Reader<'_>, known: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let mut named = Vec::new();
    for _ in 0..reader.array().filter(|count| *count <= MAX_VARIANTS as u32)? {
        named.extend(known(reader.str()?));
    }
    Some(named)
}

fn bool(reader: &mut Reader<'_>) -> Option<bool> {
    let Token::Bool(value) = reader.token()? else { return None };
    Some(value)
}

/// A number within bounds; the least for one that is none.
fn within(reader: &mut Reader<'_>, least: f32, most: f32) -> Option<f32> {
    Some(reader.f32()?.max(least).min(most))
}

fn whole(reader: &mut Reader<'_>, least: u16, most: u16) -> Option<u16> {
    Some(u16::try_from(reader.u64()?).unwrap_or(most).clamp(least, most))
}

fn price(reader: &mut Reader<'_>) -> Option<f64> {
    match reader.token()? {
        Token::Unsigned(number) => Some(number as f64),
        Token::Float(number) => Some(number.max(0.0)),
        _ => None,
    }
}

fn time(reader: &mut Reader<'_>) -> Option<Timestamp> {
    Timestamp::parse(reader.str()?)
}

fn time_of_day(reader: &mut Reader<'_>) -> Option<TimeOfDay> {
    TimeOfDay::parse(reader.str()?)
}

impl Match {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::default();
        reader.map(|reader, key| {
            match key {
                "items" => read.items = texts(reader)?,
                "categories" => read.categories = texts(reader)?,
                "brands" => read.brands = texts(reader)?,
                "price_min" => read.price_min = Some(price(reader)?),
                "price_max" => read.price_max = Some(price(reader)?),
                "newer_than_days" => read.newer_than_days = Some(whole(reader, 0, u16::MAX)?),
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl When {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::default();
        reader.map(|reader, key| {
            match key {
                "placements" => {
                    let surface = |name: &str| Surface::ALL.into_iter().find(|known| known.name() == name);
                    read.placements = named(reader, surface)?;
                }
                "regions" => read.regions = texts(reader)?,
                "devices" => read.devices = named(reader, Device::from_name)?,
                "segments" => read.segments = texts(reader)?,
                "returning" => read.returning = Some(bool(reader)?),
                "hours" => read.hours = Some(Hours::read(reader)?),
                "from" => read.from = Some(time(reader)?),
                "until" => read.until = Some(time(reader)?),
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl Hours {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::default();
        reader.map(|reader, key| {
            match key {
                "days" => {
                    let day = |name: &str| Some(Day::ALL.into_iter().find(|(_, known)| *known == name)?.0);
                    read.days = named(reader, day)?;
                }
                "from" => read.from = time_of_day(reader)?,
                "to" => read.to = time_of_day(reader)?,
                "timezone" => read.timezone = Some(text(reader)?),
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl Rule {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::default();
        reader.map(|reader, key| {
            match key {
                "name" => read.name = text(reader)?,
                "enabled" => read.enabled = bool(reader)?,
                "when" => read.when = When::read(reader)?,
                "exclude" => read.exclude = Some(Match::read(reader)?),
                "only" => read.only = Some(Match::read(reader)?),
                "boost" => read.boost = Some(Boost::read(reader)?),
                "fresh" => read.fresh = Some(Fresh::read(reader)?),
                "pin" => read.pin = Some(Pin::read(reader)?),
                "diversify" => read.diversify = Some(Diversify::read(reader)?),
                "exclude_bought" => read.exclude_bought = bool(reader)?,
                "strategy" => read.strategy = Some(text(reader)?),
                "explore" => read.explore = Some(Explore::read(reader)?),
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl Boost {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self { by: 1.0, ..Self::default() };
        reader.map(|reader, key| {
            match key {
                "match" => read.items = Match::read(reader)?,
                "by" => read.by = within(reader, 1.0 / MAX_FACTOR, MAX_FACTOR)?,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl Fresh {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self { days: 1, by: 1.0 };
        reader.map(|reader, key| {
            match key {
                "days" => read.days = whole(reader, 1, 3_650)?,
                "by" => read.by = within(reader, 1.0, MAX_FACTOR)?,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl Pin {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self { at: 1, ..Self::default() };
        reader.map(|reader, key| {
            match key {
                "item" => read.item = text(reader)?,
                "at" => read.at = whole(reader, 1, MAX_POSITION.into())? as u8,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl Diversify {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::default();
        reader.map(|reader, key| {
            match key {
                "by" => read.by = if reader.str()? == "brand" { Facet::Brand } else { Facet::Category },
                "at_most" => read.at_most = whole(reader, 1, MAX_POSITION.into())? as u8,
                "decay" => read.decay = within(reader, f32::MIN_POSITIVE, 1.0)?,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl Explore {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::default();
        reader.map(|reader, key| {
            match key {
                "share" => read.share = within(reader, 0.0, 1.0)?,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl Experiment {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::default();
        reader.map(|reader, key| {
            match key {
                "id" => read.id = text(reader)?,
                "enabled" => read.enabled = bool(reader)?,
                "layer" => read.layer = text(reader)?,
                "salt" => read.salt = text(reader)?,
                "traffic" => {
                    reader.array().filter(|count| *count == 2)?;
                    read.traffic = [within(reader, 0.0, 1.0)?, within(reader, 0.0, 1.0)?];
                }
                "when" => read.when = When::read(reader)?,
                "variants" => read.variants = list(reader, MAX_VARIANTS, Variant::read)?,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl Variant {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::default();
        reader.map(|reader, key| {
            match key {
                "name" => read.name = text(reader)?,
                "weight" => read.weight = within(reader, 0.0, 1e6)?,
                "strategy" => read.strategy = Some(text(reader)?),
                "rules_on" => read.rules_on = texts(reader)?,
                "rules_off" => read.rules_off = texts(reader)?,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(read)
    }
}

impl Rules {
    /// Reads the section. Fields that are not known are passed over.
    ///
    /// # Errors
    /// [`Error::Section`] when it is cut, a field holds another type, or a list is too long.
    pub fn open(section: &[u8]) -> Result<Self, Error> {
        let mut read = Self::default();
        let mut reader = Reader(section);
        let whole = reader.map(|reader, key| {
            match key {
                "rules" => read.rules = list(reader, MAX_RULES, Rule::read)?,
                "strategies" => read.strategies = strategy::read(reader).ok()?,
                "experiments" => read.experiments = list(reader, MAX_EXPERIMENTS, Experiment::read)?,
                _ => reader.skip()?,
            }
            Some(())
        });
        whole
            .map(|()| read)
            .ok_or(Error::Section { section: NAME, detail: "it is cut, or a field is none of its kind" })
    }

    /// Packs the document. It should have been checked ([`Rules::check`]).
    ///
    /// # Errors
    /// A [`RuleError`] when it could not be read again.
    pub fn write(&self) -> Result<Vec<u8>, RuleError> {
        let bad = |detail: String| RuleError { field: "rules".to_owned(), name: String::new(), detail };
        let section = rmp_serde::to_vec_named(self).map_err(|error| bad(error.to_string()))?;
        Self::open(&section).map_err(|error| bad(error.to_string()))?;
        Ok(section)
    }
}
