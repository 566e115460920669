//! Vectors that all cores change at once, each those of its share, with the same outcome on any number of cores.

use rayon::prelude::*;

/// Shares there are: more than cores, so that none waits long.
const SHARES: usize = 16;

/// Which vector is whose. The most wanted items come first in an index and change most: dealt out like cards,
/// every share has as many of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sharding {
    share: usize,
}

impl Sharding {
    /// Deals so many vectors.
    pub(crate) fn new(vectors: usize) -> Self {
        Self { share: vectors.div_ceil(SHARES).max(1) }
    }

    /// Places that the dealt vectors take, some of them empty.
    pub(crate) fn places(self) -> usize {
        self.share * SHARES
    }

    /// The place of a vector.
    pub(crate) fn place(self, vector: u32) -> u32 {
        vector % SHARES as u32 * self.share as u32 + vector / SHARES as u32
    }

    /// Lets `change` see every share of `vectors`, each of `size` numbers.
    pub(crate) fn change(self, vectors: &mut [f32], size: usize, change: impl Fn(&mut ShardMut<'_>) + Sync) {
        vectors.par_chunks_mut((self.share * size).max(1)).enumerate().for_each(|(at, vectors)| {
            change(&mut ShardMut { first: (at * self.share) as u32, size, vectors });
        });
    }
}

/// One core's vectors.
pub(crate) struct ShardMut<'a> {
    first: u32,
    size: usize,
    vectors: &'a mut [f32],
}

impl ShardMut<'_> {
    /// The vector at a place; `None` where it is of another share.
    pub(crate) fn at(&mut self, place: u32) -> Option<&mut [f32]> {
        let start = place.checked_sub(self.first)? as usize * self.size;
        self.vectors.get_mut(start..start + self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_is_of_one_share() {
        for count in [1u32, 15, 16, 17, 100] {
            let deal = Sharding::new(count as usize);
            let mut vectors = vec![0.0; deal.places() * 2];
            deal.change(&mut vectors, 2, |share| {
                (0..count).for_each(|vector| {
                    if let Some(own) = share.at(deal.place(vector)) {
                        own.iter_mut().for_each(|value| *value += (vector + 1) as f32);
                    }
                });
            });
            vectors.retain(|value| *value > 0.0);
            vectors.sort_by(f32::total_cmp);
            let each: Vec<f32> = (0..count).flat_map(|vector| [(vector + 1) as f32; 2]).collect();
            assert_eq!(vectors, each);
        }
    }
}
