//! Who an event is of, and who vouches for it: what follows from its door, and what a sender with a key may say itself.

use super::fields::{self, Places, shown};
use super::read::Reading;
use super::{BUCKETS, Door, Trust};
use crate::wire::json::Json;

impl Reading<'_> {
    pub(super) fn visitor(&mut self, places: &Places<'_, '_>) -> Option<String> {
        let value = places.own(&["visitor"]).or_else(|| {
            places
                .find_or_wrapper(&[
                    "anonymousId",
                    "anonymous_id",
                    "client_id",
                    "clientId",
                    "user_pseudo_id",
                    "app_instance_id",
                ])
                .or_else(|| places.find_or_wrapper(&["domain_userid", "userId", "user_id"]))
        });
        match self.receiver.door {
            Door::Edge(sender) if sender.opted_out => None,
            Door::Edge(sender) if !sender.is_keyed => {
                self.disbelieve("visitor", places, sender.visitor);
                sender.visitor.map(str::to_owned)
            }
            Door::Edge(sender) => self.text("visitor", value).or_else(|| sender.visitor.map(str::to_owned)),
            Door::Server(_) | Door::History => self.text("visitor", value),
        }
    }

    /// The session; at the edge it links events as a visitor does, so it needs the same consent.
    pub(super) fn session(&mut self, places: &Places<'_, '_>) -> Option<String> {
        let may_link = match self.receiver.door {
            Door::Edge(sender) => !sender.opted_out && (sender.is_keyed || sender.visitor.is_some()),
            Door::Server(_) | Door::History => true,
        };
        if may_link { self.text("session", session(places)) } else { None }
    }

    pub(super) fn region(&mut self, places: &Places<'_, '_>) -> Option<String> {
        let value = places.own(&["region"]);
        match self.receiver.door {
            Door::Edge(sender) if !sender.is_keyed => {
                self.disbelieve("region", places, sender.region);
                sender.region.map(str::to_owned)
            }
            Door::Edge(sender) => self.text("region", value).or_else(|| sender.region.map(str::to_owned)),
            Door::History => self.text("region", value),
            Door::Server(is_area) => {
                let region = self.text("region", value)?;
                if is_area(&region) {
                    return Some(region);
                }
                let known = "neither a code of ISO 3166 nor a configured region";
                let detail = format!("left out: {} is {known}", shown(&Json::Text(region.into())));
                self.out.warn(None, "region", detail);
                None
            }
        }
    }

    /// Warns of a field that the sender may not set, unless it says what holds anyway.
    fn disbelieve(&mut self, field: &'static str, places: &Places<'_, '_>, instead: Option<&str>) {
        if let Some(value) = places.own(&[field])
            && instead.is_none_or(|known| fields::text(value).as_deref() != Some(known))
        {
            let detail = format!("left out: {}; only a sender with a key may name it", shown(value));
            self.out.warn(None, field, detail);
        }
    }

    /// Who vouches for the event. What is not understood is not believed.
    pub(super) fn trust(&mut self, places: &Places<'_, '_>) -> Option<Trust> {
        if let Door::Edge(sender) = self.receiver.door {
            return Some(if sender.is_keyed { Trust::Keyed } else { Trust::Public });
        }
        let value = places.own(&["trust"])?;
        Some(match value.as_str() {
            Some("keyed") => Trust::Keyed,
            Some("public") => Trust::Public,
            _ => {
                let detail = format!("{} is neither 'keyed' nor 'public'; it counts as public", shown(value));
                self.out.warn(None, "trust", detail);
                Trust::Public
            }
        })
    }

    pub(super) fn bucket(&mut self, places: &Places<'_, '_>) -> Option<u16> {
        if let Door::Edge(sender) = self.receiver.door {
            return sender.bucket;
        }
        let value = places.own(&["bucket"])?;
        let number = if let Json::Number(number) = value { number.as_u64() } else { None };
        let bucket = number.and_then(|number| u16::try_from(number).ok()).filter(|bucket| *bucket < BUCKETS);
        if bucket.is_none() {
            let detail = format!("left out: {} is not a whole number below {BUCKETS}", shown(value));
            self.out.warn(None, "bucket", detail);
        }
        bucket
    }
}

fn session<'b, 'a>(places: &Places<'b, 'a>) -> Option<&'b Json<'a>> {
    places
        .own(&["session"])
        .or_else(|| places.find(&["session_id", "sessionId", "ga_session_id", "domain_sessionid"]))
}
