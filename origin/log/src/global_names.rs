//! Maps the numbers that names have in a segment to numbers that hold for the whole log.

use origin_data::Interner;

/// Interns names across segments. It hashes each name once a segment, not once an event.
#[derive(Clone, Debug, Default)]
pub struct GlobalNames {
    names: Interner,
    segment: Option<u64>,
    /// Number in `segment` → number in `names`.
    global: Vec<Option<u32>>,
}

impl GlobalNames {
    /// Starts with names that are interned already.
    pub fn new(names: Interner) -> Self {
        Self { names, ..Self::default() }
    }

    /// The global number of `name`, whose number in the segment that begins at position `segment` is `local`. A new name
    /// is interned; if as many names are interned already as `limit` allows for it, the result is `None`.
    pub fn resolve(
        &mut self,
        segment: u64,
        local: u32,
        name: &str,
        limit: impl Fn(&str) -> usize,
    ) -> Option<u32> {
        if self.segment != Some(segment) {
            self.segment = Some(segment);
            self.global.clear();
        }
        let local = local as usize;
        if let Some(Some(number)) = self.global.get(local) {
            return Some(*number);
        }
        let number = match self.names.get(name) {
            Some(number) => number,
            None if self.names.len() >= limit(name) => return None,
            None => self.names.intern(name),
        };
        self.global.resize(self.global.len().max(local + 1), None);
        self.global[local] = Some(number);
        Some(number)
    }

    /// The names by global number.
    pub fn names(&self) -> &Interner {
        &self.names
    }

    /// The names by global number.
    pub fn into_names(self) -> Interner {
        self.names
    }
}
