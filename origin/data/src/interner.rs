//! An interner: small numbers for names that repeat.

use indexmap::IndexSet;

/// Distinct names, numbered from 0 in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interner(IndexSet<Box<str>>);

impl Interner {
    /// Count of names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of a name, if it was interned.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.0.get_index_of(name).map(|number| number as u32)
    }

    /// The name with this number.
    pub fn name(&self, number: u32) -> Option<&str> {
        self.0.get_index(number as usize).map(|name| &**name)
    }

    /// The number of a name; a new name is added.
    pub fn intern(&mut self, name: &str) -> u32 {
        match self.get(name) {
            Some(number) => number,
            None => self.0.insert_full(name.into()).0 as u32,
        }
    }

    /// The names by number.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// Keeps only the first `len` names.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// The names sorted by their bytes, and for each number the index of its name in that order.
    pub fn into_sorted(self) -> (Vec<String>, Vec<u32>) {
        let mut names: Vec<(Box<str>, usize)> =
            self.0.into_iter().enumerate().map(|(number, name)| (name, number)).collect();
        names.sort_unstable();
        let mut indices = vec![0; names.len()];
        for (index, (_, number)) in (0u32..).zip(&names) {
            indices[*number] = index;
        }
        (names.into_iter().map(|(name, _)| name.into_string()).collect(), indices)
    }
}

impl<S: AsRef<str>> FromIterator<S> for Interner {
    /// Interns the names in order; duplicates are ignored.
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(|name| name.as_ref().into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable_and_names_sort_by_bytes() {
        let mut names = Interner::default();
        assert_eq!(["b", "a", "b", "C"].map(|name| names.intern(name)), [0, 1, 0, 2]);
        assert_eq!(
            (names.len(), names.get("a"), names.name(2), names.get("x")),
            (3, Some(1), Some("C"), None)
        );
        assert_eq!(names.clone().into_sorted(), (vec!["C".into(), "a".into(), "b".into()], vec![2, 1, 0]));
        names.truncate(1);
        assert_eq!(names.iter().collect::<Vec<_>>(), ["b"]);
        assert_eq!(names.intern("C"), 1);
    }
}
