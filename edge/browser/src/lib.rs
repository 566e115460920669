//! Verge in the page: the edge's scorer on the same snapshots, for when the edge cannot be reached.
//!
//! Answers equal those of the edge on the same blobs. They have the fields `items`, `next`, `strategy`, `experiments` and
//! `degraded`.

mod json;

use snapshots::answer::{Call, Request, answer, item};
use snapshots::query::Query;
use snapshots::recents::Recents;
use snapshots::rules::{Device, VisitorContext};
use snapshots::score::Scratch;
use snapshots::time::Timestamp;
use snapshots::{Bytes, Error, Snapshot};
use wasm_bindgen::prelude::*;

/// Smaller than std's allocator by 4 KB. A page allocates rarely, but downloads every byte.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[wasm_bindgen(module = "/../visitor.js")]
extern "C" {
    #[wasm_bindgen(js_name = minuteOfWeek)]
    fn minute_of_week(zone: Option<&str>) -> f64;
}

/// A scorer with its snapshot.
#[wasm_bindgen]
pub struct Scorer {
    snapshot: Snapshot,
    scratch: Scratch,
    visitor: Option<String>,
    device: Option<Device>,
}

#[wasm_bindgen]
impl Scorer {
    /// Opens the concatenated blobs of a region's manifest with their lengths. Throws an `Error` if they are damaged.
    #[wasm_bindgen(constructor)]
    pub fn new(blobs: Vec<u8>, lengths: &[u32]) -> Scorer {
        match open(blobs, lengths) {
            Ok(snapshot) => Self { snapshot, scratch: Scratch::default(), visitor: None, device: None },
            Err(error) => wasm_bindgen::throw_str(&error.to_string()),
        }
    }

    /// Sets the visitor for rules and experiments: the `verge_visitor` cookie, and the device (`desktop`, `mobile`,
    /// `tablet`).
    pub fn tell(&mut self, visitor: Option<String>, device: &str) {
        self.visitor = visitor;
        self.device = Device::from_name(device);
    }

    /// The answer of `GET /v1/recommendations?{query}` for a visitor with this `verge_recents` cookie as JSON, or an object
    /// with the `field` and `detail` of an error. `now` is in ms.
    pub fn recommend(&mut self, query: &str, recents: &str, now: f64) -> String {
        self.answer(Call::Recommend, query, recents, now)
    }

    /// The answer of `GET /v1/items/{id}/similar?{query}`.
    pub fn similar(&mut self, id: &str, query: &str, now: f64) -> String {
        self.answer(Call::Similar(id), query, "", now)
    }

    /// The answer of `GET /v1/popular?{query}`.
    pub fn popular(&mut self, query: &str, now: f64) -> String {
        self.answer(Call::Popular, query, "", now)
    }

    /// An item by its id as JSON; `null` if the snapshot does not contain it.
    pub fn item(&self, id: &str, now: f64) -> String {
        item(&self.snapshot, id, Timestamp(now as i64)).map_or("null".to_owned(), |item| json::item(&item))
    }
}

fn open(blobs: Vec<u8>, lengths: &[u32]) -> Result<Snapshot, Error> {
    let mut rest = Bytes::from(blobs);
    let part = |length: &u32| rest.split_to(rest.len().min(*length as usize));
    let parts: Vec<Bytes> = lengths.iter().map(part).collect();
    let snapshot = Snapshot::open(&parts)?;
    snapshot.verify()?;
    Ok(snapshot)
}

impl Scorer {
    fn answer(&mut self, call: Call<'_>, query: &str, recents: &str, now: f64) -> String {
        let clock = |zone: Option<&str>| {
            let minute = minute_of_week(zone);
            (minute >= 0.0).then_some(minute as u16)
        };
        let (visitor, device) = (self.visitor.as_deref(), self.device);
        let context = VisitorContext { visitor, device, clock: Some(&clock), ..VisitorContext::default() };
        let recents = Recents::parse(recents);
        let found = Query::parse(query).and_then(|query| {
            let request = Request { context, ..Request::new(&query, &recents, Timestamp(now as i64)) };
            answer(&self.snapshot, call, &request, &mut self.scratch).map(|answer| json::answer(&answer))
        });
        found.unwrap_or_else(|error| json::problem(&error))
    }
}
