//! A small set of numbers in a sorted vector. For the few hundred numbers of a request, it is faster than a hash set and
//! compiles to less code.

/// A set of numbers with binary search. Insertion is O(n).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SortedSet(Vec<u32>);

impl SortedSet {
    /// Whether the set contains a number.
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.0.binary_search(&number).is_ok()
    }

    /// Adds a number. Returns whether it is new.
    pub(crate) fn insert(&mut self, number: u32) -> bool {
        match self.0.binary_search(&number) {
            Ok(_) => false,
            Err(place) => {
                self.0.insert(place, number);
                true
            }
        }
    }

    /// The numbers, in ascending order.
    pub(crate) fn numbers(&self) -> &[u32] {
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
        fn it_behaves_like_a_btree_set(numbers in prop::collection::vec(0u32..50, 0..60)) {
            let (mut set, mut known) = (SortedSet::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(set.insert(number), known.insert(number));
            }
            prop_assert!(set.numbers().iter().eq(&known));
            prop_assert!((0..50).all(|number| set.contains(number) == known.contains(&number)));
        }
    }
}
