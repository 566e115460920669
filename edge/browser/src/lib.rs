//! Verge in the page: the edge's scorer over the same snapshots, for when the edge cannot be reached.
//!
//! Answers are those of the edge on the same blobs, as plain objects: `items`, `next`, `strategy` and `degraded`.

use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use snapshots::answer::{self, Answer};
use snapshots::query::{Query, QueryError};
use snapshots::recents::Recents;
use snapshots::score::Scratch;
use snapshots::time::Timestamp;
use snapshots::{Bytes, Snapshot};
use wasm_bindgen::prelude::*;

/// A snapshot to recommend from.
#[wasm_bindgen]
pub struct Scorer {
    snapshot: Snapshot,
    scratch: Scratch,
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
        Ok(Self { snapshot, scratch: Scratch::default() })
    }

    /// What `GET /v1/recommendations?{query}` answers to a visitor with this `verge_recents` cookie, `now` in ms.
    ///
    /// # Errors
    /// An `Error` that names the parameter that makes no sense.
    pub fn recommend(&mut self, query: &str, recents: &str, now: f64) -> Result<JsValue, JsError> {
        let query = Query::parse(query).map_err(problem)?;
        let recents = Recents::parse(recents);
        let found =
            answer::recommend(&self.snapshot, &query, &recents, Timestamp(now as i64), &mut self.scratch);
        json(found)
    }

    /// What `GET /v1/items/{id}/similar?{query}` answers.
    ///
    /// # Errors
    /// As for `recommend`.
    pub fn similar(&mut self, id: &str, query: &str) -> Result<JsValue, JsError> {
        let query = Query::parse(query).map_err(problem)?;
        json(answer::similar(&self.snapshot, id, &query, &mut self.scratch))
    }

    /// What `GET /v1/popular?{query}` answers.
    ///
    /// # Errors
    /// As for `recommend`.
    pub fn popular(&mut self, query: &str) -> Result<JsValue, JsError> {
        let query = Query::parse(query).map_err(problem)?;
        json(answer::popular(&self.snapshot, &query, &mut self.scratch))
    }
}

fn problem(error: QueryError) -> JsError {
    JsError::new(&format!("{}: {}", error.field, error.detail))
}

fn json(found: Result<Answer<'_>, QueryError>) -> Result<JsValue, JsError> {
    Ok(found.map_err(problem)?.serialize(&Serializer::json_compatible())?)
}
