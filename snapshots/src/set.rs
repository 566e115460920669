//! A small set of numbers: sorted, so that looking one up halves its way. Adding one moves the larger ones, which
//! for the few hundred that a request has is faster than hashing, and takes less code.

/// The set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SortedSet(Vec<u32>);

impl SortedSet {
    /// Whether a number is in it.
    pub fn contains(&self, number: u32) -> bool {
        self.0.binary_search(&number).is_ok()
    }

    /// Adds a number; whether it was not there yet.
    pub fn insert(&mut self, number: u32) -> bool {
        match self.0.binary_search(&number) {
            Ok(_) => false,
            Err(place) => {
                self.0.insert(place, number);
                true
            }
        }
    }

    /// The numbers, in ascending order.
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }
}

impl Extend<u32> for SortedSet {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, numbers: I) {
        for number in numbers {
            self.insert(number);
        }
    }
}

impl FromIterator<u32> for SortedSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut set = Self::default();
        set.extend(numbers);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(numbers in prop::collection::vec(0u32..50, 0..60)) {
            let (mut set, mut known) = (SortedSet::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(set.insert(number), known.insert(number));
            }
            prop_assert!(set.numbers().iter().eq(&known));
            prop_assert!((0..50).all(|number| set.contains(number) == known.contains(&number)));
        }
    }
}
