//! From a body to its events: arrays, lines, the wrappers of GA4 and Segment, and the arguments of `gtag`.

use super::BodyError;
use crate::wire::json::{Json, Object};
use std::rc::Rc;

/// A value of the body that should be an event.
pub(super) struct Entry<'a> {
    pub(super) value: Json<'a>,
    /// The fields of the object around it, for all its events.
    pub(super) wrapper: Option<Rc<Object<'a>>>,
}

/// Splits a body into at most `max_events` entries.
pub(super) fn split(body: &[u8], max_events: usize) -> Result<Vec<Entry<'_>>, BodyError> {
    let mut entries = Vec::new();
    let too_many = || BodyError::TooMany(max_events);
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    for value in serde_json::Deserializer::from_slice(body).into_iter::<Json<'_>>() {
        match value.map_err(|error| BodyError::NotJson(error.to_string()))? {
            Json::Array(list) if !is_command(&list) => {
                if list.len() > max_events {
                    return Err(too_many());
                }
                list.into_iter().for_each(|value| unwrap(value, &mut entries));
            }
            value => unwrap(value, &mut entries),
        }
        if entries.len() > max_events {
            return Err(too_many());
        }
    }
    if entries.is_empty() {
        return Err(BodyError::NotJson("it is empty".to_owned()));
    }
    Ok(entries)
}

/// Whether these are the arguments of a call such as `gtag("event", …)`: no list of events begins with a text.
fn is_command(list: &[Json<'_>]) -> bool {
    matches!(list.first(), Some(Json::Text(_)))
}

/// Adds a value, or the events in it.
fn unwrap<'a>(value: Json<'a>, entries: &mut Vec<Entry<'a>>) {
    match value {
        Json::Object(mut wrapper) => {
            // GA4's Measurement Protocol and Segment.
            let is_list = |value: &Json<'_>| matches!(value, Json::Array(_) | Json::Object(_));
            let list = ["events", "batch"].into_iter().find(|name| wrapper.get(name).is_some_and(is_list));
            match list.and_then(|name| wrapper.remove(name)) {
                Some(list) => {
                    let wrapper = Some(Rc::new(wrapper));
                    let values = if let Json::Array(values) = list { values } else { vec![list] };
                    let entry = |value| Entry { value: command(value), wrapper: wrapper.clone() };
                    entries.extend(values.into_iter().map(entry));
                }
                None => entries.push(Entry { value: command(Json::Object(wrapper)), wrapper: None }),
            }
        }
        other => entries.push(Entry { value: command(other), wrapper: None }),
    }
}

/// The event of the arguments `"event"`, name and parameters, as an array or an object by index; any other value as it is.
fn command(value: Json<'_>) -> Json<'_> {
    let is_event = |first: Option<&Json<'_>>| first.and_then(Json::as_str) == Some("event");
    let (name, params) = match value {
        Json::Array(list) if is_event(list.first()) => {
            let mut arguments = list.into_iter().skip(1);
            (arguments.next(), arguments.next())
        }
        Json::Object(mut list) if is_event(list.get("0")) => (list.remove("1"), list.remove("2")),
        other => return other,
    };
    let mut event = Object::default();
    event.push("event", name.unwrap_or(Json::Null));
    event.push("params", params.unwrap_or(Json::Null));
    Json::Object(event)
}
