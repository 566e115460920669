//! The baseline: tables as hash maps of ids, deserialised from MessagePack.

use serde::{Deserialize, Serialize};
use snapshots::Snapshot;
use snapshots::strategy::Strategy;
use std::collections::HashMap;

/// The co-view table by id.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Model {
    rows: HashMap<String, Vec<(String, f32)>>,
}

impl Model {
    /// Copies the rows of a snapshot.
    pub fn from_snapshot(snapshot: &Snapshot) -> Self {
        let id = |item| snapshot.ids.id(item).map(|id| id.to_string()).unwrap_or_default();
        let mut rows = HashMap::new();
        for item in 0..snapshot.len() as u32 {
            let mut row = Vec::new();
            if let Some(table) = &snapshot.coview {
                table.for_each(item, |neighbour, weight| row.push((id(neighbour), weight)));
            }
            rows.insert(id(item), row);
        }
        Self { rows }
    }

    /// The best items for these recents (newest first) by the co-view signal alone, without the recents themselves.
    pub fn recommend(&self, strategy: &Strategy, recents: &[String], count: usize) -> Vec<(String, f32)> {
        let recents = &recents[..recents.len().min(strategy.recents.into())];
        let mut sums: HashMap<&str, (f32, f32)> = HashMap::new();
        for (place, recent) in recents.iter().enumerate() {
            let position = (place as f32 + 1.0).powf(-strategy.position);
            for (neighbour, weight) in self.rows.get(recent).into_iter().flatten() {
                let (sum, votes) = sums.entry(neighbour).or_default();
                *sum += position * weight;
                *votes += 1.0;
            }
        }
        let mut found: Vec<(String, f32)> = sums
            .into_iter()
            .filter(|(id, _)| !recents.iter().any(|recent| recent == id))
            .map(|(id, (sum, votes))| (id.to_owned(), sum * (1.0 + strategy.votes * (votes - 1.0))))
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found.truncate(count);
        found
    }
}
