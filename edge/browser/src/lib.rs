//! Verge in the page: the edge's scorer over the same snapshots, for when the edge cannot be reached.
//!
//! Answers are those of the edge on the same blobs, as plain objects: `items`, `next`, `strategy` and `degraded`.

use js_sys::Function;
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use snapshots::answer::{Call, Request, answer, item};
use snapshots::query::{Query, QueryError};
use snapshots::recents::Recents;
use snapshots::rules::{Context, Device};
use snapshots::score::Scratch;
use snapshots::time::Timestamp;
use snapshots::{Bytes, Snapshot};
use wasm_bindgen::prelude::*;

/// A snapshot to recommend from.
#[wasm_bindgen]
pub struct Scorer {
    snapshot: Snapshot,
    scratch: Scratch,
    visitor: Option<String>,
    device: Option<Device>,
    clock: Option<Function>,
}

#[wasm_bindgen]
impl Scorer {
    /// Opens the blobs of a region's manifest, given one after the other, with their lengths.
    ///
    /// # Errors
    /// An `Error` that says what is wrong with them.
    #[wasm_bindgen(constructor)]
    pub fn new(blobs: Vec<u8>, lengths: &[u32]) -> Result<Scorer, JsError> {
        let mut rest = Bytes::from(blobs);
        let mut parts = Vec::with_capacity(lengths.len());
        for length in lengths {
            if rest.len() < *length as usize {
                return Err(JsError::new("the blobs are shorter than their lengths say"));
            }
            parts.push(rest.split_to(*length as usize));
        }
        let snapshot = Snapshot::open(&parts)?;
        snapshot.verify()?;
        Ok(Self { snapshot, scratch: Scratch::default(), visitor: None, device: None, clock: None })
    }

    /// What rules and experiments may ask of the visitor from now on: the `verge_visitor` cookie, the device (`desktop`,
    /// `mobile`, `tablet`), and the minute of the week in a time zone, or in the visitor's own where none is given.
    pub fn tell(&mut self, visitor: Option<String>, device: Option<String>, clock: Function) {
        self.visitor = visitor;
        self.device = device.as_deref().and_then(Device::from_name);
        self.clock = Some(clock);
    }

    /// What `GET /v1/recommendations?{query}` answers to a visitor with this `verge_recents` cookie, `now` in ms.
    ///
    /// # Errors
    /// An `Error` that names the parameter that makes no sense.
    pub fn recommend(&mut self, query: &str, recents: &str, now: f64) -> Result<JsValue, JsError> {
        let query = Query::parse(query).map_err(problem)?;
        let recents = Recents::parse(recents);
        self.answer(Call::Recommend, &Request::new(&query, &recents, Timestamp(now as i64)))
    }

    /// What `GET /v1/items/{id}/similar?{query}` answers.
    ///
    /// # Errors
    /// As for `recommend`.
    pub fn similar(&mut self, id: &str, query: &str, now: f64) -> Result<JsValue, JsError> {
        let (query, nobody) = (Query::parse(query).map_err(problem)?, Recents::default());
        self.answer(Call::Similar(id), &Request::new(&query, &nobody, Timestamp(now as i64)))
    }

    /// What `GET /v1/popular?{query}` answers.
    ///
    /// # Errors
    /// As for `recommend`.
    pub fn popular(&mut self, query: &str, now: f64) -> Result<JsValue, JsError> {
        let (query, nobody) = (Query::parse(query).map_err(problem)?, Recents::default());
        self.answer(Call::Popular, &Request::new(&query, &nobody, Timestamp(now as i64)))
    }

    /// One item by its id; `undefined` where the snapshot does not know it.
    ///
    /// # Errors
    /// Never, with a snapshot that was opened.
    pub fn item(&self, id: &str) -> Result<JsValue, JsError> {
        Ok(item(&self.snapshot, id).serialize(&Serializer::json_compatible())?)
    }
}

impl Scorer {
    fn answer(&mut self, call: Call<'_>, request: &Request<'_>) -> Result<JsValue, JsError> {
        let clock = |zone: Option<&str>| {
            let zone = zone.map_or(JsValue::UNDEFINED, JsValue::from_str);
            let minute = self.clock.as_ref()?.call1(&JsValue::NULL, &zone).ok()?.as_f64()?;
            (minute >= 0.0).then_some(minute as u16)
        };
        let (visitor, device) = (self.visitor.as_deref(), self.device);
        let context = Context { visitor, device, clock: Some(&clock), ..Context::default() };
        let request = Request { context, ..*request };
        let found = answer(&self.snapshot, call, &request, &mut self.scratch).map_err(problem)?;
        Ok(found.serialize(&Serializer::json_compatible())?)
    }
}

fn problem(error: QueryError) -> JsError {
    JsError::new(&format!("{}: {}", error.field, error.detail))
}
