//! Numbers for the names of a whole log, found once a segment and not once an event.

use origin_data::Interner;

/// Interns names that a [`Reader`](crate::Reader) gives out with the numbers that their segment has for them.
#[derive(Clone, Debug, Default)]
pub struct SegmentNames {
    names: Interner,
    segment: Option<u64>,
    /// By the number in the segment.
    local: Vec<Option<u32>>,
}

impl SegmentNames {
    /// With names that have their numbers already.
    pub fn new(names: Interner) -> Self {
        Self { names, ..Self::default() }
    }

    /// The number of a name that has the number `local` in a segment, which is named by its first position; `None` when
    /// it is new and `limit` names are known.
    pub fn number(&mut self, segment: u64, local: u32, name: &str, limit: usize) -> Option<u32> {
        if self.segment != Some(segment) {
            self.segment = Some(segment);
            self.local.clear();
        }
        let local = local as usize;
        if let Some(Some(number)) = self.local.get(local) {
            return Some(*number);
        }
        let number = match self.names.get(name) {
            Some(number) => number,
            None if self.names.len() >= limit => return None,
            None => self.names.intern(name),
        };
        self.local.resize(self.local.len().max(local + 1), None);
        self.local[local] = Some(number);
        Some(number)
    }

    /// The names by their numbers.
    pub fn names(&self) -> &Interner {
        &self.names
    }

    /// The names by their numbers.
    pub fn into_names(self) -> Interner {
        self.names
    }
}
